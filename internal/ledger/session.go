package ledger

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const farewell = time.Second // for Terminate at the end

// session is one connection of a client that comes back after it was lost, as libpq's users do: at the next statement.
type session struct {
	config   *pgconn.Config
	conn     *pgconn.PgConn // nil or closed: to be opened
	protocol Protocol
	opened   int // how often it was opened
}

func newSession(dsn string, protocol Protocol) (*session, error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("DSN: %w", err)
	}
	withoutCancels(config)
	return &session{config: config, protocol: protocol}, nil
}

// dialling marks the context of a login.
type dialling struct{}

// withoutCancels keeps pgconn from sending a CancelRequest whenever it gives a connection up, which libpq's users do not
// do. Whatever dials without being a login is such a request.
func withoutCancels(config *pgconn.Config) {
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(dialling{}) == nil {
			return nil, errors.New("no cancel requests")
		}
		return dial(ctx, network, address)
	}
}

// ready opens the connection if it is not open.
func (s *session) ready(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	s.conn = nil
	conn, err := pgconn.ConnectConfig(context.WithValue(ctx, dialling{}, true), s.config)
	if err != nil {
		return err
	}
	s.conn = conn
	s.opened++
	return nil
}

// result is what came back for one statement.
type result struct {
	tag  string // of the last command; "" when none came
	rows [][][]byte
	err  error
}

// bears reports whether the answer is one row that ends with a mark, or none and a tag that is the mark.
func (r *result) bears(mark string) bool {
	if len(r.rows) == 0 {
		return r.tag == mark
	}
	row := r.rows[0]
	return len(r.rows) == 1 && string(row[len(row)-1]) == mark
}

// run sends one statement with its values and reads the answer. A failed one leaves the connection closed unless the
// server only said ERROR.
func (s *session) run(ctx context.Context, sql string, values ...string) result {
	var r result
	if s.protocol == Simple {
		r = s.simple(ctx, interpolate(sql, values))
	} else {
		r = s.extended(ctx, sql, values)
	}
	if s.conn.IsClosed() {
		// pgconn would linger up to 15 s for the server's farewell; libpq's users close at once.
		_ = s.conn.Conn().Close()
		<-s.conn.CleanupDone()
	}
	if r.err != nil && ctx.Err() != nil {
		r.err = errors.Join(r.err, ctx.Err())
	}
	return r
}

func (s *session) simple(ctx context.Context, sql string) result {
	all, err := s.conn.Exec(ctx, sql).ReadAll()
	if len(all) == 0 {
		return result{err: err}
	}
	last := all[len(all)-1]
	return result{tag: last.CommandTag.String(), rows: last.Rows, err: err}
}

func (s *session) extended(ctx context.Context, sql string, values []string) result {
	params := make([][]byte, len(values))
	for i, v := range values {
		params[i] = []byte(v)
	}
	all := s.conn.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	return result{tag: all.CommandTag.String(), rows: all.Rows, err: all.Err}
}

func (s *session) close() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = s.conn.Close(ctx)
}

// interpolate puts quoted values in the place of $1, $2, … The statements are this package's own: they hold no other
// dollar signs, and the values no backslashes.
func interpolate(sql string, values []string) string {
	pairs := make([]string, 0, 2*len(values))
	for i := len(values); i > 0; i-- { // $10 before $1
		pairs = append(pairs, "$"+strconv.Itoa(i), "'"+strings.ReplaceAll(values[i-1], "'", "''")+"'")
	}
	return strings.NewReplacer(pairs...).Replace(sql)
}
