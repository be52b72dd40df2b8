package system

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
)

// set gives an order at the console, and compares what it is told.
func (r *reloading) set(sql string, want ...string) {
	r.t.Helper()
	r.notices = nil
	if _, err := query(r.console, sql); err != nil {
		r.t.Errorf("%s: %v", sql, err)
	}
	if diff := cmp.Diff(want, r.notices); diff != "" {
		r.t.Errorf("%s: %s", sql, diff)
	}
}

// refused gives an order that is an error, and sees that the configuration is as before.
func (r *reloading) refused(sql, code, detail string) {
	r.t.Helper()
	before := r.config()
	_, err := query(r.console, sql)
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || e.Severity != "ERROR" || e.Code != code || !strings.Contains(e.Detail, detail) {
		r.t.Errorf("%s: %v (%+v), not %s: %s", sql, err, e, code, detail)
	}
	if diff := cmp.Diff(before, r.config()); diff != "" {
		r.t.Errorf("%s changed something: %s", sql, diff)
	}
}

// config reads SHOW CONFIG.
func (r *reloading) config() map[string]string {
	r.t.Helper()
	all := make(map[string]string)
	for _, row := range table(r.t, r.console, "SHOW CONFIG", "key", "value") {
		all[row[0]] = row[1]
	}
	return all
}

// events returns the reasons of all events of a kind, which is given by its beginning.
func (r *reloading) events(kind string) (reasons []string) {
	r.t.Helper()
	for _, row := range table(r.t, r.console, "SHOW EVENTS", "event", "reason") {
		if strings.HasPrefix(row[0], kind) {
			reasons = append(reasons, row[1])
		}
	}
	return reasons
}

// TestSetCountsForClientsUntilTheNextReload changes limits under real clients, by our names and by PgBouncer's.
func TestSetCountsForClientsUntilTheNextReload(t *testing.T) {
	r := startReloading(t, reloadConfig)
	asRead := r.config()
	busy := []*pgconn.PgConn{open(t, r.c, r.Write, "app", ""), open(t, r.c, r.Write, "app", "")}
	for _, conn := range busy {
		r.get(conn, "begin", "")
	}
	waiting := open(t, r.c, r.Write, "app", "")
	served := make(chan error, 1)
	go func() {
		_, err := query(waiting, "select 1")
		served <- err
	}()
	r.Await("one waits", time.Minute, func() bool { return r.Metrics()["pgrouter_pool_waiting"] >= 1 })
	r.set("SET default_pool_size = 3", "pool.size: 2 → 3")
	if err := <-served; err != nil {
		t.Errorf("who waited: %v", err)
	}
	r.set("set pool.query_timeout to '300ms'", `pool.query_timeout: "0s" → "300ms"`)
	_, err := query(waiting, "select pg_sleep(60)")
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "08007" {
		t.Errorf("a query beyond query_timeout: %v", err)
	}
	r.set("set limits.max_db_client_connections = 2", "limits.max_db_client_connections: 0 → 2")
	if _, err := pgconn.Connect(t.Context(), r.c.DSN(r.Write, "app", "app")); err == nil || !strings.Contains(err.Error(), "53300") {
		t.Errorf("one more client: %v", err)
	}
	r.set(`SET database.alias.size = 7; SET pool.size = 3`, "database.alias.size: not set → 7")
	got := r.config()
	for key, want := range map[string]string{
		"pool.size": "3", "default_pool_size": "3", "pool.query_timeout": "300ms", "limits.max_db_client_connections": "2",
		"max_db_client_connections": "2", "database.alias.size": "7",
	} {
		if got[key] != want {
			t.Errorf("SHOW CONFIG: %s is %q, want %q", key, got[key], want)
		}
	}
	r.refusals()
	notices, err := r.reload()
	want := []string{
		"pool.size: 3 → 2", `pool.query_timeout: "300ms" → "0s"`, "limits.max_db_client_connections: 2 → 0", "database.alias.size: 7 → not set",
	}
	if diff := cmp.Diff(want, notices); err != nil || diff != "" {
		t.Errorf("RELOAD: %v %s", err, diff)
	}
	if diff := cmp.Diff(asRead, r.config()); diff != "" {
		t.Errorf("after it: %s", diff)
	}
	for _, conn := range busy {
		r.get(conn, "commit; select 'done'", "")
	}
	if _, err := r.change("size = 2", "size = 0"); err == nil {
		t.Error("a faulty file is put in force")
	}
	r.set("set pool.size = 4", "pool.size: 2 → 4") // of the configuration that stands
	r.must("size = 0", "size = 2", "pool.size: 4 → 2")
	r.must("loops = 1", "loops = 2", "limits.loops: 1 → 2") // what waits for a restart is no concern of SET
	r.set("set log.level = debug", `log.level: "info" → "debug"`)
	if got := r.Metrics()["pgrouter_config_restart_pending"]; got != 1 {
		t.Errorf("%v changes wait for a restart", got)
	}
}

func (r *reloading) refusals() {
	r.t.Helper()
	r.refused("set pool.size = 0", "22023", `must be at least 1, is "0"`)
	r.refused("set pool.dial_backoff_min = '1h'", "22023", "pgrouter.toml:7: pool.dial_backoff_max: must be at least dial_backoff_min, which is 1h")
	r.refused("set auth.userlist = '/nowhere'", "22023", "no such file")
	r.refused("set auth.userlist = 'pgrouter.toml'", "22023", ": a line must begin with a user name in double quotes")
	r.refused("set limits.loops = 2", "55P02", "")
	r.refused("set cluster.main.probe_password = 'x'", "55P02", "")
	r.refused("set pool.sise = 3", "42704", "did you mean pool.size?")
}

// TestASetThatTakesOnesOwnRightsIsTakenBackBySIGHUP: roles are settings too.
func TestASetThatTakesOnesOwnRightsIsTakenBackBySIGHUP(t *testing.T) {
	r := startReloading(t, reloadConfig)
	r.set("set admin.stats_users = app", `admin.stats_users: [] → ["app"]`)
	r.set("set admin_users = 'nobody, else'", `admin.users: ["app"] → ["nobody", "else"]`)
	r.refused("set pool.size = 3", "42501", "")
	r.set("set application_name = 'still here'")
	r.Await("it is told by whom", time.Minute, func() bool {
		return cmp.Equal(r.events("config_set"), []string{`admin.stats_users: [] → ["app"], by app`, `admin.users: ["app"] → ["nobody", "else"], by app`})
	})
	if err := r.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.Await("the file is read", time.Minute, func() bool {
		_, err := query(r.console, "set pool.size = 3")
		return err == nil
	})
}

// TestSetAndReloadTakeTurns lets two consoles change one setting at once: each change begins where the one before it has ended.
func TestSetAndReloadTakeTurns(t *testing.T) {
	r := startReloading(t, reloadConfig)
	const rounds = 20
	sets := open(t, r.c, r.Write, "pgrouter", "")
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range rounds {
			if _, err := query(sets, "SET pool.size = "+strconv.Itoa(3+i)); err != nil {
				t.Error(err)
			}
		}
	})
	for range rounds {
		if _, err := r.reload(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if _, err := r.reload(); err != nil || r.config()["pool.size"] != "2" {
		t.Errorf("at the end the size is %s, %v", r.config()["pool.size"], err)
	}
	r.Await("all is told", time.Minute, func() bool { return len(r.events("config_set"))+len(r.events("config_reloaded")) == 2*rounds+1 })
	at := "2"
	for _, change := range r.events("config_") {
		var from, to string
		if n, _ := fmt.Sscanf(change, "pool.size: %s → %s", &from, &to); n != 2 {
			continue // a reload that found nothing to change
		}
		if from != at {
			t.Errorf("%s does not begin at %s", change, at)
		}
		at = strings.TrimSuffix(to, ",")
	}
}
