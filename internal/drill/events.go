package drill

import (
	"context"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Event is something that happens to a cluster. It returns when the trouble is over: somebody leads, each router has seen it, and all nodes
// are back.
type Event func(ctx context.Context, s *Scene)

// KillPrimary kills the primary with its agent, and brings it back when another leads.
func KillPrimary(ctx context.Context, s *Scene) {
	s.Leader.Kill9()
	s.AwaitLeader(ctx)
	s.AwaitWrites(steadyAnswers)
	s.bringBack(ctx, s.Leader)
}

// KillAheadOfStandbys kills the primary when it has written for a moment what no standby has received. What lies in their sockets dies with
// their PostgreSQL, which their agents start again. It is over when the old primary is a standby: the other one may have received more than the
// new primary, and Patroni 3.0.2 was seen to leave it waiting for a piece of log that nobody has.
func KillAheadOfStandbys(ctx context.Context, s *Scene) {
	for _, n := range s.Standbys() {
		n.StopPostgres()
	}
	s.Pass(ctx, time.Second)
	s.Leader.Kill9()
	for _, n := range s.Standbys() {
		n.KillPostgres()
	}
	s.AwaitLeader(ctx)
	s.AwaitWrites(steadyAnswers)
	limited, cancel := limit(ctx)
	defer cancel()
	s.Must(s.Leader.Restart(limited))
	s.awaitStandby(s.Leader)
}

// KillPostgres kills the primary's PostgreSQL alone; its agent starts it again, or lets another lead.
func KillPostgres(ctx context.Context, s *Scene) {
	s.Leader.KillPostgres()
	s.AwaitReady(ctx)
	s.AwaitServed(s.leader(ctx))
}

// KillAgent kills the primary's agent alone, and starts another one, to which PostgreSQL does not matter: it went on.
func KillAgent(ctx context.Context, s *Scene) {
	s.Leader.KillAgent()
	s.AwaitWrites(steadyAnswers)
	s.restart(ctx, s.Leader)
}

// FreezePrimary lets the machine of the primary hang: TCP lives, nobody answers. Its agent never wakes: Patroni 3.0.2 would let it write its
// name over the new leader's. PostgreSQL does, as a second node that takes writes, and its late answers must reach nobody.
func FreezePrimary(ctx context.Context, s *Scene) {
	s.Leader.Stop()
	s.AwaitLeader(ctx)
	s.AwaitWrites(steadyAnswers)
	s.Leader.KillAgent()
	s.alone(ctx, func() { s.Leader.Cont() })
}

// FreezeAgent lets the agent of the primary hang. Its lease ends, another node is promoted, and PostgreSQL goes on taking writes.
func FreezeAgent(ctx context.Context, s *Scene) {
	s.Leader.StopAgent()
	s.AwaitLeader(ctx)
	s.alone(ctx, func() {})
}

// BackAlone kills the primary, and has it started by somebody who does not know of Patroni when another leads.
func BackAlone(ctx context.Context, s *Scene) {
	s.Leader.Kill9()
	s.AwaitLeader(ctx)
	s.alone(ctx, func() { s.Must(s.Leader.StartAlone(ctx)) })
}

// alone lets the old primary take writes beside the new one: the routers raise an alarm, and nobody writes there.
func (s *Scene) alone(ctx context.Context, rise func()) {
	s.T.Helper()
	since := time.Now()
	rise()
	s.AwaitAlarm()
	s.AwaitWrites(steadyAnswers)
	s.awaitArrival(s.Leader)
	if n := s.Written(ctx, s.Leader, since); n > 0 {
		s.T.Errorf("%d rows were written on the old primary", n)
	}
	s.Leader.Kill9()
	s.bringBack(ctx, s.Leader)
}

// bringBack starts a node that was killed with its agent, and waits until it replicates and is seen.
func (s *Scene) bringBack(ctx context.Context, n *testcluster.PatroniNode) {
	s.T.Helper()
	s.restart(ctx, n)
	s.awaitAllSeen()
}

// awaitAllSeen waits until every router sees every node.
func (s *Scene) awaitAllSeen() {
	s.T.Helper()
	nodes := float64(len(s.Cluster.Nodes()))
	for _, r := range s.Routers {
		s.Await("the router sees all nodes", func() bool { return r.Metrics()["pgrouter_node_up"] == nodes })
	}
}

// restart starts another agent, and waits until the cluster is whole.
func (s *Scene) restart(ctx context.Context, n *testcluster.PatroniNode) {
	s.T.Helper()
	limited, cancel := limit(ctx)
	defer cancel()
	s.Must(n.Restart(limited))
	s.AwaitReady(ctx)
}

// StaleKey kills the primary while the leader's key stays. All others are standbys: nobody may write, and nobody is asked to.
func StaleKey(ctx context.Context, s *Scene) {
	s.Must(s.Cluster.SeizeLeaderKey(ctx, s.Leader))
	s.Leader.Kill9()
	s.AwaitWaiting()
	s.Pass(ctx, s.Cluster.TTL())
	for _, n := range s.Standbys() {
		status, err := n.Status(ctx)
		s.Must(err)
		if !status.InRecovery {
			s.T.Errorf("%v was promoted, although the key names another", n)
		}
	}
	s.Must(s.Cluster.ReleaseLeaderKey(ctx))
	s.AwaitLeader(ctx)
	s.bringBack(ctx, s.Leader)
}

// EtcdAway takes etcd away for so long.
func EtcdAway(d time.Duration) Event {
	return func(ctx context.Context, s *Scene) {
		s.Cluster.StopEtcd()
		s.Pass(ctx, d)
		s.startEtcd(ctx)
		s.awaitView(ctx, func(v testcluster.PatroniView) bool { return v.Leader() != nil && !v.Of(v.Leader()).FailsafeActive })
		s.AwaitReady(ctx)
	}
}

func (s *Scene) startEtcd(ctx context.Context) {
	s.T.Helper()
	ctx, cancel := limit(ctx)
	defer cancel()
	s.Must(s.Cluster.StartEtcd(ctx))
}

// NoPrimary takes etcd away from a cluster without failsafe mode: Patroni makes all nodes standbys. It comes back when a hold has ended.
func NoPrimary(ctx context.Context, s *Scene) {
	s.Cluster.StopEtcd()
	s.awaitView(ctx, func(v testcluster.PatroniView) bool { return v.Of(s.Leader).Answered && !v.Of(s.Leader).Primary })
	s.AwaitWaiting()
	s.Await("a hold ends", func() bool { return s.Routers[0].View().Totals.HoldExpired > 0 })
	s.startEtcd(ctx)
	s.AwaitServed(s.leader(ctx))
	s.AwaitReady(ctx)
}

// KillStandbys kills one standby after the other, each with its agent.
func KillStandbys(ctx context.Context, s *Scene) {
	for _, n := range s.Standbys() {
		n.Kill9()
		s.AwaitWrites(steadyAnswers)
		s.bringBack(ctx, n)
	}
}

// LateStandby lets a standby replay nothing for so long.
func LateStandby(d time.Duration) Event {
	return func(ctx context.Context, s *Scene) {
		n := s.Standbys()[0]
		s.Must(n.Exec(ctx, "SELECT pg_wal_replay_pause()"))
		s.Pass(ctx, d)
		s.Must(n.Exec(ctx, "SELECT pg_wal_replay_resume()"))
	}
}

// Switchover has Patroni asked for another leader past the routers, as patronictl does.
func Switchover(ctx context.Context, s *Scene) { s.handOver(ctx, s.Cluster.Switchover) }

// SwitchoverByRouter has a router asked for it.
func SwitchoverByRouter(ctx context.Context, s *Scene) {
	s.handOver(ctx, func(ctx context.Context, to *testcluster.PatroniNode) error {
		return s.Routers[0].Switchover(ctx, s.address(to))
	})
}

// handOver asks for another leader until it is granted: which standby is the synchronous one may just be changing.
func (s *Scene) handOver(ctx context.Context, ask func(ctx context.Context, to *testcluster.PatroniNode) error) {
	s.T.Helper()
	limited, cancel := limit(ctx)
	defer cancel()
	to := s.Candidate(limited)
	err := ask(limited, to)
	for ; err != nil && strings.Contains(err.Error(), "sync_standby"); err = ask(limited, to) {
		s.Log("refused: %v", err)
		s.Pass(limited, time.Second)
		to = s.Candidate(limited)
	}
	s.Must(err)
	s.Log("handed over to %v", to)
	s.AwaitServed(to)
	s.AwaitReady(ctx)
}

// CutOffFromRouters takes first a standby, then the primary out of the routers' sight; nobody else notices.
func CutOffFromRouters(ctx context.Context, s *Scene) {
	standby := s.Standbys()[0]
	s.Net.FromRouters(standby, true)
	s.AwaitWrites(steadyAnswers)
	s.Net.FromRouters(standby, false)
	s.Net.FromRouters(s.Leader, true)
	s.Await("the router misses the primary", func() bool { return s.Routers[0].View().Clusters[0].Primary == "" })
	s.Pass(ctx, s.Cluster.TTL())
	s.Net.FromRouters(s.Leader, false)
	s.AwaitServed(s.Leader)
}

// CutOffFromEtcd takes etcd away from the first leader alone: Patroni takes it down, and promotes another.
func CutOffFromEtcd(ctx context.Context, s *Scene) {
	s.Net.FromEtcd(0, true)
	s.AwaitLeader(ctx)
	s.AwaitWrites(steadyAnswers)
	s.Net.FromEtcd(0, false)
	s.AwaitReady(ctx)
}
