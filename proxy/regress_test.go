package proxy_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

// scripted starts a router in front of one server that does what the test says, on at most one connection at a time.
func scripted(t *testing.T, handler wiretest.Handler) *router {
	t.Helper()
	server, err := wiretest.NewServer(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // a connection that the router ends in the middle of a step is no fault
	r := &router{t: t, policy: defaultPolicy(), loops: 1}
	r.policy.Pool.Size = 1
	r.start()
	r.show("n", topology.Node{ID: "n", Address: server.Addr()})
	return r
}

// done is a server's answer to a statement.
func done(status byte) []pgproto3.Message {
	return []pgproto3.Message{&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, &pgproto3.ReadyForQuery{TxStatus: status}}
}

// closeWrite lets a peer say that it sends no more.
func (p *peer) closeWrite() {
	p.t.Helper()
	if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// TestAClientThatLeavesInTheMiddleHoldsNoServer: PostgreSQL would wait for the rest for ever, with all its locks.
func TestAClientThatLeavesInTheMiddleHoldsNoServer(t *testing.T) {
	long := pgwire.AppendQuery(nil, "select '"+strings.Repeat("x", 100000)+"'")
	extended := pgwire.AppendBind(pgwire.AppendParse(nil, "", "copy leaving from stdin", nil), "", "", nil)
	extended = pgwire.AppendExecute(extended, "", 0)
	copyRow := []byte("d\x00\x00\x00\x08abc\n")
	for name, tc := range map[string]struct{ first, then []byte }{
		"in COPY":                   {pgwire.AppendQuery(nil, "copy leaving from stdin"), copyRow},
		"in COPY, with a good-bye":  {pgwire.AppendQuery(nil, "copy leaving from stdin"), pgwire.AppendTerminate(bytes.Clone(copyRow))},
		"at once with COPY":         {nil, pgwire.AppendQuery(nil, "copy leaving from stdin")},
		"in COPY by Execute":        {pgwire.AppendFlush(extended), copyRow},
		"at once with that COPY":    {nil, pgwire.AppendSync(bytes.Clone(extended))},
		"in a batch without a Sync": {nil, pgwire.AppendParse(nil, "", "select 1", nil)},
		"in a batch, good-bye":      {nil, pgwire.AppendTerminate(pgwire.AppendParse(nil, "", "select 1", nil))},
		"in a long message":         {nil, long[:50000]},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRouter(t, withLoops(1, 1))
			next := r.connect(context.Background(), "")
			text(t, next, "create table leaving(line text)")
			a := r.raw(t)
			if tc.first != nil {
				a.send(tc.first)
				for kind := byte(0); kind != pgwire.KindCopyInResponse; kind, _ = a.message() {
				}
			}
			a.send(tc.then)
			a.conn.Close()
			if got := text(t, next, "select count(*) from leaving"); got != "0" {
				t.Errorf("%s rows", got)
			}
			r.await("the client is gone", func() bool { return len(r.proxy.Clients()) == 1 })
		})
	}
}

// TestWhatAClientSentBeforeItsEndIsDone: also what has to wait until something else is answered.
func TestWhatAClientSentBeforeItsEndIsDone(t *testing.T) {
	unit := pgwire.AppendSync(pgwire.AppendParse(nil, "", "select 'mine'", nil))
	unit = pgwire.AppendSync(pgwire.AppendExecute(pgwire.AppendBind(unit, "", "", nil), "", 0))
	for _, waits := range []bool{false, true} {
		r, _ := newRouter(t, withLoops(1, 1))
		other := r.connect(context.Background(), "")
		a := r.raw(t)
		if waits {
			text(t, other, "begin")
		}
		a.send(unit)
		a.closeWrite()
		if waits {
			r.await("it waits", func() bool { return r.count("waiting") == 1 })
			text(t, other, "commit")
		}
		if got := a.expect("1Z2DCZ"); !bytes.Contains(got, []byte("mine")) {
			t.Errorf("waits %v: got %q", waits, got)
		}
		r.await("it is gone", func() bool { return len(r.proxy.Clients()) == 1 })
	}
}

// TestABatchOfAnyLengthIsAnswered: a server keeps its answers back until it is asked for them, with a Sync at the end.
func TestABatchOfAnyLengthIsAnswered(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	conn := r.connect(context.Background(), "")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const statements = 20000
	batch := &pgconn.Batch{}
	for range statements {
		batch.ExecParams("select 1", nil, nil, nil, nil)
	}
	results, err := conn.ExecBatch(ctx, batch).ReadAll()
	if err != nil || len(results) != statements {
		t.Fatalf("%d of %d answered: %v", len(results), statements, err)
	}
}

// TestAServerThatWasFullForAMomentDoesNotStopAClient: the client had to wait for an answer besides.
func TestAServerThatWasFullForAMomentDoesNotStopAClient(t *testing.T) {
	answer := make(chan struct{})
	r := scripted(t, func(_ int, p *wiretest.Peer) error {
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		for {
			m, err := p.Next()
			if err != nil {
				return err
			}
			switch m.Value.(type) {
			case *pgproto3.Query:
				err = p.Send(done('T')...)
			case *pgproto3.Parse:
				<-answer
				err = p.Send(&pgproto3.ParseComplete{})
			case *pgproto3.Bind:
				err = p.Send(&pgproto3.BindComplete{})
			case *pgproto3.Execute:
				err = p.Send(done('T')[0])
			case *pgproto3.Sync:
				err = p.Send(done('T')[1])
			}
			if err != nil {
				return err
			}
		}
	})
	a := r.raw(t)
	a.send(pgwire.AppendQuery(nil, "begin"))
	a.expect("CZ")
	m := pgwire.AppendSync(pgwire.AppendParse(nil, "", "select", nil))
	a.send(pgwire.AppendSync(pgwire.AppendExecute(pgwire.AppendBind(m, "", "", nil), "", 0)))
	r.await("the Bind waits", func() (waits bool) {
		r.proxy.OnSessions(func(s *proxy.Session) { waits = s.WaitsForAnswers() })
		return waits
	})
	r.proxy.OnSessions((*proxy.Session).ServerBlocks)
	close(answer)
	a.expect("1Z2CZ")
}

// TestAClientThatReadsNothingAndDiesLeavesNothing: neither it nor its server could take any more.
func TestAClientThatReadsNothingAndDiesLeavesNothing(t *testing.T) {
	r, _ := newRouter(t, withLoops(1, 1))
	next := r.connect(context.Background(), "")
	a := r.raw(t)
	unit := pgwire.AppendQuery(nil, "select repeat('x', 1000000) --"+strings.Repeat(" ", 10000))
	var writing sync.WaitGroup
	writing.Go(func() { // until it dies
		for err := error(nil); err == nil; {
			_, err = a.conn.Write(unit)
		}
	})
	r.await("both are full", func() (full bool) {
		r.proxy.OnSessions(func(s *proxy.Session) {
			full = full || s.ServerIO() != nil && s.ServerIO().Blocked() && s.ClientIO().Blocked() && s.ClientPaused()
		})
		return full
	})
	if err := a.conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	a.conn.Close()
	writing.Wait()
	if got := text(t, next, "select 'served'"); got != "served" {
		t.Error(got)
	}
}

// TestAFullServerIsNotFedByItsNextClient: it has not taken all of its last client's COPY yet, which has failed.
func TestAFullServerIsNotFedByItsNextClient(t *testing.T) {
	full, read := make(chan struct{}), make(chan struct{})
	r := scripted(t, func(_ int, p *wiretest.Peer) error {
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		if _, err := p.Next(); err != nil {
			return err
		}
		if err := p.Send(&pgproto3.CopyInResponse{}); err != nil {
			return err
		}
		<-full
		failed := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "22000", Message: "no"}
		if err := p.Send(failed, done('I')[1]); err != nil {
			return err
		}
		<-read
		for {
			m, err := p.Next()
			if err != nil {
				return err
			}
			if _, ok := m.Value.(*pgproto3.Query); ok {
				return p.Send(done('I')...)
			}
		}
	})
	a, b := r.raw(t), r.raw(t)
	a.send(pgwire.AppendQuery(nil, "copy t from stdin"))
	a.expect("G")
	row := append([]byte("d\x00\x00\x20\x00"), make([]byte, 0x2000-4)...)
	var writing sync.WaitGroup
	writing.Go(func() { // until it is closed
		for err := error(nil); err == nil; {
			_, err = a.conn.Write(row)
		}
	})
	blocked := func() (is bool) {
		r.proxy.OnSessions(func(s *proxy.Session) { is = is || s.ServerIO() != nil && s.ServerIO().Blocked() })
		return is
	}
	r.await("the server is full", blocked)
	close(full)
	a.expect("EZ")
	b.send(pgwire.AppendQuery(nil, "select 1"))
	r.await("b has the server", blocked)
	r.proxy.OnSessions(func(s *proxy.Session) {
		if s.ServerIO() != nil && !s.ClientPaused() {
			t.Error("b is read although its server takes nothing")
		}
	})
	close(read)
	b.expect("CZ")
	a.conn.Close()
	writing.Wait()
}

// TestABatchThatIsOpenMayEndBeforeTheRouter: it has been answered in part, because the client asked for that with a Flush.
func TestABatchThatIsOpenMayEndBeforeTheRouter(t *testing.T) {
	r, c := newRouter(t, withLoops(1, 1))
	text(t, r.connect(context.Background(), ""), "create table batched(n int)")
	a := r.raw(t)
	m := pgwire.AppendParse(nil, "", "insert into batched values (1)", nil)
	a.send(pgwire.AppendFlush(pgwire.AppendExecute(pgwire.AppendBind(m, "", "", nil), "", 0)))
	a.expect("12C")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- r.proxy.Shutdown(ctx) }()
	r.await("the others have gone", func() bool { return len(r.proxy.Clients()) == 1 })
	r.proxy.OnSessions(func(*proxy.Session) {}) // what Shutdown posted before has run
	a.send(pgwire.AppendSync(nil))
	if got := a.expect("ZE"); !bytes.Contains(got, []byte("57P01")) {
		t.Errorf("told %q", got)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	direct := r.direct(c)
	defer direct.Close(context.Background())
	if got := text(t, direct, "select count(*) from batched"); got != "1" {
		t.Errorf("%s rows", got)
	}
}

// TestAClientMovesOnOnlyWhenItIsKnownWhereItIs: what others want of it would be done on a loop that it has left, beside its own.
func TestAClientMovesOnOnlyWhenItIsKnownWhereItIs(t *testing.T) {
	r, _ := newRouter(t, withLoops(2, 1))
	conn := r.connect(context.Background(), "")
	text(t, conn, "select 1")
	r.proxy.OnSessions(func(s *proxy.Session) {
		if s.MovesSlowly(r.reactor.Loops()[1]) {
			t.Error("it could have moved on")
		}
	})
	if got := text(t, conn, "select 'moved'"); got != "moved" {
		t.Error(got)
	}
}
