package proxy_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pgwire"
)

var goingDown = &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "going down"}

// TestAClientWhoseServerEndsWithItsUnitIsDrainedToo: answer and farewell come in one piece while the router shuts down.
func TestAClientWhoseServerEndsWithItsUnitIsDrainedToo(t *testing.T) {
	answer := make(chan struct{})
	r := scripted(t, func(_ int, p *wiretest.Peer) error {
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		if _, err := p.Next(); err != nil {
			return err
		}
		<-answer
		return p.Send(append(done('I'), goingDown)...)
	})
	idle, a := r.raw(t), r.raw(t)
	a.send(pgwire.AppendQuery(nil, "select 1"))
	r.await("it runs", func() bool { return r.count("active") == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- r.proxy.Shutdown(ctx) }()
	idle.expect("E") // all were told to drain
	r.await("the other has gone", func() bool { return len(r.proxy.Clients()) == 1 })
	close(answer)
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// TestALoginWhoseServerEndsAsksAnother: it has seen nothing yet.
func TestALoginWhoseServerEndsAsksAnother(t *testing.T) {
	r := scripted(t, func(n int, p *wiretest.Peer) error {
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		for {
			if _, err := p.Next(); err != nil {
				return err
			}
			answer := done('I')
			if n == 0 {
				answer = []pgproto3.Message{goingDown}
			}
			if err := p.Send(answer...); err != nil || n == 0 {
				return err
			}
		}
	})
	r.connect(context.Background(), "timezone=Europe/Berlin")
}

// TestALoginThatIsGivenUpIsForgotten: whoever waits for a node and goes away must not fill max_logins.
func TestALoginThatIsGivenUpIsForgotten(t *testing.T) {
	r := (&router{t: t, policy: defaultPolicy(), loops: 1})
	r.policy.LoginHoldTimeout = time.Hour
	r.start() // without a node
	a := r.dial(t)
	a.send(pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "app"}, {Name: "database", Value: "app"}}))
	r.await("it waits", func() bool { return r.waiting() == 1 })
	a.conn.Close()
	r.await("it is gone", func() bool { return len(r.proxy.Clients()) == 0 && r.waiting() == 0 })
}

// waiting counts who waits in the pool.
func (r *router) waiting() (n int) {
	for _, q := range r.pool.Stats() {
		n += q.Waiting
	}
	return n
}
