package patroni

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/topology"
)

const (
	defaultLease = 30 * time.Second       // Patroni's default ttl
	maxLease     = time.Hour              // no ttl is longer
	leaseEvery   = time.Minute            // how often the ttl is asked for
	leastPause   = 100 * time.Millisecond // between two questions for the cluster, whatever hurries: each is a read of the DCS
	hurry        = 4                      // how many times as often the cluster is asked for while nobody holds the lock
	maxFaults    = 4                      // how many members' reasons make up a problem
	spread       = 5                      // an interval is longer or shorter by up to this part of it
)

// inquiry asks with one configuration. All of it belongs to the goroutine of run, but for what agents (agent.go) are given.
type inquiry struct {
	*settings
	deps   Deps
	feed   feed
	nudged chan struct{} // has a token when an agent said something that concerns the cluster

	met     []member // whom another source has found: they are asked of themselves
	roster  roster
	known   *atomic.Pointer[[]member] // whom the last answer has named, for others
	told    []topology.Member         // the newest that the feed knows; nil = nothing
	witness string                    // who answered last
	leader  topology.NodeID           // as last testified
	free    bool                      // nobody holds the lock, as last testified, and somebody will
	silent  time.Time                 // since when there is no answer; zero: there is one, or it was not asked yet

	lease   time.Duration
	leaseAt time.Time // when it was last asked for

	agents map[member]context.CancelFunc
	asking sync.WaitGroup
}

func newInquiry(s *settings, deps Deps, to feed) *inquiry {
	return &inquiry{
		settings: s, deps: deps, feed: to, nudged: make(chan struct{}, 1), known: new(atomic.Pointer[[]member]),
		roster: make(roster), lease: defaultLease, agents: make(map[member]context.CancelFunc),
	}
}

// resume takes over what the inquiry before this one had found of the same cluster.
func (q *inquiry) resume(last *inquiry) {
	q.silent = last.silent
	if slices.Equal(last.seeds, q.seeds) {
		q.roster, q.witness, q.leader, q.lease = last.roster, last.witness, last.leader, last.lease
	}
}

// run asks until ctx ends, and waits until nobody asks any more. Without a URL it says that it knows no members, and asks only those of
// themselves whom another source has found.
func (q *inquiry) run(ctx context.Context) {
	defer q.asking.Wait()
	if len(q.seeds) == 0 {
		q.feed.Members(nil)
		q.follow(ctx, q.met)
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		q.round(ctx)
		q.rest(ctx)
	}
}

// rest waits for the next question, or less when an agent hurries, or when Patroni's word is all that is missing.
func (q *inquiry) rest(ctx context.Context) {
	pause := jittered(q.Interval)
	if q.free {
		pause /= hurry
	}
	least := min(leastPause, q.Interval)
	wait(ctx, least)
	timer := time.NewTimer(pause - least)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.nudged:
	case <-q.feed.Wanted():
	case <-ctx.Done():
	}
}

// round asks one member for the cluster, and further ones until one has answered.
func (q *inquiry) round(ctx context.Context) {
	var faults []string
	for _, base := range q.roster.bases(q.witness, q.seeds) {
		answer, err := q.ask(ctx, base)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			q.witness = base
			q.heard(ctx, answer)
			return
		}
		if len(faults) < maxFaults {
			faults = append(faults, err.Error())
		}
	}
	q.unheard(strings.Join(faults, "; "))
}

// answer is what one member says of the cluster and, right after that, of itself.
type answer struct {
	cluster
	at       time.Time // as which moment's question it counts
	systemID uint64
}

// ask asks one member. It first looks into the DCS for us, and then says when it did.
func (q *inquiry) ask(ctx context.Context, base string) (answer, error) {
	asked := time.Now()
	r, err := q.client.get(ctx, base, "/cluster", statusOK)
	if err != nil {
		return answer{}, err
	}
	c, err := parseCluster(r.body)
	if err != nil {
		return answer{}, fmt.Errorf("%s/cluster: %w", base, err)
	}
	r, self, err := q.client.status(ctx, base)
	switch {
	case err != nil:
		return answer{}, err
	case self.failsafe:
		return answer{}, fmt.Errorf("%s: it does not reach its DCS (failsafe mode is active)", base)
	case self.unlocked && c.leader != "":
		q.feed.Trigger("")
		return answer{}, fmt.Errorf("%s: it called %q leader, and says that nobody is", base, c.leader)
	}
	return answer{cluster: c, at: self.looked(asked, time.Now(), r.date), systemID: self.systemID}, nil
}

// heard reports an answer and follows it.
func (q *inquiry) heard(ctx context.Context, a answer) {
	q.roster.note(a.members, time.Now())
	q.known.Store(&a.members)
	if nodes := q.roster.nodes(q.addresses); !slices.Equal(nodes, q.told) {
		q.told = nodes
		q.feed.Members(nodes)
	}
	q.askLease(ctx)
	t := a.testimony(q.addresses)
	t.Source, t.At, t.Lease, t.SystemID = Name, a.at, q.lease, a.systemID
	q.feed.Testify(t)
	if t.Leader != q.leader {
		q.deps.Logger.Info("another holder of the leader lock", "node", string(t.Leader), "former", string(q.leader))
		q.feed.Trigger("")
	}
	q.leader, q.free = t.Leader, t.Leader == "" && !t.Paused
	if !q.silent.IsZero() {
		q.emit(event.Event{Kind: event.SourceBack, Took: time.Since(q.silent)})
		q.silent = time.Time{}
	}
	q.follow(ctx, q.roster.sorted())
}

// unheard reports that nobody answered. What was said before is not taken back: it grows old.
func (q *inquiry) unheard(problem string) {
	now := time.Now()
	q.feed.Testify(topology.Testimony{Source: Name, At: now, Problem: problem, Lease: q.lease})
	if q.silent.IsZero() {
		q.silent = now
		q.emit(event.Event{Kind: event.SourceSilent, Reason: problem})
	}
}

func (q *inquiry) emit(e event.Event) {
	e.Time, e.Cluster, e.From = time.Now(), string(q.deps.Cluster), Name
	q.deps.Events.Emit(e)
}

// askLease asks for the ttl, seldom. Where there is no answer, the last one goes on.
func (q *inquiry) askLease(ctx context.Context) {
	now := time.Now()
	if !q.leaseAt.IsZero() && now.Sub(q.leaseAt) < leaseEvery {
		return
	}
	q.leaseAt = now
	r, err := q.client.get(ctx, q.witness, "/config", statusOK)
	if err != nil {
		return
	}
	if ttl, err := parseTTL(r.body); err == nil {
		q.lease = ttl
	}
}

// follow lets each of these members be asked of itself, and nobody else.
func (q *inquiry) follow(ctx context.Context, members []member) {
	for m, stop := range q.agents {
		if !slices.Contains(members, m) {
			stop()
			delete(q.agents, m)
		}
	}
	for _, m := range members {
		if q.agents[m] != nil || m.base == "" || m.address == "" {
			continue
		}
		life, stop := context.WithCancel(ctx)
		q.agents[m] = stop
		a := &agent{
			client: q.client, base: m.base, node: m.node(q.addresses), interval: q.Interval,
			feed: q.feed, nudged: q.nudged, log: q.deps.Logger,
		}
		q.asking.Go(func() { a.run(life) })
	}
}

// jittered spreads an interval, so that many routers do not ask at once.
func jittered(d time.Duration) time.Duration {
	part := cmp.Or(d/spread, 1)
	return d - part + rand.N(2*part+1) //nolint:gosec // it spreads load and keeps no secret
}

// wait rests until the time is over, or ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
