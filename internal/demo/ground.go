package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// node is one PostgreSQL server on stage, whoever starts and stops it.
type node interface {
	Name() string
	Addr() string
	Running() bool // whether what starts PostgreSQL there is alive
	Kill9()        // the node, with all that belongs to it
	Status(ctx context.Context) (testcluster.Status, error)
	Connect(ctx context.Context) (*pgx.Conn, error)
}

// ground is the cluster that the stage stands on. All methods may be called from any goroutine.
type ground interface {
	fmt.Stringer                                                 // what it is, in a few words
	Dir() string                                                 // its directory
	Close() error                                                //
	hint() string                                                // one more line for who wants to look on, "" for none
	nodes() []node                                               // in a fixed order, the first primary first
	primary() node                                               // who was last made the primary, running or not
	findPrimary(ctx context.Context) (node, error)               // asks the nodes
	settle(ctx context.Context) error                            // waits until every standby has everything
	candidate(ctx context.Context) (node, error)                 // who is to be the primary after a switchover
	keep(ctx context.Context, options Options, tell func(entry)) // heals what breaks and tells of it, until ctx ends
	Role(name string) testcluster.Role                           // with its password
	describe(setup *Setup)                                       // adds what a router must know of this kind of cluster
}

// newGround starts the cluster that is asked for.
func newGround(ctx context.Context, options Options) (ground, error) {
	roles := []testcluster.Role{{Name: testcluster.AppUser, Password: rand.Text()[:passwordLength]}}
	if options.Patroni {
		return startPatroni(ctx, roles)
	}
	cluster, err := testcluster.Start(ctx, testcluster.Options{Standbys: standbys, Sync: true, Roles: roles})
	if err != nil {
		return nil, err
	}
	return &supervised{cluster}, nil
}

// supervised is a primary with standbys and a supervisor that promotes one of them.
type supervised struct{ *testcluster.Cluster }

// plannedGrace is long: the router promotes in a switchover, the supervisor only if it never does.
const plannedGrace = time.Minute

// String says what it is.
func (g *supervised) String() string { return "1 primary, 2 standbys" }

func (g *supervised) hint() string { return "" }

func (g *supervised) nodes() (all []node) {
	for _, n := range g.Nodes() {
		all = append(all, n)
	}
	return all
}

func (g *supervised) primary() node { return g.Primary() }

func (g *supervised) findPrimary(ctx context.Context) (node, error) {
	n, err := g.FindPrimary(ctx)
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (g *supervised) settle(ctx context.Context) error { return g.WaitReplicas(ctx) }

// candidate returns the standby that streams and has received most.
func (g *supervised) candidate(ctx context.Context) (node, error) {
	var best *testcluster.Node
	var most testcluster.LSN
	for _, n := range g.Standbys() {
		status, err := n.Status(ctx)
		if err == nil && status.Streaming && (best == nil || status.ReceiveLSN > most) {
			best, most = n, status.ReceiveLSN
		}
	}
	if best == nil {
		return nil, fmt.Errorf("no standby streams from %v", g.Primary())
	}
	return best, nil
}

func (g *supervised) keep(ctx context.Context, options Options, tell func(entry)) {
	testcluster.NewSupervisor(g.Cluster, testcluster.SupervisorOptions{
		Delay: options.FailoverDelay, PlannedGrace: plannedGrace, RejoinDelay: options.FailoverDelay,
		Notify: func(r testcluster.Supervision) { tell(supervisionEntry(r)) },
	}).Run(ctx)
}

func (g *supervised) describe(setup *Setup) {
	setup.StopCommands = map[string]string{}
	for _, n := range g.Nodes() {
		setup.StopCommands[n.Addr()] = n.StopCommand()
	}
}
