package testcluster

import "fmt"

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
