package admin

import (
	"flag"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgrouter/pgrouter/proxy"
)

var update = flag.Bool("update", false, "write the golden files anew")

// psql runs real psql against a console.
func psql(t *testing.T, s *scene, user, sql string) string {
	t.Helper()
	binary, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	a, _ := newAdmin(t, s)
	c := a.Console()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			defer conn.Close()
			err = greet(conn, c)
		}
		if err == nil {
			err = c.Serve(t.Context(), conn, proxy.Login{User: user, Database: "pgrouter"})
		}
		ended <- err
	}()
	cmd := exec.CommandContext(t.Context(), binary, "-X", "-A", "-h", "127.0.0.1", "-p", port(ln.Addr().String()), "-U", user, "pgrouter")
	cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable", "PGCLIENTENCODING=UTF8", "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(sql)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return string(out)
}

func TestPsqlShowsWhatTheConsoleSays(t *testing.T) {
	s := trafficScene()
	got := psql(t, s, "watcher", `show version;
SHOW POOLS;
show queues;
Show Shelves;
select lists;
show state;
show stats_totals;
show databases;
show peers;
SHOW  NODES ;
show failovers;
show help;
help;
pause;
select 1;
show;
show pools now;
show version\; show nonsense\; show version;
set extra_float_digits = 3;
SET application_name TO 'a "tool"';
set session time zone 'UTC';
show server_version;
show transaction isolation level;
begin; -- nothing
commit;
set pool.size = 3;
set server_version = '9';
set nonsense to 1;
set timezone;
;
`)
	const name = "testdata/psql.want"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got; -update writes it anew:\n%s", diff)
	}
	if len(s.done) > 0 {
		t.Errorf("a user who may only look did %v", s.done)
	}
}

func TestPsqlActsAsAdmin(t *testing.T) {
	s := &scene{primary: "a:5432"}
	if got := psql(t, s, "boss", "PAUSE voip;\nresume voip;\npause;\nResume;\n"); got != "PAUSE\nRESUME\nPAUSE\nRESUME\n" {
		t.Errorf("psql says %q", got)
	}
	if diff := cmp.Diff([]string{"pause voip", "resume voip", "pause ", "resume "}, s.done); diff != "" {
		t.Error(diff)
	}
}

// TestPauseAndResumeKnowWhomTheyConcern types a wrong name: a PAUSE is in force all the same, as one ahead of the first client is
// meant to be, and says so; a RESUME that would change nothing is an error.
func TestPauseAndResumeKnowWhomTheyConcern(t *testing.T) {
	s := &scene{primary: "a:5432"}
	got := psql(t, s, "boss", "resume viop;\npause viop;\npause viop;\nresume viop;\npause;\nresume voip;\nresume viop;\nresume;\nresume voip;\nresume;\n")
	want := `ERROR:  database "viop" does not exist
DETAIL:  It is not paused, no client has asked for it, and the configuration does not name it.
NOTICE:  no client has asked for database "viop" yet
HINT:  The command holds for whoever comes. If the name was a mistake, take it back with RESUME or ENABLE; SHOW POOLS has those that clients use.
PAUSE
PAUSE
RESUME
PAUSE
ERROR:  database "voip" is still paused, with all others
DETAIL:  RESUME without a name ends the pause of all.
ERROR:  database "viop" is still paused, with all others
DETAIL:  RESUME without a name ends the pause of all.
RESUME
ERROR:  database voip is not paused
DETAIL:  A pause ends by itself: after FOR, or [admin] pause_limit. SHOW EVENTS says when it did.
ERROR:  pooler is not paused/suspended
DETAIL:  A pause ends by itself: after FOR, or [admin] pause_limit. SHOW EVENTS says when it did.
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
