package failover

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a cluster and a pool that do what the test says. It stands in for the two because a failure in the middle of a
// switchover cannot be had from real ones at will; the ways that end well are tested with the whole product.
type world struct {
	mu     sync.Mutex
	snap   *topology.Snapshot
	subs   []chan struct{}
	calls  []string
	busy   bool
	units  uint64
	events []event.Kind
}

func (w *world) log(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
}

func (w *world) Snapshot() *topology.Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snap
}

func (w *world) Subscribe() (<-chan struct{}, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := make(chan struct{}, 1)
	w.subs = append(w.subs, c)
	return c, func() {}
}

// publish makes a node primary; "" is nobody.
func (w *world) publish(primary topology.NodeID, epoch topology.Epoch) {
	w.change(func(*topology.Snapshot) {}, primary, epoch)
}

// setBusy lets a unit of work run, or end.
func (w *world) setBusy(busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = busy
}

// change publishes a picture with something else in it.
func (w *world) change(more func(*topology.Snapshot), primary topology.NodeID, epoch topology.Epoch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	next := &topology.Snapshot{Cluster: "main", Epoch: epoch, Primary: primary, Phase: topology.PhaseSteady, At: now, Since: now, LastPrimary: "a:1"}
	if primary == "" {
		next.Phase = topology.PhaseLeaderless
	} else {
		next.LastPrimary = primary
	}
	for _, id := range []topology.NodeID{"a:1", "b:1"} {
		node := topology.Node{ID: id, Address: string(id), Role: topology.RoleStandby, Health: topology.HealthUp, SeenAt: time.Now().Add(time.Hour), ReplayLSN: 100, WriteLSN: 100}
		if id == primary {
			node.Role = topology.RolePrimary
		}
		next.Nodes = append(next.Nodes, node)
	}
	more(next)
	w.snap = next
	for _, c := range w.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (w *world) SetHeld(held bool) {
	w.log(map[bool]string{true: "probe fast", false: "probe slow"}[held])
}
func (w *world) Publish(*topology.Snapshot)                {}
func (w *world) Hold(topology.ClusterID, event.HoldReason) { w.log("hold") }
func (w *world) Resume(topology.ClusterID)                 { w.log("resume") }
func (w *world) Emit(e event.Event)                        { w.mu.Lock(); w.events = append(w.events, e.Kind); w.mu.Unlock() }
func (w *world) WaitIdle(ctx context.Context, _ topology.ClusterID, _ topology.NodeID) error {
	if w.busy {
		<-ctx.Done()
		return errors.New("1 unit runs")
	}
	w.log("idle")
	return nil
}

func (w *world) WaitQuiet(ctx context.Context, _ topology.ClusterID, _ topology.NodeID) error {
	for {
		w.mu.Lock()
		busy := w.busy
		w.mu.Unlock()
		if !busy {
			w.log("quiet")
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("1 unit runs")
		case <-time.After(time.Millisecond):
		}
	}
}

func (w *world) Blockers(topology.ClusterID, topology.NodeID) []Blocker {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy {
		return nil
	}
	return []Blocker{{Client: 8, State: "linked", For: time.Second}, {Client: 7, User: "u", Database: "d", State: "linked", For: time.Minute}}
}

func (w *world) Warm(_ topology.ClusterID, n topology.NodeID, _ int) int {
	w.log("warm " + string(n))
	return 2
}
func (w *world) Cut(_ topology.ClusterID, n topology.NodeID, why event.CutReason) int {
	if why == event.CutSwitchover {
		w.log("dismiss " + string(n))
		return 0
	}
	w.log("cut " + string(n))
	return 3
}

func conduct(t *testing.T, w *world, cfg Config) *Conductor {
	t.Helper()
	cfg.Cluster = "main"
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout, cfg.SwitchTimeout = 50*time.Millisecond, 200*time.Millisecond
	}
	c, err := New(cfg, Deps{
		Topology: w, Pool: w, Events: w, Logger: slog.New(slog.DiscardHandler),
		Counters: func() Counters {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.units++
			return Counters{Units: w.units, Held: 2 * w.units}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// script writes a command that notes its environment in a file.
func script(t *testing.T, exit string) (argv []string, told func() string) {
	t.Helper()
	dir := t.TempDir()
	out, path := filepath.Join(dir, "out"), filepath.Join(dir, "cmd")
	text := "#!/bin/sh\necho $PGROUTER_NODE $PGROUTER_OLD_PRIMARY $PGROUTER_NEW_PRIMARY > " + out + "\necho it broke >&2\nexit " + exit + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{path}, func() string { b, _ := os.ReadFile(out); return strings.TrimSpace(string(b)) }
}

func TestASwitchoverThatCannotWorkTouchesNothing(t *testing.T) {
	demote, _ := script(t, "0")
	cases := []struct {
		name, to, want string
		cfg            Config
		primary        topology.NodeID
	}{
		{"no demote command", "b:1", "demote_command", Config{}, "a:1"},
		{"no primary", "b:1", "no proven primary", Config{DemoteCommand: demote}, ""},
		{"unknown node", "c:1", "it has a:1, b:1", Config{DemoteCommand: demote}, "a:1"},
		{"already primary", "a:1", "already", Config{DemoteCommand: demote}, "a:1"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := &world{}
			w.publish(tc.primary, 1)
			err := conduct(t, w, tc.cfg).Switchover(context.Background(), topology.NodeID(tc.to), 0)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if len(w.calls) != 0 {
				t.Errorf("it did %v", w.calls)
			}
		})
	}
}

func TestAFailedSwitchoverReleasesEverything(t *testing.T) {
	broken, _ := script(t, "3")
	fine, _ := script(t, "0")
	cases := []struct {
		name string
		cfg  Config
		busy bool
		want string
	}{
		{"units do not end", Config{DemoteCommand: fine}, true, "nothing was touched"},
		{"the demotion fails", Config{DemoteCommand: broken}, false, "it broke"},
		{"the promotion fails", Config{DemoteCommand: fine, PromoteCommand: broken}, false, "it broke"},
		{"nobody becomes primary", Config{DemoteCommand: fine, PromoteCommand: fine}, false, "not proven"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // whose time stands still while a command runs
				w := &world{busy: tc.busy}
				w.publish("a:1", 1)
				c := conduct(t, w, tc.cfg)
				err := c.Switchover(t.Context(), "b:1", 0)
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("%v, want %q", err, tc.want)
				}
				if n := len(w.calls); n < 2 || w.calls[n-2] != "resume" || w.calls[n-1] != "probe slow" {
					t.Errorf("it did %v", w.calls)
				}
				if reports := c.Reports(); len(reports) != 1 || !strings.Contains(reports[0].Outcome, "failed") {
					t.Errorf("reports %+v", reports)
				}
				w.busy = false
				if err := c.Switchover(t.Context(), "a:1", 0); errors.Is(err, ErrBusy) {
					t.Error("the next switchover is refused")
				}
			})
		})
	}
}

func TestASwitchoverDrainsBeforeItDemotes(t *testing.T) {
	demote, told := script(t, "0")
	w := &world{}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{DemoteCommand: demote, PromoteCommand: []string{"/bin/true"}, DrainTimeout: time.Minute, SwitchTimeout: time.Minute})
	done := make(chan error, 1)
	go func() { done <- c.Switchover(context.Background(), "b:1", 0) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for told() == "" {
		<-tick.C
	}
	w.publish("b:1", 2)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := told(); got != "a:1 a:1 b:1" {
		t.Errorf("the command was told %q", got)
	}
	if got := strings.Join(w.calls, ", "); got != "probe fast, hold, warm b:1, quiet, dismiss a:1, idle, resume, probe slow" {
		t.Errorf("it did %s", got)
	}
}

// A primary that is demoted by being made read-only takes writes until then, from clients of other routers, or of none.
func TestWhatIsWrittenUntilTheDemotionIsReplayedBeforeThePromotion(t *testing.T) {
	dir := t.TempDir()
	demoting, demoted, replayed, promoted := filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "3"), filepath.Join(dir, "4")
	demote := []string{"/bin/sh", "-c", "touch " + demoting + "; until [ -e " + demoted + " ]; do sleep 0.01; done"}
	promote := []string{"/bin/sh", "-c", "[ -e " + replayed + " ] && touch " + promoted}
	w := &world{}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{DemoteCommand: demote, PromoteCommand: promote, DrainTimeout: time.Minute, SwitchTimeout: time.Minute})
	done := make(chan error, 1)
	go func() { done <- c.Switchover(context.Background(), "b:1", 0) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	there := func(path string) bool { _, err := os.Stat(path); return err == nil }
	touch := func(path string) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
	looks := func() int { w.mu.Lock(); defer w.mu.Unlock(); return len(w.subs) }
	for !there(demoting) {
		<-tick.C
	}
	w.change(func(s *topology.Snapshot) { s.Nodes[0].WriteLSN = 300 }, "a:1", 1)
	before := looks()
	touch(demoted)
	for len(done) == 0 && looks() < before+2 { // it has asked the old primary, and looks whether the new one has got there
		<-tick.C
	}
	touch(replayed)
	w.change(func(s *topology.Snapshot) { s.Nodes[1].ReplayLSN = 300 }, "a:1", 1)
	for len(done) == 0 && !there(promoted) {
		<-tick.C
	}
	w.publish("b:1", 2)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWithoutATargetTheStandbyThatHasReplayedMostTakesOver(t *testing.T) {
	demote, told := script(t, "0")
	w := &world{}
	w.change(func(s *topology.Snapshot) {
		c, d := s.Nodes[1], s.Nodes[1]
		c.ID, c.ReplayLSN = "c:1", 200
		d.ID, d.ReplayLSN, d.Health = "d:1", 300, topology.HealthDown
		s.Nodes = append(s.Nodes, c, d)
	}, "a:1", 1)
	c := conduct(t, w, Config{DemoteCommand: demote, PromoteCommand: []string{"/bin/false"}, DrainTimeout: time.Minute, SwitchTimeout: time.Minute})
	if err := c.Switchover(t.Context(), "", 0); err == nil || !strings.Contains(err.Error(), "promote c:1") || told() != "a:1 a:1 c:1" {
		t.Errorf("%v; the command was told %q", err, told())
	}
	w.change(func(s *topology.Snapshot) { s.Nodes = s.Nodes[:1] }, "a:1", 1)
	if err := c.Switchover(t.Context(), "", 0); !errors.Is(err, ErrNoStandby) {
		t.Error(err)
	}
	if err := c.Switchover(t.Context(), "", MostLease+1); err == nil || !strings.Contains(err.Error(), "nothing is held for longer") {
		t.Error(err)
	}
}

// Half of a switchover leaves a cluster without a primary: once the old one is touched, neither who asked nor the router's end
// stops it.
func TestASwitchoverThatHasDemotedIsFinished(t *testing.T) {
	demote, told := script(t, "0")
	w := &world{}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{DemoteCommand: demote, PromoteCommand: []string{"/bin/true"}, DrainTimeout: time.Minute, SwitchTimeout: time.Minute})
	ctx, leave := context.WithCancel(t.Context())
	done, closed := make(chan error, 1), make(chan error, 1)
	go func() { done <- c.Switchover(ctx, "b:1", 0) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for told() == "" {
		<-tick.C
	}
	leave()
	over, giveUp := context.WithCancel(t.Context())
	giveUp()
	if err := c.Close(over); !errors.Is(err, context.Canceled) {
		t.Errorf("closed without waiting: %v", err)
	}
	go func() { closed <- c.Close(t.Context()) }()
	w.publish("b:1", 2)
	if err := errors.Join(<-done, <-closed); err != nil {
		t.Error(err)
	}
	if err := c.Switchover(t.Context(), "b:1", 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed conductor began a switchover: %v", err)
	}
}

func TestASwitchoverThatStillDrainsIsGivenUpAtTheEnd(t *testing.T) {
	demote, told := script(t, "0")
	w := &world{busy: true}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{DemoteCommand: demote, DrainTimeout: time.Minute, SwitchTimeout: time.Minute})
	done := make(chan error, 1)
	go func() { done <- c.Switchover(t.Context(), "b:1", 0) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := false; !began; <-tick.C {
		c.mu.Lock()
		began = c.mu.switching != nil
		c.mu.Unlock()
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "nothing was touched") || told() != "" {
		t.Errorf("%v; the command was told %q", err, told())
	}
}

func TestAFailoverCutsTheOldPrimaryAndIsReported(t *testing.T) {
	w := &world{}
	w.publish("a:1", 1)
	c := conduct(t, w, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for subscribed := false; !subscribed; <-tick.C {
		w.mu.Lock()
		subscribed = len(w.subs) > 0
		w.mu.Unlock()
	}
	w.publish("", 1)
	for opened := false; !opened; <-tick.C {
		c.mu.Lock()
		opened = c.mu.open != nil
		c.mu.Unlock()
	}
	w.publish("b:1", 2)
	for len(c.Reports()) == 0 {
		<-tick.C
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := c.Reports()[0]
	if got.From != "a:1" || got.To != "b:1" || got.Epoch != 2 || got.Cut != 3 || got.Held == 0 || got.Outcome != "failed_over" {
		t.Errorf("report %+v", got)
	}
	times := []time.Time{got.FirstSignal, got.HoldStart, got.Writable, got.FirstServed}
	if got.FirstSignal.IsZero() || !slices.IsSortedFunc(times, time.Time.Compare) {
		t.Errorf("times that are not in order: %v", times)
	}
	if len(w.calls) != 1 || w.calls[0] != "cut a:1" {
		t.Errorf("it did %v", w.calls)
	}
}
