package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
)

// busyScene is a router whose databases are at work until the test says otherwise.
type busyScene struct {
	scene
	begun chan string   // a PAUSE that waits
	ended chan error    // how its wait ended: nil, or why ctx did
	idle  chan struct{} // closed: the work is done

	resumed chan struct{} // closed: another operator has ended the pause
	mu      sync.Mutex
}

func (s *busyScene) Pause(ctx context.Context, db string) error {
	s.begun <- db
	select {
	case <-s.idle:
		s.ended <- nil
		return nil
	case <-ctx.Done():
		s.ended <- context.Cause(ctx)
		return &pool.BusyError{Left: 2, Err: ctx.Err()}
	case <-s.resumed:
		return pool.ErrResumed
	}
}

func (s *busyScene) Resume(db string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scene.Resume(db)
}

func (s *busyScene) did() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.done, ", ")
}

// busyConsole is a console of a router at work.
func busyConsole(t *testing.T, patience time.Duration) (*busyScene, net.Conn, *pgproto3.Frontend, context.CancelFunc) {
	t.Helper()
	s := &busyScene{begun: make(chan string, 1), ended: make(chan error, 1), idle: make(chan struct{}), resumed: make(chan struct{})}
	s.cancelled = make(chan struct{})
	log := slog.New(slog.DiscardHandler)
	a, err := New(Config{Version: "9.9", Users: []string{"boss"}}, s, s, NewJournal(log), log)
	if err != nil {
		t.Fatal(err)
	}
	a.patience = patience
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() {
		over <- a.Console().Serve(ctx, far, proxy.Login{User: "boss", Cancelled: s.cancelled})
		far.Close()
	}()
	t.Cleanup(func() {
		near.Close()
		cancel()
		<-over
	})
	near.SetDeadline(time.Now().Add(time.Minute))
	return s, near, pgproto3.NewFrontend(near, near), cancel
}

// send sends one query and does not wait.
func send(t *testing.T, f *pgproto3.Frontend, sql string) {
	t.Helper()
	f.Send(&pgproto3.Query{String: sql})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
}

// hear returns the next answer, up to ReadyForQuery: the tag, or the error's code and message.
func hear(t *testing.T, f *pgproto3.Frontend) string {
	t.Helper()
	var said []string
	for {
		msg, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := msg.(type) {
		case *pgproto3.CommandComplete:
			said = append(said, string(m.CommandTag))
		case *pgproto3.ErrorResponse:
			said = append(said, m.Code+" "+m.Message+" "+m.Detail)
		case *pgproto3.ReadyForQuery:
			return strings.Join(said, ", ")
		}
	}
}

func TestPauseAnswersWhenTheWorkIsDone(t *testing.T) {
	s, _, f, _ := busyConsole(t, time.Minute)
	send(t, f, "pause voip")
	if db := <-s.begun; db != "voip" {
		t.Errorf("paused %q", db)
	}
	send(t, f, "show version") // sent ahead: it is answered in its turn
	close(s.idle)
	if got := hear(t, f) + "; " + hear(t, f); got != "PAUSE; SHOW 1" {
		t.Errorf("it says %q", got)
	}
	send(t, f, "resume voip")
	if got := hear(t, f); got != "RESUME" || s.did() != "resume voip" {
		t.Errorf("it says %q and did %s", got, s.did())
	}
}

func TestACancelUndoesThePause(t *testing.T) {
	s, _, f, _ := busyConsole(t, time.Minute)
	send(t, f, "pause")
	<-s.begun
	s.cancelled <- struct{}{}
	if got := hear(t, f); !strings.HasPrefix(got, "57014 canceling statement") {
		t.Errorf("it says %q", got)
	}
	if err := <-s.ended; !errors.Is(err, errCancelled) || s.did() != "resume " {
		t.Errorf("the wait ended with %v, it did %q", err, s.did())
	}
	send(t, f, "show version")
	if got := hear(t, f); got != "SHOW 1" {
		t.Errorf("afterwards it says %q", got)
	}
}

func TestAPauseStaysWhenItsClientGoesAway(t *testing.T) {
	s, conn, f, _ := busyConsole(t, time.Hour)
	send(t, f, "pause")
	<-s.begun
	send(t, f, "show version")
	conn.Close()
	if err := <-s.ended; !errors.Is(err, errGone) {
		t.Errorf("the wait ended with %v", err)
	}
	if did := s.did(); did != "" {
		t.Errorf("it did %q", did)
	}
}

func TestAPauseThatWaitsTooLongStaysAndSaysSo(t *testing.T) {
	s, _, f, _ := busyConsole(t, 10*time.Millisecond)
	send(t, f, "pause")
	<-s.begun
	got := hear(t, f)
	for _, want := range []string{"55000 2 server connections are still in use after 10ms", "The pause stays in force"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if did := s.did(); did != "" {
		t.Errorf("it did %q", did)
	}
	<-s.ended
	close(s.idle)
	send(t, f, "pause")
	if got := hear(t, f); got != "PAUSE" {
		t.Errorf("the second says %q", got)
	}
}

func TestAPauseThatSomebodyElseEndsSaysSo(t *testing.T) {
	s, _, f, _ := busyConsole(t, time.Hour)
	send(t, f, "pause")
	<-s.begun
	close(s.resumed)
	if got := hear(t, f); !strings.HasPrefix(got, "55000 the pause was ended by a RESUME") {
		t.Errorf("it says %q", got)
	}
}

func TestAConsoleThatWaitsEndsWithItsServer(t *testing.T) {
	s, conn, f, end := busyConsole(t, time.Hour)
	send(t, f, "pause")
	<-s.begun
	end()
	<-s.ended
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); err != nil {
			return // closed by the console
		}
	}
}
