package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/discovery"
	"github.com/pgrouter/pgrouter/topology"
)

// Prober opens sessions to nodes, all with the same login.
type Prober struct {
	config atomic.Pointer[Config]
}

var _ discovery.Prober = (*Prober)(nil)

// New makes a prober.
func New(cfg Config) (*Prober, error) {
	p := &Prober{}
	if err := p.Reload(cfg); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload puts another configuration in force: sessions log in anew at their next probe.
func (p *Prober) Reload(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	p.config.Store(&cfg)
	return nil
}

// Open prepares to ask one node.
func (p *Prober) Open(member topology.Member) discovery.Session {
	return &session{prober: p, address: member.Address}
}

// session is the reserved connection to one node.
type session struct {
	prober  *Prober
	address string
	line    *line   // nil while there is no connection
	config  *Config // with which line logged in
	reduced bool    // the full question is denied on this line
	past    past
}

var _ discovery.Session = (*session)(nil)

// Probe asks the node, over the open connection or, when that is broken, once over a new one.
func (s *session) Probe(ctx context.Context, q discovery.Question) topology.Observation {
	config := s.prober.config.Load()
	if s.line != nil && s.config != config {
		s.Close()
	}
	if s.line != nil {
		o, err := s.ask(ctx, q)
		if err == nil || s.line != nil || silent(err) {
			return o
		}
	}
	asked := time.Now()
	if err := s.connect(ctx, config); err != nil {
		return err.observation(asked)
	}
	o, _ := s.ask(ctx, q)
	return o
}

// Wait rests until ctx ends, or until the server says something, the connection breaks or a history arrives.
func (s *session) Wait(ctx context.Context) {
	ctx, cancel := s.past.until(ctx)
	defer cancel()
	if s.line == nil {
		<-ctx.Done()
		return
	}
	_, err := s.line.conn.ReceiveMessage(ctx)
	if err != nil && (ctx.Err() == nil || s.line.conn.IsClosed()) {
		s.drop()
	}
}

// Close says goodbye to the server.
func (s *session) Close() {
	s.past.close()
	if s.line == nil {
		return
	}
	s.line.close()
	s.line = nil
}

// drop gives the connection up without a word.
func (s *session) drop() {
	s.line.drop()
	s.line = nil
}

// dialFailure is why there is no connection.
type dialFailure struct {
	err   error
	dials []error
}

func (f *dialFailure) observation(asked time.Time) topology.Observation {
	outcome, problem := judge(f.err, f.dials)
	return topology.Observation{At: asked, Outcome: outcome, Problem: problem}
}

// connect opens the reserved connection.
func (s *session) connect(ctx context.Context, config *Config) *dialFailure {
	settings, err := config.settings(s.address)
	if err != nil {
		return &dialFailure{err: err}
	}
	line, failure := dial(ctx, settings)
	if failure != nil {
		return failure
	}
	s.line, s.config, s.reduced = line, config, false
	return nil
}

// ask puts the question. When the error is not nil the observation says what it means; the connection is then gone, unless the
// server answered the question itself with an error.
func (s *session) ask(ctx context.Context, q discovery.Question) (topology.Observation, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, q.Heartbeat)
	defer cancel()
	row, err := s.row(ctx)
	if err != nil {
		if s.line.conn.IsClosed() || silent(err) || ctx.Err() != nil {
			s.drop()
		}
		outcome, problem := judge(err, nil)
		return topology.Observation{At: asked, Outcome: outcome, Problem: problem}, err
	}
	o, err := parseAnswer(row, s.config.User)
	if err == nil && s.relayed(row) {
		err = errPooler
	}
	if err != nil {
		return topology.Observation{At: asked, Outcome: topology.OutcomeFailed, Problem: err.Error()}, err
	}
	o.At = asked
	if q.Awaited && o.Role == topology.RoleStandby {
		s.past.prepare(s.asker())
	}
	if !q.Awaited {
		s.past.rest()
	}
	if o.Role == topology.RolePrimary {
		var note string
		if o.History, note = s.past.of(ctx, s.asker(), &o); note != "" {
			o.Note = note
		}
	}
	return o, nil
}

// errPooler refuses an answer that came through a connection pooler: its port says nothing of the node's postmaster when it refuses or
// falls silent, and one question may reach another server than the one before.
var errPooler = errors.New("a connection pooler answers, not PostgreSQL itself: " + poolerHint)

// poolerHint says what to do about one.
const poolerHint = "set probe_port of the cluster to PostgreSQL's own port"

// relayed reports whether somebody stands in between: the server process that answers is not the one that the login named.
func (s *session) relayed(row [][]byte) bool {
	return string(row[columnPID]) != strconv.FormatUint(uint64(s.line.conn.PID()), 10)
}

// asker returns who asks this node for histories.
func (s *session) asker() asker { return asker{config: s.config, address: s.address} }

// row brings the one row of the answer. A role to which the full question is denied asks the reduced one from then on.
func (s *session) row(ctx context.Context) ([][]byte, error) {
	if !s.reduced {
		row, err := s.line.query(ctx, question)
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != codeInsufficientPrivilege {
			return row, err
		}
		s.reduced = true
	}
	return s.line.query(ctx, reducedQuestion)
}
