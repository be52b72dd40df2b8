package drill

import (
	"context"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// CutOffPrimary pulls the cable of the primary's node: it reaches neither etcd nor the other nodes, and no router reaches it. It goes on as a
// primary, which the unix socket shows, until its agent has given up. When another leads, the cable is put back, and the routers see a standby.
// That it follows is left to Patroni: 3.0.2 was seen to leave it waiting for a piece of log that nobody has.
func CutOffPrimary(ctx context.Context, s *Scene) {
	s.Must(s.Leader.Place().Unplug())
	s.Must(s.Leader.Exec(ctx, "SET synchronous_commit = local", "INSERT INTO drill_direct VALUES (clock_timestamp())"))
	s.AwaitLeader(ctx)
	s.AwaitWrites(steadyAnswers)
	s.Must(s.Leader.Place().Plug())
	s.awaitStandby(s.Leader)
}

// awaitStandby waits until every router sees a node as a standby.
func (s *Scene) awaitStandby(n *testcluster.PatroniNode) {
	s.T.Helper()
	for _, r := range s.Routers {
		s.Await("the router sees "+n.String()+" as a standby", func() bool {
			for _, seen := range r.View().Clusters[0].Nodes {
				if seen.Node == s.address(n) {
					return seen.Role == "standby" && seen.Health == "up"
				}
			}
			return false
		})
	}
}

// CutOffUnwatched does the same to a node whose agent hangs: nobody demotes it, and it is a primary still when its cable is put back. What
// lay in the routers' sockets then must not arrive any more.
func CutOffUnwatched(ctx context.Context, s *Scene) {
	s.Leader.StopAgent()
	s.Must(s.Leader.Place().Unplug())
	s.AwaitLeader(ctx)
	s.AwaitWrites(steadyAnswers)
	s.alone(ctx, func() { s.Must(s.Leader.Place().Plug()) })
}

// PartRouters takes etcd and the standby that is to follow out of the routers' sight, who keep the primary as long as it says itself that it
// leads. Then it is killed: no router moves on without etcd, or to a node that it does not see.
func PartRouters(ctx context.Context, s *Scene) {
	next := s.Candidate(ctx)
	s.partRouters(s.Cluster.EtcdPlace(0), true)
	s.partRouters(next.Place(), true)
	s.Pass(ctx, s.Cluster.TTL()+time.Second)
	s.AwaitWrites(steadyAnswers)
	s.Leader.Kill9()
	s.awaitView(ctx, func(v testcluster.PatroniView) bool { return v.Leader() == next })
	s.AwaitWaiting()
	s.partRouters(s.Cluster.EtcdPlace(0), false)
	for _, r := range s.Routers {
		s.Await("the router hears etcd again", func() bool { return r.Metrics()["pgrouter_cluster_dcs_up"] == 1 })
	}
	s.AwaitWaiting()
	s.partRouters(next.Place(), false)
	s.AwaitServed(next)
	s.AwaitWrites(steadyAnswers)
	s.bringBack(ctx, s.Leader)
}

// partRouters lets nothing pass between the routers and a place, or lets it pass again.
func (s *Scene) partRouters(from *testcluster.Place, part bool) {
	s.T.Helper()
	for _, r := range s.Routers {
		if part {
			s.Must(r.Place().Part(from))
		} else {
			s.Must(r.Place().Meet(from))
		}
	}
}

// awaitArrival waits until nothing that a router has sent to a node is under way any more.
func (s *Scene) awaitArrival(n *testcluster.PatroniNode) {
	s.T.Helper()
	for _, r := range s.Routers {
		s.Await("all that the router has sent is there, or is given up", func() bool { return r.Unsent(s.address(n)) == 0 })
	}
}
