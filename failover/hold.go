package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

// The bounds of an order to hold.
const (
	LeastLease = time.Second
	MostLease  = 5 * time.Minute

	mostHolds = 64  // at once
	mostID    = 128 // bytes
)

// requestHold is the ID of the hold that a request to Patroni begins.
const requestHold = "request"

// The ways in which an order to hold is refused, besides a faulty order.
var (
	ErrTooManyHolds = fmt.Errorf("there are %d holds of this cluster already: release some (see SHOW HOLDS)", mostHolds)
	ErrNotYours     = errors.New("the router itself has begun a hold of that ID: choose another")
	ErrHoldOver     = errors.New("the hold has ended before running work had: it was released, or another primary is proven")
)

// Hold is a hold in force: while there is one, no new unit of work begins on the primary.
type Hold struct {
	ID    string
	By    string
	Why   event.HoldReason
	Since time.Time
	Until time.Time // when it ends by itself
}

// hold is a Hold with what ends it.
type hold struct {
	Hold
	of     life               // what has to be over before it has done its purpose
	seq    uint64             // of the snapshot that told of that life: older ones say nothing of its end
	own    bool               // of a switchover that is under way here, which ends it
	stays  bool               // also when its purpose seems to be done
	warmed int                // connections to the candidate that were begun for it
	over   context.Context    //nolint:containedctx // ends with it: somebody may wait until it has drained
	finish context.CancelFunc // ends over
}

// life is one life of a primary: from a start, or a promotion, to the next.
type life struct {
	node        topology.NodeID
	incarnation topology.Incarnation
}

// lifeOf returns the life of the primary, or of the last one while there is none.
func lifeOf(s *topology.Snapshot) life {
	l := life{node: formerPrimary(s)}
	if n := s.Node(l.node); n != nil {
		l.incarnation = n.Incarnation
	}
	return l
}

// succeeded reports whether a primary is proven that is another node, or the same in another life: Patroni's before_stop runs when it
// merely restarts the server, too.
func (l life) succeeded(s *topology.Snapshot) bool { return s.Primary != "" && lifeOf(s) != l }

// lives reports whether the primary is the same as ever.
func (l life) lives(s *topology.Snapshot) bool { return s.Primary != "" && lifeOf(s) == l }

func (o *HoldOrder) validate() error {
	switch {
	case o.ID == "" || len(o.ID) > mostID:
		return fmt.Errorf("a hold needs an ID of 1 to %d bytes: who orders again with the same ID renews it", mostID)
	case o.Lease < LeastLease || o.Lease > MostLease:
		return fmt.Errorf("a lease of %s: a hold ends by itself after %s to %s", o.Lease, LeastLease, MostLease)
	case o.Wait < 0 || o.Wait > MostLease:
		return fmt.Errorf("a wait of %s for running work: it may be 0 to %s", o.Wait, MostLease)
	}
	return nil
}

// Hold lets no new unit of work begin on the primary and waits up to o.Wait for running ones. The hold stays until its lease ends, until
// Release, or until it has done its purpose: another primary is proven, or the same one after a restart.
func (c *Conductor) Hold(ctx context.Context, o HoldOrder) (Held, error) {
	if err := o.validate(); err != nil {
		return Held{}, err
	}
	h, err := c.beginHold(hold{Hold: Hold{ID: o.ID, By: o.By, Why: event.HoldOrdered}}, c.deps.Topology.Snapshot(), o.Lease)
	if err != nil {
		return Held{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	defer context.AfterFunc(h.over, cancel)()
	blockers, quiet := c.quiet(waiting, h.of.node)
	if !quiet && h.over.Err() != nil {
		return Held{Blockers: blockers}, ErrHoldOver
	}
	return Held{Until: c.leaseOf(o.ID), Drained: quiet, Blockers: blockers}, nil
}

// Release ends holds that orders, or a request to Patroni, have begun: that of an ID, or with "" all that orders have. It returns how many.
func (c *Conductor) Release(id string) (ended int) {
	return c.endHolds(func(h *hold) string {
		if h.own || id != h.ID && (id != "" || h.Why != event.HoldOrdered) {
			return ""
		}
		return "released"
	})
}

// Holds returns those in force, the oldest first.
func (c *Conductor) Holds() []Hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Hold, 0, len(c.mu.holds))
	for _, h := range c.mu.holds {
		all = append(all, h.Hold)
	}
	return all
}

// quiet waits until no unit of work runs on a node, as long as ctx lasts. If some still do it returns whose they are.
func (c *Conductor) quiet(ctx context.Context, node topology.NodeID) ([]Blocker, bool) {
	if node == "" || c.deps.Pool.WaitQuiet(ctx, c.cluster, node) == nil {
		return nil, true
	}
	blockers := c.deps.Pool.Blockers(c.cluster, node)
	slices.SortStableFunc(blockers, func(a, b Blocker) int { return cmp.Compare(b.For, a.For) })
	return blockers[:min(len(blockers), BlockersTold)], false
}

// beginHold puts a hold in force, or renews the one of its ID. It is for the primary of a snapshot, which may be newer than the one that Run
// has seen last, or older than the newest.
func (c *Conductor) beginHold(h hold, of *topology.Snapshot, lease time.Duration) (*hold, error) {
	h.Since = time.Now()
	h.Until, h.of, h.seq = h.Since.Add(lease), lifeOf(of), of.Seq
	begun, renewed, err := c.enterHold(h)
	if err != nil {
		return nil, err
	}
	if !renewed {
		c.emit(event.Event{Kind: event.HoldBegun, Node: string(h.of.node), From: h.By, Reason: h.Why.String(), Took: lease})
	}
	c.settleDoor()
	return begun, nil
}

func (c *Conductor) enterHold(h hold) (entered *hold, renewed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return nil, false, ErrClosed
	}
	if h.ID == c.mu.moved {
		return nil, false, ErrHoldOver
	}
	for _, known := range c.mu.holds {
		switch {
		case known.ID != h.ID:
		case known.own: // we are among our own peers
			return known, true, nil
		case known.Why != h.Why:
			return nil, false, ErrNotYours
		default:
			known.By, known.Until = h.By, h.Until
			return known, true, nil
		}
	}
	if len(c.mu.holds) >= mostHolds {
		return nil, false, ErrTooManyHolds
	}
	h.over, h.finish = context.WithCancel(context.Background())
	c.mu.holds = append(c.mu.holds, &h)
	return &h, false, nil
}

// leaseOf returns when the hold of an ID ends by itself; zero: there is none.
func (c *Conductor) leaseOf(id string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.mu.holds {
		if h.ID == id {
			return h.Until
		}
	}
	return time.Time{}
}

// endHolds ends those of which it is told how they end.
func (c *Conductor) endHolds(how func(h *hold) string) int {
	ended := c.takeHolds(how)
	if len(ended) == 0 {
		return 0
	}
	c.settleDoor()
	now := time.Now()
	for _, e := range ended {
		e.finish()
		c.emit(event.Event{
			Kind: event.HoldEnded, Node: string(e.of.node), From: e.By, Reason: e.Why.String() + ": " + e.how, Took: now.Sub(e.Since),
		})
	}
	return len(ended)
}

// endedHold is a hold and how it has ended.
type endedHold struct {
	*hold
	how string
}

func (c *Conductor) takeHolds(how func(h *hold) string) (ended []endedHold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.holds = slices.DeleteFunc(c.mu.holds, func(h *hold) bool {
		why := how(h)
		if why != "" {
			ended = append(ended, endedHold{h, why})
		}
		return why != ""
	})
	return ended
}

// expire ends the holds whose leases are over.
func (c *Conductor) expire(now time.Time) {
	c.endHolds(func(h *hold) string {
		if now.Before(h.Until) {
			return ""
		}
		return "its lease is over"
	})
}

// fulfil ends the holds that have done their purpose. The pool knows the snapshot already: who goes on goes to the right node.
func (c *Conductor) fulfil(s *topology.Snapshot) {
	c.endHolds(func(h *hold) string {
		if h.stays || s.Seq < h.seq || !h.of.succeeded(s) {
			return ""
		}
		if strings.HasPrefix(h.ID, switchoverID) {
			c.mu.moved = h.ID
		}
		if h.of.node == s.Primary {
			return "the primary has another life"
		}
		return "another primary is proven"
	})
}

// settleDoor closes or opens the pool's door by what is in force. Who has begun a hold finds it closed when this returns.
func (c *Conductor) settleDoor() {
	c.door.Lock()
	defer c.door.Unlock()
	why := c.whyHeld()
	if why == c.door.why {
		return
	}
	c.door.why = why
	if why == event.HoldNone {
		c.deps.Pool.Resume(c.cluster)
		c.deps.Topology.SetHeld(false)
		return
	}
	c.deps.Topology.SetHeld(true)
	c.deps.Pool.Hold(c.cluster, why)
}

// whyHeld is the reason of the oldest hold in force.
func (c *Conductor) whyHeld() event.HoldReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.holds) == 0 {
		return event.HoldNone
	}
	return c.mu.holds[0].Why
}
