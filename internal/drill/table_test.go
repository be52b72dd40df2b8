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

// long leaves a row to make verify.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not among the short ones")
	}
}

// longHold is longer than any failover here takes.
const longHold = 45 * time.Second

// strict is a cluster in which nothing that was acknowledged may be missing, whoever dies.
func strict() testcluster.PatroniOptions {
	return testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict}
}

// apart lets every member, and the routers, live on hosts of their own, as far as the network goes.
func apart(o testcluster.PatroniOptions) testcluster.PatroniOptions {
	o.Apart = true
	return o
}

func size() Size { return Size{Rate: *rate} }

// etcd and patroni are routers that hear of the leader from one of the two, and hold for long.
func etcd() testrouter.PatroniOptions {
	return testrouter.PatroniOptions{Source: testrouter.FromEtcd, Hold: longHold}
}

func patroni() testrouter.PatroniOptions {
	return testrouter.PatroniOptions{Source: testrouter.FromPatroni, Hold: longHold}
}

// both hear of the leader from etcd, and may ask Patroni for another.
func both() testrouter.PatroniOptions {
	return testrouter.PatroniOptions{Source: testrouter.FromBoth, Hold: longHold}
}

// with adds errors that clients may see.
func with(may, more map[ledger.Fault]int64) map[ledger.Fault]int64 {
	may = maps.Clone(may)
	maps.Copy(may, more)
	return may
}

// outrun are the errors of units of work that took longer than Patroni to stop the primary, so many times.
func outrun(times int64) map[ledger.Fault]int64 {
	may := with(InFlight(size()), ShutDown(size()))
	for fault := range may {
		may[fault] *= times
	}
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

// somebodyHeldInVain holds that there were some.
func somebodyHeldInVain(t *testing.T, f Figures) {
	t.Helper()
	for fault := range heldInVain() {
		if f.Errors[fault.String()] > 0 {
			return
		}
	}
	t.Errorf("nobody's hold ended: %v", f.Errors)
}

func TestAPrimaryThatIsKilledWithItsAgentCostsWhatWasInFlight(t *testing.T) {
	Run(t, Plan{Name: "kill-primary", Cluster: strict(), Load: size(), Router: etcd(), Event: KillPrimary, May: InFlight(size())})
}

// Without synchronous replication the tail may be lost that no standby has received, and nothing else.
func TestWhatIsLostIsTheTailThatNobodyReceived(t *testing.T) {
	long(t)
	f := Run(t, Plan{Name: "kill-primary-ahead", Load: size(), Router: patroni(), Event: KillAheadOfStandbys, May: InFlight(size())})
	if f.Lost == 0 {
		t.Error("nothing was lost: the drill proves nothing")
	}
}

// With the usual hold and a lease that is longer, who waits is told so; nobody's work is in doubt for that.
func TestAHoldThatIsShorterThanTheLeaseEndsWithAnErrorThatSaysSo(t *testing.T) {
	long(t)
	somebodyHeldInVain(t, Run(t, Plan{
		Name: "kill-primary-short-hold", Load: size(), Event: KillPrimary, May: with(InFlight(size()), heldInVain()),
		Cluster: testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict, TTL: 20 * time.Second},
		Router:  testrouter.PatroniOptions{Source: testrouter.FromEtcd},
	}))
}

func TestAnOldPrimaryThatComesBackAloneGetsNothing(t *testing.T) {
	Run(t, Plan{Name: "old-primary-back", Load: size(), Router: patroni(), Event: BackAlone, May: InFlight(size())})
}

func TestAFrozenPrimaryIsReplacedAndItsLateAnswersReachNobody(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "freeze-primary", Cluster: strict(), Load: size(), Router: patroni(), Event: FreezePrimary, May: InFlight(size())})
}

func TestAPrimaryWhoseAgentHangsIsLeftForTheNewOne(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "freeze-agent", Cluster: strict(), Load: size(), Router: etcd(), Event: FreezeAgent, May: InFlight(size())})
}

func TestNobodyNoticesThatEtcdIsAway(t *testing.T) {
	long(t)
	Run(t, Plan{
		Name: "etcd-away", Load: size(), Cluster: testcluster.PatroniOptions{Synchronous: testcluster.SyncStrict, Failsafe: true},
		Router: etcd(), Event: EtcdAway(*outage), // no REST interface is configured: the agents that etcd has named vouch
	})
}

func TestAStaleLeaderKeySendsNoWriteToAStandby(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "stale-leader-key", Cluster: strict(), Load: size(), Router: etcd(), Event: StaleKey, May: InFlight(size())})
}

func TestAClusterOfStandbysHoldsAndSaysSo(t *testing.T) {
	long(t)
	somebodyHeldInVain(t, Run(t, Plan{
		Name: "all-standbys", Cluster: strict(), Load: size(), Event: NoPrimary, Router: testrouter.PatroniOptions{Source: testrouter.FromPatroni},
		May: with(with(InFlight(size()), heldInVain()), ShutDown(size())),
	}))
}

// Of two standbys one after the other is killed and comes back, then one lags: who reads sees no error, and neither does who writes.
func TestStandbysThatComeAndGoAreNotNoticed(t *testing.T) {
	long(t)
	router := etcd()
	router.Replica = `max_lag = "64kB"`
	Run(t, Plan{Name: "standbys-come-and-go", Load: size(), Router: router, Event: func(ctx context.Context, s *Scene) {
		KillStandbys(ctx, s)
		LateStandby(*lag)(ctx, s)
	}})
}

// The router alone does not see the primary any more: it can only wait. What it had sent is answered when it sees it again.
func TestARouterThatLosesSightOfThePrimaryWaitsForIt(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "router-cut-off", Cluster: strict(), Load: size(), Proxied: true, Router: patroni(), Event: CutOffFromRouters})
}

// The primary's node is cut off from everybody, and comes back as a standby.
func TestAPrimaryThatIsCutOffFromAllIsReplaced(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "primary-cut-off", Cluster: apart(strict()), Load: size(), Router: etcd(), Event: CutOffPrimary, May: InFlight(size())})
}

// Without synchronous replication: what arrived at the old primary would be committed there, and seen. With the longer lease the routers give
// the old primary's connections up for its silence; with the shorter one because another primary is proven.
func TestAPrimaryThatComesBackFromBeyondTheNetworkGetsNothing(t *testing.T) {
	long(t)
	for _, ttl := range []time.Duration{10 * time.Second, 25 * time.Second} {
		t.Run(ttl.String(), func(t *testing.T) {
			cluster := apart(testcluster.PatroniOptions{TTL: ttl})
			Run(t, Plan{Name: "primary-cut-off-unwatched", Cluster: cluster, Load: size(), Router: patroni(), Event: CutOffUnwatched, May: InFlight(size())})
		})
	}
}

// The routers are cut off from etcd and from one standby, and nobody else is.
func TestARouterThatSeesHalfOfTheClusterDoesNotGuess(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "router-half-blind", Cluster: apart(strict()), Load: size(), Router: etcd(), Event: PartRouters, May: InFlight(size())})
}

func TestAPrimaryThatLosesEtcdIsReplaced(t *testing.T) {
	long(t)
	Run(t, Plan{
		Name: "primary-loses-etcd", Cluster: strict(), Load: size(), Proxied: true, Router: patroni(), Event: CutOffFromEtcd,
		May: with(InFlight(size()), ShutDown(size())),
	})
}

// Clients of a router that ends see that their connection does, come back, and find what they were told.
func TestARouterThatIsRestartedUnderLoadForgetsNothing(t *testing.T) {
	long(t)
	lost := map[ledger.Fault]int64{}
	for _, stage := range []ledger.Stage{ledger.Connecting, ledger.Beginning, ledger.InTransaction, ledger.Committing, ledger.Autocommit, ledger.Looking} {
		for _, code := range []string{ledger.ErrorLost, ledger.ErrorRefused, "57P01", "08007"} {
			lost[ledger.Fault{Stage: stage, Code: code}] = plenty
		}
	}
	Run(t, Plan{Name: "router-restarted", Cluster: strict(), Load: size(), Router: etcd(), May: lost, Event: func(_ context.Context, s *Scene) {
		for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
			r := s.Routers[0]
			s.Must(r.Signal(sig))
			status := r.End()
			s.Log("after %v the router ends with %d", sig, status)
			r.Again()
			s.AwaitWrites(steadyAnswers)
		}
	}})
}

// Patroni is asked past the routers, which see the request before it stops anything, and hold. It does not wait for them: a unit of work that
// takes longer than it to stop is told so.
func TestASwitchoverThatPatroniIsAskedForIsLatencyOnly(t *testing.T) {
	Run(t, Plan{Name: "switchover-by-patroni", Cluster: strict(), Load: size(), Router: etcd(), Event: Switchover, Planned: true, May: outrun(1)})
}

func TestASwitchoverThatTheRouterIsAskedForIsLatencyOnly(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "switchover-by-router", Cluster: strict(), Load: size(), Router: patroni(), Event: SwitchoverByRouter, Planned: true})
}

// One router is asked; the other sees Patroni's request, and holds as well.
func TestASwitchoverOnOneOfTwoRoutersIsLatencyOnlyOnBoth(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "switchover-two-routers", Cluster: strict(), Load: size(), Routers: 2, Router: both(), Event: SwitchoverByRouter, Planned: true})
}
