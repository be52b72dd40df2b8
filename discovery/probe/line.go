package probe

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

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

// goodbye bounds the polite end of a connection.
const goodbye = 250 * time.Millisecond

// close ends the connection in order.
func (l *line) close() {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
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
