package testcluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// watchEvery is how often the supervisor looks for standbys that went away and for a promotion made by others.
	watchEvery          = 20 * time.Millisecond
	defaultPlannedGrace = 10 * time.Second
	defaultRetry        = time.Second
	rejoinLimit         = time.Minute
	askLimit            = 30 * time.Second
)

// SupervisionKind names what a supervisor saw or did.
type SupervisionKind string

// What a supervisor reports, in the order of a failover.
const (
	PrimaryKilled  SupervisionKind = "primary_killed"  // the primary's postmaster ended without an orderly shutdown
	PrimaryStopped SupervisionKind = "primary_stopped" // the primary was shut down in order
	Promoting      SupervisionKind = "promoting"       // the freshest standby is being promoted
	Promoted       SupervisionKind = "promoted"        // it accepts writes, whoever promoted it
	NodeRejoined   SupervisionKind = "node_rejoined"   // a node that was down is a standby again
	SupervisionErr SupervisionKind = "error"           // something failed and is tried again
)

// Supervision is one report of a supervisor.
type Supervision struct {
	Time time.Time
	Kind SupervisionKind
	Node *Node
	Err  error
}

// SupervisorOptions say how a supervisor acts. The zero value acts at once.
type SupervisorOptions struct {
	Delay        time.Duration     // from the primary's death to the promotion: what a consensus store's lease would take
	PlannedGrace time.Duration     // after an orderly stop, how long others have to promote first; 10 s when 0
	RejoinDelay  time.Duration     // how long a node stays down at least
	Notify       func(Supervision) // called from Run's goroutine; must not block. May be nil
}

// Supervisor stands in for Patroni in a cluster without a consensus store: it watches the primary's process, promotes the
// freshest standby when it is gone, points the others at it and brings dead nodes back as standbys. There must be one at
// most per cluster.
type Supervisor struct {
	cluster *Cluster
	options SupervisorOptions
	downAt  map[*Node]time.Time // since when a node is not running, or not to be tried before; Run's goroutine only
}

// NewSupervisor makes a supervisor; Run starts it.
func NewSupervisor(c *Cluster, options SupervisorOptions) *Supervisor {
	if options.PlannedGrace == 0 {
		options.PlannedGrace = defaultPlannedGrace
	}
	if options.Notify == nil {
		options.Notify = func(Supervision) {}
	}
	return &Supervisor{cluster: c, options: options, downAt: map[*Node]time.Time{}}
}

// Run supervises until ctx ends.
func (s *Supervisor) Run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		primary := s.cluster.Primary()
		select {
		case <-ctx.Done():
		case <-primary.Exited():
			s.report(s.replace(ctx, primary), primary)
		case <-tick.C:
			s.bringBack(ctx, primary)
		}
	}
}

func (s *Supervisor) notify(kind SupervisionKind, n *Node) {
	s.options.Notify(Supervision{Time: time.Now(), Kind: kind, Node: n})
}

func (s *Supervisor) report(err error, n *Node) {
	if err != nil && !errors.Is(err, context.Canceled) {
		s.options.Notify(Supervision{Time: time.Now(), Kind: SupervisionErr, Node: n, Err: err})
	}
}

// replace finds or makes a new primary after the old one ended.
func (s *Supervisor) replace(ctx context.Context, old *Node) error {
	if old.StoppedCleanly() {
		s.notify(PrimaryStopped, old)
		if next := s.awaitOthers(ctx, old); next != nil {
			return s.settle(old, next)
		}
	} else {
		s.notify(PrimaryKilled, old)
		if err := pause(ctx, s.options.Delay); err != nil {
			return err
		}
	}
	if ctx.Err() != nil || old.Running() {
		return ctx.Err()
	}
	return s.promote(ctx, old)
}

// awaitOthers gives whoever stopped the primary the time to promote another; nil when nobody did.
func (s *Supervisor) awaitOthers(ctx context.Context, old *Node) *Node {
	ctx, cancel := context.WithTimeout(ctx, s.options.PlannedGrace)
	defer cancel()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if next, err := s.cluster.FindPrimary(ctx); err == nil {
			return next
		}
		if old.Running() {
			return old
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Supervisor) promote(ctx context.Context, old *Node) error {
	next := s.freshest(ctx)
	if next == nil {
		return s.revive(ctx, old)
	}
	s.notify(Promoting, next)
	// Pointed at it before it is promoted they go on with its new timeline without a pause.
	if err := s.follow(old, next); err != nil {
		return err
	}
	if err := next.Promote(ctx); err != nil {
		return err
	}
	return s.settle(old, next)
}

// revive starts the only node that has the data again.
func (s *Supervisor) revive(ctx context.Context, old *Node) error {
	if err := old.Start(ctx); err != nil {
		return errors.Join(err, pause(ctx, defaultRetry))
	}
	s.notify(Promoted, old)
	return nil
}

func (s *Supervisor) settle(old, next *Node) error {
	s.notify(Promoted, next)
	s.downAt[old] = time.Now()
	return s.follow(old, next)
}

func (s *Supervisor) follow(old, next *Node) error {
	for _, n := range s.cluster.Nodes() {
		if n == old || n == next || !n.Running() {
			continue
		}
		if err := n.Follow(next); err != nil {
			return err
		}
	}
	return nil
}

// freshest returns the running standby that received most of the log, or nil. Each of them must have been asked, or a
// commit that only the silent one has would be lost; one that does not answer within askLimit is passed over.
func (s *Supervisor) freshest(ctx context.Context) *Node {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	received := map[*Node]LSN{}
	// What is missing when the time is over is passed over, so that the error says nothing new.
	_ = poll(ctx, func() (bool, error) { return s.ask(ctx, received), nil })
	var best *Node
	for _, n := range s.cluster.Standbys() {
		lsn, answered := received[n]
		if answered && n.Running() && (best == nil || lsn > received[best]) {
			best = n
		}
	}
	return best
}

// ask fills in what the running standbys received and reports whether all of them have answered.
func (s *Supervisor) ask(ctx context.Context, received map[*Node]LSN) bool {
	complete := true
	for _, n := range s.cluster.Standbys() {
		if _, known := received[n]; known || !n.Running() {
			continue
		}
		status, err := n.Status(ctx)
		if err != nil {
			complete = false
			continue
		}
		if status.InRecovery {
			received[n] = status.ReceiveLSN
		}
	}
	return complete
}

// bringBack makes one node that is down a standby again, once its time has come. It gives up when the primary ends.
func (s *Supervisor) bringBack(ctx context.Context, primary *Node) {
	for _, n := range s.cluster.Standbys() {
		if n.Running() {
			delete(s.downAt, n)
			continue
		}
		since, known := s.downAt[n]
		if !known {
			s.downAt[n] = time.Now()
			continue
		}
		if time.Since(since) < s.options.RejoinDelay {
			continue
		}
		if err := s.rejoin(ctx, n, primary); err != nil {
			s.downAt[n] = time.Now().Add(defaultRetry)
			s.report(err, n)
			return
		}
		s.notify(NodeRejoined, n)
		return
	}
}

func (s *Supervisor) rejoin(ctx context.Context, n, primary *Node) error {
	ctx, cancel := context.WithTimeout(ctx, rejoinLimit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-primary.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := n.Rejoin(ctx, primary)
	cancel()
	<-done
	if err != nil {
		return fmt.Errorf("rejoin: %w", err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
