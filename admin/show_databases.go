package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

func databaseColumns() []column {
	return []column{
		{"name", typeText, "the name that clients use"},
		{"host", typeText, "of the cluster's nodes, with a comma between them; SHOW NODES tells which of them is the primary"},
		{"port", typeInt4, "of the first of them"},
		{"database", typeText, "the name on the servers"},
		{"force_user", typeText, "as whom the router logs in to the servers; empty: as the client"},
		{"pool_size", typeInt4, "server connections of one user and route to one node"},
		{"min_pool_size", typeInt4, "… that are kept open"},
		{"reserve_pool_size", typeInt4, "… that there may be more when clients wait for long"},
		{"server_lifetime", typeInt4, "at what age, in seconds, they are closed"},
		{"pool_mode", typeText, "when clients give them back"},
		{"load_balance_hosts", typeText, "always empty"},
		{"max_connections", typeInt4, "server connections of all users together; 0: no limit"},
		{"current_connections", typeInt4, "… that there are, open or being opened, whatever name clients use for the database"},
		{"max_client_connections", typeInt4, "clients; 0: no limit but `max_clients`"},
		{"current_client_connections", typeInt4, "… that there are"},
		{"paused", typeInt4, "1: by PAUSE, of it or of all"},
		{"disabled", typeInt4, "1: nobody may log in"},
		{"cluster", typeText, "on which it is in use; empty: on none of several"},
	}
}

// seat is a database on a cluster.
type seat struct{ database, cluster string }

// ordinary reports whether somebody is a client of a database, not of the console.
func ordinary(c proxy.ClientInfo) bool { return c.Kind != "console" }

// seats returns the databases that are configured or in use, by the names that clients use, and how many clients each has.
func (a *Admin) seats(setup Setup) ([]seat, map[seat]int) {
	clients := make(map[seat]int)
	known := make(map[string]bool)
	for _, c := range a.world.Clients() {
		if ordinary(c) {
			clients[seat{c.Database, c.Cluster}]++
			known[c.Database] = true
		}
	}
	home := ""
	if all := a.world.Clusters(); len(all) == 1 {
		home = string(all[0].Cluster)
	}
	counted := maps.Clone(clients)
	add := func(name string) {
		if !known[name] && name != "" {
			known[name] = true
			counted[seat{name, home}] = 0
		}
	}
	for _, name := range setup.Databases {
		add(name)
	}
	for _, d := range a.world.Traffic() { // whoever has been here
		add(d.Database)
	}
	return slices.SortedFunc(maps.Keys(counted), func(x, y seat) int {
		return strings.Compare(x.database+"\x00"+x.cluster, y.database+"\x00"+y.cluster)
	}), clients
}

func showDatabases(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	setup, servers := a.world.Setup(), a.world.Queues()
	seats, clients := a.seats(setup)
	var rows [][]string
	for _, s := range seats {
		d := setup.Database(s.database)
		_, paused := a.world.Database(s.database)
		hosts, port := a.hosts(s.cluster)
		current := connectionsOf(servers, func(k pool.Key) bool {
			return k.Database == s.database && (s.cluster == "" || string(k.Cluster) == s.cluster)
		})
		rows = append(rows, []string{
			s.database, hosts, port, d.ServerName, d.ServerUser, strconv.Itoa(d.Size), strconv.Itoa(d.MinSize), strconv.Itoa(d.ReserveSize),
			strconv.Itoa(int(d.Lifetime.Seconds())), d.Mode, "", strconv.Itoa(d.MaxConnections), strconv.Itoa(current),
			strconv.Itoa(d.MaxClients), strconv.Itoa(clients[s]), bit(paused), bit(d.Disabled), s.cluster,
		})
	}
	return rows, nil
}

// hosts names the hosts of a cluster's nodes, which are the same whoever of them is the primary, and the port of the first.
func (a *Admin) hosts(cluster string) (hosts, firstPort string) {
	var all []string
	firstPort = "0"
	for _, s := range a.world.Clusters() {
		if s.Cluster != topology.ClusterID(cluster) {
			continue
		}
		for i := range s.Nodes {
			address := string(s.Nodes[i].ID)
			if h := host(address); !slices.Contains(all, h) {
				all = append(all, h)
			}
			if i == 0 {
				firstPort = portNumber(address)
			}
		}
	}
	return strings.Join(all, ","), firstPort
}

// connectionsOf counts the server connections of some queues, open or being opened.
func connectionsOf(queues []pool.QueueStats, wanted func(pool.Key) bool) int {
	n := 0
	for _, q := range queues {
		if wanted(q.Key) {
			all := inAll(q)
			n += all.Linked + all.Idle + all.Resetting + all.CancelPending + all.Dialing
		}
	}
	return n
}

func userColumns() []column {
	return []column{
		{"name", typeText, "the name that clients use"},
		{"pool_size", typeText, "the user's own, if he has one"},
		{"reserve_pool_size", typeText, "likewise"},
		{"pool_mode", typeText, "likewise"},
		{"max_user_connections", typeInt4, "server connections that there may be under his name; 0: no limit"},
		{"current_connections", typeInt4, "… that there are, open or being opened"},
		{"max_user_client_connections", typeInt4, "clients that he may have; 0: no limit but `max_clients`"},
		{"current_client_connections", typeInt4, "… that there are"},
	}
}

func showUsers(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	setup, servers := a.world.Setup(), a.world.Queues()
	clients := make(map[string]int)
	for _, name := range setup.Users {
		clients[name] = 0
	}
	for _, c := range a.world.Clients() {
		if ordinary(c) {
			clients[c.User]++
		}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		u := setup.User(name)
		current := connectionsOf(servers, func(k pool.Key) bool { return k.User == name })
		rows = append(rows, []string{
			name, rightAligned(u.Size), rightAligned(u.ReserveSize), u.Mode, strconv.Itoa(u.MaxConnections), strconv.Itoa(current),
			strconv.Itoa(u.MaxClients), strconv.Itoa(clients[name]),
		})
	}
	return rows, nil
}

// rightAligned writes a number into a column of text as PgBouncer does; 0 is nothing.
func rightAligned(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%9d", n)
}
