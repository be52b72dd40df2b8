package patroni

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

const (
	maxMembers  = 128  // of one cluster: each has a goroutine here
	defaultPort = 5432 // of a conn_url that has none
	maxPort     = 65535
)

// cluster is what one member says of all, from a look into the DCS that it took for us (GET /cluster).
type cluster struct {
	members []member // sorted by name
	leader  string   // the name of who holds the lock; "" = nobody
	sync    []string // names of synchronous standbys
	paused  bool
	asked   *switchover // that somebody has scheduled; nil = none
}

// member is one of them.
type member struct {
	name    string
	base    string // of its REST interface; "" = not said
	address string // of its server; "" = not said
}

// switchover is one that is scheduled, by names.
type switchover struct {
	from, to string
	at       time.Time
}

// parseCluster reads the answer to GET /cluster of Patroni 2 to 4. What it does not know, it does not look at.
func parseCluster(body []byte) (cluster, error) {
	var said struct {
		Members []struct {
			Name   string `json:"name"`
			Role   string `json:"role"`
			APIURL string `json:"api_url"`
			Host   string `json:"host"`
			Port   int    `json:"port"`
		} `json:"members"`
		Pause bool `json:"pause"`
		Asked *struct {
			At   string `json:"at"`
			From string `json:"from"`
			To   string `json:"to"`
		} `json:"scheduled_switchover"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return cluster{}, fmt.Errorf("no list of members: %w", err)
	}
	if said.Members == nil || len(said.Members) > maxMembers {
		return cluster{}, fmt.Errorf("it does not name its members, or more than %d", maxMembers)
	}
	c := cluster{paused: said.Pause}
	for _, m := range said.Members {
		base, err := baseURL(m.APIURL)
		if err != nil {
			base = ""
		}
		if err := c.add(member{name: m.Name, base: base, address: serverAddress(m.Host, m.Port)}, m.Role); err != nil {
			return cluster{}, err
		}
	}
	slices.SortFunc(c.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	slices.Sort(c.sync)
	if a := said.Asked; a != nil {
		at, err := time.Parse(time.RFC3339, a.At)
		if err != nil {
			return cluster{}, errors.New("a switchover is scheduled for no time")
		}
		c.asked = &switchover{from: a.From, to: a.To, at: at}
	}
	return c, nil
}

// add takes a member in.
func (c *cluster) add(m member, role string) error {
	if m.name == "" || c.find(m.name) != nil {
		return fmt.Errorf("member %q: it is there twice, or has no name", m.name)
	}
	switch role {
	case "leader", "standby_leader", "master", "primary":
		if c.leader != "" {
			return fmt.Errorf("members %q and %q: both are called leader", c.leader, m.name)
		}
		if m.address == "" {
			return fmt.Errorf("leader %q has no address", m.name)
		}
		c.leader = m.name
	case "sync_standby":
		c.sync = append(c.sync, m.name)
	}
	c.members = append(c.members, m)
	return nil
}

// find returns the member of a name, or nil.
func (c *cluster) find(name string) *member {
	for i := range c.members {
		if c.members[i].name == name {
			return &c.members[i]
		}
	}
	return nil
}

// serverAddress returns host:port as it names a node, "" for what is no address.
func serverAddress(host string, port int) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if port == 0 {
		port = defaultPort
	}
	if host == "" || strings.ContainsAny(host, " ,/[]@\t\r\n\x00") || port < 1 || port > maxPort {
		return ""
	}
	return net.JoinHostPort(strings.ToLower(host), strconv.Itoa(port))
}

// testimony translates names into nodes.
func (c *cluster) testimony(addresses discovery.AddressMap) topology.Testimony {
	node := func(name string) topology.NodeID {
		if m := c.find(name); m != nil {
			return m.node(addresses)
		}
		return ""
	}
	t := topology.Testimony{Leader: node(c.leader), Paused: c.paused}
	for _, name := range c.sync {
		if id := node(name); id != "" {
			t.Sync = append(t.Sync, id)
		}
	}
	slices.Sort(t.Sync)
	if c.asked != nil {
		t.Asked = topology.Request{Pending: true, From: node(c.asked.from), To: node(c.asked.to), At: c.asked.at}
	}
	return t
}

// node returns the member's name in the router; "" while its address is not known.
func (m *member) node(addresses discovery.AddressMap) topology.NodeID {
	return topology.NodeID(addresses.Through(m.address))
}

// parseTTL reads the answer to GET /config: how long the leader's lock lives without a sign of its holder.
func parseTTL(body []byte) (time.Duration, error) {
	var said struct {
		TTL int64 `json:"ttl"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return 0, fmt.Errorf("no configuration: %w", err)
	}
	ttl := time.Duration(said.TTL) * time.Second
	if said.TTL < 1 || said.TTL > int64(maxLease/time.Second) {
		return 0, fmt.Errorf("ttl %d is out of range", said.TTL)
	}
	return ttl, nil
}
