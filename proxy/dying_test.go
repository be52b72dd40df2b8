package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// crashWarning is what PostgreSQL's backends say when one beside them has crashed, before they end.
var crashWarning = &pgproto3.NoticeResponse{
	Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "57P02", Message: "terminating connection because of crash of another server process",
}

var adminFatal = &pgproto3.ErrorResponse{
	Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command",
}

// finished is the end of an answer.
var finished = []pgproto3.Message{&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}}

// rows is the beginning of an answer.
func rows(value string) []pgproto3.Message {
	return []pgproto3.Message{
		&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("v"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}},
		&pgproto3.DataRow{Values: [][]byte{[]byte(value)}},
	}
}

// dyingStandbys starts a router in front of standbys. The first statement that names a victim is answered by first, on
// whichever it comes to; the connection ends then. All others are answered by others.
func dyingStandbys(t *testing.T, nodes int, first func(*wiretest.Peer) error, others []pgproto3.Message) *router {
	t.Helper()
	var struck atomic.Bool
	handler := func(_ int, p *wiretest.Peer) error {
		settings := wiretest.DefaultParameters()
		settings["in_hot_standby"] = "on"
		if _, err := p.AcceptTrust(settings); err != nil {
			return err
		}
		for {
			m, err := p.Next()
			if err != nil {
				return err // the router has gone
			}
			if q, ok := m.Value.(*pgproto3.Query); ok && strings.Contains(q.String, "victim") && struck.CompareAndSwap(false, true) {
				return first(p)
			}
			if err := p.Send(others...); err != nil {
				return err
			}
		}
	}
	r := (&router{t: t, policy: defaultPolicy(), loops: 1}).start()
	snap := &topology.Snapshot{Cluster: cluster, Phase: topology.PhaseLeaderless, Seq: 1, At: time.Now()}
	for _, id := range []topology.NodeID{"a", "b"}[:nodes] {
		server, err := wiretest.NewServer(handler)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() }) // its errors are the ends of connections
		snap.Nodes = append(snap.Nodes, topology.Node{
			ID: id, Address: server.Addr(), Role: topology.RoleStandby, Health: topology.HealthUp, Incarnation: 1, LagKnown: true,
		})
	}
	r.snap.Store(snap)
	r.pool.Publish(snap)
	r.address = r.listen(routing.Replica)
	return r
}

// TestADyingStandbysAnswerIsNotShownIfTheReadIsReplayed: what a server says in one go with its last words, before anything of
// the answer was shown, is nobody's concern.
func TestADyingStandbysAnswerIsNotShownIfTheReadIsReplayed(t *testing.T) {
	whole := append(rows("second"), finished...)
	raised := append(append(rows("second"), crashWarning), finished...)
	for name, tc := range map[string]struct {
		first   []pgproto3.Message // in one go, and then the end
		others  []pgproto3.Message
		notices int
	}{
		"warned with the answer":         {append(rows("first"), crashWarning), whole, 0},
		"warned alone":                   {[]pgproto3.Message{crashWarning}, whole, 0},
		"fatal with the answer":          {append(rows("first"), adminFatal), whole, 0},
		"warned and fatal":               {append(rows("first"), crashWarning, adminFatal), whole, 0},
		"a warning that a function says": {append(rows("first"), crashWarning), raised, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := dyingStandbys(t, 2, func(p *wiretest.Peer) error { return p.Send(tc.first...) }, tc.others)
			notices := 0
			got, err := query(r.connectNoticed(t, &notices), "select 'victim'")
			if err != nil || got != "second" {
				t.Errorf("got %q, %v", got, err)
			}
			if n := r.proxy.Totals().Replayed; n != 1 {
				t.Errorf("%d replays", n)
			}
			if notices != tc.notices {
				t.Errorf("%d notices, want %d", notices, tc.notices)
			}
		})
	}
}

// TestAReadIsNotReplayedWhenItsStandbyWasPromotedMeanwhile: it may have been something else than a read.
func TestAReadIsNotReplayedWhenItsStandbyWasPromotedMeanwhile(t *testing.T) {
	asked, promoted := make(chan struct{}), make(chan struct{})
	r := dyingStandbys(t, 2, func(*wiretest.Peer) error {
		close(asked)
		<-promoted
		return nil
	}, finished)
	go func() {
		<-asked
		snap := *r.snap.Load()
		snap.Nodes = slices.Clone(snap.Nodes)
		for i := range snap.Nodes {
			snap.Nodes[i].Role, snap.Nodes[i].Incarnation = topology.RolePrimary, 2
		}
		r.snap.Store(&snap)
		close(promoted)
	}()
	if _, err := query(r.connect(context.Background(), ""), "insert into victim values (1)"); outcome(t, err) != "FATAL 08007" {
		t.Errorf("told %v", err)
	}
}

// TestACrashOfABackendIsLatencyForTheReadsBesideIt kills one backend of a real standby. PostgreSQL then ends all others there,
// each with what it has answered so far and a warning in one go; their reads are done elsewhere.
func TestACrashOfABackendIsLatencyForTheReadsBesideIt(t *testing.T) {
	r, c := ownRouter(t, testcluster.Options{Standbys: 2}, func(r *router) { r.policy.Pool.Size = 20; r.policy.HoldTimeout = patience })
	r.address = r.listen(routing.Replica)
	victim := c.Standbys()[0]
	const clients = 12
	var conns []*pgconn.PgConn
	for range clients {
		conns = append(conns, r.connect(context.Background(), ""))
	}
	direct, err := victim.ConnectTo(context.Background(), "app")
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(context.Background())
	// There a read never ends; elsewhere it takes a while, so that they are spread.
	read := fmt.Sprintf("select 'read', pg_sleep(case inet_server_port() when %d then 600 else 3 end) from generate_series(1, 1)", victim.Port())
	results := make(chan error, clients)
	for _, conn := range conns {
		go func() {
			got, err := query(conn, read)
			if err == nil && got != "read" {
				err = errors.New("got " + got)
			}
			results <- err
		}()
	}
	var pid, reads int
	r.await("some of the reads run there", func() bool {
		err := direct.QueryRow(context.Background(), "select min(pid), count(*) from pg_stat_activity where query like '%read%' and state = 'active' and pid <> pg_backend_pid()").Scan(&pid, &reads)
		return err == nil && reads > 2 && r.count("active")+len(results) == clients && r.dialing() == 0
	})
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := r.proxy.Totals().Replayed; n < uint64(reads) {
		t.Errorf("%d replays of %d reads", n, reads)
	}
}

// dialing counts the connections that the pool opens at this moment.
func (r *router) dialing() (n int) {
	for _, q := range r.pool.Stats() {
		for _, node := range q.Nodes {
			n += node.Dialing
		}
	}
	return n
}

// connectNoticed connects a client that counts its notices.
func (r *router) connectNoticed(t *testing.T, notices *int) *pgconn.PgConn {
	t.Helper()
	config, err := pgconn.ParseConfig(r.dsn(""))
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { *notices++ }
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}
