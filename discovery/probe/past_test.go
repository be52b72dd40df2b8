package probe

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/topology"
)

// gate stands before a server and lets connections that ask for replication through only when it is opened.
type gate struct {
	listener net.Listener
	server   string
	opened   chan struct{}
	closed   chan struct{}
	running  sync.WaitGroup
}

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := &gate{listener: l, server: server, opened: make(chan struct{}), closed: make(chan struct{})}
	g.running.Go(g.accept)
	t.Cleanup(func() {
		_ = l.Close()
		close(g.closed)
		g.running.Wait()
	})
	return g
}

func (g *gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.running.Go(func() { g.pass(client) })
	}
}

func (g *gate) pass(client net.Conn) {
	defer client.Close()
	startup := make([]byte, 1024)
	n, err := client.Read(startup)
	if err != nil {
		return
	}
	if bytes.Contains(startup[:n], []byte("replication\x00database")) {
		select {
		case <-g.opened:
		case <-g.closed:
			return
		}
	}
	server, err := net.Dial("tcp", g.server)
	if err != nil {
		return
	}
	defer server.Close()
	if _, err := server.Write(startup[:n]); err != nil {
		return
	}
	var ends sync.WaitGroup
	ends.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	ends.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	ends.Wait()
}

func TestASlowLoginForTheHistoryDelaysNoHeartbeat(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	standby := c.Node(1)
	cfg := login(t, standby, testcluster.ProbeUser)
	cfg.SSLMode = "disable"
	g := newGate(t, standby.Addr())
	s := open(t, cfg, g.listener.Addr().String())
	must(t, standby.Promote(bounded(t)))
	for range 3 {
		o := s.Probe(bounded(t), asks)
		if o.Outcome != topology.OutcomeAnswered || o.Timeline != 2 || o.History.Known() || o.Note != noteBeingRead {
			t.Fatalf("before the login: %+v", o)
		}
	}
	close(g.opened)
	s.Wait(bounded(t)) // ends when the history is there
	if o := s.Probe(bounded(t), asks); !o.History.Known() || o.Note != "" {
		t.Errorf("after the login: %+v", o)
	}
}

func TestTheConnectionForTheHistoryIsAtHandWhileAPrimaryIsAwaited(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	standby := c.Node(1)
	s := open(t, login(t, standby, testcluster.ProbeUser), standby.Addr())
	awaited := discovery.Question{Heartbeat: heartbeat, Awaited: true}
	p := &s.(*session).past
	ready := func() bool {
		p.collect()
		return p.line != nil
	}
	s.Probe(bounded(t), asks)
	if p.errand != nil || ready() {
		t.Error("it is opened although nobody is awaited")
	}
	until(t, s, awaited, func(topology.Observation) bool { return ready() })
	pid := p.line.conn.PID()
	must(t, standby.Promote(bounded(t)))
	o, _ := until(t, s, awaited, func(o topology.Observation) bool { return o.Role == topology.RolePrimary && o.History.Known() })
	if _, ok := o.History.LeftAt(1); !ok || p.line == nil || p.line.conn.PID() != pid {
		t.Errorf("the history does not come over the open connection: %+v", o)
	}
	s.Probe(bounded(t), asks)
	if p.line != nil {
		t.Error("it is kept although nobody is awaited any more")
	}
	if o := s.Probe(bounded(t), asks); !o.History.Known() {
		t.Error("the history is forgotten with the connection")
	}
}

func TestAConnectionForTheHistoryThatDiedIsReplaced(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	standby := c.Node(1)
	s := open(t, login(t, standby, testcluster.ProbeUser), standby.Addr())
	awaited := discovery.Question{Heartbeat: heartbeat, Awaited: true}
	p := &s.(*session).past
	until(t, s, awaited, func(topology.Observation) bool {
		p.collect()
		return p.line != nil
	})
	must(t, standby.Exec(bounded(t), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'"))
	must(t, standby.Promote(bounded(t)))
	until(t, s, awaited, func(o topology.Observation) bool { return o.History.Known() })
}
