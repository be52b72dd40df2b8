package testcluster

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// leaderKey is the key that the leader's lease hangs on.
const leaderKey = "leader"

// PatroniCluster is PostgreSQL under Patroni's agents, which agree through an etcd of their own. Roles, database and settings are
// those of a [Cluster]. All methods may be called from any goroutine.
type PatroniCluster struct {
	*site
	patroni   PatroniOptions
	programs  patroniPrograms
	secret    string // password of the agents' roles
	etcd      *etcd
	nodes     []*PatroniNode
	stopWatch func() bool

	closing  sync.Once
	closed   chan struct{}
	closeErr error
}

// StartPatroni makes a cluster whose leader is n1, and waits until every other node streams from it, a standby is synchronous if that
// is asked for, and, in failsafe mode, the agents know each other. The cluster lives until Close, or until ctx ends, which closes it
// too. When StartPatroni fails nothing is left behind.
func StartPatroni(ctx context.Context, options PatroniOptions) (*PatroniCluster, error) {
	c, err := newPatroniCluster(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("patroni cluster: %w", err)
	}
	begin, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready after %v", startLimit))
	defer cancel()
	if err := c.begin(begin); err != nil {
		err = fmt.Errorf("patroni cluster: %w\n%s", err, c.LogTails(logLines))
		return nil, errors.Join(err, c.Close())
	}
	c.stopWatch = context.AfterFunc(ctx, c.finish)
	return c, nil
}

func newPatroniCluster(ctx context.Context, options PatroniOptions) (*PatroniCluster, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	programs, err := findPatroni()
	if err != nil {
		return nil, err
	}
	if options.BeforeStop != nil {
		if err := programs.hasBeforeStop(ctx); err != nil {
			return nil, err
		}
	}
	options = options.withDefaults()
	site, err := newSite(ctx, options.Options)
	if err != nil {
		return nil, err
	}
	if options.Apart {
		if site.network, err = newNetwork(); err != nil {
			return nil, errors.Join(err, site.remove())
		}
	}
	return &PatroniCluster{site: site, patroni: options, programs: programs, secret: rand.Text(), closed: make(chan struct{})}, nil
}

func (c *PatroniCluster) begin(ctx context.Context) error {
	if err := c.lay(); err != nil {
		return err
	}
	if err := c.etcd.start(ctx); err != nil {
		return err
	}
	// Who takes the key "initialize" first makes the data directory, and leads.
	if err := c.nodes[0].launch(); err != nil {
		return err
	}
	if err := pollAt(ctx, askEvery, func() (bool, error) {
		return c.etcd.get(ctx, c.key("initialize")) != nil, nil
	}); err != nil {
		return fmt.Errorf("%v did not make its data directory: %w", c.nodes[0], err)
	}
	for _, n := range c.nodes[1:] {
		if err := n.launch(); err != nil {
			return err
		}
	}
	if _, err := c.Await(ctx, func(v PatroniView) bool { return v.Leader() == c.nodes[0] }); err != nil {
		return fmt.Errorf("%v did not become the leader: %w", c.nodes[0], err)
	}
	if err := c.createRoles(ctx, &c.nodes[0].server); err != nil {
		return err
	}
	return c.AwaitReady(ctx)
}

// lay writes the directories. The ports are held until everybody has one.
func (c *PatroniCluster) lay() error {
	held, err := reserve(2 * (c.patroni.Etcds + c.patroni.Nodes))
	if err != nil {
		return err
	}
	defer closeAll(held)
	stores, servers := held[:2*c.patroni.Etcds], held[2*c.patroni.Etcds:]
	if c.etcd, err = newEtcd(c.site, c.programs.etcd, stores); err != nil {
		return err
	}
	for i := range c.patroni.Nodes {
		if err := c.layNode(i, servers[2*i], servers[2*i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (c *PatroniCluster) layNode(index int, postgres, rest net.Listener) error {
	n, err := newPatroniNode(c, index, portOf(postgres), portOf(rest))
	if err != nil {
		return err
	}
	c.nodes = append(c.nodes, n)
	return nil
}

// key is the full name of one of Patroni's keys.
func (c *PatroniCluster) key(name string) string {
	return PatroniNamespace + "/" + PatroniScope + "/" + name
}

// Nodes returns all nodes in a fixed order: n1 (the first leader), n2, …
func (c *PatroniCluster) Nodes() []*PatroniNode { return append([]*PatroniNode(nil), c.nodes...) }

// Node returns the i-th node, from 0.
func (c *PatroniCluster) Node(i int) *PatroniNode { return c.nodes[i] }

// EtcdPlace returns where the i-th member of etcd lives, from 0; nil, which is loopback, unless the members live apart.
func (c *PatroniCluster) EtcdPlace(i int) *Place { return c.etcd.members[i].place }

// Guest makes a place in the network of a cluster whose members live apart, for a program that this process starts and ends. It lasts as
// long as the cluster.
func (c *PatroniCluster) Guest() (*Place, error) { return c.network.guest() }

// Endpoints returns the "host:port" of each member of etcd.
func (c *PatroniCluster) Endpoints() []string { return c.etcd.endpoints() }

// Leader asks the agents who leads. The error is ErrNoPrimary when none does.
func (c *PatroniCluster) Leader(ctx context.Context) (*PatroniNode, error) {
	if n := c.View(ctx).Leader(); n != nil {
		return n, nil
	}
	return nil, ErrNoPrimary
}

// Await asks all agents again and again until what they say is as wanted, and returns that.
func (c *PatroniCluster) Await(ctx context.Context, wanted func(PatroniView) bool) (PatroniView, error) {
	var view PatroniView
	err := pollAt(ctx, askEvery, func() (bool, error) {
		view = c.View(ctx)
		return ctx.Err() == nil && wanted(view), nil
	})
	if err != nil {
		return view, fmt.Errorf("waiting for the agents: %w; they say %+v", err, view)
	}
	return view, nil
}

// AwaitLeader waits until a node that is none of these leads, and returns it.
func (c *PatroniCluster) AwaitLeader(ctx context.Context, but ...*PatroniNode) (*PatroniNode, error) {
	view, err := c.Await(ctx, func(v PatroniView) bool {
		leader := v.Leader()
		return leader != nil && !slices.Contains(but, leader)
	})
	if err != nil {
		return nil, err
	}
	return view.Leader(), nil
}

// AwaitReady waits until what StartPatroni promises holds, whoever leads.
func (c *PatroniCluster) AwaitReady(ctx context.Context) error {
	if _, err := c.Await(ctx, func(v PatroniView) bool { return v.Leader() != nil && v.Following() == len(c.nodes)-1 }); err != nil {
		return err
	}
	return pollAt(ctx, askEvery, func() (bool, error) { return c.synchronous(ctx) && c.failsafe(ctx), nil })
}

// synchronous reports whether the standby that the agents have agreed on is the one that commits wait for, or they need none. A leader's new
// agent lets commits wait for whichever standby, and for seconds there is none in etcd that may follow: who is killed then has no successor.
func (c *PatroniCluster) synchronous(ctx context.Context) bool {
	if c.patroni.Synchronous == SyncOff {
		return true
	}
	agreed := c.SyncStandby(ctx)
	return agreed != nil && c.View(ctx).Synchronous() == agreed
}

// SyncStandby returns the standby that the agents have agreed on as the one that commits wait for, which alone may take the lead over in
// order; nil while there is none.
func (c *PatroniCluster) SyncStandby(ctx context.Context) *PatroniNode {
	var agreed struct {
		Standby string `json:"sync_standby"`
	}
	if json.Unmarshal(c.etcd.get(ctx, c.key("sync")), &agreed) != nil {
		return nil
	}
	for _, n := range c.nodes {
		if n.name == agreed.Standby {
			return n
		}
	}
	return nil
}

// failsafe reports whether all agents stand in the list of those that must answer while etcd does not, or need none.
func (c *PatroniCluster) failsafe(ctx context.Context) bool {
	if !c.patroni.Failsafe {
		return true
	}
	var listed map[string]string
	return json.Unmarshal(c.etcd.get(ctx, c.key("failsafe")), &listed) == nil && len(listed) == len(c.nodes)
}

// Switchover makes a node the leader in order, as patronictl switchover does. It returns when Patroni says that it is done; the old
// leader is a standby again some seconds later (AwaitReady).
func (c *PatroniCluster) Switchover(ctx context.Context, to *PatroniNode) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return fmt.Errorf("switchover: %w", err)
	}
	request := object{"leader": leader.name, "candidate": to.name}
	if err := leader.order(ctx, http.MethodPost, "/switchover", request); err != nil {
		return fmt.Errorf("switchover: %w", err)
	}
	return nil
}

// Pause takes the agents' hands off PostgreSQL (maintenance mode). It returns when every living agent knows.
func (c *PatroniCluster) Pause(ctx context.Context) error { return c.pause(ctx, true) }

// Resume ends Pause.
func (c *PatroniCluster) Resume(ctx context.Context) error { return c.pause(ctx, false) }

func (c *PatroniCluster) pause(ctx context.Context, on bool) error {
	leader, err := c.Leader(ctx)
	if err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	if err := leader.order(ctx, http.MethodPatch, "/config", object{"pause": on}); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	_, err = c.Await(ctx, func(v PatroniView) bool {
		for _, s := range v {
			if s.Answered && s.Paused != on {
				return false
			}
		}
		return true
	})
	return err
}

// StopEtcd kills every member of etcd. What it has acknowledged is kept for StartEtcd.
func (c *PatroniCluster) StopEtcd() { c.etcd.kill() }

// StartEtcd starts the members that StopEtcd killed, and returns when they agree.
func (c *PatroniCluster) StartEtcd(ctx context.Context) error { return c.etcd.start(ctx) }

// FreezeEtcd stops every member with SIGSTOP: connections are accepted, nobody answers. ThawEtcd ends it.
func (c *PatroniCluster) FreezeEtcd() { c.etcd.signal(syscall.SIGSTOP) }

// ThawEtcd wakes what FreezeEtcd froze.
func (c *PatroniCluster) ThawEtcd() { c.etcd.signal(syscall.SIGCONT) }

// SeizeLeaderKey writes the leader's key without a lease, as a leader's that died while etcd forgot to count: no agent takes it, until
// ReleaseLeaderKey.
func (c *PatroniCluster) SeizeLeaderKey(ctx context.Context, n *PatroniNode) error {
	return c.etcd.order(ctx, "/v3/kv/put", map[string][]byte{"key": []byte(c.key(leaderKey)), "value": []byte(n.name)})
}

// ReleaseLeaderKey removes the leader's key.
func (c *PatroniCluster) ReleaseLeaderKey(ctx context.Context) error {
	return c.etcd.order(ctx, "/v3/kv/deleterange", map[string][]byte{"key": []byte(c.key(leaderKey))})
}

// TTL returns how long the leader's lease outlives the leader.
func (c *PatroniCluster) TTL() time.Duration { return c.patroni.TTL }

// Close kills everything at once and removes the directory. It may be called several times; each call waits for the end.
func (c *PatroniCluster) Close() error {
	if c.stopWatch != nil {
		c.stopWatch()
	}
	c.finish()
	<-c.closed
	return c.closeErr
}

func (c *PatroniCluster) finish() {
	c.closing.Do(func() {
		defer close(c.closed)
		daemons := c.daemons()
		for _, d := range daemons {
			d.retire()
		}
		c.closeErr = c.remove()
		for _, d := range daemons {
			d.ended()
		}
	})
}

func (c *PatroniCluster) daemons() []*daemon {
	var daemons []*daemon
	if c.etcd != nil {
		for _, m := range c.etcd.members {
			daemons = append(daemons, &m.daemon)
		}
	}
	for _, n := range c.nodes {
		daemons = append(daemons, &n.agent, &n.alone)
	}
	return daemons
}

// LogTails returns the last lines of every log.
func (c *PatroniCluster) LogTails(lines int) string {
	var b strings.Builder
	for _, d := range c.daemons() {
		fmt.Fprintf(&b, "%s:\n%s\n", d.log, tailOf(d.log, lines))
	}
	return b.String()
}
