package testrouter_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/testrouter"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// TestAStrangerWhoseServerWasEndedComesAgain: the tests of some drivers end whatever serves them.
func TestAStrangerWhoseServerWasEndedComesAgain(t *testing.T) {
	done := append([]pgproto3.Message{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.NoData{}}, wiretest.Done("BEGIN", 'T')...)
	ended := []pgproto3.Message{wiretest.Fatal("57P01", "terminating connection due to administrator command")}
	again, came := context.WithTimeout(t.Context(), wiretest.DefaultLimit)
	defer came()
	server, err := wiretest.NewServer(func(n int, p *wiretest.Peer) error {
		if _, err := p.AcceptTrust(wiretest.DefaultParameters()); err != nil {
			return err
		}
		if n > 0 {
			came()
		}
		for i := 0; ; i++ {
			if _, err := p.Until('S'); err != nil {
				return err
			}
			if n == 0 && i == 1 {
				return p.Send(ended...)
			}
			if err := p.Send(done...); err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // the stranger leaves in the middle
	testrouter.Crowd(t, "postgres://app@"+server.Addr()+"/app?sslmode=disable", 1)
	if <-again.Done(); again.Err() != context.Canceled {
		t.Error("it did not come again")
	}
}
