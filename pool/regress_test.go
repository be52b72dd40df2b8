package pool

import (
	"context"
	"net"
	"testing"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/routing"
)

func TestAServerThatALateCancelMayReachIsGivenToNobody(t *testing.T) {
	for _, held := range []bool{true, false} { // whether its client still has it when the cancel fails
		w, c := opened(t, 1, 1, 2)
		c[0].acquire()
		w.dialAll()
		s := c[0].server
		if !s.BeginCancel() {
			t.Fatal("cannot cancel what a client runs")
		}
		c[1].acquire()
		if !held {
			c[0].release(Clean)
		}
		s.Retire()
		s.EndCancel()
		w.runTasks()
		if held {
			c[0].release(Clean)
		}
		w.runTasks()
		w.dialAll()
		if c[1].server == s || s.state != stateClosed {
			t.Errorf("held %v: handed on, state %s", held, s.state)
		}
		if c[1].server == nil {
			t.Errorf("held %v: the waiter was not served by another one", held)
		}
	}
}

func TestReadersOnAPrimaryThatHasBecomeAStandbyAreNotCut(t *testing.T) {
	w := newWorld(t, routing.Replica, 1, Defaults())
	picture := w.picture("a", 1, 1)
	picture.Nodes[1].Health = 0 // nobody but a may serve
	w.publish(picture)
	demoted := w.picture("", 2, 1)
	demoted.Nodes[1].Health = 0
	w.publish(demoted)
	reader := w.newClient(0)
	reader.acquire()
	w.dialAll()
	if reader.server == nil || reader.server.Node() != "a" {
		t.Fatal("the reader is not on a")
	}
	reader.server.Conn.HotStandby = true
	w.publish(w.picture("b", 2, 2))
	if n := w.pool.Cut(testCluster, "a", event.CutNodeGone); n != 0 {
		t.Errorf("%d connections cut", n)
	}
	w.runTasks()
	if reader.cuts != 0 || reader.server == nil {
		t.Fatal("a reader of a's new life was cut")
	}
	if n := w.pool.Cut(testCluster, "a", event.CutSwitchover); n != 1 {
		t.Errorf("of another reason %d were cut", n)
	}
}

// misfits opens connections that no event loop can take.
type misfits struct{ dials chan net.Conn }

func (m *misfits) Dial(_ context.Context, t backend.Target, _ Key) (*backend.Conn, error) {
	here, there := net.Pipe()
	m.dials <- there
	return &backend.Conn{Target: t, Socket: reactor.NewSocket(here)}, nil
}

// eager is a client that is glad of any server, once.
type eager struct {
	queue   *Queue
	granted chan struct{}
}

func (c *eager) Granted(s *Server) {
	c.queue.Release(s, Broken)
	close(c.granted)
}
func (c *eager) Refused(error) {}

func TestAConnectionThatNoLoopCanTakeIsAFailedDial(t *testing.T) {
	loops, err := reactor.New(reactor.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	dialer := &misfits{dials: make(chan net.Conn, 100)}
	p, err := New(Options{Reactor: loops, Dialer: dialer, Verify: true})
	if err != nil {
		t.Fatal(err)
	}
	q := p.Queue(Key{Cluster: testCluster, Route: routing.Primary, Database: "db", User: "u"}, routing.Rules{}, Defaults())
	p.Publish((&world{}).picture("a", 1, 1))
	client := &eager{queue: q, granted: make(chan struct{})}
	waiter := Waiter{Grantee: client, Loop: loops.Loops()[0]}
	waiter.Loop.Post(reactor.TaskFunc(func(*reactor.Loop) {
		if s, err := q.Acquire(&waiter); s != nil || err != nil {
			t.Errorf("acquire: %v, %v", s, err)
		}
	}))
	broken := false
	for attempt := 0; attempt < 2 && !broken; attempt++ { // the second comes when the first has failed
		select {
		case there := <-dialer.dials:
			defer there.Close()
		case <-client.granted:
			broken = true
			t.Error("a connection that is broken was handed out")
		}
	}
	given := make(chan bool)
	waiter.Loop.Post(reactor.TaskFunc(func(*reactor.Loop) { given <- q.GiveUp(&waiter) }))
	if !<-given && !broken {
		t.Error("the client does not wait any more")
	}
	if s := q.Stats(); s.DialsFailed == 0 {
		t.Errorf("%+v", s)
	}
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := loops.Close(); err != nil {
		t.Error(err)
	}
}
