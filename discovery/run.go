package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// Run discovers until ctx ends, or until a source fails for good. When it returns, all goroutines and connections of the
// Manager are gone and the floor is written. It may be called once.
func (m *Manager) Run(ctx context.Context) error {
	if !m.started.CompareAndSwap(false, true) {
		return fmt.Errorf("cluster %s: discovery runs once only", m.cluster)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var owned sync.WaitGroup
	keeper := newKeeper(m)
	owned.Go(keeper.run)
	for _, source := range m.deps.Sources {
		owned.Go(func() { m.runSource(ctx, source, cancel) })
	}
	m.reduce(ctx, keeper)
	cancel(nil)
	close(m.ended)
	m.watching.Wait()
	keeper.close()
	owned.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// runSource runs one source; its failure ends the Manager.
func (m *Manager) runSource(ctx context.Context, source Source, fail context.CancelCauseFunc) {
	err := source.Run(ctx, &Feed{manager: m, source: source.Name(), done: ctx.Done(), wanted: m.wanted[source.Name()]})
	if err != nil && ctx.Err() == nil {
		fail(fmt.Errorf("cluster %s: source %s: %w", m.cluster, source.Name(), err))
	}
}

// reduce is the cluster's goroutine: it takes messages in and publishes until ctx ends.
func (m *Manager) reduce(ctx context.Context, keeper *keeper) {
	tick := time.NewTicker(m.config.Load().tick())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-m.inbox:
			m.take(ctx, msg, keeper)
			if msg.reload {
				tick.Reset(m.config.Load().tick())
			}
		case <-tick.C:
			m.adopt(topology.Next(m.state, nil, time.Now())).quiet(m, keeper)
		}
	}
}

// take works off one message.
func (m *Manager) take(ctx context.Context, msg message, keeper *keeper) {
	switch {
	case msg.announces:
		m.known[msg.source] = msg.members
		members := m.members()
		m.adopt(topology.WithMembers(m.state, members, time.Now())).publish(m, keeper)
		m.watch(ctx, members)
	case msg.accept != nil:
		m.accept(msg.accept, keeper)
	case msg.reload:
		m.state = m.state.WithLimits(m.config.Load().limits(), time.Now())
	case msg.said != nil || msg.agents != nil:
		m.adopt(topology.Witness(m.state, msg.said, msg.agents, time.Now())).publish(m, keeper)
	case msg.from == nil || m.isWatching(msg.from):
		m.adopt(topology.Next(m.state, msg.seen, time.Now())).publish(m, keeper)
	}
}

// members merges what the sources know. The first name in alphabetical order has its way about a node's address.
func (m *Manager) members() []topology.Member {
	var all []topology.Member
	for _, source := range slices.Sorted(maps.Keys(m.known)) {
		for _, member := range m.known[source] {
			if !slices.ContainsFunc(all, func(x topology.Member) bool { return x.ID == member.ID }) {
				member.Address = cmp.Or(member.Address, string(member.ID))
				all = append(all, member)
			}
		}
	}
	return all
}

// reduced is the outcome of one reduction, not published yet.
type reduced struct {
	before  topology.State
	changes []topology.Change
}

// adopt makes the reducer's result the state.
func (m *Manager) adopt(state topology.State, changes []topology.Change) reduced {
	r := reduced{before: m.state, changes: changes}
	m.state = state
	return r
}

// quiet publishes only what says something new, for time passes all the time.
func (r reduced) quiet(m *Manager, keeper *keeper) {
	if len(r.changes) == 0 && r.before.Snapshot().Alarm == m.state.Snapshot().Alarm {
		m.state = r.before
		return
	}
	r.publish(m, keeper)
}

// publish makes the state's snapshot the one that everybody sees, wakes the subscribers and tells the changes. The floor is
// handed to its keeper and not waited for: a slow disk must not keep clients from a new primary.
func (r reduced) publish(m *Manager, keeper *keeper) {
	before, snap := r.before.Snapshot(), m.state.Snapshot()
	if r.before.Floor() != m.state.Floor() {
		keeper.offer(m.state.Floor())
	}
	m.snapshot.Store(snap)
	m.notify()
	if lost := before.Primary != "" && snap.Primary == ""; lost || before.Leader != snap.Leader || before.Asked != snap.Asked {
		m.Trigger("") // the probes run at another pace from now on, or what they see is about to change
	}
	for _, c := range r.changes {
		m.deps.Events.Emit(toEvent(c, snap))
	}
	if snap.Primary == "" && slices.ContainsFunc(r.changes, func(c topology.Change) bool { return claims(snap, c) }) {
		m.want()
	}
	switch snap.Alarm {
	case before.Alarm:
	case "":
		m.deps.Logger.Info("cluster alarm is over")
	default:
		m.deps.Logger.Warn("cluster alarm", "alarm", snap.Alarm)
	}
}

// claims reports whether the change made a node one that takes writes.
func claims(snap *topology.Snapshot, c topology.Change) bool {
	if c.Kind != topology.ChangeNodeRole && c.Kind != topology.ChangeNodeUp {
		return false
	}
	node := snap.Node(c.Node)
	return node != nil && node.Health == topology.HealthUp && node.Role == topology.RolePrimary && !node.ReadOnly
}

// want leaves a token for each source that has none.
func (m *Manager) want() {
	for _, wanted := range m.wanted {
		select {
		case wanted <- struct{}{}:
		default:
		}
	}
}

func toEvent(c topology.Change, snap *topology.Snapshot) event.Event {
	return event.Event{
		Time: snap.At, Kind: event.Kind(c.Kind), Cluster: string(snap.Cluster), Node: string(c.Node),
		From: c.From, To: c.To, Epoch: uint64(c.Epoch), Reason: c.Reason, Took: c.Took,
	}
}

// notify leaves a token in each subscriber's channel that has none.
func (m *Manager) notify() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.mu.subscribers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
