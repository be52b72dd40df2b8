//go:build patroni

package drill

import (
	"context"
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	events = flag.Int("events", 5, "how many random events a history has")
	seed   = flag.Uint64("seed", 0, "of a history; 0: by the clock, and told")
)

// TestAHistoryOfFailoversLosesNothing lets one random event follow the other. What the last one broke is whole again before the next.
func TestAHistoryOfFailoversLosesNothing(t *testing.T) {
	long(t)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", *seed)
	dice := rand.New(rand.NewPCG(*seed, 1))
	all := map[string]Event{
		"kill the primary": KillPrimary, "kill the primary's PostgreSQL": KillPostgres, "kill the primary's agent": KillAgent,
		"freeze the primary": FreezePrimary, "freeze the primary's agent": FreezeAgent, "start the old primary by hand": BackAlone,
		"a leader's key that stays": StaleKey, "kill the standbys": KillStandbys, "a standby lags": LateStandby(3 * time.Second),
		"etcd is away": EtcdAway(5 * time.Second), "switch over": Switchover,
	}
	cluster := strict()
	cluster.Failsafe = true
	Run(t, Plan{Name: "history", Cluster: cluster, Load: size(), Router: both(), May: outrun(int64(*events)), Event: func(ctx context.Context, s *Scene) {
		for n := range *events {
			name := pick(dice, all)
			s.Leader = s.leader(ctx)
			s.Log("event %d: %s; %v leads", n+1, name, s.Leader)
			all[name](ctx, s)
			s.AwaitWrites(steadyAnswers)
		}
	}})
}

// TestAHistoryOfSwitchoversIsLatencyOnly moves the primary again and again, asked for past the routers and on one of two.
func TestAHistoryOfSwitchoversIsLatencyOnly(t *testing.T) {
	long(t)
	Run(t, Plan{Name: "switchovers", Load: size(), Routers: 2, Router: both(), Planned: true, May: outrun(int64(*events)), Event: func(ctx context.Context, s *Scene) {
		for n := range *events {
			s.Leader = s.leader(ctx)
			s.Log("switchover %d; %v leads", n+1, s.Leader)
			if n%2 == 0 {
				Switchover(ctx, s)
			} else {
				SwitchoverByRouter(ctx, s)
			}
			s.AwaitWrites(steadyAnswers)
		}
	}})
}

// pick returns the name of one of them.
func pick(dice *rand.Rand, all map[string]Event) string {
	names := slices.Sorted(maps.Keys(all))
	return names[dice.IntN(len(names))]
}
