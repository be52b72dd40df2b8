package probe

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// pastGrace is how long a probe waits for a history before it says that it is still being read.
const pastGrace = 50 * time.Millisecond

const noteBeingRead = "its timeline history is being read"

// past knows the descent of its node's timeline. The history comes over a second connection, which may ask such things, on a
// goroutine of its own: right after a promotion a login can take as long as a heartbeat. While another primary is awaited the
// connection is opened ahead of time. A timeline's history never changes while its postmaster lives.
//
// All methods belong to the session's goroutine; at most one errand is under way.
type past struct {
	line   *line   // open, for the next errand; nil when there is none or an errand has it
	errand *errand // under way

	about    subject
	history  topology.History
	note     string    // why history is not known
	triedAt  time.Time // when the last errand ended
	patience time.Duration
}

// subject is what an errand is about; the zero value means that only the connection is wanted.
type subject struct {
	timeline  uint32
	startedAt int64 // of the postmaster, in microseconds
}

// asker is who asks, and where.
type asker struct {
	config  *Config
	address string
}

// errand is one attempt, on its own goroutine. What it brings may be read once done is closed.
type errand struct {
	about   subject
	asker   asker
	cancel  context.CancelFunc
	done    chan struct{}                      // closed at its end
	rouse   atomic.Pointer[context.CancelFunc] // called at its end
	line    *line
	history topology.History
	err     error
}

// of returns the history of the timeline that the primary writes, and a note when it is not known.
func (p *past) of(ctx context.Context, a asker, o *topology.Observation) (topology.History, string) {
	about := subject{timeline: o.Timeline, startedAt: o.StartedAt.UnixMicro()}
	p.collect()
	if o.Timeline == 1 {
		return topology.History{Timeline: 1}, "" // it has no ancestors
	}
	if p.errand == nil && p.due(about) {
		p.send(a, about)
	}
	if p.errand != nil {
		p.await(ctx)
	}
	switch {
	case p.about == about:
		return p.history, p.note
	case p.errand != nil:
		return topology.History{}, noteBeingRead
	}
	return topology.History{}, p.note
}

// prepare opens the connection that a history will need.
func (p *past) prepare(a asker) {
	p.collect()
	if p.errand == nil && p.line == nil && p.due(subject{}) {
		p.send(a, subject{})
	}
}

// rest gives the connection back when nothing is awaited any more.
func (p *past) rest() {
	p.collect()
	if p.line != nil {
		p.line.close()
		p.line = nil
	}
}

// until returns a context that also ends when the errand under way does.
func (p *past) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if p.errand == nil {
		return ctx, cancel
	}
	p.errand.rouse.Store(&cancel)
	if p.errand.ended() {
		cancel() // it may have ended before it could see the handle
	}
	return ctx, cancel
}

// close calls the errand off and waits for its end.
func (p *past) close() {
	if p.errand != nil {
		p.errand.cancel()
		<-p.errand.done
	}
	p.rest()
	*p = past{}
}

// due reports whether an errand about this makes sense now.
func (p *past) due(about subject) bool {
	if p.about != about || p.triedAt.IsZero() {
		return true
	}
	return !p.history.Known() && time.Since(p.triedAt) >= p.patience
}

// await gives the errand a moment.
func (p *past) await(ctx context.Context) {
	grace := time.NewTimer(pastGrace)
	defer grace.Stop()
	select {
	case <-p.errand.done:
	case <-grace.C:
	case <-ctx.Done():
	}
	p.collect()
}

// send starts an errand.
func (p *past) send(a asker, about subject) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*a.config.ConnectTimeout)
	e := &errand{about: about, asker: a, cancel: cancel, done: make(chan struct{}), line: p.line}
	p.line, p.errand = nil, e
	go e.run(ctx)
}

// collect takes in the errand that has ended, if any.
func (p *past) collect() {
	e := p.errand
	if e == nil || !e.ended() {
		return
	}
	patience := pastRetryFirst
	if p.about == e.about && !p.triedAt.IsZero() {
		patience = min(2*p.patience, pastRetryMost)
	}
	*p = past{line: e.line, about: e.about, history: e.history, triedAt: time.Now(), patience: patience}
	if e.err != nil {
		p.note = noteOnHistory(e.err, e.about.timeline, e.asker.config.User)
	}
}

func (e *errand) ended() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// run does the errand and tells its end.
func (e *errand) run(ctx context.Context) {
	defer e.cancel()
	e.work(ctx)
	close(e.done)
	if rouse := e.rouse.Load(); rouse != nil {
		(*rouse)()
	}
}

// work brings what is wanted. An open connection may have died while it was idle: then a new one is tried.
func (e *errand) work(ctx context.Context) {
	if e.line != nil && e.about.timeline != 0 {
		if e.fetch(ctx); e.line != nil {
			return
		}
	}
	if e.line == nil {
		e.dial(ctx)
	}
	if e.err == nil && e.about.timeline != 0 {
		e.fetch(ctx)
	}
}

// dial opens the connection. It logs in to a database (replication=database), so that pg_hba.conf needs no line for
// replication; the role needs REPLICATION.
func (e *errand) dial(ctx context.Context) {
	settings, err := e.asker.config.settings(e.asker.address)
	if err != nil {
		e.err = err
		return
	}
	settings.RuntimeParams["replication"] = "database"
	l, failure := dial(ctx, settings)
	if failure != nil {
		e.err = failure.err
		return
	}
	e.line, e.err = l, nil
}

// fetch asks for the history. Whatever goes wrong, the connection is given up.
func (e *errand) fetch(ctx context.Context) {
	e.history, e.err = e.ask(ctx)
	if e.err != nil {
		e.line.drop()
		e.line = nil
	}
}

func (e *errand) ask(ctx context.Context) (topology.History, error) {
	row, err := e.line.query(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", e.about.timeline))
	if err != nil {
		return topology.History{}, err
	}
	if len(row) != 2 {
		return topology.History{}, fmt.Errorf("TIMELINE_HISTORY brought %d columns", len(row))
	}
	return topology.ParseHistory(e.about.timeline, string(row[1]))
}

// noteOnHistory says why a history is not known and what would help.
func noteOnHistory(err error, timeline uint32, user string) string {
	what := "timeline histories cannot be read"
	if timeline != 0 {
		what = fmt.Sprintf("the history of timeline %d cannot be read", timeline)
	}
	text := what + " (" + sentence(err) + ")"
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch server.Code {
		case codeInsufficientPrivilege:
			text += "; allow it with: ALTER ROLE " + user + " REPLICATION"
		case codeTooManyConnections:
			text += "; raise max_wal_senders"
		}
	}
	return text
}
