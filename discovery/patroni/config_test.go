package patroni

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTheFormOfAURLIsOne(t *testing.T) {
	for text, want := range map[string]string{
		"http://10.0.0.11:8008": "http://10.0.0.11:8008", "https://DB1.Example:8008/patroni": "https://db1.example:8008",
		"http://[2001:db8::1]:8008/": "http://[2001:db8::1]:8008", "http://db1": "http://db1",
	} {
		if got, err := baseURL(text); got != want || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "db1:8008", "ftp://db1", "http://", "http://:8008", "http://ann:hush@db1:8008", "http://ann:hush@db1:x", "http://a b"} {
		if got, err := baseURL(text); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestAllFaultsOfAConfigurationAreNamed(t *testing.T) {
	good := Defaults()
	good.URLs = []string{"http://db1:8008"}
	if _, err := New(good, Deps{}); err != nil {
		t.Error(err)
	}
	bad := Config{
		URLs: []string{"db1"}, Password: "hush", CertFile: "a", Interval: -time.Second, Timeout: time.Second,
		AddressMap: []string{"a:1"},
	}
	_, err := New(bad, Deps{})
	if err == nil || strings.Count(err.Error(), "\n") != 4 || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"no CA file":        func(c *Config) { c.CAFile = "testdata/none" },
		"no CA in the file": func(c *Config) { c.CAFile = "testdata/config-3.0.2.json" },
		"no key":            func(c *Config) { c.CertFile, c.KeyFile = "testdata/none", "testdata/none" },
	} {
		c := good
		spoil(&c)
		if _, err := New(c, Deps{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNothingPrintsThePassword(t *testing.T) {
	c := Config{Username: "ann", Password: "hush"}
	if text := fmt.Sprintf("%v %+v %#v %s %s", c, c, c, c, c.LogValue()); strings.Contains(text, "hush") {
		t.Error(text)
	}
}
