package testcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	startLimit = 3 * time.Minute // for a whole cluster on a loaded machine; a few seconds are usual
	quitLimit  = 5 * time.Second // for an immediate shutdown before kill -9

	logLines = 5 // of each log, in the error of a start that failed

	segmentSize = "1" // megabytes of a WAL segment: the smallest, since each node begins with a whole one
)

// Cluster is a primary and its standbys. All methods may be called from any goroutine.
type Cluster struct {
	*site
	nodes     []*Node
	stopWatch func() bool

	closing  sync.Once
	closed   chan struct{}
	closeErr error

	mu struct {
		sync.Mutex
		primary *Node
	}
}

// Start makes a cluster and waits until its standbys stream and have everything. The cluster lives until Close, or until
// ctx ends, which closes it too; Close waits for that. When Start fails nothing is left behind.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("test cluster: %w", err)
	}
	site, err := newSite(ctx, options.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("test cluster: %w", err)
	}
	c := &Cluster{site: site, closed: make(chan struct{})}
	begin, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready after %v", startLimit))
	defer cancel()
	if err := c.begin(begin); err != nil {
		err = fmt.Errorf("test cluster: %w%s", err, c.logTails())
		return nil, errors.Join(err, c.Close())
	}
	c.stopWatch = context.AfterFunc(ctx, c.finish)
	return c, nil
}

func (c *Cluster) begin(ctx context.Context) error {
	held, err := reserve(1 + c.options.Standbys)
	if err != nil {
		return err
	}
	defer closeAll(held)
	if err := c.lay(ctx, held); err != nil {
		return err
	}
	closeAll(held)
	primary := c.nodes[0]
	c.setPrimary(primary)
	group, gctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		group.Go(func() error { return n.Start(gctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.createRoles(ctx, &primary.server); err != nil {
		return err
	}
	return c.WaitReplicas(ctx)
}

// lay writes every node's directory: one initdb, the others are copies of it, taken before the first start.
func (c *Cluster) lay(ctx context.Context, ports []net.Listener) error {
	for i, l := range ports {
		c.nodes = append(c.nodes, newNode(c, "n"+strconv.Itoa(i+1), portOf(l)))
	}
	primary := c.nodes[0]
	if err := c.account.mkdir(primary.dir); err != nil {
		return err
	}
	if err := primary.initdb(ctx); err != nil {
		return err
	}
	for _, standby := range c.nodes[1:] {
		if err := c.account.mkdir(standby.dir); err != nil {
			return err
		}
		if err := c.copyTree(primary.DataDir(), standby.DataDir()); err != nil {
			return fmt.Errorf("copy of the data directory: %w", err)
		}
		if err := standby.setUpstream(primary); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := n.writeSettings(); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies a data directory that no server uses.
func (c *Cluster) copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			return c.account.mkdir(target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return c.account.write(target, string(content))
	})
}

// Nodes returns all nodes in a fixed order: n1 (the first primary), n2, …
func (c *Cluster) Nodes() []*Node { return append([]*Node(nil), c.nodes...) }

// Node returns the i-th node, from 0.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// NodeAt returns the node with this "127.0.0.1:port", or nil.
func (c *Cluster) NodeAt(addr string) *Node {
	for _, n := range c.nodes {
		if n.Addr() == addr {
			return n
		}
	}
	return nil
}

// Primary returns the node that was last made primary, running or not. It does not ask the nodes: FindPrimary does.
func (c *Cluster) Primary() *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.primary
}

func (c *Cluster) setPrimary(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.primary = n
}

// ErrNoPrimary says that no running node is out of recovery.
var ErrNoPrimary = errors.New("no running node is a primary")

// FindPrimary asks the running nodes and returns the one that is not in recovery; with several, the one on the highest
// timeline. Primary returns it from then on.
func (c *Cluster) FindPrimary(ctx context.Context) (*Node, error) {
	var best *Node
	var bestTimeline uint32
	for _, n := range c.nodes {
		status, err := n.Status(ctx)
		if err != nil || status.InRecovery || best != nil && status.Timeline <= bestTimeline {
			continue
		}
		best, bestTimeline = n, status.Timeline
	}
	if best == nil {
		return nil, ErrNoPrimary
	}
	c.setPrimary(best)
	return best, nil
}

// Standbys returns all nodes but Primary.
func (c *Cluster) Standbys() []*Node {
	primary := c.Primary()
	var standbys []*Node
	for _, n := range c.nodes {
		if n != primary {
			standbys = append(standbys, n)
		}
	}
	return standbys
}

// WaitReplicas waits until every running standby streams from the primary and has replayed all that it has written.
func (c *Cluster) WaitReplicas(ctx context.Context) error {
	primary := c.Primary()
	target, err := primary.Status(ctx)
	if err != nil {
		return err
	}
	for _, n := range c.Standbys() {
		if !n.Running() {
			continue
		}
		if err := n.WaitReplay(ctx, target.WriteLSN); err != nil {
			return err
		}
		if err := primary.waitStreaming(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// Close stops every node at once and removes the directory. It may be called several times; each call waits for the end.
func (c *Cluster) Close() error {
	if c.stopWatch != nil {
		c.stopWatch()
	}
	c.finish()
	<-c.closed
	return c.closeErr
}

func (c *Cluster) finish() {
	c.closing.Do(func() {
		defer close(c.closed)
		var group sync.WaitGroup
		for _, n := range c.nodes {
			group.Go(n.destroy)
		}
		group.Wait()
		c.closeErr = c.remove()
	})
}

func (c *Cluster) logTails() string {
	var b strings.Builder
	for _, n := range c.nodes {
		if tail := n.LogTail(logLines); tail != "" {
			fmt.Fprintf(&b, "\n%s: %s", n.name, tail)
		}
	}
	return b.String()
}
