package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/pool"
)

// regimeOf reads a configuration with more in it, and a userlist beside it.
func regimeOf(t *testing.T, more, userlist string, former *regime) *regime {
	t.Helper()
	path := filepath.Join(t.TempDir(), "userlist.txt")
	if err := os.WriteFile(path, []byte(userlist), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[auth]\nuserlist = %q\nuser = \"single\"\npassword = \"x\"\n%s\n[cluster.main]\nnodes = [\"h\"]\n", path, more)
	cfg, faults := config.Parse("x.toml", []byte(text), nil)
	if cfg == nil {
		t.Fatal(faults)
	}
	r, err := newRegime(cfg, former)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOtherPeopleAreToldByWhatHasBecomeOfThem(t *testing.T) {
	before := regimeOf(t, "", "\"stays\" \"one\"\n\"goes\" \"one\"\n\"changes\" \"one\"\n", nil)
	after := regimeOf(t, "", "\"changes\" \"two\"\n\"comes\" \"one\"\n\"stays\" \"one\"\n", before)
	want := []string{"users: added: comes", "users: removed: goes", "users: another secret: changes"}
	if diff := cmp.Diff(want, after.people.since(before.people).lines()); diff != "" {
		t.Error(diff)
	}
	if lines := after.people.since(after.people).lines(); len(lines) > 0 {
		t.Errorf("without a change: %v", lines)
	}
	if before.people.ring != after.people.ring || before.people.seed != after.people.seed {
		t.Error("keys that were remembered, and salts, are forgotten by a reload")
	}
	for user, want := range map[string]bool{"stays": true, "goes": false, "single": true, "nobody": false} {
		var f inForce
		f.Store(after)
		if f.Known(user) != want {
			t.Errorf("%s is known: %v", user, !want)
		}
	}
	many := make([]string, 12)
	for i := range many {
		many[i] = fmt.Sprint("u", i)
	}
	if got := shorten(many); !strings.HasSuffix(got, "u9 and 2 more") {
		t.Error(got)
	}
}

func TestAQueueHasTheSettingsOfItsDatabaseAndUser(t *testing.T) {
	r := regimeOf(t, `
[pool]
size = 1
[database.alias]
dbname = "real"
size = 2
[database.forced]
user = "owner"
size = 3
[user.batch]
size = 4`, "", nil)
	for _, tc := range []struct {
		database, user string
		want           int
	}{{"other", "u", 1}, {"alias", "u", 2}, {"real", "u", 1}, {"forced", "owner", 3}, {"other", "batch", 4}, {"alias", "batch", 4}} {
		if got := r.poolConfig(pool.Key{Database: tc.database, User: tc.user}).Size; got != tc.want {
			t.Errorf("%s of %s: %d, want %d", tc.user, tc.database, got, tc.want)
		}
	}
}

// TestOneSettingIsAmendedWithoutALookAtFiles: a userlist that is gone concerns nobody who changes a size.
func TestOneSettingIsAmendedWithoutALookAtFiles(t *testing.T) {
	before := regimeOf(t, "", "\"app\" \"one\"\n", nil)
	for _, tc := range []struct {
		key, value string
		same       bool
	}{{"pool.size", "3", true}, {"auth.method", "md5", false}, {"auth.user", "other", false}} {
		cfg, faults, err := before.With(tc.key, tc.value)
		if cfg == nil {
			t.Fatal(faults, err)
		}
		after, err := amendedRegime(cfg, before)
		if err != nil || (after.people == before.people) != tc.same || after.Config != cfg {
			t.Errorf("%s: %v, the same people: %v", tc.key, err, after.people == before.people)
		}
	}
	if err := os.Remove(before.Auth.Userlist); err != nil {
		t.Fatal(err)
	}
	cfg, faults, err := before.With("pool.size", "3")
	if cfg == nil {
		t.Fatal(faults, err)
	}
	if _, err := amendedRegime(cfg, before); err != nil {
		t.Error(err)
	}
}
