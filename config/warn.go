package config

import "fmt"

// probesToProve is how many rounds of probes it takes to prove another primary, at least.
const probesToProve = 3

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
	for i, n := range c.cfg.Admin.Networks() {
		if n.Bits() == 0 {
			c.warn(element("admin.allow", i), "lets everybody who reaches the HTTP server change the cluster", "name the operators' network")
		}
	}
}

func (c *checker) warnCluster(cl *Cluster) {
	path := join("cluster", cl.Name)
	if cl.StateDir == "" {
		c.warn(path+".state_dir", "is not set: the cluster's identity and highest timeline are forgotten when the router restarts",
			"without them an outdated node could pass for the primary")
	}
	least := probesToProve * cl.ProbeInterval
	for _, p := range c.pools() {
		if p.HoldTimeout < least {
			c.warn(p.path+".hold_timeout", fmt.Sprintf("%s is shorter than %d times the probe_interval of cluster %s: a failover cannot be seen through",
				formatDuration(p.HoldTimeout), probesToProve, cl.Name), "the default is 8s")
		}
	}
}

// pathPool is a Pool and the table that made it what it is.
type pathPool struct {
	Pool
	path string
}

// pools returns [pool] and those overrides that have a hold_timeout of their own.
func (c *checker) pools() []pathPool {
	all := []pathPool{{c.cfg.Pool, "pool"}}
	for i := range c.cfg.Databases {
		if d := &c.cfg.Databases[i]; d.HoldTimeout != nil {
			all = append(all, pathPool{d.over(c.cfg.Pool), join("database", d.Name)})
		}
	}
	for i := range c.cfg.Users {
		if u := &c.cfg.Users[i]; u.HoldTimeout != nil {
			all = append(all, pathPool{u.over(c.cfg.Pool), join("user", u.Name)})
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
	return len(cl.Nodes) == 1 && len(cl.Patroni.URLs)+len(cl.Etcd.Endpoints) == 0
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
