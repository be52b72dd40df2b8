package discovery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// watcher asks one node, again and again. Its goroutine blocks in the node's session only, so that a node that hangs holds up
// nobody else.
type watcher struct {
	manager *Manager
	member  topology.Member
	cancel  context.CancelFunc

	mu struct {
		sync.Mutex
		asked bool   // somebody wants a probe that has not begun yet
		rouse func() // ends the rest under way; nil while the watcher does not rest
	}
}

// watch starts a watcher for each new member and ends those of nodes that are gone.
func (m *Manager) watch(ctx context.Context, members []topology.Member) {
	for _, w := range m.exchange(ctx, members) {
		w.cancel()
		m.metrics.forget(w.member.ID)
	}
}

// exchange makes the watchers fit the members and returns those that have to end.
func (m *Manager) exchange(ctx context.Context, members []topology.Member) []*watcher {
	m.mu.Lock()
	defer m.mu.Unlock()
	var gone []*watcher
	for id, w := range m.mu.watchers {
		if !slices.Contains(members, w.member) {
			delete(m.mu.watchers, id)
			gone = append(gone, w)
		}
	}
	for _, member := range members {
		if m.mu.watchers[member.ID] != nil {
			continue
		}
		own, cancel := context.WithCancel(ctx)
		w := &watcher{manager: m, member: member, cancel: cancel}
		m.mu.watchers[member.ID] = w
		m.watching.Go(func() { w.run(own) })
	}
	return gone
}

// isWatching reports whether the watcher's node is still a member as it was.
func (m *Manager) isWatching(w *watcher) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.watchers[w.member.ID] == w
}

// run probes until ctx ends.
func (w *watcher) run(ctx context.Context) {
	defer w.cancel()
	session := w.manager.deps.Prober.Open(w.member)
	defer session.Close()
	for ctx.Err() == nil {
		w.begin()
		began := time.Now()
		o := session.Probe(ctx, w.manager.question())
		if ctx.Err() != nil {
			return
		}
		w.report(ctx, o, began)
		w.rest(ctx, session, began)
	}
}

// report counts the observation and hands it in.
func (w *watcher) report(ctx context.Context, o topology.Observation, began time.Time) {
	o.Node = w.member.ID
	if o.At.IsZero() {
		o.At = began
	}
	w.manager.metrics.probed(o, time.Since(began))
	w.manager.send(ctx.Done(), message{seen: []topology.Observation{o}, from: w})
}

// rest waits until the next probe is due, somebody asks for one or the line says something; at least Config.MinInterval after
// the last one began, whatever happens.
func (w *watcher) rest(ctx context.Context, session Session, began time.Time) {
	waiting, cancel := context.WithDeadline(ctx, began.Add(w.manager.pace(w.member.ID)))
	if w.lieDown(cancel) {
		session.Wait(waiting)
	}
	cancel()
	w.getUp()
	least := time.Until(began.Add(w.manager.config.Load().MinInterval))
	if least <= 0 {
		return
	}
	timer := time.NewTimer(least)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// begin notes that a probe begins: who asks from now on wants another one.
func (w *watcher) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.asked = false
}

// lieDown reports whether the watcher may rest; rouse will end its rest.
func (w *watcher) lieDown(rouse func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.asked {
		return false
	}
	w.mu.rouse = rouse
	return true
}

func (w *watcher) getUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.rouse = nil
}

// wake makes the next probe begin at once, or right after the one that runs.
func (w *watcher) wake() {
	w.mu.Lock()
	w.mu.asked = true
	rouse := w.mu.rouse
	w.mu.Unlock()
	if rouse != nil {
		rouse()
	}
}
