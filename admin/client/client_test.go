package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/admin"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/failover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// router is another router's HTTP server: it notes what it is asked for, and answers as it is told to.
type router struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	status int
	answer any
	hang   chan struct{} // nil: it does not
}

func newRouter(t *testing.T) *router {
	t.Helper()
	r := &router{status: http.StatusOK, answer: admin.HoldAnswer{Drained: true}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *router) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body) // what could not be read is no order that a test awaits
	r.mu.Lock()
	r.asked = append(r.asked, q.Method+" "+q.URL.Path+" "+q.Header.Get("Content-Type")+" "+string(body))
	status, answer, hang := r.status, r.answer, r.hang
	r.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-q.Context().Done():
		}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

func (r *router) set(status int, answer any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.answer = status, answer
}

func (r *router) orders() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// told keeps events.
type told struct {
	mu   sync.Mutex
	kept []event.Event
}

func (s *told) Emit(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, e)
}

func (s *told) kinds() (all []event.Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.kept {
		all = append(all, e.Kind)
	}
	return all
}

func TestPeersAreAskedForTheSameHoldAndDoNotPassItOn(t *testing.T) {
	a, b := newRouter(t), newRouter(t)
	until := time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC)
	busy := []failover.Blocker{{Client: 7, State: "active"}}
	b.set(http.StatusOK, admin.HoldAnswer{Until: until, Blockers: busy})
	p := NewPeers("ha1", []string{a.URL, b.URL}, &told{})
	got := p.Hold(t.Context(), "main", failover.HoldOrder{ID: "s1", By: "operator", Lease: 30 * time.Second, Wait: 5 * time.Second})
	want := []failover.PeerHeld{{Peer: a.URL, Held: failover.Held{Drained: true}}, {Peer: b.URL, Held: failover.Held{Until: until, Blockers: busy}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	p.Release(t.Context(), "main", "s1")
	orders := []string{
		`POST /api/v1/hold application/json {"cluster":"main","id":"s1","by":"ha1: operator","lease":"30s","wait":"5s","local":true}`,
		`POST /api/v1/release application/json {"cluster":"main","id":"s1","local":true}`,
	}
	for _, r := range []*router{a, b} {
		if diff := cmp.Diff(orders, r.orders()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestOnePeerThatHangsOrIsNotThereHoldsUpNobodyForLongerThanTheOrderSays(t *testing.T) {
	good, hanging, gone := newRouter(t), newRouter(t), newRouter(t)
	hanging.hang = make(chan struct{})
	defer close(hanging.hang)
	gone.Close()
	sink := &told{}
	p := NewPeers("ha1", []string{hanging.URL, gone.URL, good.URL}, sink)
	got := p.Hold(t.Context(), "main", failover.HoldOrder{ID: "s1", Lease: time.Minute, Wait: time.Millisecond})
	if got[0].Err == nil || got[0].Err.Error() != "no answer in time" {
		t.Errorf("who hangs: %v", got[0].Err)
	}
	if got[1].Err == nil || !strings.Contains(got[1].Err.Error(), "connection refused") || strings.Contains(got[1].Err.Error(), "Post") {
		t.Errorf("who is not there: %v", got[1].Err)
	}
	if got[2].Err != nil || !got[2].Drained {
		t.Errorf("who is: %+v", got[2])
	}
	if kinds := sink.kinds(); !slices.Equal(kinds, []event.Kind{event.PeerSilent, event.PeerSilent}) {
		t.Errorf("events: %v", kinds)
	}
}

func TestWhetherPeersTakeOrdersIsKnownBeforeTheyAreNeeded(t *testing.T) {
	r, sink := newRouter(t), &told{}
	p := NewPeers("ha1", []string{r.URL}, sink)
	if known := p.Known(); len(known) != 1 || !known[0].At.IsZero() {
		t.Fatalf("before it is asked: %+v", known)
	}
	p.look(t.Context())
	if want := []string{`POST /api/v1/release application/json {"id":"pgrouter-watch","local":true}`}; !slices.Equal(r.orders(), want) {
		t.Errorf("it asks %q", r.orders())
	}
	r.set(http.StatusForbidden, admin.Failure{Error: "changes are not allowed from 10.0.0.1:4711", Hint: "see [admin] allow"})
	p.look(t.Context())
	p.look(t.Context())
	if known := p.Known()[0]; known.Up || known.Error != "changes are not allowed from 10.0.0.1:4711 (see [admin] allow)" {
		t.Errorf("who does not let us: %+v", known)
	}
	r.set(http.StatusConflict, admin.Failure{Error: "the cluster has no primary"}) // it has understood
	p.look(t.Context())
	if known := p.Known()[0]; !known.Up || known.Error != "" {
		t.Errorf("who answers: %+v", known)
	}
	if kinds := sink.kinds(); !slices.Equal(kinds, []event.Kind{event.PeerSilent, event.PeerBack}) {
		t.Errorf("events: %v", kinds)
	}
}

func TestWhatIsKnownOfPeersOutlivesAReload(t *testing.T) {
	r := newRouter(t)
	p := NewPeers("ha1", []string{r.URL}, &told{})
	p.look(t.Context())
	before := p.Known()[0]
	p.Reload([]string{"http://ha2:7000", r.URL})
	if diff := cmp.Diff([]admin.PeerView{{Peer: "http://ha2:7000"}, before}, p.Known()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAnOrderThatIsGivenUpSaysNothingOfThePeers(t *testing.T) {
	r, sink := newRouter(t), &told{}
	r.hang = make(chan struct{})
	defer close(r.hang)
	p := NewPeers("ha1", []string{r.URL}, sink)
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	if held := p.Hold(ctx, "main", failover.HoldOrder{Lease: time.Minute, Wait: time.Minute}); held[0].Err == nil {
		t.Error("it is held")
	}
	if kinds := sink.kinds(); len(kinds) > 0 || !p.Known()[0].At.IsZero() {
		t.Errorf("events %v, %+v", kinds, p.Known())
	}
}

func TestTheWatchEndsWithItsContext(t *testing.T) {
	r := newRouter(t)
	p := NewPeers("ha1", []string{r.URL}, &told{})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Watch(ctx) }()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRefusalsAreTheRoutersOwnWords(t *testing.T) {
	r := newRouter(t)
	blockers := []failover.Blocker{{Client: 7}}
	r.set(http.StatusConflict, admin.Failure{Error: "units run", Hint: "wait", Blockers: blockers})
	_, err := New(strings.TrimPrefix(r.URL, "http://")).Switchover(t.Context(), admin.SwitchoverRequest{})
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || err.Error() != "units run (wait)" || refused.Status != http.StatusConflict || !cmp.Equal(refused.Blockers, blockers) {
		t.Errorf("%v", err)
	}
	r.set(http.StatusNotFound, "nothing here")
	if _, err := New(r.URL).Failover(t.Context(), admin.FailoverRequest{}); err == nil || err.Error() != `404 Not Found: "nothing here"` {
		t.Errorf("another server: %v", err)
	}
	r.set(http.StatusOK, "nothing here")
	if _, err := New(r.URL).Failover(t.Context(), admin.FailoverRequest{}); err == nil || !strings.Contains(err.Error(), "what answers there is no router") {
		t.Errorf("another server: %v", err)
	}
}

func TestALongNameIsClippedToWhatARouterTakes(t *testing.T) {
	for name, want := range map[string]string{"": "", "ha1: boss": "ha1: boss", strings.Repeat("x", 70): strings.Repeat("x", 64), strings.Repeat("x", 63) + "ü": strings.Repeat("x", 63)} {
		if got := clip(name); got != want {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}
