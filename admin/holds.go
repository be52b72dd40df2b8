package admin

import (
	"context"
	"errors"
	"strings"

	"github.com/pgrouter/pgrouter/failover"
	"github.com/pgrouter/pgrouter/pgwire"
)

// clusterNamed is the cluster that a command means.
func (a *Admin) clusterNamed(name string) (string, error) {
	cluster := a.sole(name)
	if a.isCluster(cluster) {
		return cluster, nil
	}
	if name == "" {
		return "", pgwire.ErrConsoleState.New("There are several.", "the name of a cluster is missing")
	}
	return "", pgwire.ErrConsoleUnknown.New("SHOW NODES has those that are there.", "cluster", name)
}

func (a *Admin) isCluster(name string) bool {
	for _, s := range a.world.Clusters() {
		if string(s.Cluster) == name {
			return true
		}
	}
	return false
}

// hold holds new work and answers when no other runs. The hold stays, also when that does not come to pass in time; a cancel request takes
// it back.
func hold(ctx context.Context, a *Admin, by string, args []string) ([]*pgwire.Error, error) {
	said, err := ofHold(1, "cluster", "FOR", "WAIT").read(args)
	if err != nil {
		return nil, err
	}
	cluster, err := a.clusterNamed(said.name())
	if err != nil {
		return nil, err
	}
	order := HoldOrder{Cluster: cluster, HoldOrder: failover.HoldOrder{ID: OperatorID, By: by, Lease: DefaultLease}}
	if lease, given := said.times["FOR"]; given {
		order.Lease = lease
	}
	order.Wait = min(DefaultWait, order.Lease)
	if wait, given := said.times["WAIT"]; given {
		order.Wait = wait
	}
	if wrong, ok := errors.AsType[*mistake](order.check()); ok {
		return nil, pgwire.ErrConsoleState.New(wrong.hint, wrong.problem)
	}
	held, err := a.actions.Hold(ctx, order)
	if errors.Is(context.Cause(ctx), errCancelled) {
		_, undone := a.actions.Release(a.life, ReleaseOrder{Cluster: cluster, ID: order.ID})
		return nil, errors.Join(pgwire.ErrCancelled.New(""), undone)
	}
	if err == nil && !held.Everywhere() {
		err = pgwire.ErrConsoleHeld.New(describeHeld(&held), order.Wait.String(), timeText(held.Until))
	}
	return nil, err
}

// describeHeld lists what still runs, or is not known, here and at the peers.
func describeHeld(h *Held) string {
	lines := describeBlockers(h.InTheWay())
	for _, p := range h.Peers {
		if p.Err != nil {
			lines = append(lines, "peer "+p.Peer+": "+p.Err.Error())
		}
	}
	return strings.Join(lines, "\n")
}

func describeBlockers(all []failover.Blocker) (lines []string) {
	for _, b := range all {
		lines = append(lines, b.String())
	}
	return lines
}

// release ends the holds that were ordered.
func release(ctx context.Context, a *Admin, _ string, args []string) ([]*pgwire.Error, error) {
	cluster := first(args)
	if cluster != "" && !a.isCluster(cluster) {
		return nil, pgwire.ErrConsoleUnknown.New("SHOW NODES has those that are there.", "cluster", cluster)
	}
	ended, err := a.actions.Release(ctx, ReleaseOrder{Cluster: cluster})
	if err != nil || ended > 0 {
		return nil, err
	}
	return []*pgwire.Error{pgwire.NoticeNotHeld.New("")}, nil
}

// switchover moves the primary. A single name is that of a cluster if there is one: those of nodes end with their port.
func switchover(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	said, err := ofHold(2, "node and a cluster", "WITHIN").read(args)
	if err != nil {
		return nil, err
	}
	if len(said.names) == 1 && a.isCluster(said.names[0]) {
		said.names = []string{"", said.names[0]}
	}
	cluster, err := a.clusterNamed(second(said.names))
	if err != nil {
		return nil, err
	}
	err = a.actions.Switchover(ctx, cluster, said.name(), said.times["WITHIN"])
	if blocked, ok := errors.AsType[*failover.BlockedError](err); ok {
		return nil, pgwire.ErrConsoleBlocked.New(strings.Join(describeBlockers(blocked.Blockers), "\n"), blocked.Within.String())
	}
	return nil, err
}

// moveTo is FAILOVER.
func moveTo(ctx context.Context, a *Admin, args []string) ([][]string, error) {
	if len(args) == 0 {
		return nil, pgwire.ErrConsoleSyntax.New("The name of a node is missing, as SHOW NODES prints it.", "failover")
	}
	cluster, err := a.clusterNamed(second(args))
	if err != nil {
		return nil, err
	}
	return nil, a.actions.Failover(ctx, cluster, args[0])
}

func second(args []string) string { return first(args[min(1, len(args)):]) }
