package proxy_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/topology"
)

// loginLength counts what passes in a login under trust, each way.
func loginLength(t *testing.T, address string) (toServer, toClient int64) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "app"}, {Name: "database", Value: "app"}})
	p := &peer{t: t, conn: conn}
	p.send(hello)
	for {
		kind, body := p.message()
		toClient += int64(pgwire.HeaderLen + len(body))
		if kind == pgwire.KindReadyForQuery {
			return int64(len(hello)), toClient
		}
	}
}

// TestAServerThatDiesAtAnyByteOfAUnit cuts the connection between router and server behind every single byte of a unit of
// work, in both directions, and compares what the client was told with what a direct connection finds: success means that
// the row is there, 57P01 that it is not; never is it there twice. Afterwards the next client is served.
func TestAServerThatDiesAtAnyByteOfAUnit(t *testing.T) {
	r, c := ownRouter(t, testcluster.Options{HBA: []string{"host all all 127.0.0.1/32 trust"}}, func(r *router) {
		r.policy.Pool.Size, r.policy.HoldTimeout = 1, time.Second // a server that dies as soon as it is logged in is tried again until then
	})
	gate, err := wiretest.NewProxy(c.Primary().Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close()
	text(t, r.connect(context.Background(), ""), "create table cuts(n int)")
	toServer, toClient := loginLength(t, c.Primary().Addr())
	snap := *r.snap.Load()
	snap.Nodes = []topology.Node{snap.Nodes[0]}
	snap.Nodes[0].Address, snap.Nodes[0].Incarnation = gate.Addr(), 2
	r.snap.Store(&snap)
	r.pool.Publish(&snap)

	units := map[string]func(*pgconn.PgConn, int) error{
		"autocommit": func(conn *pgconn.PgConn, n int) error {
			_, err := query(conn, fmt.Sprintf("insert into cuts values (%d)", n))
			return err
		},
		"transaction": func(conn *pgconn.PgConn, n int) error {
			for _, sql := range []string{"begin", fmt.Sprintf("insert into cuts values (%d)", n), "commit"} {
				if _, err := query(conn, sql); err != nil {
					return err
				}
			}
			return nil
		},
		"extended": func(conn *pgconn.PgConn, n int) error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			return conn.ExecParams(ctx, "insert into cuts values ($1)", [][]byte{[]byte(strconv.Itoa(n))}, nil, nil, nil).Read().Err
		},
	}
	n := 0
	for name, unit := range units {
		for _, way := range []struct {
			direction wiretest.Direction
			from      int64
		}{{wiretest.ToClient, toClient}, {wiretest.ToServer, toServer}} {
			for at := int64(0); ; at++ {
				n++
				gate.Set(way.direction, wiretest.Fault{Cut: &wiretest.Cut{At: way.from + at, How: wiretest.Reset}})
				if r.cutOnce(c, gate, n, unit) {
					break
				}
				if at > 400 {
					t.Fatalf("%s %v: a unit has no end", name, way.direction)
				}
			}
			t.Logf("%s, %v: done after %d units in all", name, way.direction, n)
		}
	}
}

// cutOnce runs a unit whose server dies, and compares. It returns true when the unit was not cut any more.
func (r *router) cutOnce(c *testcluster.Cluster, gate *wiretest.Proxy, n int, unit func(*pgconn.PgConn, int) error) (whole bool) {
	r.t.Helper()
	conn := r.connect(context.Background(), "")
	before := r.proxy.Totals()
	err := unit(conn, n)
	conn.Close(context.Background())
	after := r.proxy.Totals()
	gate.Heal()
	r.await("the server connection is gone", func() bool {
		gate.CutAll(wiretest.Reset) // one that is being opened may come yet
		return gate.Conns() == 0 && r.servers() == 0
	})
	direct := r.direct(c)
	defer direct.Close(context.Background())
	rows := text(r.t, direct, fmt.Sprintf("select count(*) from cuts where n = %d", n))
	allowed := map[string]bool{"0": true, "1": true}
	switch told := code(err); {
	case err == nil:
		allowed["0"] = false
	case told == "57P01", told == "57P03": // certainly not done
		allowed["1"] = false
	case told == "08007", told == "": // in doubt; the client saw only the end of its connection
	default:
		r.t.Errorf("unit %d: told %v", n, err)
	}
	if !allowed[rows] {
		r.t.Errorf("unit %d: told %v, and there are %s rows", n, err, rows)
	}
	return err == nil && after.Requeued == before.Requeued && after.InDoubt == before.InDoubt
}

// servers counts the pool's server connections.
func (r *router) servers() int {
	n := 0
	for _, q := range r.pool.Stats() {
		for _, node := range q.Nodes {
			n += node.Idle + node.Linked + node.Resetting + node.CancelPending + node.Dialing
		}
	}
	return n
}

// direct connects to the primary itself.
func (r *router) direct(c *testcluster.Cluster) *pgconn.PgConn {
	r.t.Helper()
	conn, err := pgconn.Connect(context.Background(), c.Primary().DSN("app", "app"))
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}
