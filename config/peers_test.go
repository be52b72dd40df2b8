package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPeersAreAddressesOrURLs(t *testing.T) {
	const text = "[admin]\npeers = [%s]\n[auth]\nmethod = \"trust\"\n[cluster.main]\nnodes = [\"h\"]\n"
	cfg, faults := Parse("x.toml", fmt.Appendf(nil, text, `"10.0.0.2:7000", " ha2:7000", "[::1]:7000", "https://ha3/", "http://ha4:7000"`), nil)
	if Failed(faults) {
		t.Fatal(faults)
	}
	want := []string{"http://10.0.0.2:7000", "http://ha2:7000", "http://[::1]:7000", "https://ha3", "http://ha4:7000"}
	if diff := cmp.Diff(want, cfg.Admin.Peers); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`"10.0.0.2"`, `":7000"`, `"/run:7000"`, `"ftp://ha1:7000"`, `"http://app:secret@ha1:7000"`, `"http://ha1:7000/api"`, `"http://"`, `"a:1", "http://a:1"`, `"a:70000"`} {
		_, faults := Parse("x.toml", fmt.Appendf(nil, text, bad), nil)
		if !Failed(faults) {
			t.Errorf("%s is taken", bad)
			continue
		}
		said := faults[0].String()
		if !strings.HasPrefix(said, "x.toml:2") || !strings.Contains(said, "admin.peers[") || strings.Contains(said, "secret") {
			t.Errorf("%s: %s", bad, said)
		}
	}
}
