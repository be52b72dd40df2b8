package config

import (
	"net/netip"
	"slices"
	"strings"
)

// checker looks at what no single key can tell.
type checker struct {
	*decoder
	cfg   *Config
	given map[string]any // the tree that was read
}

// consoleNames are the databases that are the router's own. Constant table.
var consoleNames = [...]string{"pgrouter", "pgbouncer"}

// complete fills in what follows from other values.
func (c *checker) complete() {
	cfg := c.cfg
	if len(cfg.Listeners) == 0 && c.given["listener"] == nil {
		for _, row := range []map[string]any{{"address": defaultPrimary}, {"address": defaultReplica, "route": "replica"}} {
			c.section(sectionNamed("listener"), []map[string]any{row}, listenersOf(cfg))
		}
	}
	if len(cfg.Clusters) == 1 {
		for i := range cfg.Listeners {
			if cfg.Listeners[i].Cluster == "" {
				cfg.Listeners[i].Cluster = cfg.Clusters[0].Name
			}
		}
	}
	cfg.Auth.Userlist = c.beside(cfg.Auth.Userlist)
	for i := range cfg.Clusters {
		cl := &cfg.Clusters[i]
		for _, path := range []*string{
			&cl.StateDir, &cl.Patroni.CAFile, &cl.Patroni.CertFile, &cl.Patroni.KeyFile, &cl.Etcd.CAFile, &cl.Etcd.CertFile, &cl.Etcd.KeyFile,
		} {
			*path = c.beside(*path)
		}
		if len(cl.Etcd.Endpoints) > 0 && cl.Etcd.Scope == "" {
			cl.Etcd.Scope = cl.Name
		}
	}
}

// check reports everything that cannot be.
func (c *checker) check() {
	c.checkAdmin()
	c.checkAuth()
	if p := &c.cfg.Pool; p.DialBackoffMax < p.DialBackoffMin {
		c.fault("pool.dial_backoff_max", "must be at least dial_backoff_min, which is "+formatDuration(p.DialBackoffMin), "")
	}
	c.checkReset("pool", &c.cfg.Pool.ResetQuery)
	c.checkNames()
	if c.given["cluster"] == nil {
		hint := "add [cluster.main] with nodes = [\"host:port\"]"
		if c.names != nil {
			hint = "set PGROUTER_CLUSTER_NODES=host:port,host:port or PGHOST"
		}
		c.fault("cluster", "there is none", hint)
	}
	for i := range c.cfg.Clusters {
		c.checkCluster(&c.cfg.Clusters[i])
	}
	open := 0
	for i := range c.cfg.Listeners {
		c.checkListener(i)
		if c.cfg.Listeners[i].Address != "" {
			open++
		}
	}
	if open == 0 && !Failed(c.faults) {
		c.fault("listener", "there is none: nobody could connect", "")
	}
}

func (c *checker) checkAdmin() {
	a := &c.cfg.Admin
	if a.HTTP != "" {
		if _, _, err := splitAddress(a.HTTP, ""); err != nil || strings.HasPrefix(a.HTTP, "/") {
			c.fault("admin.http", c.shown("admin.http", a.HTTP)+" must be host:port", "")
		}
	}
	for i, entry := range a.Allow {
		if _, err := parseNetwork(entry); err != nil {
			path := element("admin.allow", i)
			c.fault(path, c.shown(path, entry)+" is neither an address nor a network", `write "10.0.0.7" or "10.0.0.0/8"`)
		}
	}
	c.checkPeers(a)
}

// parseNetwork reads an address as the network that it alone is in.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// Networks returns Allow as networks.
func (a *Admin) Networks() []netip.Prefix {
	var nets []netip.Prefix
	for _, entry := range a.Allow {
		if n, err := parseNetwork(entry); err == nil {
			nets = append(nets, n)
		}
	}
	return nets
}

func (c *checker) checkAuth() {
	a := &c.cfg.Auth
	if a.Userlist != "" {
		if err := c.files.isRegular(a.Userlist); err != nil {
			c.fault("auth.userlist", err.Error(), "")
		}
	}
	if a.Method == "trust" {
		return
	}
	switch {
	case !a.Password.IsZero() && a.User == "":
		c.fault("auth.user", "must be given with the password", "")
	case a.User != "" && a.Password.IsZero() && a.Userlist == "" && c.names == nil:
		c.fault("auth.password", "must be given with the user", "")
	case c.without("auth", "userlist") && (a.User == "" || a.Password.IsZero()):
		hint := "give a userlist, or user and password"
		if c.names != nil {
			hint = "set PGUSER and PGPASSWORD, PGROUTER_AUTH_USERLIST, or PGROUTER_AUTH_METHOD=trust"
		}
		c.fault("auth.userlist", "nobody could log in: there is no user", hint)
	}
}

// without reports whether a key was left out of a table, or left empty.
func (c *checker) without(table, key string) bool {
	switch given := tableOf(c.given, table)[key].(type) {
	case nil:
		return true
	case string:
		return given == ""
	case text:
		return given == ""
	}
	return false
}

// checkReset looks at the reset_query of a table; nil = it has none.
func (c *checker) checkReset(path string, query *string) {
	if query != nil && *query == "" {
		c.fault(path+".reset_query", "must not be empty", "DISCARD ALL is the default")
	}
}

// checkNames looks at the names of databases and users.
func (c *checker) checkNames() {
	for i := range c.cfg.Databases {
		d := &c.cfg.Databases[i]
		if slices.Contains(consoleNames[:], d.Name) {
			c.fault(join("database", d.Name), "is the console's name", "name the real one with dbname under another name")
		}
		if d.Name == "" {
			c.fault("database", "a database must have a name", "")
		}
		if d.User == "" && !d.Password.IsZero() {
			c.fault(join("database", d.Name)+".user", "must be given with the password", "")
		}
		c.checkReset(join("database", d.Name), d.ResetQuery)
	}
	for i := range c.cfg.Users {
		if c.cfg.Users[i].Name == "" {
			c.fault("user", "a user must have a name", "")
		}
		c.checkReset(join("user", c.cfg.Users[i].Name), c.cfg.Users[i].ResetQuery)
	}
}

func (c *checker) checkCluster(cl *Cluster) {
	path := join("cluster", cl.Name)
	if !isBare(cl.Name) {
		c.fault(path, "a cluster's name is made of letters, digits, - and _", "it becomes a file name and a metric's label")
	}
	if cl.ProbeUser == "" {
		c.fault(path+".probe_user", "must not be empty", "")
	}
	if cl.ProbeDatabase == "" {
		c.fault(path+".probe_database", "must not be empty", "")
	}
	c.checkMembers(cl, path)
	c.checkAddressMap(cl.AddressMap, path+".address_map")
	c.checkWeights(cl, path)
	c.checkPatroni(&cl.Patroni, len(cl.Etcd.Endpoints) > 0, path+".patroni")
	c.checkEtcd(&cl.Etcd, path+".etcd")
	c.checkDNS(&cl.DNS, path+".dns")
}

// checkMembers sees that the cluster has nodes, or may find some, and gives their addresses one form.
func (c *checker) checkMembers(cl *Cluster, path string) {
	switch {
	case len(cl.Nodes) > 0 || cl.isFound():
	case cl.Nodes != nil:
		c.fault(path+".nodes", "must name at least one node", "")
	case c.names != nil:
		c.fault(path+".nodes", "is required", "or set PGHOST")
	default:
		c.fault(path+".nodes", "is required", "or let ["+path+".patroni], ["+path+".etcd] or ["+path+".dns] find them")
	}
	seen := make(map[string]bool)
	for i, node := range cl.Nodes {
		at := element(path+".nodes", i)
		address, err := nodeAddress(node)
		switch {
		case err != nil:
			c.fault(at, c.shown(at, node)+" "+err.Error(), `write "10.0.0.11:5432"`)
			continue
		case seen[address]:
			c.fault(at, c.shown(at, node)+" is there twice", "")
		}
		seen[address] = true
		cl.Nodes[i] = address
	}
}

// tableOf returns a table of the tree that was read, empty when it is not there.
func tableOf(tree map[string]any, path ...string) map[string]any {
	for _, name := range path {
		tree, _ = tree[name].(map[string]any)
	}
	return tree
}

func (c *checker) checkListener(i int) {
	l := &c.cfg.Listeners[i]
	path := element("listener", i)
	if l.Address == "" {
		if rows, _ := c.given["listener"].([]map[string]any); i < len(rows) && rows[i]["address"] == "" {
			c.fault(path+".address", "must not be empty", "")
		}
		return // in the environment an empty address turns the listener off
	}
	address := c.shown(path+".address", l.Address)
	if _, _, err := splitAddress(l.Address, ""); err != nil {
		c.fault(path+".address", address+" "+err.Error(), `write "0.0.0.0:5000"`)
	}
	for j := range i {
		if clash(c.cfg.Listeners[j].Address, l.Address) {
			c.fault(path+".address", address+" is taken by "+element("listener", j), "")
		}
	}
	if clash(c.cfg.Admin.HTTP, l.Address) {
		c.fault(path+".address", address+" is taken by admin.http", "")
	}
	c.checkListenersCluster(l, path)
}

func (c *checker) checkListenersCluster(l *Listener, path string) {
	var names []string
	for i := range c.cfg.Clusters {
		names = append(names, c.cfg.Clusters[i].Name)
	}
	switch {
	case len(names) == 0:
	case l.Cluster == "":
		c.fault(path+".cluster", "is required, because there are several clusters", "one of "+orList(names))
	case !slices.Contains(names, l.Cluster):
		c.fault(path+".cluster", "there is no cluster "+c.shown(path+".cluster", l.Cluster), "one of "+orList(names))
	}
}
