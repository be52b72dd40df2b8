package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/reactor"
)

// consoleMessageLimit bounds one message of a console client, in bytes.
const consoleMessageLimit = 64 << 10

// Console is the database that the router serves itself (proxy.Virtual).
type Console struct{ admin *Admin }

// Console returns the virtual database pgrouter, alias pgbouncer.
func (a *Admin) Console() *Console { return &Console{admin: a} }

// Admit says whether a user may use the console at all.
func (c *Console) Admit(user string) *pgwire.Error {
	if c.role(user) == roleNone {
		return pgwire.ErrConsoleLogin.New("", user)
	}
	return nil
}

// role is what a user may do.
func (c *Console) role(user string) role {
	if slices.Contains(c.admin.cfg.Load().Users, user) {
		return roleAdmin
	}
	if slices.Contains(c.admin.cfg.Load().StatsUsers, user) {
		return roleStats
	}
	return roleNone
}

// Parameters are what the console reports at login: enough for drivers and psql.
func (c *Console) Parameters() []pgwire.Param {
	return []pgwire.Param{
		{Name: "server_version", Value: c.admin.serverVersion()}, {Name: "client_encoding", Value: "UTF8"},
		{Name: "server_encoding", Value: "UTF8"}, {Name: "DateStyle", Value: "ISO"}, {Name: "TimeZone", Value: "GMT"},
		{Name: "standard_conforming_strings", Value: "on"}, {Name: "is_superuser", Value: "on"}, {Name: "integer_datetimes", Value: "on"},
	}
}

// Serve answers one client until it leaves or ctx ends.
func (c *Console) Serve(ctx context.Context, conn net.Conn, login proxy.Login) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(reactor.LongAgo()) })
	defer stop()
	keen := &keenConn{Conn: conn}
	s := &consoleSession{
		admin: c.admin, user: login.User, role: func() role { return c.role(login.User) }, conn: keen, cancelled: login.Cancelled, backend: pgproto3.NewBackend(keen, keen),
		statements: make(map[string]string), portals: make(map[string]*portal),
	}
	s.backend.SetMaxBodyLen(consoleMessageLimit)
	defer s.conclude()
	for {
		msg, err := s.backend.Receive()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ctx.Err() != nil {
				return nil
			}
			return err
		}
		if _, bye := msg.(*pgproto3.Terminate); bye {
			return nil
		}
		s.message(ctx, msg)
		if err := s.backend.Flush(); err != nil {
			return err
		}
		if !s.owes {
			s.conclude()
		}
	}
}

// consoleSession is one client of the console.
type consoleSession struct {
	admin     *Admin
	user      string
	role      func() role // what the user may do at this moment
	conn      *keenConn
	cancelled <-chan struct{} // cancel requests
	backend   *pgproto3.Backend
	block     bool   // between BEGIN and COMMIT, which only drivers care about
	owes      bool   // a ReadyForQuery
	ending    Ending // of the router, asked for by this client: it begins behind the answer

	// The extended protocol, see extended.go.
	statements map[string]string
	portals    map[string]*portal
	skipping   bool // after an error, up to Sync
}

// conclude ends the router, if the client has asked for that.
func (s *consoleSession) conclude() {
	if s.ending != EndNot {
		s.admin.actions.Shutdown(s.ending)
	}
	s.ending = EndNot
}

// message answers one message.
func (s *consoleSession) message(ctx context.Context, msg pgproto3.FrontendMessage) {
	s.owes = true
	switch m := msg.(type) {
	case *pgproto3.Query:
		s.simple(ctx, m.String)
		return
	case *pgproto3.FunctionCall:
		s.fail(pgwire.ErrConsoleProtocol.New(""))
		s.ready()
		return
	case *pgproto3.Sync:
		s.sync()
		return
	}
	if s.skipping {
		return
	}
	if err := s.extended(ctx, msg); err != nil {
		s.fail(err)
		s.skipping = true
	}
}

func (s *consoleSession) ready() {
	s.owes = false
	status := pgwire.StatusIdle
	if s.block {
		status = pgwire.StatusInTransaction
	}
	s.backend.Send(&pgproto3.ReadyForQuery{TxStatus: status})
}

// simple answers a query string, statement by statement; the first that fails ends it.
func (s *consoleSession) simple(ctx context.Context, text string) {
	statements := splitStatements(text)
	if len(statements) == 0 {
		s.backend.Send(&pgproto3.EmptyQueryResponse{})
	}
	for _, statement := range statements {
		result, err := s.run(ctx, statement)
		if err != nil {
			s.fail(err)
			break
		}
		if result.columns != nil {
			s.backend.Send(description(result.columns, nil))
		}
		for _, row := range result.rows {
			s.row(result.columns, row, nil)
		}
		s.complete(result.tag)
	}
	s.ready()
}

// result is what a command answers.
type result struct {
	columns []column
	rows    [][]string
	tag     string
}

// row sends a row; formats are those that the client asked for.
func (s *consoleSession) row(columns []column, row []string, formats []int16) {
	values := make([][]byte, len(row))
	for i, v := range row {
		values[i] = columns[i].kind.encode(v, formatOf(formats, i))
	}
	s.backend.Send(&pgproto3.DataRow{Values: values})
}

func (s *consoleSession) complete(tag string) {
	s.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
}

func (s *consoleSession) fail(err error) {
	var e *pgwire.Error
	if !errors.As(err, &e) {
		e = pgwire.ErrConsoleFailed.New("", err.Error())
	}
	answer := response(e)
	answer.Severity, answer.SeverityUnlocalized = pgwire.SeverityError, pgwire.SeverityError // the console's client stays
	s.backend.Send(answer)
}

func response(e *pgwire.Error) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{
		Severity: e.Severity, SeverityUnlocalized: e.SeverityUnlocalized, Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint,
	}
}

// run finds a command and does it.
func (s *consoleSession) run(ctx context.Context, text string) (result, error) {
	cmd, args, err := s.find(text)
	if err != nil || cmd == nil {
		return result{}, err
	}
	if cmd.needs > s.role() {
		return result{}, pgwire.ErrConsoleDenied.New("", cmd.name)
	}
	if cmd.waits {
		attended, stop := s.attend(ctx)
		defer stop()
		ctx = attended
	}
	if cmd.notice != nil {
		if n := cmd.notice(s.admin, args); n != nil {
			s.backend.Send((*pgproto3.NoticeResponse)(response(n)))
		}
	}
	if cmd.tells != nil {
		notices, err := cmd.tells(ctx, s.admin, s.user, args)
		for _, n := range notices {
			s.backend.Send((*pgproto3.NoticeResponse)(response(n)))
		}
		return result{tag: cmd.tag}, err
	}
	if cmd.ends != EndNot {
		s.ending = cmd.ends
		return result{tag: cmd.tag}, nil
	}
	rows, err := cmd.run(ctx, s.admin, args)
	if err != nil {
		return result{}, err
	}
	tag := cmd.tag
	if cmd.columns != nil {
		tag = "SHOW"
	}
	switch cmd.name {
	case "BEGIN", "START TRANSACTION":
		s.block = true
	case "COMMIT", "END", "ROLLBACK", "ABORT":
		s.block = false
	case "DISCARD ALL":
		clear(s.statements)
	case "DEALLOCATE":
		err = s.deallocate(args)
	}
	if err != nil {
		return result{}, err
	}
	return result{columns: cmd.columns, rows: rows, tag: tag}, nil
}

// find reads a statement: the longest command that it begins with, and the words behind it.
func (s *consoleSession) find(text string) (*command, []string, error) {
	words, err := splitWords(text)
	if err != nil {
		return nil, nil, err
	}
	if len(words) == 0 {
		return nil, nil, nil
	}
	if strings.EqualFold(words[0], "select") { // PgBouncer's other word for it
		words[0] = "SHOW"
	}
	table := commands()
	var best *command
	used := 0
	for i := range table {
		name := strings.Fields(table[i].name)
		if len(name) > used && len(words) >= len(name) && equalWords(words[:len(name)], name) {
			best, used = &table[i], len(name)
		}
	}
	switch {
	case best == nil:
		return nil, nil, pgwire.ErrConsoleCommand.New("")
	case best.name == "SET":
		return s.findSet(table, behindWords(text, used))
	case best.raw:
		return best, []string{behindWords(text, used)}, nil
	case best.name == "SHOW":
		return s.findSetting(best, words[used:])
	case len(words)-used > best.most:
		return nil, nil, pgwire.ErrConsoleSyntax.New("", words[used+best.most])
	}
	return best, words[used:], nil
}

// findSetting makes the command that shows one parameter: its column has the parameter's name.
func (s *consoleSession) findSetting(show *command, words []string) (*command, []string, error) {
	found, known := s.admin.setting(alias(strings.Join(words, " ")))
	if !known || len(words) > show.most {
		return nil, nil, pgwire.ErrConsoleCommand.New("")
	}
	show.columns = []column{{name: found.name}}
	return show, words, nil
}

// findSet tells the command that changes a setting of pgrouter's from the one for PostgreSQL's parameters.
func (s *consoleSession) findSet(table []command, text string) (*command, []string, error) {
	name, value, err := splitSetting(text)
	if err != nil {
		return nil, nil, err
	}
	needs := roleAdmin
	if s.admin.isParameter(name) {
		needs = roleStats
	} else if scope, _ := firstWord(text); isScope(scope) {
		return nil, nil, pgwire.ErrConsoleSyntax.New("a setting of pgrouter counts for everybody", scope)
	}
	at := slices.IndexFunc(table, func(c command) bool { return c.name == "SET" && c.needs == needs })
	return &table[at], []string{name, value}, nil
}

func equalWords(words, name []string) bool {
	for i := range name {
		if !strings.EqualFold(words[i], name[i]) {
			return false
		}
	}
	return true
}
