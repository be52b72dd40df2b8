package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// The kinds of events on stage.
const (
	failover   = "failover"
	switchover = "switchover"
)

const (
	episodeLimit = 3 * time.Minute        // a lease, a failover and a base backup on a busy machine
	settle       = 500 * time.Millisecond // what clients felt of an event is over that long after its last step
)

// episode is one event on stage. It is written by its own goroutine and read after its end.
type episode struct {
	kind     string
	from, to node
	begun    time.Time
	ended    time.Time
	window   int // of the load's figures: the one before is window-1, the one after window+1
	entries  []entry
	err      error
}

// errBrokenOff says that somebody did not want to see the end of an event. It is no fault.
var errBrokenOff = errors.New("broken off")

// fail kills the primary with SIGKILL and waits until everything is well again.
func (s *stage) fail(ctx context.Context) *episode {
	return s.perform(ctx, failover, func(_ context.Context, e *episode) error {
		e.from.Kill9()
		return nil
	})
}

// switchOver asks the router for a planned switchover and waits until everything is well again.
func (s *stage) switchOver(ctx context.Context) *episode {
	return s.perform(ctx, switchover, func(ctx context.Context, e *episode) error {
		to, err := s.ground.candidate(ctx)
		if err != nil {
			return err
		}
		return s.router.Switchover(ctx, to.Addr())
	})
}

func (s *stage) perform(ctx context.Context, kind string, act func(context.Context, *episode) error) *episode {
	e := &episode{kind: kind, from: s.ground.primary(), begun: time.Now()}
	s.load.Mark("during "+kind, true)
	e.window = len(s.load.Windows()) - 1
	s.journal.add(entry{at: e.begun, source: sourceDemo, kind: kind, node: e.from.Name()})
	limit, cancel := context.WithTimeoutCause(ctx, episodeLimit, fmt.Errorf("the %s did not come to an end within %v", kind, episodeLimit))
	defer cancel()
	e.err = act(limit, e)
	if err := until(limit, func() bool { return s.well(e) }); e.err == nil {
		e.err = err
	}
	if e.err == nil {
		e.err = pause(limit, settle)
	}
	if errors.Is(e.err, context.Canceled) {
		e.err = errBrokenOff
	}
	s.load.Mark("after "+kind, false)
	e.ended = time.Now()
	e.to = s.ground.primary()
	e.entries = s.journal.between(e.begun, e.ended)
	s.journal.add(overEntry(e))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.episodes = append(s.mu.episodes, e)
	return e
}

func overEntry(e *episode) entry {
	over := entry{at: e.ended, source: sourceDemo, kind: "over", node: e.to.Name()}
	if e.err != nil {
		over.kind, over.text = "failed", e.err.Error()
	}
	return over
}

// well reports whether an event is over: another primary, writes are served, nobody waits, and the old primary is back as
// a standby. A switchover that was given up is over when the old primary serves.
func (s *stage) well(e *episode) bool {
	entries := s.journal.between(e.begun, time.Time{})
	since := kept(entries, testcluster.Promoted)
	if since.IsZero() {
		if e.err == nil || !e.from.Running() {
			return false
		}
		since = e.begun
	}
	live := s.load.Live()
	if live.Waiting > 0 || !live.LastWrite.After(since) {
		return false
	}
	for _, n := range s.ground.nodes() {
		if !n.Running() {
			return false
		}
	}
	return s.ground.primary() == e.from || !kept(entries, testcluster.NodeRejoined).IsZero()
}

// The router's events that say that it noticed.
func detecting() []string {
	return []string{string(event.SwitchoverStarted), string(event.PrimaryDoubtful), string(event.PrimaryLost),
		string(event.NodeDown), string(event.NodeSuspect), string(event.PrimaryChanged)}
}

// script does one of each and leaves time to see the difference.
func (s *stage) script(ctx context.Context) error {
	acts := []func(context.Context) *episode{s.fail, s.switchOver}
	if s.options.Patroni {
		slices.Reverse(acts) // what is planned takes seconds there, what is not waits for a lease
	}
	for _, act := range acts {
		if err := pause(ctx, s.options.Calm); err != nil {
			return err
		}
		e := act(ctx)
		fmt.Fprintf(s.options.Stdout, "%s of %s: over after %.1f s\n", e.kind, e.from.Name(), e.ended.Sub(e.begun).Seconds())
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return pause(ctx, s.options.Calm)
}

func (s *stage) episodes() []*episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*episode(nil), s.mu.episodes...)
}
