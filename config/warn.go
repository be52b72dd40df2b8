package config

import (
	"fmt"
	"time"
)

// probesToProve is how many rounds of probes it takes to prove another primary, at least.
const probesToProve = 3

// probesToJudge is how many rounds of probes a lag in time must last to be more than their own inexactness.
const probesToJudge = 2

// warnings reports what can be, but is hardly meant.
func (c *checker) warnings() {
	for i := range c.cfg.Clusters {
		c.warnCluster(&c.cfg.Clusters[i])
	}
	for i := range c.cfg.Listeners {
		c.warnListener(&c.cfg.Listeners[i], element("listener", i))
	}
	if l := &c.cfg.Limits; l.MaxLogins > l.MaxClients && tableOf(c.given, "limits")["max_logins"] != nil {
		c.warn("limits.max_logins", fmt.Sprintf("has no effect above max_clients, which is %d", l.MaxClients), "")
	}
	c.warnReadOnly()
	for i, n := range c.cfg.Admin.Networks() {
		if n.Bits() == 0 {
			c.warn(element("admin.allow", i), "lets everybody who reaches the HTTP server change the cluster", "name the operators' network")
		}
	}
}

// warnReadOnly looks at where work is to be served read-only while there is no primary.
func (c *checker) warnReadOnly() {
	for _, p := range c.cfg.pools(func(o *Override) bool {
		return o.NoPrimary != nil || o.NoPrimaryAfter != nil || o.HoldTimeout != nil || o.LoginHoldTimeout != nil
	}) {
		if least := min(p.HoldTimeout, p.LoginHoldTimeout); p.NoPrimary == "read-only" && p.NoPrimaryAfter >= least {
			c.warn(p.path+".no_primary_after", fmt.Sprintf("%s is not shorter than hold_timeout and login_hold_timeout: who waits is refused after %s",
				formatDuration(p.NoPrimaryAfter), formatDuration(least)), "the defaults are 5s, 8s and 8s")
		}
	}
}

func (c *checker) warnCluster(cl *Cluster) {
	path := join("cluster", cl.Name)
	if cl.StateDir == "" {
		c.warn(path+".state_dir", "is not set: the cluster's identity and highest timeline are forgotten when the router restarts",
			"without them an outdated node could pass for the primary")
	}
	if cl.ProbePort != 0 {
		for _, p := range c.cfg.pools(func(o *Override) bool { return o.NoPrimary != nil }) {
			if p.NoPrimary == "read-only" {
				c.warn(p.path+".no_primary", fmt.Sprintf("read-only has no effect in cluster %s, which works through a connection pooler (probe_port)", cl.Name), "")
			}
		}
	}
	least := probesToProve * cl.ProbeInterval
	for _, h := range c.cfg.HoldTimeouts() {
		if len(cl.Etcd.Endpoints)+len(cl.Patroni.URLs) > 0 && cl.HoldMax >= h.Limit {
			c.warn(path+".hold_max", fmt.Sprintf("%s is not below %s, which is %s: a request that Patroni does not get on with costs errors",
				formatDuration(cl.HoldMax), h.Key, formatDuration(h.Limit)), "the defaults are 5s and 8s")
		}
		if h.Limit < least {
			c.warn(h.Key, fmt.Sprintf("%s is shorter than %d times the probe_interval of cluster %s: a failover cannot be seen through",
				formatDuration(h.Limit), probesToProve, cl.Name), "the default is 8s")
		}
	}
}

// HoldTimeout is a limit of waiting for a node, and where it stands.
type HoldTimeout struct {
	Key   string // as in docs/configuration.md
	Limit time.Duration
}

// HoldTimeouts returns the hold_timeout of [pool], and those of databases and users that have their own.
func (c *Config) HoldTimeouts() []HoldTimeout {
	var all []HoldTimeout
	for _, p := range c.pools(func(o *Override) bool { return o.HoldTimeout != nil }) {
		all = append(all, HoldTimeout{p.path + ".hold_timeout", p.HoldTimeout})
	}
	return all
}

// pathPool is a Pool and the table that made it what it is.
type pathPool struct {
	Pool
	path string
}

// pools returns [pool] and what those overrides make of it that are meant.
func (c *Config) pools(meant func(*Override) bool) []pathPool {
	all := []pathPool{{c.Pool, "pool"}}
	for i := range c.Databases {
		if d := &c.Databases[i]; meant(&d.Override) {
			all = append(all, pathPool{d.over(c.Pool), join("database", d.Name)})
		}
	}
	for i := range c.Users {
		if u := &c.Users[i]; meant(&u.Override) {
			all = append(all, pathPool{u.over(c.Pool), join("user", u.Name)})
		}
	}
	return all
}

func (c *checker) warnListener(l *Listener, path string) {
	if l.Address == "" {
		return
	}
	if l.Route == "primary" && l.MaxLag > 0 {
		c.warn(path+".max_lag", "has no effect on the route primary", "")
	}
	if l.Route == "primary" && l.MaxLagTime > 0 {
		c.warn(path+".max_lag_time", "has no effect on the route primary", "")
	}
	if least := probesToJudge * c.cfg.cluster(l.Cluster).ProbeInterval; l.MaxLagTime > 0 && l.MaxLagTime < least {
		c.warn(path+".max_lag_time", fmt.Sprintf("%s is shorter than %d times the probe_interval of cluster %s: standbys that are up to date are shut out",
			formatDuration(l.MaxLagTime), probesToJudge, l.Cluster), "")
	}
	if l.Route != "replica" && l.Fallback != "none" {
		c.warn(path+".fallback", "has an effect on the route replica only", "")
	}
	if l.Route == "replica" && l.Fallback == "none" && c.cfg.cluster(l.Cluster).isSingle() {
		if c.lines[path] > 0 { // a listener that nobody wrote is nobody's mistake
			c.warn(path, fmt.Sprintf("cluster %s has one node: there is no replica", l.Cluster), `fallback = "primary" would use the primary`)
		}
	}
	host, _, err := splitAddress(l.Address, "")
	if c.cfg.Auth.Method == "trust" && err == nil && !isLocal(host) {
		c.warn("auth.method", fmt.Sprintf("trust lets everybody in who reaches %s", l.Address), "")
	}
}

// isSingle says whether there is one node, and none will be found.
func (cl *Cluster) isSingle() bool {
	return len(cl.Nodes) == 1 && !cl.isFound()
}

// isFound says whether something finds members.
func (cl *Cluster) isFound() bool {
	return len(cl.Patroni.URLs)+len(cl.Etcd.Endpoints)+len(cl.DNS.Names) > 0
}

// cluster returns the cluster of a name, an empty one if there is none.
func (c *Config) cluster(name string) *Cluster {
	for i := range c.Clusters {
		if c.Clusters[i].Name == name {
			return &c.Clusters[i]
		}
	}
	return &Cluster{}
}
