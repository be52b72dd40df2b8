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
	admin *Admin
	begun chan string   // a PAUSE that waits
	ended chan error    // how its wait ended: nil, or why ctx did
	idle  chan struct{} // closed: the work is done

	over chan error // how the pause ends under it
	mu   sync.Mutex
}

func (s *busyScene) Pause(db string, limit time.Duration) Pause {
	p := &busyPause{scenePause: scenePause{scene: &s.scene, db: db}, busy: s}
	s.scene.Pause(db, limit)
	s.done = nil
	return p
}

// busyPause waits until the test says otherwise.
type busyPause struct {
	scenePause
	busy *busyScene
}

func (p *busyPause) Wait(ctx context.Context) error {
	s := p.busy
	s.begun <- p.db
	select {
	case <-s.idle:
		s.ended <- nil
		return nil
	case <-ctx.Done():
		s.ended <- context.Cause(ctx)
		return &pool.BusyError{Left: 3, Err: ctx.Err()}
	case err := <-s.over:
		return err
	}
}

func (p *busyPause) Undo() {
	p.busy.mu.Lock()
	defer p.busy.mu.Unlock()
	p.scenePause.Undo()
}

func (s *busyScene) Resume(db string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scene.Resume(db)
}

func (s *busyScene) Holders(context.Context, string) []proxy.Holder {
	return []proxy.Holder{
		{Client: 9, User: "late", Database: "voip", Remote: "10.0.0.7:4000", Node: "a:5432", PID: 4300, Since: time.Now().Add(-time.Minute)},
		{Client: 7, User: "kamailio", Database: "voip", Remote: "10.0.0.6:4711", Application: "kam", Node: "a:5432", PID: 4242, Since: time.Now().Add(-time.Hour)},
	}
}

func (s *busyScene) did() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.done, ", ")
}

// busyConsole is a console of a router at work.
func busyConsole(t *testing.T) (*busyScene, net.Conn, *pgproto3.Frontend, context.CancelFunc) {
	t.Helper()
	s := &busyScene{begun: make(chan string, 1), ended: make(chan error, 1), idle: make(chan struct{}), over: make(chan error)}
	s.cancelled = make(chan struct{})
	log := slog.New(slog.DiscardHandler)
	a, err := New(Config{Version: "9.9", Users: []string{"boss"}}, s, s, NewJournal(log), log)
	if err != nil {
		t.Fatal(err)
	}
	s.admin = a
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
	s, _, f, _ := busyConsole(t)
	send(t, f, "pause voip")
	if db := <-s.begun; db != "voip" {
		t.Errorf("paused %q", db)
	}
	send(t, f, "show version") // sent ahead: it is answered in its turn
	close(s.idle)
	if got := hear(t, f) + "; " + hear(t, f); got != "PAUSE; SHOW" {
		t.Errorf("it says %q", got)
	}
	send(t, f, "resume voip")
	if got := hear(t, f); got != "RESUME" || s.did() != "resume voip" {
		t.Errorf("it says %q and did %s", got, s.did())
	}
}

func TestACancelUndoesThePause(t *testing.T) {
	s, _, f, _ := busyConsole(t)
	send(t, f, "pause")
	<-s.begun
	s.cancelled <- struct{}{}
	if got := hear(t, f); !strings.HasPrefix(got, "57014 canceling statement") {
		t.Errorf("it says %q", got)
	}
	if err := <-s.ended; !errors.Is(err, errCancelled) || s.did() != "undo " {
		t.Errorf("the wait ended with %v, it did %q", err, s.did())
	}
	send(t, f, "show version")
	if got := hear(t, f); got != "SHOW" {
		t.Errorf("afterwards it says %q", got)
	}
}

func TestAPauseStaysWhenItsClientGoesAway(t *testing.T) {
	s, conn, f, _ := busyConsole(t)
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

// TestAPauseThatCannotBeCompletedIsTakenBackAndSaysWhoIsInTheWay: by WITHIN, or because its own limit is reached first.
func TestAPauseThatCannotBeCompletedIsTakenBackAndSaysWhoIsInTheWay(t *testing.T) {
	for _, sql := range []string{"pause voip within 10ms for 1h", "pause voip for 10ms"} {
		s, _, f, _ := busyConsole(t)
		send(t, f, sql)
		if db := <-s.begun; db != "voip" {
			t.Errorf("paused %q", db)
		}
		if !strings.Contains(sql, "within") {
			s.over <- pool.ErrPauseOver
		}
		got := hear(t, f)
		for _, want := range []string{
			"55000 running work did not end within ",
			"client 7 (kamailio@voip from 10.0.0.6:4711, kam) has server process 4242 of a:5432 since 20", " (1h0m0s)\nclient 9 (late@voip from 10.0.0.7:4000) has",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in %q", sql, want, got)
			}
		}
		if strings.Contains(sql, "within") != strings.Contains(got, "(server connections in use: 3)") || strings.Contains(sql, "within") != strings.Contains(got, "and 1 more") {
			t.Errorf("%s: %q", sql, got)
		}
		if did := s.did(); did != "undo voip" {
			t.Errorf("%s: it did %q", sql, did)
		}
	}
}

func TestAPauseThatSomebodyElseEndsSaysSo(t *testing.T) {
	for _, why := range []error{pool.ErrResumed, pool.ErrUndone} {
		s, _, f, _ := busyConsole(t)
		send(t, f, "pause")
		<-s.begun
		s.over <- why
		if got := hear(t, f); !strings.HasPrefix(got, "55000 the pause was ended by a RESUME") {
			t.Errorf("it says %q", got)
		}
	}
}

func TestAConsoleThatWaitsEndsWithItsServer(t *testing.T) {
	s, conn, f, end := busyConsole(t)
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
