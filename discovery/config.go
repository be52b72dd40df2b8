package discovery

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// Config is one cluster's share of the configuration.
type Config struct {
	Cluster       topology.ClusterID
	ProbeInterval time.Duration // from the beginning of one probe of a node to the next
	HeldInterval  time.Duration // the same while there is no primary, or while somebody holds (SetHeld), unless that is longer
	MinInterval   time.Duration // the least between two probes of a node, whatever triggers them; the interval for one that is being promoted
	Heartbeat     time.Duration // a question without an answer for so long makes the node suspect
	StateDir      string        // where CLUSTER.json keeps the floor; "" keeps it in memory only

	DCS            bool // one of the sources speaks for a DCS: nothing is opened for writes without its permission
	HoldWithoutDCS bool // hold writes as soon as the DCS is silent for longer than its lease, whatever speaks for the primary
}

// The defaults of a Config.
const (
	DefaultProbeInterval = time.Second
	DefaultHeldInterval  = 100 * time.Millisecond
	DefaultMinInterval   = 25 * time.Millisecond
	DefaultHeartbeat     = time.Second
)

const (
	freshSlack = 500 * time.Millisecond // what an answer may be late on a busy machine before it counts as stale
	startWait  = 4 * time.Second        // how long the first primary waits for a node, or a DCS, that says nothing at all
	agentAge   = 5 * time.Second        // for how long an agent's word counts: a few of its answers may be late
)

// Defaults returns the configuration of a cluster about which nothing is said: it has no name and no state directory.
func Defaults() Config {
	return Config{
		ProbeInterval: DefaultProbeInterval,
		HeldInterval:  DefaultHeldInterval,
		MinInterval:   DefaultMinInterval,
		Heartbeat:     DefaultHeartbeat,
	}
}

// Validate names all that is wrong.
func (c Config) Validate() error {
	var faults []error
	if c.Cluster == "" {
		faults = append(faults, errors.New("the cluster has no name"))
	}
	if strings.ContainsAny(string(c.Cluster), "/\x00") || strings.HasPrefix(string(c.Cluster), ".") {
		faults = append(faults, fmt.Errorf("cluster name %q: it names a file, and may not hold a slash or begin with a dot", c.Cluster))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"probe interval", c.ProbeInterval},
		{"held interval", c.HeldInterval},
		{"least interval", c.MinInterval},
		{"heartbeat", c.Heartbeat},
	} {
		if d.value <= 0 {
			faults = append(faults, fmt.Errorf("%s %s: it must be above 0", d.name, d.value))
		}
	}
	return errors.Join(faults...)
}

// Apply returns what of a new configuration needs a restart, by the names in the configuration file. The rest can be given to
// Manager.Reload.
func Apply(before, after Config) []string {
	var restart []string
	if before.Cluster != after.Cluster {
		restart = append(restart, "cluster name")
	}
	if before.StateDir != after.StateDir {
		restart = append(restart, "state_dir")
	}
	return restart
}

// limits derives the reducer's times: an answer is fresh until the one after it is overdue.
func (c Config) limits() topology.Limits {
	return topology.Limits{
		MaxAge: c.ProbeInterval + c.Heartbeat + freshSlack, StartWait: startWait, AgentAge: agentAge,
		DCS: c.DCS, HoldWithoutDCS: c.HoldWithoutDCS,
	}
}

// tick is how often answers are looked at for their age while nothing else happens.
func (c Config) tick() time.Duration { return max(c.ProbeInterval/2, time.Millisecond) }
