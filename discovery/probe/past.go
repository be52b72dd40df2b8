package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/topology"
)

// A failure to fetch a history is believed for a while, twice as long each time: the history may never be needed, and a server
// logs each attempt of a role that may not ask.
const (
	pastRetryFirst = time.Second
	pastRetryMost  = time.Minute
)

// past is what a session knows of the descent of its node's timeline. A timeline's history never changes while its postmaster
// lives.
type past struct {
	history   topology.History
	note      string // why history is not known
	timeline  uint32 // which history and note are about
	startedAt time.Time
	triedAt   time.Time
	patience  time.Duration // after triedAt
}

// of returns the history of the timeline that the primary writes, fetching it when it is not known yet, and a note when it
// cannot be had.
func (p *past) of(ctx context.Context, s *session, o *topology.Observation) (topology.History, string) {
	same := p.timeline == o.Timeline && p.startedAt.Equal(o.StartedAt)
	if same && (p.history.Known() || time.Since(p.triedAt) < p.patience) {
		return p.history, p.note
	}
	patience := pastRetryFirst
	if same {
		patience = min(2*p.patience, pastRetryMost)
	}
	history, err := s.fetchHistory(ctx, o.Timeline)
	*p = past{history: history, startedAt: o.StartedAt, timeline: o.Timeline, triedAt: time.Now(), patience: patience}
	if err != nil {
		p.note = noteOnHistory(err, o.Timeline, s.config.User)
	}
	return p.history, p.note
}

// fetchHistory asks for a timeline's history, on a connection of its own that may be asked such things. It logs in to a database
// (replication=database), so that pg_hba.conf needs no line for replication; the role needs REPLICATION.
func (s *session) fetchHistory(ctx context.Context, timeline uint32) (topology.History, error) {
	if timeline == 1 {
		return topology.ParseHistory(timeline, "")
	}
	settings, err := s.config.settings(s.address)
	if err != nil {
		return topology.History{}, err
	}
	settings.RuntimeParams["replication"] = "database"
	l, failure := dial(ctx, settings)
	if failure != nil {
		return topology.History{}, failure.err
	}
	row, err := l.query(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", timeline))
	if err != nil {
		l.drop()
		return topology.History{}, err
	}
	l.close(ctx)
	if len(row) != 2 {
		return topology.History{}, fmt.Errorf("TIMELINE_HISTORY brought %d columns", len(row))
	}
	return topology.ParseHistory(timeline, string(row[1]))
}

// noteOnHistory says why a history is not known and what would help.
func noteOnHistory(err error, timeline uint32, user string) string {
	text := fmt.Sprintf("the history of timeline %d cannot be read (%s)", timeline, sentence(err))
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case codeInsufficientPrivilege:
			text += "; allow it with: ALTER ROLE " + user + " REPLICATION"
		case codeTooManyConnections:
			text += "; raise max_wal_senders"
		}
	}
	return text
}
