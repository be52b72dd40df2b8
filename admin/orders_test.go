package admin

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
)

// The scene as what an operator may do.

func (s *scene) note(format string, args ...any) {
	s.done = append(s.done, fmt.Sprintf(format, args...))
}

func (s *scene) Pause(db string, limit time.Duration) Pause {
	what := "pause " + db
	if limit > 0 {
		what += " for " + limit.String()
	}
	s.done, s.paused = append(s.done, what), append(s.paused, db)
	return &scenePause{s, db}
}

type scenePause struct {
	scene *scene
	db    string
}

func (p *scenePause) Wait(context.Context) error { return p.scene.fail }

func (p *scenePause) Undo() { p.scene.note("undo %s", p.db) }

func (s *scene) Resume(db string) bool {
	s.note("resume %s", db)
	before := len(s.paused)
	s.paused = slices.DeleteFunc(s.paused, func(p string) bool { return db == "" || p == db })
	return len(s.paused) < before
}

func (s *scene) Kill(_ context.Context, db string, limit time.Duration) error {
	s.note("kill %s for %s", db, limit)
	return s.fail
}

func (s *scene) KillClient(id uint64) bool {
	s.note("kill client %d", id)
	return id == 7
}

func (s *scene) Disable(db string) bool {
	s.note("disable %s", db)
	s.disabled = append(s.disabled, db)
	return true
}

func (s *scene) Enable(db string) bool {
	s.note("enable %s", db)
	before := len(s.disabled)
	s.disabled = slices.DeleteFunc(s.disabled, func(d string) bool { return d == db })
	return len(s.disabled) < before
}

func (s *scene) Reconnect(db string) { s.note("reconnect %s", db) }

func (s *scene) WaitClose(ctx context.Context, db string) error {
	s.note("wait close %s", db)
	if s.left == 0 {
		return nil
	}
	<-ctx.Done()
	return &pool.BusyError{Left: s.left, Err: ctx.Err()}
}

func (s *scene) Shutdown(how Ending) { s.note("shutdown %s", how) }

func (s *scene) Holders(context.Context, string) []proxy.Holder { return nil }

// TestPsqlGivesOrders types what operators type, mistakes too.
func TestPsqlGivesOrders(t *testing.T) {
	for _, tc := range []struct{ sql, said, did string }{
		{"pause voip within 5s for 30s", "PAUSE\n", "pause voip for 30s"},
		{"PAUSE FOR 2m WITHIN 500ms", "PAUSE\n", "pause  for 2m0s"},
		{`pause "for" for 1s`, "NOTICE:  no client has asked for database \"for\" yet\nHINT:  The command holds for whoever comes. If the name was a mistake, take it back with RESUME or ENABLE; SHOW POOLS has those that clients use.\nPAUSE\n", "pause for for 1s"},
		{"pause voip within", "ERROR:  syntax error at or near \"within\"\nDETAIL:  Behind the name of a database may stand WITHIN and FOR with a duration.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"pause voip 5s", "ERROR:  syntax error at or near \"5s\"\nDETAIL:  Behind the name of a database may stand WITHIN and FOR with a duration.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"pause voip for 1s for 2s", "ERROR:  syntax error at or near \"for\"\nDETAIL:  Behind the name of a database may stand WITHIN and FOR with a duration.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"pause voip within 5", "ERROR:  invalid value for parameter \"WITHIN\": \"5\"\nDETAIL:  It is a duration such as 500ms, 30s or 5m, above 0 and up to 24h.\n", ""},
		{"pause voip for 25h", "ERROR:  invalid value for parameter \"FOR\": \"25h\"\nDETAIL:  It is a duration such as 500ms, 30s or 5m, above 0 and up to 24h.\n", ""},
		{"pause voip for -1s", "ERROR:  invalid value for parameter \"FOR\": \"-1s\"\nDETAIL:  It is a duration such as 500ms, 30s or 5m, above 0 and up to 24h.\n", ""},
		{"pause pgbouncer", "ERROR:  cannot pause admin db: pgbouncer\n", ""},
		{"kill voip", "KILL\n", "kill voip for 0s"},
		{"kill voip for 1m", "KILL\n", "kill voip for 1m0s"},
		{"kill", "KILL\n", "kill  for 0s"},
		{"kill voip within 1m", "ERROR:  syntax error at or near \"within\"\nDETAIL:  Behind the name of a database may stand FOR with a duration.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"kill pgrouter", "ERROR:  cannot kill admin db: pgrouter\n", ""},
		{"kill_client 7", "KILL_CLIENT\n", "kill client 7"},
		{"kill_client 8", "ERROR:  client \"8\" does not exist\nDETAIL:  SHOW CLIENTS has those that are there, in the column id.\n", "kill client 8"},
		{"kill_client voip", "ERROR:  syntax error at or near \"voip\"\nDETAIL:  KILL_CLIENT takes the number that SHOW CLIENTS has in the column id.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"disable voip; enable voip", "DISABLE\nENABLE\n", "disable voip, enable voip"},
		{"enable voip", "ENABLE\n", "enable voip"}, // it is known, and was not disabled
		{"enable viop", "ERROR:  database \"viop\" does not exist\nDETAIL:  No client has asked for it, and the configuration does not name it.\n", "enable viop"},
		{"disable", "ERROR:  syntax error at or near \"disable\"\nDETAIL:  The name of a database is missing.\nHINT:  SHOW HELP lists the commands.\n", ""},
		{"disable pgbouncer", "ERROR:  cannot disable admin db: pgbouncer\n", ""},
		{"reconnect; reconnect voip; wait_close voip", "RECONNECT\nRECONNECT\nWAIT_CLOSE\n", "reconnect , reconnect voip, wait close voip"},
		{"reconnect viop", "ERROR:  database \"viop\" does not exist\nDETAIL:  No client has asked for it, and the configuration does not name it.\n", ""},
		{"wait_close viop", "ERROR:  database \"viop\" does not exist\nDETAIL:  No client has asked for it, and the configuration does not name it.\n", ""},
		{"suspend", "ERROR:  SUSPEND is not supported\nHINT:  In PgBouncer it prepares an online restart. Here PAUSE holds new work; SHUTDOWN WAIT_FOR_SERVERS, or SIGTERM, ends the router when running work is done.\n", ""},
		{"shutdown", "SHUTDOWN\n", "shutdown at_once"},
		{"shutdown wait_for_servers", "SHUTDOWN\n", "shutdown wait_for_servers"},
		{"Shutdown Wait_For_Clients", "SHUTDOWN\n", "shutdown wait_for_clients"},
		{"shutdown now", "ERROR:  syntax error at or near \"now\"\nHINT:  SHOW HELP lists the commands.\n", ""},
	} {
		s := &scene{primary: "a:5432"}
		if diff := cmp.Diff(tc.said, psql(t, s, "boss", tc.sql+";\n")); diff != "" {
			t.Errorf("%s: -want +got\n%s", tc.sql, diff)
		}
		if got := strings.Join(s.done, ", "); got != tc.did {
			t.Errorf("%s: it did %q, want %q", tc.sql, got, tc.did)
		}
	}
}

// TestEveryCommandOfAnAdminIsRefusedToTheOthers goes through the whole table, in both protocols.
func TestEveryCommandOfAnAdminIsRefusedToTheOthers(t *testing.T) {
	s := &scene{primary: "a:5432"}
	conn := console(t, s, "watcher")
	refused := 0
	for _, c := range commands() {
		if c.needs == roleStats {
			continue
		}
		if c.needs != roleAdmin {
			t.Errorf("%s is for %s", c.name, c.needs)
		}
		for _, sql := range []string{c.name, strings.ToLower(c.name) + " voip", c.name + " 7"} {
			switch {
			case c.raw:
				sql = c.name + " pool.size = 3"
			case c.most == 0:
				sql = c.name
			}
			for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
				_, err := conn.Exec(t.Context(), sql, mode)
				if err == nil || !strings.Contains(err.Error(), "permission denied for command "+c.name+" (SQLSTATE 42501)") {
					t.Errorf("%s in mode %v: %v", sql, mode, err)
				}
				refused++
			}
		}
	}
	if len(s.done) > 0 {
		t.Errorf("it did %v", s.done)
	}
	if refused < 100 {
		t.Errorf("%d were refused: is the table empty?", refused)
	}
	for _, word := range []string{"PAUSE", "RESUME", "KILL", "KILL_CLIENT", "DISABLE", "ENABLE", "RECONNECT", "WAIT_CLOSE", "SUSPEND", "SHUTDOWN", "SWITCHOVER", "HOLD", "RELEASE", "FAILOVER", "RELOAD", "SET"} {
		if !slices.ContainsFunc(commands(), func(c command) bool { return c.name == word && c.needs == roleAdmin }) {
			t.Errorf("%s is not for admins alone", word)
		}
	}
}

func TestWaitCloseIsBoundedAndCanBeCancelled(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		s, _, f, _ := busyConsole(t)
		s.left = 2
		s.admin.patience = time.Hour
		if !cancelled {
			s.admin.patience = time.Millisecond
		}
		send(t, f, "wait_close voip")
		want := "55000 2 server connections are still to be closed after 1ms They are closed when"
		if cancelled {
			s.cancelled <- struct{}{}
			want = "57014 canceling statement due to user request"
		}
		if got := hear(t, f); !strings.HasPrefix(got, want) {
			t.Errorf("it says %q", got)
		}
		send(t, f, "show version")
		if got := hear(t, f); got != "SHOW" {
			t.Errorf("afterwards it says %q", got)
		}
	}
}

// politeScene ends when somebody has heard that it will.
type politeScene struct {
	scene
	heard chan struct{}
	ended chan Ending
}

func (s *politeScene) Shutdown(how Ending) {
	<-s.heard
	s.ended <- how
}

// TestAShutdownBeginsBehindItsAnswer, in both protocols: nobody waits for consoles, so that it might not be heard otherwise.
func TestAShutdownBeginsBehindItsAnswer(t *testing.T) {
	for name, messages := range map[string][]pgproto3.FrontendMessage{
		"simple": {&pgproto3.Query{String: "shutdown"}}, "extended": portalRun("shutdown", 0),
	} {
		t.Run(name, func(t *testing.T) {
			s := &politeScene{heard: make(chan struct{}), ended: make(chan Ending, 1)}
			end := sync.OnceFunc(func() { close(s.heard) })
			defer end()
			log := slog.New(slog.DiscardHandler)
			a, err := New(Config{Users: []string{"boss"}}, s, s, NewJournal(log), log)
			if err != nil {
				t.Fatal(err)
			}
			got := answers(t, operator(t, a, "boss"), messages...)
			end()
			if how := <-s.ended; how != EndNow || !slices.Contains(got, "CommandComplete SHUTDOWN") {
				t.Errorf("it ends %s, and says %q", how, got)
			}
		})
	}
}

func TestWhoLeavesIsNotReady(t *testing.T) {
	a, h := newAdmin(t, &scene{primary: "a:5432"})
	for _, tc := range []struct {
		leaves bool
		want   int
	}{{false, 200}, {true, 503}} {
		if tc.leaves {
			a.Leave()
		}
		for _, path := range []string{"/readyz", "/primary", "/replica"} {
			if code, said := get(h, path); code != tc.want || tc.leaves != strings.Contains(said, "the router is shutting down") {
				t.Errorf("%s, leaving %v: %d %s", path, tc.leaves, code, said)
			}
		}
		if code, _ := get(h, "/healthz"); code != 200 {
			t.Errorf("/healthz, leaving %v: %d", tc.leaves, code)
		}
	}
}
