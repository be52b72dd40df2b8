package proxy_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
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

// waiting counts who waits in the pool.
func (r *router) waiting() (n int) {
	for _, q := range r.pool.Stats() {
		n += q.Waiting
	}
	return n
}
