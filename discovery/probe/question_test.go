package probe

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/topology"
)

// row makes an answer of its text; "-" is NULL.
func row(text string) [][]byte {
	var columns [][]byte
	for field := range strings.FieldsSeq(text) {
		if field == "-" {
			columns = append(columns, nil)
			continue
		}
		columns = append(columns, []byte(field))
	}
	return columns
}

func TestAnAnswerIsRead(t *testing.T) {
	started := time.UnixMicro(1700000000123456)
	for _, test := range []struct {
		sentence, row string
		want          topology.Observation
	}{
		{
			"a primary", "f f 150020 1700000000123456 16/B374D848 - - 0000000A - - - 7710469775882704416 - - - - - - 77",
			topology.Observation{Role: topology.RolePrimary, Version: 150020, WriteLSN: 0x16B374D848, Timeline: 10, SystemID: 7710469775882704416},
		},
		{
			"a read-only primary", "f t 150020 1700000000123456 0/1 - - FFFFFFFF - - - 7 - - - - - - 77",
			topology.Observation{Role: topology.RolePrimary, ReadOnly: true, Version: 150020, WriteLSN: 1, Timeline: 1<<32 - 1, SystemID: 7},
		},
		{
			"a standby that streams", "t f 150020 1700000000123456 - 0/60 0/50 - 3 f 2500000 7 2 - - - - - 77",
			topology.Observation{Role: topology.RoleStandby, Version: 150020, ReceiveLSN: 0x60, ReplayLSN: 0x50, ReplayAge: 2500 * time.Millisecond, Timeline: 3, SystemID: 7},
		},
		{
			"a standby that does not stream", "t f 150020 1700000000123456 - - 0/50 - - - - 7 2 - - - - - 77",
			topology.Observation{Role: topology.RoleStandby, Version: 150020, ReplayLSN: 0x50, Timeline: 2, SystemID: 7},
		},
		{
			"a standby that hides its receiver", "t f 150020 1700000000123456 - 0/60 0/50 - - t -5 7 2 - - - - - 77",
			topology.Observation{
				Role: topology.RoleStandby, Version: 150020, ReceiveLSN: 0x60, ReplayLSN: 0x50, ReplayAge: time.Microsecond, Timeline: 2, SystemID: 7,
				Note: noteNoReceiver + "pgrouter",
			},
		},
		{
			"a server that hides its control file", "f f 150020 1700000000123456 0/1 - - 00000001 - - - - - - - - - - 77",
			topology.Observation{Role: topology.RolePrimary, Version: 150020, WriteLSN: 1, Timeline: 1, Note: noteNoControl + "pgrouter"},
		},
		{
			"a primary whose commits wait", "f f 150020 1700000000123456 0/1 - - 00000001 - - - 7 - * f 3 1700000000123456 s1 77",
			topology.Observation{
				Role: topology.RolePrimary, Version: 150020, WriteLSN: 1, Timeline: 1, SystemID: 7,
				SyncWait: topology.SyncWait{Names: "*", Present: "s1", Waiting: 3, Oldest: started},
			},
		},
		{
			"a primary that hides whether they do", "f f 150020 1700000000123456 0/1 - - 00000001 - - - 7 - * t - - - 77",
			topology.Observation{Role: topology.RolePrimary, Version: 150020, WriteLSN: 1, Timeline: 1, SystemID: 7, Note: noteNoSync + "pgrouter"},
		},
	} {
		t.Run(test.sentence, func(t *testing.T) {
			got, err := parseAnswer(row(test.row), "pgrouter")
			if err != nil {
				t.Fatal(err)
			}
			test.want.Outcome, test.want.StartedAt = topology.OutcomeAnswered, started
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnAnswerThatMakesNoSenseIsNone(t *testing.T) {
	good := "f f 150020 1699999999123456 0/1 - - 00000001 - - - 7 - - - - - - 77"
	for _, bad := range []string{
		"", "f", good + " f", "x" + good[1:], strings.Replace(good, "150020", "15beta", 1), strings.Replace(good, " 0/1", " 1", 1),
		strings.Replace(good, "00000001", "100000000", 1), strings.Replace(good, "00000001", "-1", 1), strings.Replace(good, "00000001", "-", 1),
	} {
		if o, err := parseAnswer(row(bad), "pgrouter"); err == nil || o.Outcome == topology.OutcomeAnswered {
			t.Errorf("%q was read as %+v", bad, o)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("f f 150020 1700000000123456 16/B374D848 - - 0000000A - - - 7710469775882704416 - * f 3 1700000000123456 s1 77"))
	f.Add([]byte("t f 150020 1700000000123456 - 0/60 0/50 - 3 f 2500000 7 2 - - - - - 77"))
	f.Add([]byte("t t - - - - - - - t - - -"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		columns := row(string(text))
		before := slices.Clone(columns)
		o, err := parseAnswer(columns, "pgrouter")
		if (err == nil) != (o.Outcome == topology.OutcomeAnswered) {
			t.Fatalf("%+v, %v", o, err)
		}
		if err == nil && o.Role == topology.RolePrimary && o.Timeline == 0 {
			t.Fatalf("a primary without a timeline: %+v", o)
		}
		if !slices.EqualFunc(before, columns, bytes.Equal) {
			t.Fatal("the row was changed")
		}
	})
}

func TestThePasswordIsNeverPrinted(t *testing.T) {
	const secret = "s3cr'et\\"
	cfg := Defaults()
	cfg.Password = secret
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("configuration", "probe", cfg)
	cfg.SSLMode = "nonsense"
	err := cfg.Validate()
	if err == nil {
		t.Fatal("nonsense is a TLS mode")
	}
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v %#v", cfg, cfg), log.String(), err.Error()} {
		if strings.Contains(text, "s3cr") {
			t.Errorf("it is printed: %s", text)
		}
	}
}

func TestTheLoginIsMadeOfTheConfigurationOnly(t *testing.T) {
	t.Setenv("PGOPTIONS", "-c search_path=evil")
	t.Setenv("PGUSER", "evil")
	t.Setenv("PGDATABASE", "evil")
	t.Setenv("PGPASSWORD", "evil")
	t.Setenv("PGSSLMODE", "disable")
	t.Setenv("PGPASSFILE", "/nonexistent")
	cfg := Defaults()
	cfg.Password, cfg.SSLMode = `it's a \ secret`, "require"
	s, err := cfg.settings("[::1]:5433")
	if err != nil {
		t.Fatal(err)
	}
	if s.User != "pgrouter" || s.Database != "postgres" || s.Password != cfg.Password || s.Host != "::1" || s.Port != 5433 || s.TLSConfig == nil ||
		s.RuntimeParams["options"] != "" || s.RuntimeParams["application_name"] != ApplicationName {
		t.Errorf("%s@%s:%d/%s %v", s.User, s.Host, s.Port, s.Database, s.RuntimeParams)
	}
	if s, err = cfg.settings("/var/run/postgresql:5432"); err != nil || s.Host != "/var/run/postgresql" || s.Port != 5432 {
		t.Errorf("%v, %v", s, err)
	}
}

func TestAFaultyConfigurationIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"no user":        func(c *Config) { c.User = "" },
		"no database":    func(c *Config) { c.Database = "" },
		"no time":        func(c *Config) { c.ConnectTimeout = 0 },
		"no such CA":     func(c *Config) { c.SSLMode, c.SSLRootCert = "verify-full", "/nonexistent" },
		"half a keypair": func(c *Config) { c.SSLCert = "/nonexistent" },
	} {
		cfg := Defaults()
		spoil(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, address := range []string{"", "host", "host:", "host:x", "/dir", "/dir:70000"} {
		if _, _, err := splitAddress(address); err == nil {
			t.Errorf("address %q: accepted", address)
		}
	}
}
