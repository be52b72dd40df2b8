package probe

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/pgrouter/pgrouter/topology"
)

// The question is one statement, so that all parts of the answer are of one moment and one round trip. A role of which the
// server has taken away the pg_control functions asks the second form. default_transaction_read_only counts when it is on for
// everybody, not when it was set for the probe's role or database only. A timeline is, on a primary, the one of the WAL
// that it writes (pg_control_checkpoint lags behind a promotion until the next checkpoint); on a standby the newest that any of
// the three places knows.
const (
	questionHead = `WITH node AS (SELECT standby, CASE WHEN NOT standby THEN NULLIF(pg_catalog.current_setting('synchronous_standby_names'), '') END AS names,
  pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS allowed
 FROM pg_catalog.pg_is_in_recovery() AS standby)
SELECT standby,
 CASE WHEN pg_catalog.current_setting('default_transaction_read_only') = 'on' THEN (SELECT source NOT IN ('user', 'database', 'database user', 'client', 'session')
  FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only') ELSE false END,
 pg_catalog.current_setting('server_version_num'),
 (EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint,
 CASE WHEN standby THEN NULL ELSE pg_catalog.pg_current_wal_lsn() END,
 CASE WHEN standby THEN pg_catalog.pg_last_wal_receive_lsn() END,
 CASE WHEN standby THEN pg_catalog.pg_last_wal_replay_lsn() END,
 CASE WHEN standby THEN NULL ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
 CASE WHEN standby THEN (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver) END,
 CASE WHEN standby THEN (SELECT status IS NULL FROM pg_catalog.pg_stat_wal_receiver) END,
 CASE WHEN standby THEN (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint END,`
	question = questionHead + `
 (SELECT system_identifier FROM pg_catalog.pg_control_system()),
 CASE WHEN standby THEN GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
  (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery())) END,` + questionTail
	reducedQuestion = questionHead + " NULL, NULL," + questionTail

	// Nothing is looked at where commits wait for nobody.
	questionTail = `
 names,
 CASE WHEN names IS NOT NULL THEN NOT allowed END,
 CASE WHEN names IS NOT NULL AND allowed THEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_activity(NULL) WHERE wait_event = 'SyncRep') END,
 CASE WHEN names IS NOT NULL AND allowed THEN (SELECT (EXTRACT(epoch FROM pg_catalog.min(state_change)) * 1000000)::bigint
  FROM pg_catalog.pg_stat_get_activity(NULL) WHERE wait_event = 'SyncRep') END,
 CASE WHEN names IS NOT NULL AND allowed THEN (SELECT pg_catalog.string_agg(application_name, ', ' ORDER BY application_name)
  FROM pg_catalog.pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND state IN ('streaming', 'stopping')) END,
 pg_catalog.pg_backend_pid()
FROM node`
)

// The columns of the answer.
const (
	columnStandby = iota
	columnReadOnly
	columnVersion
	columnStart
	columnWrite
	columnReceive
	columnReplay
	columnWriteTimeline
	columnReceiveTimeline
	columnReceiverHidden
	columnReplayAge
	columnSystem
	columnControlTimeline
	columnSyncNames
	columnSyncHidden
	columnSyncWaiting
	columnSyncOldest
	columnSyncPresent
	columnPID
	columns
)

// Notes on what a role may not see.
const (
	noteNoControl  = "the system identifier is hidden from the probe: GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system(), pg_catalog.pg_control_checkpoint(), pg_catalog.pg_control_recovery() TO "
	noteNoReceiver = "the timeline that the node streams is hidden from the probe: GRANT pg_monitor TO "
	noteNoSync     = "whether commits hang in the wait for a synchronous standby is hidden from the probe: GRANT pg_monitor TO "
)

// answer is a row that is read column by column; the first fault sticks.
type answer struct {
	row [][]byte
	err error
}

// parseAnswer reads the one row that the question brings. user is named in the notes.
func parseAnswer(row [][]byte, user string) (topology.Observation, error) {
	if len(row) != columns {
		return topology.Observation{}, fmt.Errorf("the answer has %d columns, not %d", len(row), columns)
	}
	a := &answer{row: row}
	o := topology.Observation{
		Outcome:    topology.OutcomeAnswered,
		Role:       topology.RolePrimary,
		ReadOnly:   a.flag(columnReadOnly),
		Version:    int(a.number(columnVersion, 10)),
		StartedAt:  time.UnixMicro(a.number(columnStart, 10)),
		WriteLSN:   a.position(columnWrite),
		ReceiveLSN: a.position(columnReceive),
		ReplayLSN:  a.position(columnReplay),
		ReplayAge:  a.age(columnReplayAge),
		SystemID:   uint64(a.number(columnSystem, 10)),
		Timeline:   a.timeline(columnWriteTimeline, 16),
	}
	if a.flag(columnStandby) {
		o.Role = topology.RoleStandby
		o.Timeline = max(a.timeline(columnReceiveTimeline, 10), a.timeline(columnControlTimeline, 10))
	}
	switch {
	case a.row[columnSystem] == nil:
		o.Note = noteNoControl + user
	case a.flag(columnReceiverHidden):
		o.Note = noteNoReceiver + user
	case a.flag(columnSyncHidden):
		o.Note = noteNoSync + user
	default:
		o.SyncWait = a.syncWait()
	}
	if a.err == nil && o.Role == topology.RolePrimary && o.Timeline == 0 {
		a.err = errors.New("a primary without a timeline")
	}
	if a.err != nil {
		return topology.Observation{}, a.err
	}
	return o, nil
}

func (a *answer) fail(column int, err error) {
	if a.err == nil {
		a.err = fmt.Errorf("column %d of the answer: %w", column+1, err)
	}
}

// syncWait reads how commits stand with synchronous standbys.
func (a *answer) syncWait() topology.SyncWait {
	w := topology.SyncWait{Names: string(a.row[columnSyncNames]), Present: string(a.row[columnSyncPresent])}
	if w.Waiting = int(a.number(columnSyncWaiting, 10)); w.Waiting > 0 {
		w.Oldest = time.UnixMicro(a.number(columnSyncOldest, 10))
	}
	return w
}

// flag reads a boolean; NULL is false.
func (a *answer) flag(column int) bool {
	switch string(a.row[column]) {
	case "t":
		return true
	case "f", "":
		return false
	}
	a.fail(column, fmt.Errorf("%.20q is no boolean", a.row[column]))
	return false
}

// number reads a whole number; NULL is 0.
func (a *answer) number(column, base int) int64 {
	if a.row[column] == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(a.row[column]), base, 64)
	if err != nil {
		a.fail(column, err)
	}
	return n
}

// age reads microseconds; NULL is 0. What was committed in the future, by another clock, is young.
func (a *answer) age(column int) time.Duration {
	if a.row[column] == nil {
		return 0
	}
	return max(time.Duration(a.number(column, 10))*time.Microsecond, time.Microsecond)
}

// timeline reads a timeline; NULL is 0.
func (a *answer) timeline(column, base int) uint32 {
	n := a.number(column, base)
	if n < 0 || n > 1<<32-1 {
		a.fail(column, fmt.Errorf("%d is no timeline", n))
		return 0
	}
	return uint32(n)
}

// position reads an LSN; NULL is 0.
func (a *answer) position(column int) topology.LSN {
	if a.row[column] == nil {
		return 0
	}
	lsn, err := topology.ParseLSN(string(a.row[column]))
	if err != nil {
		a.fail(column, err)
	}
	return lsn
}
