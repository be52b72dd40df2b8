package proxy_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

var goingDown = &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "going down"}

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

// TestALoginThatMayNotWaitForANodeMayWaitForItsServer: one that takes its time is there all the same.
func TestALoginThatMayNotWaitForANodeMayWaitForItsServer(t *testing.T) {
	r := scripted(t, func(_ int, p *wiretest.Peer) error {
		<-time.After(300 * time.Millisecond) // of the server's: logins look after each 100 ms how things stand
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		_, err := p.Next()
		return err
	})
	r.policy.LoginHoldTimeout = 0
	r.connect(t.Context(), "")
}

// waiting counts who waits in the pool.
func (r *router) waiting() (n int) {
	for _, q := range r.pool.Stats() {
		n += q.Waiting
	}
	return n
}

// TestALoginThatStopsInItsProofIsEnded: login_timeout holds for all of a login, not only for its first message.
func TestALoginThatStopsInItsProofIsEnded(t *testing.T) {
	r := &router{t: t, policy: defaultPolicy(), loops: 1}
	withUsers(r)
	r.start() // without a node
	cfg := proxy.Defaults()
	cfg.LoginTimeout = brief
	if err := r.proxy.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	a := r.dial(t)
	a.send(pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "app"}, {Name: "database", Value: "app"}}))
	kind, _ := a.message()
	for kind == pgwire.KindAuthentication { // on a machine that is busy its time may be over before
		kind, _ = a.message()
	}
	if kind != pgwire.KindErrorResponse {
		t.Errorf("it hears %q", kind)
	}
}
