package etcd

import (
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// postgresPort is where a conn_url without a port leads.
const postgresPort = 5432

// keepMember is for how long a member whose key is gone is still told. The key goes with Patroni's lease, the server may well go on:
// a former primary that is still writable has to be seen to be refused.
const keepMember = time.Hour

// member is what a member's key says that lasts. Role and state may be a loop of Patroni old: SQL says them first hand.
type member struct {
	id     topology.NodeID // where the server is reached
	server string          // host:port, as announced
	api    string          // the URL of its Patroni's REST interface, as announced; "" = none is
	tags   topology.Tags
}

// takeMember reads one member's key.
func (t *tree) takeMember(name string, value []byte) error {
	var said struct {
		ConnURL string `json:"conn_url"`
		APIURL  string `json:"api_url"`
		Tags    tags   `json:"tags"`
	}
	if json.Unmarshal(value, &said) != nil {
		return errors.New("expected a member in JSON")
	}
	if said.ConnURL == "" {
		return nil // Patroni has begun and not reached its server yet
	}
	server, err := parseConnURL(said.ConnURL)
	if err != nil {
		return err
	}
	id := topology.NodeID(t.addresses.Through(server))
	for other, taken := range t.members {
		if taken.id == id {
			return errors.New("has the same address as " + other)
		}
	}
	t.members[name] = member{id: id, server: server, api: said.APIURL, tags: said.Tags.topology()}
	return nil
}

// tags are Patroni's, of whatever type somebody has given them.
type tags struct {
	NoLoadBalance    loose `json:"noloadbalance"`
	NoStream         loose `json:"nostream"`
	NoFailover       loose `json:"nofailover"`
	FailoverPriority loose `json:"failover_priority"`
	ReplicateFrom    loose `json:"replicatefrom"`
}

// topology says them in the house's terms. Where both are given, nofailover goes before failover_priority, as with Patroni.
func (t *tags) topology() topology.Tags {
	never := t.NoFailover.isTrue()
	if priority, err := strconv.Atoi(string(t.FailoverPriority)); t.NoFailover == "" && err == nil {
		never = priority <= 0
	}
	return topology.Tags{
		NoLoadBalance: t.NoLoadBalance.isTrue(), NoStream: t.NoStream.isTrue(), NoFailover: never, ReplicateFrom: string(t.ReplicateFrom),
	}
}

// parseConnURL takes host and port out of a conn_url and makes the one form of them that names a node. What it says of a wrong one
// does not repeat it: there may be a password in it.
func parseConnURL(text string) (string, error) {
	wrong := errors.New("conn_url: expected postgres://host:port/")
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", wrong
	}
	host := strings.ToLower(u.Hostname())
	if host == "" || strings.ContainsAny(host, "[]/, \t\r\n\x00") {
		return "", wrong
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(u.Host, "[") {
		return "", wrong
	}
	port := uint64(postgresPort)
	if u.Port() != "" {
		port, err = strconv.ParseUint(u.Port(), 10, 16)
	}
	if err != nil || port == 0 {
		return "", wrong
	}
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), nil
}

// roll is when each node was last a member.
type roll map[topology.NodeID]time.Time

// call notes who is a member now and returns all that are to be told, sorted.
func (r roll) call(members map[string]member, now time.Time) []topology.Member {
	for _, m := range members {
		r[m.id] = now
	}
	maps.DeleteFunc(r, func(_ topology.NodeID, seen time.Time) bool { return now.Sub(seen) > keepMember })
	var told []topology.Member
	for _, id := range slices.Sorted(maps.Keys(r)) {
		told = append(told, topology.Member{ID: id, Address: string(id)})
	}
	return told
}

// testimony says the tree in nodes instead of names.
//
// A leader whose member key is not there, or cannot be read, gives nobody permission: Leader is "". That is no Problem, because then
// the permission of the leader before it would go on until it is too old, although somebody else holds the key.
func (t *tree) testimony() topology.Testimony {
	said := topology.Testimony{
		Lease: t.ttl, Leader: t.members[t.leader].id, SystemID: t.systemID, Paused: t.paused,
		SeesAll: true, Asked: topology.Request{Pending: t.asked.pending, From: t.members[t.asked.from].id, To: t.members[t.asked.to].id, At: t.asked.at},
	}
	for _, name := range t.sync {
		if id := t.members[name].id; id != "" {
			said.Sync = append(said.Sync, id)
		}
	}
	slices.Sort(said.Sync)
	return said
}

// agents says the members' tags, sorted by node. They are of no moment: a key says how a node is configured, not that its agent lives.
func (t *tree) agents() []topology.Agent {
	var all []topology.Agent
	for _, m := range t.members {
		all = append(all, topology.Agent{Node: m.id, Tags: m.tags})
	}
	slices.SortFunc(all, func(a, b topology.Agent) int { return strings.Compare(string(a.Node), string(b.Node)) })
	return all
}

// addressed returns where the members' agents are asked, sorted by name.
func (t *tree) addressed() []discovery.AgentAddress {
	var all []discovery.AgentAddress
	for name, m := range t.members {
		if m.api != "" {
			all = append(all, discovery.AgentAddress{Name: name, Server: m.server, URL: m.api})
		}
	}
	slices.SortFunc(all, func(a, b discovery.AgentAddress) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// notes is what an operator should know of the tree, "" for nothing.
func (t *tree) notes() string {
	faults := t.faults
	if t.leader != "" && t.members[t.leader].id == "" {
		faults = append(slices.Clone(faults), "leader: names a member that is not known")
	}
	return strings.Join(faults, "; ")
}
