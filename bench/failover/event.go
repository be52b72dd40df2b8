package main

import (
	"context"
	"errors"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// event is something that happens to the cluster.
type event struct {
	key, title string
	orders     bool // only for stacks that can be asked for a switchover
	resets     bool // the primary's machine has to be reset afterwards
	act        func(ctx context.Context, p *scene) error
}

func (e event) name() string { return e.key }

func events() []event {
	return []event{
		{key: "switchover", title: "planned switchover", act: askPatroni},
		{key: "order", title: "planned switchover, asked of pgrouter", orders: true, act: askStack},
		{key: "kill", title: "kill -9 of the primary's node", resets: true, act: kill},
		{key: "freeze", title: "SIGSTOP of the primary's node", resets: true, act: freeze},
	}
}

// askPatroni makes the synchronous standby the leader.
func askPatroni(ctx context.Context, p *scene) error {
	to, err := p.candidate(ctx)
	if err != nil {
		return err
	}
	return p.site.cluster.Switchover(ctx, to)
}

// askStack lets the stack do the same.
func askStack(ctx context.Context, p *scene) error {
	to, err := p.candidate(ctx)
	if err != nil {
		return err
	}
	return p.front.order(ctx, to)
}

// candidate is the synchronous standby: Patroni takes no other.
func (p *scene) candidate(ctx context.Context) (*testcluster.PatroniNode, error) {
	if to := p.site.cluster.View(ctx).Synchronous(); to != nil {
		return to, nil
	}
	return nil, errors.New("no standby is synchronous")
}

func kill(_ context.Context, p *scene) error {
	p.leader.Kill9()
	return nil
}

func freeze(_ context.Context, p *scene) error {
	p.leader.Stop()
	return nil
}
