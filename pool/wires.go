package pool

import (
	"time"

	"github.com/pgrouter/pgrouter/reactor"
)

// hangUpLimit bounds how long a server may take to read our good-bye.
const hangUpLimit = time.Second

// wires is what a pool needs of the event loops. The model test lets them run by hand.
type wires interface {
	// clock is the pool's time in nanoseconds. Any goroutine.
	clock() int64
	// now is the same at the start of the loop's turn. Loop only.
	now(l *reactor.Loop) int64
	// pick says where a server lives that nobody waits for. Any goroutine.
	pick() *reactor.Loop
	// post runs t on l; false: it will not. Any goroutine.
	post(l *reactor.Loop, t reactor.Task) bool
	// launch opens a connection on a goroutine of the pool's. Any goroutine.
	launch(d *dial)
	// rest lets a queue open connections again after a pause, on a goroutine of the pool's. Any goroutine.
	rest(q *Queue, pause time.Duration)
	// The others belong to the connection's loop.
	attach(l *reactor.Loop, s *reactor.Socket, h reactor.Handler) *reactor.Conn
	adopt(l *reactor.Loop, d *reactor.Detached, h reactor.Handler) *reactor.Conn
	detach(c *reactor.Conn) *reactor.Detached
	drop(d *reactor.Detached)
	// keep lets h hear what comes from now on, and reads.
	keep(c *reactor.Conn, h reactor.Handler)
	send(c *reactor.Conn, b []byte)
	// hangUp says good-bye and closes; cutOff closes at once; so does abort, and what was sent and has not arrived never will.
	hangUp(c *reactor.Conn, goodBye []byte)
	cutOff(c *reactor.Conn)
	abort(c *reactor.Conn)
}

// reactorWires are the real ones.
type reactorWires struct {
	pool    *Pool
	reactor *reactor.Reactor
}

func (w reactorWires) clock() int64                              { return w.reactor.Now() }
func (w reactorWires) now(l *reactor.Loop) int64                 { return l.Now() }
func (w reactorWires) pick() *reactor.Loop                       { return w.reactor.Pick() }
func (w reactorWires) post(l *reactor.Loop, t reactor.Task) bool { return l.Post(t) }
func (w reactorWires) launch(d *dial)                            { go w.pool.runDial(d) }
func (w reactorWires) rest(q *Queue, pause time.Duration)        { go w.pool.runPause(q, pause) }

func (w reactorWires) attach(l *reactor.Loop, s *reactor.Socket, h reactor.Handler) *reactor.Conn {
	return l.Attach(s, h)
}

func (w reactorWires) adopt(l *reactor.Loop, d *reactor.Detached, h reactor.Handler) *reactor.Conn {
	return l.Adopt(d, h)
}

func (w reactorWires) detach(c *reactor.Conn) *reactor.Detached { return c.Detach() }
func (w reactorWires) drop(d *reactor.Detached)                 { d.Close() }

func (w reactorWires) keep(c *reactor.Conn, h reactor.Handler) {
	c.SetHandler(h)
	c.SetLate(false)
	c.ResumeRead()
}

func (w reactorWires) send(c *reactor.Conn, b []byte) { c.Send(b) }
func (w reactorWires) cutOff(c *reactor.Conn)         { c.Close() }
func (w reactorWires) abort(c *reactor.Conn)          { c.Abort() }

func (w reactorWires) hangUp(c *reactor.Conn, goodBye []byte) {
	c.Send(goodBye)
	c.CloseAfterFlush(hangUpLimit)
}
