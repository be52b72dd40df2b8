package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// ErrNoPatroni says that this machine cannot run Patroni's nodes.
var ErrNoPatroni = errors.New("no Patroni and etcd found: run scripts/setup-patroni, or install them " +
	"(Debian: patroni and etcd-server) so that patroni and etcd are in PATH")

// ErrNoHook says that this Patroni is too old to run a BeforeStop: it would pass over it in silence.
var ErrNoHook = errors.New("before_stop needs Patroni 3.0.3")

// SyncMode says what commits wait for in a Patroni cluster.
type SyncMode string

// What Patroni calls synchronous_mode and synchronous_mode_strict.
const (
	SyncOff    SyncMode = ""
	SyncOn     SyncMode = "on"     // for one standby, while there is one
	SyncStrict SyncMode = "strict" // for one standby, always
)

// PatroniOptions say what Patroni cluster is wanted. The zero value is three nodes and one etcd that notice a dead leader within ten
// seconds. Patroni 4 takes a TTL below 20 s for 20 s.
type PatroniOptions struct {
	Nodes        int                                  // 3 when 0
	Etcds        int                                  // members of etcd; 1 when 0
	TTL          time.Duration                        // of the leader's lease; 10 s when 0
	LoopWait     time.Duration                        // between two looks of an agent; 2 s when 0
	RetryTimeout time.Duration                        // how long an agent tries to reach etcd and PostgreSQL; 3 s when 0
	Synchronous  SyncMode                             // SyncOff by default
	Failsafe     bool                                 // without etcd the leader stays while it reaches every other agent
	Tags         []map[string]any                     // Tags[i] are those of the i-th node
	EtcdVia      func(node int, member string) string // where the i-th node reaches a member of etcd: at a proxy; nil: directly
	BeforeStop   func(n *PatroniNode) string          // command that a node's agent runs before it stops PostgreSQL; else ErrNoHook
	Apart        bool                                 // each member in a network namespace of its own, as root; else ErrNoNetwork
	Options      Options                              // the rest; Standbys and Sync must stay zero, Nodes and Synchronous stand for them
}

const (
	maxEtcds            = 5
	defaultNodes        = 3
	defaultTTL          = 10 * time.Second
	defaultLoopWait     = 2 * time.Second
	defaultRetryTimeout = 3 * time.Second
)

// Validate names what cannot be built. Zero values stand for their defaults.
func (o PatroniOptions) Validate() error {
	if err := o.Options.Validate(); err != nil {
		return err
	}
	for _, r := range o.Options.Roles {
		if r.Name == replicator || r.Name == rewinder {
			return fmt.Errorf("role %q cannot be asked for: it is the agents'", r.Name)
		}
	}
	o = o.withDefaults()
	switch {
	case o.Options.Standbys != 0 || o.Options.Sync:
		return errors.New("a Patroni cluster has Nodes and Synchronous instead of Standbys and Sync")
	case o.Nodes < 1 || o.Nodes > 1+maxStandbys:
		return fmt.Errorf("%d nodes: between 1 and %d are possible", o.Nodes, 1+maxStandbys)
	case o.Etcds < 1 || o.Etcds > maxEtcds:
		return fmt.Errorf("%d members of etcd: between 1 and %d are possible", o.Etcds, maxEtcds)
	case o.Synchronous != SyncOff && o.Nodes == 1:
		return errors.New("synchronous replication needs a standby")
	case o.Apart && o.EtcdVia != nil:
		return errors.New("members that live apart do not reach a proxy at loopback: EtcdVia is for the others")
	case len(o.Tags) > o.Nodes:
		return fmt.Errorf("tags for %d nodes, but there are %d", len(o.Tags), o.Nodes)
	case o.LoopWait+2*o.RetryTimeout > o.TTL:
		return fmt.Errorf("loop_wait %v and twice retry_timeout %v exceed ttl %v", o.LoopWait, o.RetryTimeout, o.TTL)
	}
	return nil
}

func (o PatroniOptions) withDefaults() PatroniOptions {
	orElse := func(d *time.Duration, fallback time.Duration) {
		if *d == 0 {
			*d = fallback
		}
	}
	orElse(&o.TTL, defaultTTL)
	orElse(&o.LoopWait, defaultLoopWait)
	orElse(&o.RetryTimeout, defaultRetryTimeout)
	if o.Nodes == 0 {
		o.Nodes = defaultNodes
	}
	if o.Etcds == 0 {
		o.Etcds = 1
	}
	o.Options = o.Options.withDefaults()
	return o
}

// patroniPrograms are where the two programs lie.
type patroniPrograms struct{ patroni, etcd string }

func findPatroni() (patroniPrograms, error) {
	patroni, err := exec.LookPath("patroni")
	if err != nil {
		return patroniPrograms{}, fmt.Errorf("%w: %w", ErrNoPatroni, err)
	}
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		return patroniPrograms{}, fmt.Errorf("%w: %w", ErrNoPatroni, err)
	}
	return patroniPrograms{patroni: patroni, etcd: etcd}, nil
}

// hasBeforeStop gives an error unless the Patroni here runs a BeforeStop.
func (p patroniPrograms) hasBeforeStop(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, p.patroni, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w", p.patroni, err)
	}
	var major, minor, patch int
	if _, err := fmt.Sscanf(string(out), "patroni %d.%d.%d", &major, &minor, &patch); err != nil {
		return fmt.Errorf("%s --version says %q: %w", p.patroni, out, err)
	}
	if slices.Compare([]int{major, minor, patch}, []int{3, 0, 3}) < 0 {
		return fmt.Errorf("%w, and this is %s", ErrNoHook, strings.TrimSpace(string(out)))
	}
	return nil
}
