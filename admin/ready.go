package admin

import (
	"fmt"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// A picture of a cluster is confirmed by each probe that has come back, about nodes that answer and about those that do not.
// One that was not for so many intervals says that discovery hangs, and what it shows may be over.
const (
	staleIntervals = 5
	staleLeast     = 5 * time.Second // however short the interval: a busy machine is late, too
)

// ready reports whether there is a writable path: every listener for the primary has it. A router without such a listener is
// ready when one of its listeners has a node. That a replica is missing does not take a router out of service.
func (a *Admin) ready() (ok bool, why string) {
	why = "no listener is open"
	writable := false
	for _, d := range a.world.Doors() {
		served, reason := a.serves(d.Cluster, d.Route)
		primary := d.Route == routing.Primary.String()
		writable = writable || primary
		switch {
		case served && !primary:
			ok = true
		case !served:
			why = "listener " + d.Address + " (" + d.Route + "): " + reason
			if primary {
				return false, why + a.readOnly(d.Cluster)
			}
		}
	}
	if ok || writable {
		return true, ""
	}
	return false, why
}

// readOnly says that a standby serves some clients of a cluster in the place of its primary. That makes nobody ready.
func (a *Admin) readOnly(cluster string) string {
	for _, q := range a.world.Queues() {
		if string(q.Key.Cluster) == cluster && q.StandIn != "" {
			return fmt.Sprintf("; %s serves reads in its place (no_primary)", q.StandIn)
		}
	}
	return ""
}

// serves reports whether a route of a cluster has a node, by a picture that is not too old to be believed, and new clients are welcome.
func (a *Admin) serves(cluster, route string) (ok bool, why string) {
	if a.leaving.Load() {
		return false, "the router is shutting down"
	}
	if ok, why := a.world.Serves(cluster, route); !ok {
		return false, why
	}
	for _, s := range a.world.Clusters() {
		if string(s.Cluster) == cluster {
			return a.fresh(s)
		}
	}
	return true, ""
}

// fresh reports whether discovery has confirmed a picture in time.
func (a *Admin) fresh(s *topology.Snapshot) (ok bool, why string) {
	interval := a.cfg.Load().ProbeInterval[string(s.Cluster)]
	if interval == 0 {
		interval = discovery.DefaultProbeInterval
	}
	limit := max(staleIntervals*interval, staleLeast)
	old := time.Since(s.At)
	if old <= limit {
		return true, ""
	}
	return false, fmt.Sprintf("discovery has not confirmed its picture of cluster %s for %s; %s are allowed (%d probe intervals of %s, at least %s)",
		s.Cluster, old.Round(time.Second/10), limit, staleIntervals, interval, staleLeast)
}
