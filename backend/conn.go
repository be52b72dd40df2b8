package backend

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/reactor"
	"github.com/pgrouter/pgrouter/topology"
)

// Target is the node that a connection is wanted to, as it was known when it was chosen.
type Target struct {
	Cluster     topology.ClusterID
	Node        topology.NodeID
	Address     string               // host:port, or /directory:port for a unix socket
	Incarnation topology.Incarnation // the life of the node that the connection is valid for; carried, not checked
	SystemID    uint64               // the cluster's system identifier; 0: not known, not checked
	WantPrimary bool                 // refuse a server in recovery
	WantStandby bool                 // refuse a server that is not, and let nothing be written there without a word of the client's own
	Version     int                  // server_version_num of the node as it was last seen; 0: not known
}

// Login is as whom we log in, and with which settings.
type Login struct {
	User        string
	Database    string
	Params      []pgwire.Param // further start-up parameters, in order; not user and database
	Replication string         // which replication protocol is to be spoken, as in pgwire.StartupMessage; "" = none
	Secret      auth.Secret    // keep one Secret per password: it remembers what is costly to derive
}

// Conn is a server connection that is logged in, admitted and idle: the server's last message was ReadyForQuery 'I' (I2).
// It belongs to whoever called Dial.
type Conn struct {
	Socket        *reactor.Socket // still blocking; holds bytes that were read too far
	Target        Target
	PID           uint32         // of the server process; 0 if the server sent none, then it cannot be cancelled
	Key           []byte         // the cancel key, 4 to 256 bytes; nil with PID 0
	Params        []pgwire.Param // what the server reported, in the order of its first report, with the last value
	HotStandby    bool           // in recovery, as the server reported or answered
	ReadOnly      bool           // default_transaction_read_only was on when the session began (reported by PostgreSQL 14+)
	ServerVersion int            // as server_version_num has it (150004); 0 if it could not be read
	SystemID      uint64         // 0 unless Target had one and the server answered
	CreatedAt     time.Time
	Local         string // the addresses of the socket's two ends
	Remote        string
}

// Param returns a parameter that the server reported, by the name that PostgreSQL writes ("TimeZone", "client_encoding").
func (c *Conn) Param(name string) (value string, ok bool) {
	for i := range c.Params {
		if c.Params[i].Name == name {
			return c.Params[i].Value, true
		}
	}
	return "", false
}

// Close takes leave of the server and closes the socket. It is for connections whose socket no event loop has.
func (c *Conn) Close() error {
	if err := c.Socket.SetWriteDeadline(time.Now().Add(closeTimeout)); err == nil {
		_, _ = c.Socket.Write(pgwire.AppendTerminate(nil)) // the server may be gone: that is as good
	}
	return c.Socket.Close()
}

// closeTimeout bounds the farewell: five bytes that the kernel takes at once unless the peer is stuck.
const closeTimeout = 100 * time.Millisecond

func (c *Conn) setParam(name, value string) {
	for i := range c.Params {
		if c.Params[i].Name == name {
			c.Params[i].Value = value
			return
		}
	}
	c.Params = append(c.Params, pgwire.Param{Name: name, Value: value})
}

// newProtocolSince is the first version that speaks protocol 3.2. Older ones would say so, and give a short cancel key.
const newProtocolSince = 180000

// askedMinor returns which minor version of the protocol is asked for. A pooler in between may refuse any but 3.0.
func askedMinor(cfg Config, t Target) uint16 {
	if cfg.Pooler || t.Version < newProtocolSince {
		return 0
	}
	return pgwire.ProtocolMinor
}

// Start-up parameters that have a field of their own in Login.
const (
	paramUser        = "user"
	paramDatabase    = "database"
	paramReplication = "replication"
)

// startupPacket builds the StartupMessage of protocol 3.minor. What could make the server read other parameters than those given is refused.
func (l Login) startupPacket(minor uint16) ([]byte, error) {
	own := []pgwire.Param{{Name: paramUser, Value: l.User}, {Name: paramDatabase, Value: l.Database}}
	if l.isReplication() {
		own = append(own, pgwire.Param{Name: paramReplication, Value: l.Replication})
	}
	params := append(own, l.Params...)
	if l.User == "" || l.Database == "" {
		return nil, errors.New("user or database is empty")
	}
	for i, p := range params {
		if p.Name == "" || strings.IndexByte(p.Name, 0) >= 0 || strings.IndexByte(p.Value, 0) >= 0 {
			return nil, fmt.Errorf("start-up parameter %d is empty or contains a NUL byte", i)
		}
		if i >= len(own) && (p.Name == paramUser || p.Name == paramDatabase || p.Name == paramReplication) {
			return nil, fmt.Errorf("start-up parameter %q is given among the others", p.Name)
		}
	}
	packet := pgwire.AppendStartupVersion(nil, pgwire.ProtocolMajor, minor, params)
	if len(packet) > pgwire.MaxStartupLen {
		return nil, fmt.Errorf("start-up packet of %d bytes is longer than %d", len(packet), pgwire.MaxStartupLen)
	}
	return packet, nil
}

// checkParam is the setting by which a server notices within a while that we have closed the socket of a running query. We do
// so when another primary is proven or a session is cut, and send no cancel request then: it might hit a commit that waits for its
// standby, which the server would acknowledge.
const checkParam = "client_connection_check_interval"

// checkSince is the first version that knows checkParam; an older one would refuse the login.
const checkSince = 140000

// checked returns the login with checkParam, unless it is of no use there or has a value of the client's own. A pooler would refuse it.
func (l Login) checked(cfg Config, t Target) Login {
	own := slices.ContainsFunc(l.Params, func(p pgwire.Param) bool { return p.Name == checkParam })
	if cfg.CheckInterval == 0 || cfg.Pooler || t.Version < checkSince || own || l.isReplication() {
		return l
	}
	value := strconv.FormatInt(cfg.CheckInterval.Milliseconds(), 10)
	l.Params = append(slices.Clip(l.Params), pgwire.Param{Name: checkParam, Value: value})
	return l
}

// readOnlyParam makes every transaction read-only that does not say otherwise.
const readOnlyParam = "default_transaction_read_only"

// restrained returns the login of a session that stands in for one on the primary. A standby writes nothing anyhow; should it be promoted
// under the session, and not be proven yet, nothing is written there either.
func (l Login) restrained(t Target) Login {
	if !t.WantStandby {
		return l
	}
	params := slices.DeleteFunc(slices.Clone(l.Params), func(p pgwire.Param) bool { return strings.EqualFold(p.Name, readOnlyParam) })
	l.Params = append(params, pgwire.Param{Name: readOnlyParam, Value: "on"})
	return l
}

// isReplication reports whether the session will be a walsender, which may not know SQL.
func (l Login) isReplication() bool { return l.Replication != pgwire.ReplicationNone }
