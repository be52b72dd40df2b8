package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// The ways in which a failover is refused before anything is touched.
var (
	ErrUnmanaged = errors.New("no Patroni leads this cluster, or the router cannot ask it (urls in [cluster.NAME.patroni]): without one a failover needs a person's promotion")
	ErrLed       = errors.New("the cluster has a primary: a switchover moves it without loss")
	ErrNoTarget  = errors.New("a failover needs the node that is to be the primary")
)

// byManager lets the manager move the primary, while new units are held and no other runs. Its order cannot be taken back: from here on
// nothing but the outcome, or switch_timeout, ends it. Pinned sessions are left alone until the old primary is really on its way out, so
// that a switchover that the manager refuses costs nobody his session.
func (m *move) byManager(ctx context.Context) error {
	c := m.conductor
	proven, err := c.asked(ctx, &verdict{move: m}, func(ctx context.Context) error {
		return c.deps.Agents.Switchover(ctx, m.from.node, m.to)
	})
	if err != nil {
		return err
	}
	m.became = proven.Primary
	return nil
}

// Failover makes a node the primary where nobody is, by the manager.
func (c *Conductor) Failover(ctx context.Context, to topology.NodeID) error {
	ctx, err := c.beginSwitchover(ctx)
	if err != nil {
		return err
	}
	defer c.endSwitchover()
	snap := c.deps.Topology.Snapshot()
	switch {
	case !c.managed():
		return ErrUnmanaged
	case snap == nil || snap.Primary != "":
		return ErrLed
	case to == "":
		return ErrNoTarget
	case snap.Node(to) == nil:
		return fmt.Errorf("no node %q in cluster %s; it has %s", to, c.cluster, nodeNames(snap))
	}
	m := &move{conductor: c, cfg: *c.cfg.Load(), from: lifeOf(snap), to: to, managed: true}
	c.emit(event.Event{Kind: event.SwitchoverStarted, From: string(m.from.node), To: string(to), Reason: "failover"})
	v := &verdict{move: m, vacant: true}
	proven, err := c.asked(ctx, v, func(ctx context.Context) error { return c.deps.Agents.Failover(ctx, to) })
	if err != nil {
		c.emit(event.Event{Kind: event.SwitchoverFailed, From: string(m.from.node), To: string(to), Reason: err.Error()})
		return err
	}
	c.emit(event.Event{Kind: event.SwitchoverDone, From: string(m.from.node), To: string(proven.Primary)})
	if proven.Primary != to {
		return fmt.Errorf("%s is the primary now, not %s", proven.Primary, to)
	}
	return nil
}

// asked gives the manager an order and watches the cluster meanwhile: its answer may come long after the new primary is proven, or not at
// all. It returns the snapshot that proves the new primary, which pool and report know then.
func (c *Conductor) asked(ctx context.Context, v *verdict, order func(context.Context) error) (*topology.Snapshot, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.move.cfg.SwitchTimeout)
	answered, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		answered <- order(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	changed, stop := c.deps.Topology.Subscribe()
	defer stop()
	for {
		snap := c.deps.Topology.Snapshot()
		if over, err := v.over(snap); over {
			return snap, err
		}
		select {
		case <-changed:
		case v.answer = <-answered:
			v.answered = true
		case <-ctx.Done():
			return nil, v.unclear()
		}
	}
}

// verdict finds out what has become of an order to the manager.
type verdict struct {
	move     *move
	answered bool
	answer   error
	vacant   bool // there was no primary before: nobody is held for the order, and nobody has to leave
	seen     bool // the request stood in the DCS
	leaving  bool // the old primary was seen to go
}

// over looks at a snapshot and reports whether the order is done, without an error, or has come to nothing.
func (v *verdict) over(s *topology.Snapshot) (bool, error) {
	m := v.move
	v.seen = v.seen || s.Asked.Pending
	switch {
	case s.Primary != "" && s.Primary == m.to:
		m.conductor.tellAll(s)
		return true, nil
	case m.from.succeeded(s) && s.Primary == m.from.node:
		m.conductor.tellAll(s)
		return true, fmt.Errorf("%s was restarted and is the primary again%s", s.Primary, v.said())
	case m.from.succeeded(s):
		m.conductor.tellAll(s)
		return true, nil
	case v.vacant, m.from.lives(s):
		return v.rejected(s)
	}
	if s.Phase == topology.PhaseLeaderless {
		v.leave()
	}
	return false, nil
}

// rejected judges while nothing has changed.
func (v *verdict) rejected(s *topology.Snapshot) (bool, error) {
	switch {
	case !v.answered || v.answer == nil: // it may still have to begin
	case errors.Is(v.answer, ErrRefused), errors.Is(v.answer, ErrFailed):
		return true, v.answer
	case v.seen && !s.Asked.Pending:
		return true, fmt.Errorf("the request to Patroni is gone, and the primary is the same%s", v.said())
	}
	return false, nil
}

// leave takes the old primary from pinned sessions once it is on its way out, not merely in doubt: they are told why, instead of losing
// it in the middle of their next unit of work.
func (v *verdict) leave() {
	m := v.move
	if !v.leaving {
		v.leaving = true
		m.conductor.noteCut(m.conductor.deps.Pool.Cut(m.conductor.cluster, m.from.node, event.CutSwitchover))
	}
}

// unclear says what is known when the time is over.
func (v *verdict) unclear() error {
	return fmt.Errorf("no other primary is proven after %s: look at Patroni%s", v.move.cfg.SwitchTimeout, v.said())
}

// said is the manager's answer as part of an error.
func (v *verdict) said() string {
	switch {
	case !v.answered:
		return " (it has not answered)"
	case v.answer == nil:
		return " (it says that it is done)"
	}
	return " (it says: " + v.answer.Error() + ")"
}
