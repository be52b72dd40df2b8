package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

const (
	eventLimit = 3 * time.Minute
	calm       = 3 * time.Second        // of the clients, before something happens
	recovery   = 8 * time.Second        // for health checks to see that all nodes are back
	lookEvery  = 100 * time.Millisecond //
)

// scene is one event with the stack in front and the clients of that event.
type scene struct {
	site    *site
	front   *front
	event   event
	leader  *testcluster.PatroniNode // the one that it happens to
	clients *clients
	watch   watch
	begun   time.Time
}

// play lets one event happen to a stack and its clients.
func play(ctx context.Context, s *site, f *front, e event) (result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, eventLimit, fmt.Errorf("not over within %v", eventLimit))
	defer cancel()
	if err := f.await(ctx); err != nil {
		return result{}, err
	}
	leader, err := s.cluster.Leader(ctx)
	if err != nil {
		return result{}, err
	}
	c, err := startClients(ctx, f, s.options.rate)
	if err != nil {
		return result{}, err
	}
	defer c.end()
	p := &scene{site: s, front: f, event: e, leader: leader, clients: c}
	r, err := p.perform(ctx)
	if err != nil {
		return result{}, err
	}
	c.end()
	err = p.prove(ctx, &r)
	return r, err
}

// perform is the event from the calm before it to the calm behind it.
func (p *scene) perform(ctx context.Context) (result, error) {
	watching, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	p.clients.group.Go(func() { p.watch.run(watching, p.site.cluster) })
	if err := until(ctx, func() bool { return p.clients.served(time.Time{}) }); err != nil {
		return result{}, fmt.Errorf("before anything happened: %w", err)
	}
	if err := pause(ctx, calm); err != nil {
		return result{}, err
	}
	p.begun = time.Now()
	p.clients.mark("event", true)
	if err := p.happen(ctx); err != nil {
		return result{}, err
	}
	if err := p.heal(ctx); err != nil {
		return result{}, err
	}
	return result{event: p.event.title, own: p.watch.gap(p.begun)}, nil
}

// happen lets the event happen and waits until another node leads and clients are served by it.
func (p *scene) happen(ctx context.Context) error {
	if err := p.event.act(ctx, p); err != nil {
		return err
	}
	if _, err := p.site.cluster.AwaitLeader(ctx, p.leader); err != nil {
		return err
	}
	since := time.Now()
	return until(ctx, func() bool { return p.clients.served(since) })
}

// heal brings a node that was killed or frozen back, as a machine that was switched off and on, and waits until the stacks' health checks
// have seen that all is as it should be. What clients feel of that belongs to the event.
func (p *scene) heal(ctx context.Context) error {
	if p.event.resets {
		p.leader.Kill9()
		if err := p.leader.Restart(ctx); err != nil {
			return err
		}
		if err := p.front.revive(ctx, p.leader); err != nil {
			return err
		}
	}
	if err := p.site.cluster.AwaitReady(ctx); err != nil {
		return err
	}
	return pause(ctx, recovery)
}

// prove fills in what the clients saw, and what is there of what they wrote. They have ended.
func (p *scene) prove(ctx context.Context, r *result) error {
	r.take(p.clients, p.begun)
	leader, err := p.site.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	r.lost, r.doubled, err = p.clients.verify(ctx, leader)
	return err
}

// until waits for a condition, or for the end of ctx.
func until(ctx context.Context, condition func() bool) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// pause waits that long, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
