package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
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

// goodbye bounds the polite end of a connection.
const goodbye = 250 * time.Millisecond

// Probe asks the node, over the open connection or, when that is broken, once over a new one.
func (s *session) Probe(ctx context.Context, heartbeat time.Duration) topology.Observation {
	config := s.prober.config.Load()
	if s.line != nil && s.config != config {
		s.Close()
	}
	if s.line != nil {
		o, err := s.ask(ctx, heartbeat)
		if err == nil || s.line != nil || silent(err) {
			return o
		}
	}
	asked := time.Now()
	if err := s.connect(ctx, config); err != nil {
		return err.observation(asked)
	}
	o, _ := s.ask(ctx, heartbeat)
	return o
}

// Wait rests until ctx ends, or until the server says something or the connection breaks.
func (s *session) Wait(ctx context.Context) {
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
	if s.line == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	s.line.close(ctx)
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
func (s *session) ask(ctx context.Context, heartbeat time.Duration) (topology.Observation, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, heartbeat)
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
	if err != nil {
		return topology.Observation{At: asked, Outcome: topology.OutcomeFailed, Problem: err.Error()}, err
	}
	o.At = asked
	if o.Role == topology.RolePrimary {
		var note string
		if o.History, note = s.past.of(ctx, s, &o); note != "" {
			o.Note = note
		}
	}
	return o, nil
}

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

// line is one connection of pgconn's that leaves nothing behind. pgconn answers a broken connection with a cancel request on a
// new one, for up to 15 seconds, on a goroutine of its own: a line lets it dial only while it connects.
type line struct {
	conn *pgconn.PgConn
	mu   struct {
		sync.Mutex
		closed bool
		dials  []error // how each attempt to reach the port ended
		socket net.Conn
	}
}

// errNoDial ends pgconn's cancel requests.
var errNoDial = errors.New("this connection does not dial again")

// dial connects and logs in.
func dial(ctx context.Context, settings *pgconn.Config) (*line, *dialFailure) {
	l := &line{}
	settings.DialFunc = l.reach
	conn, err := pgconn.ConnectConfig(ctx, settings)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	if err != nil {
		return nil, &dialFailure{err: err, dials: slices.Clone(l.mu.dials)}
	}
	l.conn = conn
	return l, nil
}

// reach dials for pgconn and remembers how that ended.
func (l *line) reach(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	closed := l.mu.closed
	l.mu.Unlock()
	if closed {
		return nil, errNoDial
	}
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.dials = append(l.mu.dials, err)
	l.mu.socket = socket
	return socket, err
}

// query brings the one row of a statement.
func (l *line) query(ctx context.Context, sql string) ([][]byte, error) {
	results, err := l.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 {
		return nil, errors.New("the answer is not one row")
	}
	return results[0].Rows[0], nil
}

// close ends the connection in order.
func (l *line) close(ctx context.Context) {
	// The errors of a goodbye concern nobody: the connection is gone either way.
	_ = l.conn.Close(ctx)
	l.drop()
}

// drop closes the socket at once and waits until pgconn has noticed.
func (l *line) drop() {
	l.mu.Lock()
	socket := l.mu.socket
	l.mu.Unlock()
	_ = socket.Close()
	if !l.conn.IsClosed() {
		_ = l.conn.Close(context.Background()) // fails at once: there is no socket any more
	}
	<-l.conn.CleanupDone()
}
