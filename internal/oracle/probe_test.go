package oracle

import (
	"maps"
	"slices"
	"testing"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// probe is something that a client, its owner, leaves in its session.
type probe struct {
	name       string            // as docs/transactions.md calls it
	bouncer    string            // what PgBouncer's own table of features says of it in transaction mode; "": nothing
	parameters map[string]string // of the owner's start-up packet
	leaves     []step            // what the owner does
	shows      []step            // what brings it to light, on any connection

	// What is not as on a direct connection; "" where all is. One that differs no more fails the test.
	lost string // to the owner, when its server changes
	seen string // by strangers
}

// TestWhatAClientLeavesIsItsOwn plays each probe on a direct connection and through the router, in transaction mode, where the owner
// gets another server at each step. What it hears is the same. Strangers hear what they hear of a server that nobody has used, while
// the owner is there, after it has said good-bye, and after it has gone without a word, idle or in the middle of a transaction.
func TestWhatAClientLeavesIsItsOwn(t *testing.T) {
	w := newWorld(t)
	var observed []finding
	for _, p := range probes() {
		t.Run(p.name, func(t *testing.T) {
			s := &suspicion{t: t, world: w, probe: p}
			s.expect()
			s.keeps()
			s.dies(nil)
			s.dies(query("begin"))
			s.verdict()
			observed = append(observed, finding{probe: p, pin: s.pin})
		})
	}
	if !t.Failed() && len(observed) == len(probes()) {
		document(t, observed)
	}
	w.sound(t)
}

// suspicion is a probe under way.
type suspicion struct {
	*world
	t     *testing.T
	probe probe

	fresh        *wiretest.Dialogue // what a new direct connection shows
	freshInBlock *wiretest.Dialogue
	pin          string // why the owner keeps its server, as the console says
	lost, seen   bool
}

// parametersOfStrangers are those with which a client has the owner's servers, and nothing of what it leaves there.
func (s *suspicion) parametersOfStrangers() map[string]string { return onlyUser(s.probe.parameters) }

func onlyUser(parameters map[string]string) map[string]string {
	parameters = maps.Clone(parameters)
	maps.DeleteFunc(parameters, func(name, _ string) bool { return name != "user" })
	return parameters
}

// expect asks a server that nobody has used, and lets the router have no other.
func (s *suspicion) expect() {
	s.reconnect(s.t) // what another probe has left is not this one's affair
	s.fresh = s.look(login(s.t, s.direct, transaction, s.parametersOfStrangers()))
	s.freshInBlock = s.lookInBlock(login(s.t, s.direct, transaction, s.parametersOfStrangers()), func() {})
}

// look records what a client is shown.
func (s *suspicion) look(p *wiretest.Peer) *wiretest.Dialogue {
	s.t.Helper()
	d := p.Record()
	if err := p.Play(s.probe.shows...); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// lookInBlock is look in a transaction block, in whose middle something else may be done.
func (s *suspicion) lookInBlock(p *wiretest.Peer, meanwhile func()) *wiretest.Dialogue {
	s.t.Helper()
	if err := p.Play(do(query("begin"), ready(1))...); err != nil {
		s.t.Fatal(err)
	}
	d := s.look(p)
	meanwhile()
	if err := p.Play(do(query("rollback"), ready(1))...); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// keeps plays the owner on both ways. It gets another server at each mark, and a stranger the one that it had.
func (s *suspicion) keeps() {
	steps := slices.Concat(s.probe.leaves, do(elsewhere()), s.probe.shows, do(elsewhere()), s.probe.shows)
	conversation := append(do(startup(transaction, s.probe.parameters), ready(1)), steps...)
	direct := dial(s.t, s.direct).Converse(conversation...)
	if direct.Hung() {
		s.t.Fatalf("PostgreSQL leaves the client waiting: the probe is wrong\n%s", direct.Beside("direct", direct, "direct"))
	}
	h := newThievesOf(s.t, s.world, transaction, s.probe.parameters)
	owner := dial(s.t, s.router)
	h.follow(owner)
	swap := owner.Mark
	owner.Mark = func() error {
		s.whileTheOwnerIsHere(h, owner)
		return swap()
	}
	got := owner.Converse(conversation...)
	s.lost = !got.Same(direct)
	if s.lost && s.probe.lost == "" {
		s.t.Errorf("its owner:\n%s", direct.Beside("direct", got, "through the router"))
	}
	h.leave()
	s.pin = h.kept[0]
	s.afterwards("after a good-bye")
}

// whileTheOwnerIsHere lets a stranger have the server that the owner has used last; where the owner keeps that, the other one.
func (s *suspicion) whileTheOwnerIsHere(h *thieves, owner *wiretest.Peer) {
	if kept := h.pin(portOf(owner)); kept != "" {
		h.giveBack(h.holding)
		defer h.take(h.holding)
	}
	stranger := login(s.t, s.router, transaction, s.parametersOfStrangers())
	s.compare("while its owner is here", s.look(stranger), s.fresh)
	leave(s.t, stranger)
}

// dies lets the owner go without a word, having said something first.
func (s *suspicion) dies(first message) {
	owner := login(s.t, s.router, transaction, s.probe.parameters)
	when := "after the owner has gone idle"
	if first != nil {
		when = "after the owner has gone in a transaction"
		if err := owner.Play(do(first, ready(1))...); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := owner.Play(s.probe.leaves...); err != nil {
		s.t.Fatal(err)
	}
	owner.Abort()
	s.afterwards(when)
}

// afterwards looks at both servers. Two strangers have them at the same time, so that none is left out.
func (s *suspicion) afterwards(when string) {
	s.t.Helper()
	one := login(s.t, s.router, transaction, s.parametersOfStrangers())
	other := login(s.t, s.router, transaction, s.parametersOfStrangers())
	s.compare(when, s.look(one), s.fresh)
	var inner *wiretest.Dialogue
	outer := s.lookInBlock(one, func() { inner = s.lookInBlock(other, func() {}) })
	s.compare(when, outer, s.freshInBlock)
	s.compare(when, inner, s.freshInBlock)
	leave(s.t, one)
	leave(s.t, other)
}

func (s *suspicion) compare(when string, got, want *wiretest.Dialogue) {
	s.t.Helper()
	if got.Same(want) {
		return
	}
	s.seen = true
	if s.probe.seen == "" {
		s.t.Errorf("a stranger, %s:\n%s", when, want.Beside("a server that nobody has used", got, "through the router"))
	}
}

// verdict complains of what is said to differ and does not any more.
func (s *suspicion) verdict() {
	if s.probe.lost != "" && !s.lost {
		s.t.Errorf("its owner keeps it, take this out of the list: %s", s.probe.lost)
	}
	if s.probe.seen != "" && !s.seen {
		s.t.Errorf("no stranger sees it, take this out of the list: %s", s.probe.seen)
	}
}

// TestEachProbeTellsWhetherItIsThere plays the probes on direct connections alone: what the owner is shown is not what strangers are
// shown, but for what is to leave nothing.
func TestEachProbeTellsWhetherItIsThere(t *testing.T) {
	w := newWorld(t)
	names := map[string]bool{}
	for _, p := range probes() {
		if names[p.name] {
			t.Errorf("two probes are called %q", p.name)
		}
		names[p.name] = true
		s := &suspicion{t: t, world: w, probe: p}
		s.expect()
		owner := login(t, w.direct, transaction, p.parameters)
		if err := owner.Play(p.leaves...); err != nil {
			t.Fatal(err)
		}
		if left := !s.look(owner).Same(s.fresh); left == slices.Contains(nothingStays, p.name) {
			t.Errorf("%s: left something: %v", p.name, left)
		}
		leave(t, owner)
	}
}
