//go:build soak

package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// faults breaks one thing after the other. Each waits for the last to be over: two of three nodes down at once is another
// test's affair.
type faults struct {
	t       *testing.T
	cluster *testcluster.Cluster
	router  *testrouter.Process
	dice    *rand.Rand
	write   string
	console string
}

func (f *faults) one(ctx context.Context) {
	f.whole(ctx)
	all := []struct {
		name string
		do   func(context.Context) error
	}{
		{"kill the primary", func(context.Context) error { f.cluster.Primary().Kill9(); return nil }},
		{"kill the primary's postmaster", func(context.Context) error { f.cluster.Primary().KillPostmaster(); return nil }},
		{"stop the primary immediately", func(ctx context.Context) error { return f.cluster.Primary().StopImmediate(ctx) }},
		{"stop the primary in order", func(ctx context.Context) error { return f.cluster.Primary().StopFast(ctx) }},
		{"switch over", f.switchover},
		{"switch over again", f.switchover},
		{"kill a standby", func(context.Context) error { f.standby().Kill9(); return nil }},
		{"stop a standby in order", func(ctx context.Context) error { return f.standby().StopFast(ctx) }},
		{"freeze a standby", func(ctx context.Context) error { return f.freeze(ctx, f.standby()) }},
		{"freeze the primary", func(ctx context.Context) error { return f.freeze(ctx, f.cluster.Primary()) }},
		{"terminate servers", f.terminate},
		{"pause", f.pause},
		{"reload", f.reload},
	}
	chosen := all[f.dice.IntN(len(all))]
	f.t.Logf("%s fault: %s", time.Now().Format("15:04:05"), chosen.name)
	if err := chosen.do(ctx); err != nil {
		f.t.Errorf("%s: %v", chosen.name, err)
	}
}

func (f *faults) standby() *testcluster.Node {
	standbys := f.cluster.Standbys()
	return standbys[f.dice.IntN(len(standbys))]
}

// whole waits until all nodes replicate and a write goes through the router.
func (f *faults) whole(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	f.router.Await("all nodes are back", recoverLimit, func() bool {
		for _, n := range f.cluster.Nodes() {
			if !n.Running() {
				return false
			}
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return len(f.cluster.Standbys()) == len(f.cluster.Nodes())-1 && f.cluster.WaitReplicas(short) == nil
	})
	f.router.Await("the router has seen all nodes", recoverLimit, func() bool {
		return f.router.Metrics()["pgrouter_node_up"] == float64(len(f.cluster.Nodes()))
	})
	f.router.Await("a write goes through", recoverLimit, func() bool {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		conn, err := pgconn.Connect(short, f.write)
		if err != nil {
			return false
		}
		defer conn.Close(short)
		_, err = conn.Exec(short, "create temp table probe(n int) on commit drop").ReadAll()
		return err == nil
	})
}

// switchover asks for a planned one, again when the standby was late with a heartbeat at that moment.
func (f *faults) switchover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverLimit)
	defer cancel()
	err := f.router.Switchover(ctx, f.standby().Addr())
	for err != nil && strings.Contains(err.Error(), "cannot take over") {
		f.whole(ctx)
		err = f.router.Switchover(ctx, f.standby().Addr())
	}
	return err
}

// freeze stops a node's processes for a moment: TCP lives, nobody answers.
func (f *faults) freeze(ctx context.Context, n *testcluster.Node) error {
	n.Stop()
	defer n.Cont()
	pause := time.NewTimer(time.Duration(1+f.dice.IntN(3)) * time.Second)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	return nil
}

// pause lets an operator pause the database for a moment.
func (f *faults) pause(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, f.console)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "PAUSE app").ReadAll(); err != nil {
		return err
	}
	over := time.NewTimer(time.Duration(1+f.dice.IntN(3)) * time.Second)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
	}
	_, err = conn.Exec(ctx, "RESUME app").ReadAll()
	return err
}

// sizeLine is what a reload changes, and nonsense what makes it fail.
var sizeLine = regexp.MustCompile(`(?m)^size = .*$`)

const nonsense = "nonsense = 1\n"

// reload gives pools another size; now and then the file has a fault, and must change nothing.
func (f *faults) reload(ctx context.Context) error {
	faulty := f.dice.IntN(3) == 0
	size := fmt.Sprint("size = ", 6+f.dice.IntN(6))
	f.router.Rewrite("pgrouter.toml", func(text string) string {
		text = sizeLine.ReplaceAllLiteralString(strings.TrimSuffix(text, nonsense), size)
		if faulty {
			text += nonsense
		}
		return text
	})
	conn, err := pgconn.Connect(ctx, f.console)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "RELOAD").ReadAll()
	if faulty != (err != nil) {
		return fmt.Errorf("reload of a faulty file (%v): %w", faulty, err)
	}
	return nil
}

// terminate ends every server process of the application on the primary.
func (f *faults) terminate(ctx context.Context) error {
	return f.cluster.Primary().Exec(ctx, "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'app'")
}
