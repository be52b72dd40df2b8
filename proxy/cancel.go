package proxy

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync"

	"github.com/pgrouter/pgrouter/backend"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/relay"
)

// cancelKeyMax is the length of our longest cancel key, in bytes.
const cancelKeyMax = 32

// cancelKey is what a client gets in BackendKeyData. The upper bits of pid are left for a router id, so that routers behind
// one address will be able to pass each other's cancel requests on.
type cancelKey struct {
	pid    uint32
	secret [cancelKeyMax]byte
	length uint8
}

func (k *cancelKey) bytes() []byte { return k.secret[:k.length] }

// pidBits is how many bits of the process id count clients.
const pidBits = 24

// keyed is who has a cancel key: a session, a client of replication, or the login that a console stays.
type keyed interface{ cancelKey() *cancelKey }

func (s *Session) cancelKey() *cancelKey { return &s.facts.key }

func (l *login) cancelKey() *cancelKey { return &l.key }

// cancelTable finds who has a cancel key.
type cancelTable struct {
	mu struct {
		sync.Mutex
		next  uint32
		byPID map[uint32]keyed
	}
}

func (t *cancelTable) init() { t.mu.byPID = make(map[uint32]keyed) }

// issue makes a key that no other client has, and enters the client under it.
func (t *cancelTable) issue(k keyed, length int) error {
	key := cancelKey{length: uint8(length)}
	if _, err := rand.Read(key.secret[:length]); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		t.mu.next = (t.mu.next + 1) & (1<<pidBits - 1)
		if _, taken := t.mu.byPID[t.mu.next]; !taken && t.mu.next != 0 {
			break
		}
	}
	key.pid = t.mu.next
	*k.cancelKey() = key
	t.mu.byPID[key.pid] = k
	return nil
}

func (t *cancelTable) remove(key cancelKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.byPID, key.pid)
}

// find returns who has a key, nil when there is nobody. The secret is compared in constant time.
func (t *cancelTable) find(pid uint32, secret []byte) keyed {
	t.mu.Lock()
	k := t.mu.byPID[pid]
	t.mu.Unlock()
	if k == nil || subtle.ConstantTimeCompare(k.cancelKey().bytes(), secret) != 1 {
		return nil
	}
	return k
}

// cancelRequest serves a connection that carried a CancelRequest: whatever happens, it is closed without a byte. The request
// is forwarded only while the server still serves the unit that was meant, and the server is not handed to anybody else, nor asked for a
// postlude, until PostgreSQL has closed the cancel connection.
func (p *Proxy) cancelRequest(ctx context.Context, pid uint32, secret []byte) {
	k := p.cancels.find(pid, secret)
	if k == nil {
		p.metrics.cancels[cancelUnknown].Add(1)
		return
	}
	if console, ok := k.(*login); ok {
		console.cancelConsole()
		return
	}
	defer p.cancelling.Add(-1)
	if p.cancelling.Add(1) > int64(p.config().CancelParallel) {
		p.metrics.cancels[cancelDropped].Add(1)
		return
	}
	switch k := k.(type) {
	case *replication:
		_ = p.forwardCancel(ctx, k.server) // nobody else ever gets this server
	case *Session:
		p.cancelUnit(ctx, k)
	}
}

// cancelUnit cancels what a session does.
func (p *Proxy) cancelUnit(ctx context.Context, s *Session) {
	reply := make(chan *pool.Server, 1)
	if !s.post(func() { reply <- s.cancelTarget() }) {
		return
	}
	var server *pool.Server
	select {
	case server = <-reply:
	case <-ctx.Done(): // the loops end: nobody is going to answer
		return
	}
	if server == nil {
		return
	}
	defer s.post(s.cancelOver)
	defer server.EndCancel()
	if p.forwardCancel(ctx, server.Conn) != nil {
		server.Retire() // the request may still arrive, at any later time
	}
}

// forwardCancel asks a server to interrupt what it does for its client.
func (p *Proxy) forwardCancel(ctx context.Context, server *backend.Conn) error {
	ctx, stop := context.WithTimeout(ctx, p.config().CancelTimeout)
	defer stop()
	p.metrics.cancels[cancelForwarded].Add(1)
	err := backend.Cancel(ctx, p.config().Backend, server.Target.Address, server.PID, server.Key)
	if err != nil {
		p.log.Info("cancel request failed", "node", string(server.Target.Node), "error", err)
	}
	return err
}

// cancelConsole tells a console that waits for something.
func (l *login) cancelConsole() {
	select {
	case l.cancelled <- struct{}{}:
		l.proxy.metrics.cancels[cancelQueued].Add(1)
	default:
		l.proxy.metrics.cancels[cancelIdle].Add(1)
	}
}

// cancelTarget says which server is to be told, nil when there is nothing to tell: a waiting unit is answered here.
func (s *Session) cancelTarget() *pool.Server {
	switch s.state() {
	case stateWaiting:
		s.proxy.metrics.cancels[cancelQueued].Add(1)
		s.cancelWaiting()
	case stateLinked:
		if s.link.Outstanding() > 0 && !s.link.AtOwnQuery() && s.server.BeginCancel() {
			return s.server
		}
		s.proxy.metrics.cancels[cancelIdle].Add(1)
	case stateIdle, statePreparing, stateSettling, stateClosed:
		s.proxy.metrics.cancels[cancelIdle].Add(1)
	}
	return nil
}

// cancelWaiting takes the unit out of the queue. All that the client has asked for so far is thrown away and answered as PostgreSQL
// answers what is cancelled: nothing of it may look as if it had been done.
func (s *Session) cancelWaiting() {
	if !s.queue.GiveUp(&s.waiter) {
		return
	}
	s.doneWaiting()
	s.move(stateIdle)
	s.spoke()
	s.up.keep(s.answerCancelled(s.up.pending()), true)
	s.resumeClient()
	s.refeed()
	s.endIfFed()
}

// answerCancelled tells a client of each request that is thrown away, and returns what is left.
func (s *Session) answerCancelled(b []byte) (rest []byte) {
	var msg []byte
	for {
		used, failed, ready := s.link.Cancelled(b)
		if used == 0 {
			break
		}
		b = b[used:]
		if failed {
			msg = pgwire.AppendError(msg, pgwire.ErrCancelled.New(""))
			s.proxy.metrics.errorSent(pgwire.ErrCancelled.Code())
		}
		if ready {
			msg = pgwire.AppendReadyForQuery(msg, relay.StatusIdle)
		}
	}
	s.say(msg)
	return b
}

// append appends the BackendKeyData message of the key.
func (k *cancelKey) append(dst []byte) []byte {
	return pgwire.AppendBackendKeyData(dst, k.pid, k.bytes())
}
