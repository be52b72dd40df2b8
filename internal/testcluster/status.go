package testcluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// closeLimit bounds the farewell of a direct connection.
const closeLimit = time.Second

// LSN is a position in the write-ahead log, in bytes.
type LSN uint64

// String returns PostgreSQL's notation.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint64(l)>>32, uint32(l)) }

// Status is what a node says of itself.
type Status struct {
	InRecovery bool
	Timeline   uint32 // a primary's own; a standby's received one, 0 when it never streamed in this life
	WriteLSN   LSN    // primary: end of its log
	ReceiveLSN LSN    // standby: received and flushed; its replay position when it never streamed in this life
	ReplayLSN  LSN    // standby: applied
	Streaming  bool   // standby: its receiver is connected
}

const statusQuery = `SELECT in_recovery,
  CASE WHEN in_recovery THEN coalesce(r.received_tli, 0)
       ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  CASE WHEN in_recovery THEN 0 ELSE pg_current_wal_lsn() - '0/0' END::bigint,
  CASE WHEN in_recovery THEN coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0', 0) ELSE 0 END::bigint,
  CASE WHEN in_recovery THEN coalesce(pg_last_wal_replay_lsn() - '0/0', 0) ELSE 0 END::bigint,
  coalesce(r.status = 'streaming', false)
FROM (SELECT pg_is_in_recovery() AS in_recovery) AS s LEFT JOIN pg_stat_wal_receiver AS r ON true`

// Status asks the node on a connection of its own.
func (n *Node) Status(ctx context.Context) (Status, error) {
	conn, err := n.ConnectTo(ctx, "postgres")
	if err != nil {
		return Status{}, fmt.Errorf("status of %v: %w", n, err)
	}
	defer closeConn(conn)
	return n.statusOn(ctx, conn)
}

func (n *Node) statusOn(ctx context.Context, conn *pgx.Conn) (Status, error) {
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
func (n *Node) Connect(ctx context.Context) (*pgx.Conn, error) {
	return n.ConnectTo(ctx, DefaultDatabase)
}

// ConnectTo is Connect to any database.
func (n *Node) ConnectTo(ctx context.Context, database string) (*pgx.Conn, error) {
	conn, err := pgx.Connect(ctx, n.conninfo()+" dbname="+database+" sslmode=disable application_name=testcluster")
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", n, err)
	}
	return conn, nil
}

// Exec runs statements as superuser on a direct connection to the database DefaultDatabase.
func (n *Node) Exec(ctx context.Context, statements ...string) error {
	return n.exec(ctx, DefaultDatabase, statements...)
}

func (n *Node) exec(ctx context.Context, database string, statements ...string) error {
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
func (n *Node) pollQuery(ctx context.Context, query string, args ...any) error {
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
func (n *Node) WaitReplay(ctx context.Context, lsn LSN) error {
	return n.pollQuery(ctx, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)", lsn.String())
}

// WaitStreaming waits until the node, as a standby, streams from primary.
func (n *Node) WaitStreaming(ctx context.Context, primary *Node) error {
	return primary.waitStreaming(ctx, n)
}

func (n *Node) waitStreaming(ctx context.Context, standby *Node) error {
	return n.pollQuery(ctx, "SELECT coalesce(bool_or(state = 'streaming'), false) FROM pg_stat_replication WHERE application_name = $1", standby.name)
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_ = conn.Close(ctx)
}
