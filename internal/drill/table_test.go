//go:build patroni

package drill

import (
	"context"
	"flag"
	"maps"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	rate   = flag.Float64("rate", 0, "operations per second of each client that writes; 0: 50")
	outage = flag.Duration("outage", 2*time.Minute, "how long etcd is away")
	lag    = flag.Duration("lag", 30*time.Second, "how long a standby replays nothing")
)

// longHold is longer than any failover here takes.
const longHold = 45 * time.Second

// strict is a cluster in which nothing that was acknowledged may be missing, whoever dies.
func strict() testcluster.PatroniOptions {
	return testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict}
}

func size() Size { return Size{Rate: *rate} }

// with adds errors that clients may see.
func with(may, more map[ledger.Fault]int64) map[ledger.Fault]int64 {
	may = maps.Clone(may)
	maps.Copy(may, more)
	return may
}

// plenty is more than all clients can see of an error whose number depends on how long they have to wait.
const plenty = 1 << 20

// heldInVain are the errors of who has waited for a primary until the hold ended.
func heldInVain() map[ledger.Fault]int64 {
	return map[ledger.Fault]int64{
		{Stage: ledger.Connecting, Code: "57P03"}: plenty,
		{Stage: ledger.Autocommit, Code: "57P03"}: plenty,
		{Stage: ledger.Beginning, Code: "57P03"}:  plenty,
	}
}

// inVain counts them.
func inVain(f Figures) int64 {
	n := int64(0)
	for fault := range heldInVain() {
		n += f.Errors[fault.String()]
	}
	return n
}

func TestAPrimaryThatIsKilledWithItsAgentCostsWhatWasInFlight(t *testing.T) {
	Run(t, Plan{
		Name: "kill-primary", Cluster: strict(), Load: size(), May: InFlight(size()),
		Router: testrouter.PatroniOptions{Source: testrouter.FromEtcd, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			s.Leader.Kill9()
			s.AwaitLeader(ctx)
			s.AwaitWrites(steadyAnswers)
			s.Must(s.Leader.Restart(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}

// With the usual hold and a lease that is longer, who waits is told so; nobody's work is in doubt for that.
func TestAHoldThatIsShorterThanTheLeaseEndsWithAnErrorThatSaysSo(t *testing.T) {
	f := Run(t, Plan{
		Name: "kill-primary-short-hold", Load: size(), May: with(InFlight(size()), heldInVain()),
		Cluster: testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict, TTL: 20 * time.Second},
		Router:  testrouter.PatroniOptions{Source: testrouter.FromEtcd},
		Event: func(ctx context.Context, s *Scene) {
			s.Leader.Kill9()
			s.AwaitLeader(ctx)
			s.AwaitWrites(steadyAnswers)
			s.Must(s.Leader.Restart(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
	if inVain(f) == 0 {
		t.Errorf("nobody's hold ended: %v", f.Errors)
	}
}

// The old primary comes back past Patroni, as a second node that takes writes. What it alone has is the tail that was never replicated.
func TestAnOldPrimaryThatComesBackAloneGetsNothing(t *testing.T) {
	Run(t, Plan{
		Name: "old-primary-back", Load: size(), May: InFlight(size()),
		Router: testrouter.PatroniOptions{Source: testrouter.FromPatroni, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			s.Leader.Kill9()
			s.AwaitLeader(ctx)
			back := time.Now()
			s.Must(s.Leader.StartAlone(ctx))
			s.Log("the old primary takes writes")
			s.AwaitAlarm()
			s.AwaitWrites(steadyAnswers)
			if n := s.Written(ctx, s.Leader, back); n > 0 {
				t.Errorf("%d rows were written on the old primary", n)
			}
			s.Leader.Kill9()
			s.Must(s.Leader.Restart(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}

// The machine of the primary hangs: TCP lives, nobody answers. Its agent never wakes: Patroni 3.0.2 would let it write its name over the
// new leader's. PostgreSQL does, and its late answers reach nobody.
func TestAFrozenPrimaryIsReplacedAndItsLateAnswersReachNobody(t *testing.T) {
	Run(t, Plan{
		Name: "freeze-primary", Cluster: strict(), Load: size(), May: InFlight(size()),
		Router: testrouter.PatroniOptions{Source: testrouter.FromPatroni, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			s.Leader.Stop()
			s.AwaitLeader(ctx)
			s.AwaitWrites(steadyAnswers)
			s.Leader.KillAgent()
			awake := time.Now()
			s.Leader.Cont()
			s.AwaitAlarm()
			s.AwaitWrites(steadyAnswers)
			if n := s.Written(ctx, s.Leader, awake); n > 0 {
				t.Errorf("%d rows were written on the old primary", n)
			}
			s.Leader.Kill9()
			s.Must(s.Leader.Restart(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}

// The agent of the primary hangs, its lease ends, another node is promoted, and PostgreSQL goes on taking writes.
func TestAPrimaryWhoseAgentHangsIsLeftForTheNewOne(t *testing.T) {
	Run(t, Plan{
		Name: "freeze-agent", Cluster: strict(), Load: size(), May: InFlight(size()),
		Router: testrouter.PatroniOptions{Source: testrouter.FromEtcd, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			s.Leader.StopAgent()
			s.AwaitLeader(ctx)
			left := time.Now()
			s.AwaitAlarm()
			s.AwaitWrites(steadyAnswers)
			if n := s.Written(ctx, s.Leader, left); n > 0 {
				t.Errorf("%d rows were written on the old primary", n)
			}
			s.Leader.Kill9()
			s.Must(s.Leader.Restart(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}

func TestNobodyNoticesThatEtcdIsAway(t *testing.T) {
	Run(t, Plan{
		Name: "etcd-away", Load: size(), Cluster: testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict, Failsafe: true},
		Router: testrouter.PatroniOptions{Source: testrouter.FromBoth},
		Event: func(ctx context.Context, s *Scene) {
			s.Cluster.StopEtcd()
			s.Pass(ctx, *outage)
			s.Must(s.Cluster.StartEtcd(ctx))
			_, err := s.Cluster.Await(ctx, func(v testcluster.PatroniView) bool { return v.Leader() == s.Leader && !v.Of(s.Leader).FailsafeActive })
			s.Must(err)
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}

// The leader's key outlives the leader. All others are standbys: nobody may write, and nobody is asked to.
func TestAStaleLeaderKeySendsNoWriteToAStandby(t *testing.T) {
	Run(t, Plan{
		Name: "stale-leader-key", Cluster: strict(), Load: size(), May: InFlight(size()),
		Router: testrouter.PatroniOptions{Source: testrouter.FromEtcd, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			s.Must(s.Cluster.SeizeLeaderKey(ctx, s.Leader))
			s.Leader.Kill9()
			s.AwaitWaiting()
			s.Pass(ctx, s.Cluster.TTL())
			for _, n := range s.Standbys() {
				status, err := n.Status(ctx)
				s.Must(err)
				if !status.InRecovery {
					t.Errorf("%v was promoted, although the key names another", n)
				}
			}
			s.Must(s.Cluster.ReleaseLeaderKey(ctx))
			s.AwaitLeader(ctx)
			s.Must(s.Leader.Restart(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}

// Without failsafe mode Patroni takes the primary down with etcd: all nodes are standbys, and who writes is told after the hold.
func TestAClusterOfStandbysHoldsAndSaysSo(t *testing.T) {
	f := Run(t, Plan{
		Name: "all-standbys", Cluster: strict(), Load: size(), May: with(with(InFlight(size()), heldInVain()), shutDown(size())),
		Router: testrouter.PatroniOptions{Source: testrouter.FromPatroni},
		Event: func(ctx context.Context, s *Scene) {
			s.Cluster.StopEtcd()
			_, err := s.Cluster.Await(ctx, func(v testcluster.PatroniView) bool { return v.Of(s.Leader).Answered && !v.Of(s.Leader).Primary })
			s.Must(err)
			s.AwaitWaiting()
			s.Await("a hold ends", func() bool { return s.Routers[0].View().Totals.HoldExpired > 0 })
			s.Must(s.Cluster.StartEtcd(ctx))
			s.AwaitServed(s.leader(ctx))
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
	if inVain(f) == 0 {
		t.Errorf("nobody's hold ended: %v", f.Errors)
	}
}

// shutDown are the errors of units of work under way at a primary that is stopped in order: it says so itself.
func shutDown(size Size) map[ledger.Fault]int64 {
	size = size.withDefaults()
	return map[ledger.Fault]int64{
		{Stage: ledger.Autocommit, Code: "57P01"}: int64(size.Writers),
		{Stage: ledger.Beginning, Code: "57P01"}:  int64(size.Callers),
		{Stage: ledger.Committing, Code: "57P01"}: int64(size.Callers),
	}
}

// Of two standbys one is killed, comes back, replays nothing for a while: who reads sees no error, and neither does who writes.
func TestAStandbyThatComesAndGoesIsNotNoticed(t *testing.T) {
	Run(t, Plan{
		Name: "standby-comes-and-goes", Load: size(),
		Router: testrouter.PatroniOptions{Source: testrouter.FromEtcd, Replica: "max_lag = \"64kB\""},
		Event: func(ctx context.Context, s *Scene) {
			for _, n := range s.Standbys() {
				n.Kill9()
				s.AwaitWrites(steadyAnswers)
				s.Must(n.Restart(ctx))
				s.Must(s.Cluster.AwaitReady(ctx))
				s.Await("the router sees all nodes", func() bool { return s.Routers[0].Metrics()["pgrouter_node_up"] == float64(len(s.Cluster.Nodes())) })
			}
			late := s.Standbys()[0]
			s.Must(late.Exec(ctx, "SELECT pg_wal_replay_pause()"))
			s.Pass(ctx, *lag)
			s.Must(late.Exec(ctx, "SELECT pg_wal_replay_resume()"))
		},
	})
}

// Clients of a router that ends see that their connection does, come back, and find what they were told.
func TestARouterThatIsRestartedUnderLoadForgetsNothing(t *testing.T) {
	lost := map[ledger.Fault]int64{}
	for _, stage := range []ledger.Stage{ledger.Connecting, ledger.Beginning, ledger.InTransaction, ledger.Committing, ledger.Autocommit, ledger.Looking} {
		for _, code := range []string{ledger.ErrorLost, ledger.ErrorRefused, "57P01", "08007"} {
			lost[ledger.Fault{Stage: stage, Code: code}] = plenty
		}
	}
	Run(t, Plan{
		Name: "router-restarted", Cluster: strict(), Load: size(), May: lost,
		Router: testrouter.PatroniOptions{Source: testrouter.FromEtcd},
		Event: func(_ context.Context, s *Scene) {
			for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
				r := s.Routers[0]
				s.Must(r.Signal(sig))
				status := r.End()
				s.Log("after %v the router ends with %d", sig, status)
				r.Again()
				s.AwaitWrites(steadyAnswers)
			}
		},
	})
}

// The router alone does not see the primary any more: it can only wait. What it had sent is answered when it sees it again.
func TestARouterThatLosesSightOfThePrimaryWaitsForIt(t *testing.T) {
	Run(t, Plan{
		Name: "router-cut-off", Cluster: strict(), Load: size(), Proxied: true,
		Router: testrouter.PatroniOptions{Source: testrouter.FromPatroni, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			standby := s.Standbys()[0]
			s.Net.FromRouters(standby, true)
			s.AwaitWrites(steadyAnswers)
			s.Net.FromRouters(standby, false)
			s.Net.FromRouters(s.Leader, true)
			s.Await("the router misses the primary", func() bool { return s.Routers[0].View().Clusters[0].Primary == "" })
			s.Pass(ctx, s.Cluster.TTL())
			s.Net.FromRouters(s.Leader, false)
			s.AwaitServed(s.Leader)
		},
	})
}

// The primary alone does not reach etcd any more: Patroni takes it down, and promotes another.
func TestAPrimaryThatLosesEtcdIsReplaced(t *testing.T) {
	Run(t, Plan{
		Name: "primary-loses-etcd", Cluster: strict(), Load: size(), Proxied: true, May: with(InFlight(size()), shutDown(size())),
		Router: testrouter.PatroniOptions{Source: testrouter.FromPatroni, Hold: longHold},
		Event: func(ctx context.Context, s *Scene) {
			s.Net.FromEtcd(0, true)
			s.AwaitLeader(ctx)
			s.AwaitWrites(steadyAnswers)
			s.Net.FromEtcd(0, false)
			s.Must(s.Cluster.AwaitReady(ctx))
		},
	})
}
