package admin

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
)

// connectionColumns are those that PgBouncer has of a client and of a server connection.
func connectionColumns() []column {
	return []column{
		{"type", typeText, "C: a client; S: a server"},
		{"user", typeText, "of a client, as it logged in; of a server connection, as we did"},
		{"database", typeText, "likewise"},
		{"replication", typeText, "of a client: `none`, `physical` or `logical`; of a server connection `none`: those of replication clients are in no pool"},
		{"state", typeText, "clients: `active` (has a server), `waiting` (for one), `idle`, or `login`; servers: `active` (a client has it), `idle`, `tested` (being reset), `being_canceled` (a cancel request is awaited)"},
		{"addr", typeText, "of the other end; `unix` for a client at a unix socket"},
		{"port", typeInt4, "likewise"},
		{"local_addr", typeText, "our end"},
		{"local_port", typeInt4, "likewise"},
		{"connect_time", typeText, "since when it is there, UTC"},
		{"request_time", typeText, "servers: since when the state is what it is; clients: since when one waits, or has its server; empty: neither"},
		{"wait", typeInt4, "for how many whole seconds a client has been waiting"},
		{"wait_us", typeInt4, "… and microseconds"},
		{"close_needed", typeInt4, "1: a server connection that is closed when its client gives it back"},
		{"ptr", typeText, "names the connection: C or S, and its id"},
		{"link", typeText, "the ptr of the client that has the server, and the other way round"},
		{"remote_pid", typeInt4, "process of the server; 0 for clients"},
		{"tls", typeText, "always empty: there is no TLS"},
		{"application_name", typeText, "of the client, or of the client that has the server"},
		{"prepared_statements", typeInt4, "of a client: named statements that it has; of a server: statements of all its clients that are prepared on it"},
		{"id", typeInt8, "number of the client or server connection, given once; PgBouncer's int4 would run over"},
	}
}

func clientColumns() []column {
	return append(connectionColumns(),
		column{"cluster", typeText, "whose nodes it reaches"},
		column{"route", typeText, "which of them: that of its listener"},
		column{"pinned", typeText, "why it keeps its server between units of work; empty: it does not"},
		column{"units", typeInt8, "units of work that have ended"},
	)
}

// connection is a row of connectionColumns.
type connection struct {
	kind, user, database, state, remote, local string
	connected, requested                       time.Time
	waited                                     time.Duration
	closing                                    bool
	id, link                                   uint64
	pid                                        uint32
	app                                        string
	prepared                                   uint32
	replication                                string // as the client has asked for it
}

const (
	kindClient = "C"
	kindServer = "S"
)

// pointer names a connection in the columns ptr and link.
func pointer(kind string, id uint64) string {
	if id == 0 {
		return ""
	}
	return kind + number(id)
}

func (c connection) row() []string {
	peer := kindServer
	if c.kind == kindServer {
		peer = kindClient
	}
	remote := host(c.remote)
	if c.kind == kindClient && port(c.remote) == "" {
		remote = "unix"
	}
	return []string{
		c.kind, c.user, c.database, replicationKind(c.replication), c.state, remote, portNumber(c.remote), host(c.local), portNumber(c.local), timeText(c.connected),
		timeText(c.requested), seconds(c.waited), micros(c.waited), bit(c.closing), pointer(c.kind, c.id), pointer(peer, c.link),
		number(uint64(c.pid)), "", c.app, number(uint64(c.prepared)), number(c.id),
	}
}

// replicationKind returns PgBouncer's word for what a client has asked for.
func replicationKind(asked string) string {
	switch asked {
	case pgwire.ReplicationPhysical:
		return "physical"
	case pgwire.ReplicationLogical:
		return "logical"
	}
	return "none"
}

// host returns the host of an address; that of a unix socket is its path.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// port returns the port of an address, "" when it has none.
func port(address string) string {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return p
}

// portNumber returns the port of an address, or of a unix socket the number at the end of its path; 0 when there is none.
func portNumber(address string) string {
	p := port(address)
	if p == "" {
		p = address[strings.LastIndexByte(address, '.')+1:]
	}
	if _, err := strconv.ParseUint(p, 10, 16); err != nil {
		return "0"
	}
	return p
}

// connections is a picture of all clients and server connections, with who has whom.
type connections struct {
	clients []proxy.ClientInfo
	servers []pool.ServerStats
	links   map[uint64]pool.ServerStats // by client: its server connection
	names   map[uint64]string           // by client: its application_name
}

func (a *Admin) connections() connections {
	n := connections{a.world.Clients(), a.world.Servers(), make(map[uint64]pool.ServerStats), make(map[uint64]string)}
	for _, c := range n.clients {
		n.names[c.ID] = c.ApplicationName
	}
	for _, s := range n.servers {
		n.links[s.Client] = s
	}
	delete(n.links, 0) // nobody's
	return n
}

// ofClient makes the row of a client.
func (n connections) ofClient(c proxy.ClientInfo) connection {
	server, linked := n.links[c.ID]
	row := connection{
		kind: kindClient, user: c.User, database: c.Database, state: c.State, remote: c.Remote, local: c.Local, connected: c.Connected,
		waited: c.Waits, id: c.ID, link: server.ID, app: c.ApplicationName, prepared: c.Prepared, replication: c.Replication,
	}
	switch {
	case c.State == "waiting":
		row.requested = time.Now().Add(-c.Waits)
	case linked:
		row.requested = time.Now().Add(-server.For)
	}
	return row
}

// ofServer makes the row of a server connection.
func (n connections) ofServer(s pool.ServerStats) connection {
	return connection{
		kind: kindServer, user: s.Key.User, database: s.Key.Database, state: serverState(s.State), remote: s.Remote, local: s.Local,
		connected: s.Opened, requested: time.Now().Add(-s.For), closing: s.Retiring, id: s.ID, link: s.Client, pid: s.PID,
		app: n.names[s.Client], prepared: s.Prepared,
	}
}

// serverState returns PgBouncer's word for the state of a server connection.
func serverState(s string) string {
	switch s {
	case "linked":
		return "active"
	case "resetting":
		return "tested"
	case "cancel_pending":
		return "being_canceled"
	}
	return s
}

func showClients(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	n := a.connections()
	var rows [][]string
	for _, c := range n.clients {
		rows = append(rows, append(n.ofClient(c).row(), c.Cluster, c.Route, c.Pinned, number(c.Units)))
	}
	return rows, nil
}

func serverColumns() []column {
	return append(connectionColumns(),
		column{"cluster", typeText, "of which cluster"},
		column{"node", typeText, "to which node, by its name in the configuration"},
		column{"route", typeText, "for clients of which route"},
	)
}

func showServers(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	n := a.connections()
	var rows [][]string
	for _, s := range n.servers {
		rows = append(rows, append(n.ofServer(s).row(), string(s.Key.Cluster), string(s.Node), s.Key.Route.String()))
	}
	return rows, nil
}

// buffers are the columns of SHOW SOCKETS that describe PgBouncer's buffers.
func buffers() []string {
	return []string{"recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail"}
}

func socketColumns() []column {
	columns := connectionColumns()
	for i := range columns {
		if columns[i].name == "state" {
			columns[i].doc = "as there, with cl_ or sv_ in front"
		}
	}
	for _, name := range buffers() {
		columns = append(columns, column{name, typeInt4, "always 0: a connection has no buffer of its own"})
	}
	return columns
}

func showSockets(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return a.sockets(func(connection) bool { return true }), nil
}

func showActiveSockets(_ context.Context, a *Admin, _ []string) ([][]string, error) {
	return a.sockets(func(c connection) bool { return c.state != "idle" }), nil
}

func (a *Admin) sockets(wanted func(connection) bool) [][]string {
	n := a.connections()
	var rows [][]string
	add := func(c connection, prefix string) {
		if !wanted(c) {
			return
		}
		c.state = prefix + c.state
		rows = append(rows, append(c.row(), slices.Repeat([]string{"0"}, len(buffers()))...))
	}
	for _, c := range n.clients {
		add(n.ofClient(c), "cl_")
	}
	for _, s := range n.servers {
		add(n.ofServer(s), "sv_")
	}
	return rows
}
