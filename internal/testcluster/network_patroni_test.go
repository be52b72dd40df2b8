//go:build patroni

package testcluster_test

import (
	"context"
	"net"
	"os/exec"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
)

// The leader that nobody reaches takes writes until its agent has given up: the unix socket, which needs no cable, shows it.
func TestAPatroniLeaderWhoseCableIsPulledIsReplacedAndComesBack(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict, Apart: true})
	old := c.Node(0)
	must(t, old.Place().Unplug())
	must(t, old.Exec(ctx, "SET synchronous_commit = local", "CREATE TABLE alone()"))
	another(ctx, t, c, old)
	must(t, old.Place().Plug())
	awaitView(ctx, t, c, func(v testcluster.PatroniView) bool { return v.Of(old).Answered && !v.Of(old).Primary })
}

func TestPlacesOfAPatroniClusterThatArePartedReachEverybodyElse(t *testing.T) {
	ctx := limit(t)
	c := clustertest.StartPatroni(t, testcluster.PatroniOptions{Nodes: 1, Apart: true})
	guest, err := c.Guest()
	must(t, err)
	n, etcd := c.Node(0).RESTAddr(), c.Endpoints()[0]
	must(t, dialFrom(ctx, guest, n))
	must(t, guest.Part(c.Node(0).Place()))
	if dialFrom(ctx, guest, n) == nil {
		t.Errorf("the guest reaches %s, from which it was parted", n)
	}
	must(t, dialFrom(ctx, guest, etcd))
	must(t, dialFrom(ctx, nil, n))
	must(t, guest.Meet(c.Node(0).Place()))
	must(t, dialFrom(ctx, guest, n))
}

// dialFrom opens a connection from a place, and closes it. It tries for three seconds.
func dialFrom(ctx context.Context, from *testcluster.Place, to string) error {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "timeout", "3", "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port)
	if err := from.Start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}
