package config_test

import (
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/config"
)

const tenants = least + `
pool.size = 10
limits.max_db_connections = 40
limits.max_user_client_connections = 100
limits.databases = "listed"

[database.voip]
dbname = "voip_prod"
size = 5
min_size = 2
idle_timeout = "1m"
max_db_connections = 30
max_db_client_connections = 7

[database.billing]
user = "billing_rw"
password = "b"

[database."*"]
mode = "session"
user = "guest"
password = "g"

[user.kamailio]
size = 8
reset_query = "RESET ALL"
reset = "always"
on_pin = "error"
max_user_client_connections = 50
max_user_connections = 20

[user.billing_rw]
max_user_connections = 3
`

func TestDatabasesAndUsersOverrideWhatHoldsForAll(t *testing.T) {
	c := load(t, tenants)
	for _, want := range []struct {
		database, user string
		size, min      int
		mode, reset    string
		idle           time.Duration
		quota          config.Quota
		on, as         string
	}{
		{"voip", "app", 5, 2, "transaction", "DISCARD ALL", time.Minute, config.Quota{7, 100, 30, 0}, "voip_prod", ""},
		{"voip", "kamailio", 8, 2, "transaction", "RESET ALL", time.Minute, config.Quota{7, 50, 30, 20}, "voip_prod", ""},
		{"billing", "kamailio", 8, 0, "transaction", "RESET ALL", 10 * time.Minute, config.Quota{0, 50, 40, 3}, "billing", "billing_rw"},
		{"unheard", "app", 10, 0, "session", "DISCARD ALL", 10 * time.Minute, config.Quota{0, 100, 40, 0}, "unheard", "guest"},
	} {
		p := c.PoolFor(want.database, want.user)
		if p.Size != want.size || p.MinSize != want.min || p.Mode != want.mode || p.ResetQuery != want.reset || p.IdleTimeout != want.idle || (p.Reset == "always") != (want.user == "kamailio") ||
			(p.OnPin == "error") != (want.user == "kamailio") {
			t.Errorf("%s for %s: %+v", want.database, want.user, p)
		}
		if got := c.QuotaFor(want.database, want.user); got != want.quota {
			t.Errorf("%s for %s: %+v", want.database, want.user, got)
		}
		if on, as := c.ServerDatabase(want.database), c.ServerUser(want.database); on != want.on || as != want.as {
			t.Errorf("%s is %s as %s", want.database, on, as)
		}
		if !c.Serves(want.database) {
			t.Errorf("%s is not served", want.database)
		}
	}
}

func TestTheForcedUserOfEachDatabaseHasItsPassword(t *testing.T) {
	c := load(t, tenants)
	for _, want := range []struct{ database, user, password string }{
		{"billing", "billing_rw", "b"}, {"unheard", "guest", "g"}, {"billing", "kamailio", ""}, {"voip", "app", ""},
	} {
		if got := c.ServerPassword(want.database, want.user); got.Reveal() != want.password {
			t.Errorf("%s@%s has another password", want.user, want.database)
		}
	}
}

func TestOnlyListedDatabasesAreServedWhenThatIsWanted(t *testing.T) {
	c := load(t, least+"limits.databases = \"listed\"\n[database.a]\n")
	if !c.Serves("a") || c.Serves("b") {
		t.Error("listed means: those that have a table")
	}
	if !load(t, least+"[database.a]\n").Serves("b") {
		t.Error("any database is served by default")
	}
}
