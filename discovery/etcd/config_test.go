package etcd

import (
	"fmt"
	"strings"
	"testing"
)

func TestAllFaultsOfAConfigurationAreNamed(t *testing.T) {
	good := func() Config {
		c := Defaults()
		c.Scope, c.Endpoints = "voip", []string{"https://10.0.0.1:2379", "https://[::1]:2379/"}
		return c
	}
	if c := good(); c.Validate() != nil {
		t.Error(c.Validate())
	}
	for fault, spoil := range map[string]func(*Config){
		"expected http://host:port": func(c *Config) { c.Endpoints = []string{"10.0.0.1:2379"} },
		"host:port or https":        func(c *Config) { c.Endpoints = []string{"https://user:secret@a:1"} },
		"all of them":               func(c *Config) { c.Endpoints[0] = "http://10.0.0.1:2379" },
		"are not https":             func(c *Config) { c.Endpoints, c.CAFile = []string{"http://a:1"}, "ca.crt" },
		"key_file belong":           func(c *Config) { c.CertFile = "a.crt" },
		"password belong":           func(c *Config) { c.Username = "pgrouter" },
		"scope":                     func(c *Config) { c.Scope = "/" },
		"timeout":                   func(c *Config) { c.Timeout = 0 },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", fault, err)
		}
		if _, err := New(c, Deps{}); err == nil {
			t.Errorf("%s: a source is made", fault)
		}
	}
	c := good()
	c.Username, c.Password = "pgrouter", "secret"
	if text := fmt.Sprint(&c) + fmt.Sprintf("%#v", &c) + c.LogValue().String(); strings.Contains(text, "secret") {
		t.Error(text)
	}
}

func TestThePrefixIsPatronis(t *testing.T) {
	for _, row := range [][3]string{
		{"/service", "voip", "/service/voip/"}, {"service/", "voip", "/service/voip/"}, {"/a//b/", "/citus/0", "/a/b/citus/0/"}, {"", "voip", "/voip/"},
	} {
		if c := (Config{Namespace: row[0], Scope: row[1]}); c.prefix() != row[2] {
			t.Errorf("%v: %s", row, c.prefix())
		}
	}
}
