package system

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// lastWords hears what an idle client is told at its end.
func lastWords(t *testing.T, conn *pgconn.PgConn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := conn.ReceiveMessage(ctx)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
			return pg.Code
		}
		if err != nil { // a ParameterStatus may come before
			return err.Error()
		}
	}
}

// clientID finds the number of the client whose application is called so.
func (p *pauseStage) clientID(application string) string {
	p.t.Helper()
	for _, row := range table(p.t, p.watch, "SHOW CLIENTS", "id", "application_name") {
		if row[1] == application {
			return row[0]
		}
	}
	p.t.Fatalf("no client is called %s", application)
	return ""
}

func (p *pauseStage) open(address, database, more string) *pgconn.PgConn {
	p.t.Helper()
	return open(p.t, p.cluster, address, database, more)
}

// works waits until the primary is at work on a statement: what is under way to it may still be taken back.
func (p *pauseStage) works(sql string) {
	p.t.Helper()
	direct, err := p.cluster.Primary().Connect(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	defer direct.Close(context.Background())
	p.router.Await("it runs "+sql, time.Minute, func() (runs bool) {
		err := direct.QueryRow(p.t.Context(), "select count(*) = 1 from pg_stat_activity where query = $1 and state = 'active'", sql).Scan(&runs)
		return err == nil && runs
	})
}

// happened waits until an event of the database is told, which nobody else waits for.
func (p *pauseStage) happened(what string) {
	p.t.Helper()
	p.router.Await("there is an event "+what, time.Minute, func() bool {
		return slices.ContainsFunc(table(p.t, p.watch, "SHOW EVENTS", "event", "database"), func(row []string) bool {
			return row[0] == what && row[1] == "app"
		})
	})
}

func TestAPauseThatIsNotCompleteInTimeNamesWhoIsInTheWayAndIsTakenBack(t *testing.T) {
	p := newPauseStage(t)
	busy := p.open(p.router.Write, "app", "&application_name=busy")
	p.must(busy, "begin")
	pid, err := query(busy, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	_, err = query(p.watch, "PAUSE app WITHIN 300ms FOR 1h")
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != "55000" || !strings.HasPrefix(pg.Message, "running work did not end within ") || !strings.HasSuffix(pg.Message, "(server connections in use: 2)") {
		t.Fatalf("PAUSE: %v", err)
	}
	if want := "client " + p.clientID("busy") + " (app@app from 127.0.0.1:"; !strings.Contains(pg.Detail, want) {
		t.Errorf("no %q in %s", want, pg.Detail)
	}
	if want := ", busy) has server process " + pid + " of " + p.cluster.Primary().Addr() + " since "; !strings.Contains(pg.Detail, want) {
		t.Errorf("no %q in %s", want, pg.Detail)
	}
	p.must(p.other, "select 1")
	if hold := p.hold(); hold != "" {
		t.Errorf("the hold is %q", hold)
	}
}

func TestAPauseEndsByItself(t *testing.T) {
	p := newPauseStage(t)
	p.must(p.busy, "commit")
	p.must(p.watch, "PAUSE app FOR 3s")
	p.must(p.other, "select 1") // it waits
	p.happened("pause_expired")
	if _, err := query(p.watch, "RESUME app"); code(err) != "55000" {
		t.Errorf("RESUME comes too late: %v", err)
	}
}

func TestKillClosesAllAndPauses(t *testing.T) {
	p := newPauseStage(t)
	p.must(p.busy, "create table killed(n int)")
	p.must(p.busy, "commit")
	p.must(p.busy, "begin")
	writer, pinned := p.open(p.router.Write, "app", ""), p.open(p.router.Write, "app", "")
	p.must(pinned, "listen news")
	const write = "insert into killed select 1 from pg_sleep(600)"
	wrote := p.begin(writer, write)
	p.works(write)
	p.must(p.watch, "KILL app FOR 1h")
	if err := <-wrote; code(err) != "08007" { // it may have been done
		t.Errorf("who writes is told %v", err)
	}
	for name, conn := range map[string]*pgconn.PgConn{"in a transaction": p.busy, "idle": p.other, "pinned": pinned} {
		if got := lastWords(t, conn); got != "57P01" {
			t.Errorf("%s: %s", name, got)
		}
	}
	next := make(chan error, 1)
	go func() {
		conn, err := pgconn.Connect(t.Context(), p.cluster.DSN(p.router.Write, testcluster.AppUser, "app"))
		if err == nil {
			_, err = query(conn, "select 1")
			conn.Close(context.Background())
		}
		next <- err
	}()
	p.router.Await("who comes waits", time.Minute, func() bool { return cell(t, p.watch, "SHOW POOLS", "cl_waiting") == "1" })
	mustWait(t, next)
	p.happened("database_killed")
	p.must(p.watch, "RESUME app")
	if err := <-next; err != nil {
		t.Errorf("after RESUME: %v", err)
	}
	p.must(p.watch, "show version") // the console stays
}

func TestKillClientClosesOneClient(t *testing.T) {
	p := newPauseStage(t)
	victim := p.open(p.router.Write, "app", "&application_name=victim")
	p.must(victim, "select 1")
	p.must(p.watch, "KILL_CLIENT "+p.clientID("victim"))
	if got := lastWords(t, victim); got != "57P01" {
		t.Errorf("the client: %s", got)
	}
	p.must(p.other, "select 1")
	if _, err := query(p.watch, "KILL_CLIENT 4711"); code(err) != "42704" {
		t.Errorf("nobody: %v", err)
	}
}

// aliasConfig gives the database app a second name.
const aliasConfig = consoleConfig + "[database.voice]\ndbname = \"app\"\n"

// TestDatabasesAreMeantByTheNamesThatClientsUse: two names for one database of the servers are two databases, and have connections of
// their own.
func TestDatabasesAreMeantByTheNamesThatClientsUse(t *testing.T) {
	c := sharedCluster(t)
	p := &pauseStage{t: t, cluster: c, router: testrouter.Example(t, c, aliasConfig)}
	p.watch, p.other = p.open(p.router.Write, "pgrouter", ""), p.open(p.router.Write, "voice", "")
	p.must(p.watch, "DISABLE voice")
	if _, err := pgconn.Connect(t.Context(), c.DSN(p.router.Write, testcluster.AppUser, "voice")); err == nil || !strings.Contains(err.Error(), "(SQLSTATE 55000)") {
		t.Errorf("a login: %v", err)
	}
	p.must(p.other, "select 1") // who is in stays in
	p.busy = p.open(p.router.Write, "app", "")
	p.must(p.watch, "ENABLE voice")
	voice := p.open(p.router.Write, "voice", "")
	for _, conn := range []*pgconn.PgConn{p.busy, p.other} {
		if got, err := query(conn, "select current_database()"); got != "app" || err != nil {
			t.Errorf("in %q, %v", got, err)
		}
	}
	if n := p.router.Metrics()["pgrouter_pool_servers"]; n != 2 {
		t.Errorf("%v server connections, want one for each name", n)
	}
	p.must(p.watch, "PAUSE voice")
	late := p.begin(p.other, "select 1")
	p.router.Await("it waits", time.Minute, func() bool { return p.hold() == "paused" })
	p.must(p.busy, "select 1")
	p.must(p.watch, "RESUME voice")
	if err := <-late; err != nil {
		t.Error(err)
	}
	p.must(p.watch, "KILL voice; RESUME voice")
	for _, conn := range []*pgconn.PgConn{p.other, voice} {
		if got := lastWords(t, conn); got != "57P01" {
			t.Errorf("killed: %s", got)
		}
	}
	p.must(p.busy, "select 1")
}

func TestReconnectGivesNewServersAndWaitCloseWaitsForTheOldOnes(t *testing.T) {
	p := newPauseStage(t)
	before, err := query(p.other, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	busy, err := query(p.busy, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	p.must(p.watch, "RECONNECT app")
	console := p.open(p.router.Write, "pgrouter", "")
	waits := p.begin(console, "WAIT_CLOSE app")
	if after, err := query(p.other, "select pg_backend_pid()"); err != nil || after == before {
		t.Errorf("before %s, after RECONNECT %s, %v", before, after, err)
	}
	if same, err := query(p.busy, "select pg_backend_pid()"); err != nil || same != busy {
		t.Errorf("a transaction has %s, before %s, %v", same, busy, err)
	}
	mustWait(t, waits)
	p.must(p.busy, "commit")
	if err := <-waits; err != nil {
		t.Errorf("WAIT_CLOSE: %v", err)
	}
	if after, err := query(p.busy, "select pg_backend_pid()"); err != nil || after == busy {
		t.Errorf("before %s, after the transaction %s, %v", busy, after, err)
	}
}

// TestKillMeetsASwitchover: the switchover waits for a transaction that KILL ends, and goes on. Nothing is handed out before RESUME,
// and then by the new primary.
func TestKillMeetsASwitchover(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	p := &pauseStage{t: t, cluster: c, router: r}
	p.watch, p.busy = p.open(r.Write, "pgrouter", ""), p.open(r.Write, "app", "")
	knows(r, 2)
	p.must(p.busy, "begin")
	p.must(p.busy, "select 1")
	next := c.Standbys()[0].Addr()
	switched := make(chan error, 1)
	go func() { switched <- r.Switchover(t.Context(), next) }()
	r.Await("the switchover waits", time.Minute, func() bool { return p.hold() == "switchover" })
	p.must(p.watch, "KILL app")
	if got := lastWords(t, p.busy); got != "57P01" {
		t.Errorf("the transaction: %s", got)
	}
	if err := <-switched; err != nil {
		t.Fatalf("the switchover: %v", err)
	}
	late := make(chan error, 1)
	go func() {
		conn, err := pgconn.Connect(t.Context(), c.DSN(r.Write, testcluster.AppUser, "app"))
		if err == nil {
			var standby string
			if standby, err = query(conn, "select pg_is_in_recovery()"); standby != "f" {
				err = errors.Join(err, errors.New("it is served by a standby"))
			}
			conn.Close(context.Background())
		}
		late <- err
	}()
	r.Await("who comes waits", time.Minute, func() bool { return cell(t, p.watch, "SHOW POOLS", "cl_waiting") == "1" })
	if hold := p.hold(); hold != "paused" {
		t.Errorf("the hold is %q", hold)
	}
	mustWait(t, late)
	p.must(p.watch, "RESUME app")
	if err := <-late; err != nil {
		t.Error(err)
	}
}
