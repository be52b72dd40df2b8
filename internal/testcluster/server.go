package testcluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// closeLimit bounds the farewell of a direct connection.
const closeLimit = time.Second

// server is what a node is whoever starts and stops it: a name, an address, a directory, and a superuser's way in.
type server struct {
	site  *site
	name  string
	place *Place // nil: loopback
	port  int
	dir   string // holds data, log and the settings; the cluster owns it
}

// Name returns n1, n2, …, which is also its cluster_name and, as a standby, its application_name.
func (n *server) Name() string { return n.name }

// String returns the name and address for messages.
func (n *server) String() string { return n.name + " (" + n.Addr() + ")" }

// Addr returns "host:port", at loopback unless the node lives apart. It stays the same through all the node's lives.
func (n *server) Addr() string { return n.place.at(n.port) }

// Port returns the port.
func (n *server) Port() int { return n.port }

// SocketDir returns the directory of the unix socket, which all nodes share.
func (n *server) SocketDir() string { return n.site.socketDir }

// SocketAddr returns "/dir:port".
func (n *server) SocketAddr() string { return n.site.socketDir + ":" + strconv.Itoa(n.port) }

// DataDir returns the data directory.
func (n *server) DataDir() string { return n.path(dataName) }

// DSN returns a connection URI to the node for a role of the cluster.
func (n *server) DSN(role, database string) string { return n.site.DSN(n.Addr(), role, database) }

func (n *server) path(name string) string { return filepath.Join(n.dir, name) }

// conninfo is how other nodes and PostgreSQL's own tools reach the node.
func (n *server) conninfo() string {
	return fmt.Sprintf("host=%s port=%d user=%s", n.site.socketDir, n.port, SuperUser)
}

// Status asks the node on a connection of its own.
func (n *server) Status(ctx context.Context) (Status, error) {
	conn, err := n.ConnectTo(ctx, "postgres")
	if err != nil {
		return Status{}, fmt.Errorf("status of %v: %w", n, err)
	}
	defer closeConn(conn)
	return n.statusOn(ctx, conn)
}

func (n *server) statusOn(ctx context.Context, conn *pgx.Conn) (Status, error) {
	var s Status
	var write, receive, replay int64
	err := conn.QueryRow(ctx, statusQuery).Scan(&s.InRecovery, &s.Timeline, &write, &receive, &replay, &s.Streaming)
	if err != nil {
		return Status{}, fmt.Errorf("status of %v: %w", n, err)
	}
	s.WriteLSN, s.ReceiveLSN, s.ReplayLSN = LSN(write), LSN(receive), LSN(replay)
	return s, nil
}

// Connect opens a direct superuser connection to the database DefaultDatabase through the unix socket. The caller closes it.
func (n *server) Connect(ctx context.Context) (*pgx.Conn, error) {
	return n.ConnectTo(ctx, DefaultDatabase)
}

// ConnectTo is Connect to any database.
func (n *server) ConnectTo(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, n.conninfo()+" dbname="+database+" sslmode=disable application_name=testcluster")
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", n, err)
	}
	return conn, nil
}

// Exec runs statements as superuser on a direct connection to the database DefaultDatabase.
func (n *server) Exec(ctx context.Context, statements ...string) error {
	return n.exec(ctx, DefaultDatabase, statements...)
}

func (n *server) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := n.ConnectTo(ctx, database)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			verb, _, _ := strings.Cut(s, "PASSWORD") // a password must not reach a message
			return fmt.Errorf("%v: %s: %w", n, strings.TrimSpace(verb), err)
		}
	}
	return nil
}

// pollQuery waits until a query that gives one boolean gives true.
func (n *server) pollQuery(ctx context.Context, query string, args ...any) error {
	conn, err := n.ConnectTo(ctx, "postgres")
	if err != nil {
		return err
	}
	defer closeConn(conn)
	err = poll(ctx, func() (bool, error) {
		var yes bool
		err := conn.QueryRow(ctx, query, args...).Scan(&yes)
		return yes, err
	})
	if err != nil {
		return fmt.Errorf("%v: waiting: %w", n, err)
	}
	return nil
}

// WaitReplay waits until a standby has applied the log up to lsn.
func (n *server) WaitReplay(ctx context.Context, lsn LSN) error {
	return n.pollQuery(ctx, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)", lsn.String())
}

// LogPath is where the server writes its log.
func (n *server) LogPath() string { return n.path(logName) }

// LogTail returns the last lines of the server's log.
func (n *server) LogTail(lines int) string {
	return tailOf(n.path(logName), lines)
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = conn.Close(ctx)
}
