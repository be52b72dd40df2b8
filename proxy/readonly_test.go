package proxy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// TestARefusalToWriteOfADemotedNodeIsNotShown: a client that sees 25006 goes on with what cannot write; one whose connection ends
// connects again, and waits for the new primary.
func TestARefusalToWriteOfADemotedNodeIsNotShown(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	server, err := wiretest.NewServer(func(_ int, p *wiretest.Peer) error {
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		for {
			m, err := p.Next()
			if err != nil {
				return err // the router has gone
			}
			if q, ok := m.Value.(*pgproto3.Query); !ok || !strings.Contains(q.String, "insert") {
				continue
			}
			close(asked)
			<-answer
			refusal := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "25006", Message: "cannot execute INSERT in a read-only transaction"}
			if err := p.Send(refusal, &pgproto3.ReadyForQuery{TxStatus: 'I'}); err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // its errors are the ends of connections
	r := (&router{t: t, policy: defaultPolicy(), loops: 1}).start()
	snapshot := func(seq uint64, role topology.Role, primary topology.NodeID) *topology.Snapshot {
		return &topology.Snapshot{Cluster: cluster, Seq: seq, At: time.Now(), Epoch: 1, Primary: primary, LastPrimary: "a", Nodes: []topology.Node{
			{ID: "a", Address: server.Addr(), Role: role, Health: topology.HealthUp, Incarnation: 1},
		}}
	}
	show := func(s *topology.Snapshot) {
		r.snap.Store(s)
		r.pool.Publish(s)
	}
	show(snapshot(1, topology.RolePrimary, "a"))
	r.address = r.listen(routing.Primary)
	c := r.connect(t.Context(), "")
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "insert into t values (1)").ReadAll()
		done <- err
	}()
	<-asked
	show(snapshot(2, topology.RoleStandby, ""))
	close(answer)
	err = <-done
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "57P01" || refused.Severity != "FATAL" {
		t.Errorf("the client was told %v", err)
	}
}

// TestARefusalToWriteOfThePrimaryIsTheClientsOwn: it is shown, and the server is nobody else's afterwards.
func TestARefusalToWriteOfThePrimaryIsTheClientsOwn(t *testing.T) {
	r, _ := newRouter(t, func(r *router) { r.policy.Pool.Size = 1 })
	c := r.connect(t.Context(), "")
	before, err := query(c, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exec(t.Context(), "begin read only; create table x (n int); commit").ReadAll()
	if code(err) != "25006" {
		t.Fatalf("the client was told %v", err)
	}
	if _, err := c.Exec(t.Context(), "rollback").ReadAll(); err != nil {
		t.Fatal(err)
	}
	after, err := query(c, "select pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	if after == before {
		t.Error("the same server was handed out again")
	}
}
