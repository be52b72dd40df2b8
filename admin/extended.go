package admin

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
)

// preparedLimit bounds how many statements, and how many portals, a console client may have.
const preparedLimit = 1000

// portal is a statement that is bound. It runs at its first Execute; the rows that were not asked for yet wait for the next.
type portal struct {
	text    string
	formats []int16
	ran     bool
	result  result
}

// extended answers the messages of the extended protocol, as far as a client without parameters needs them.
func (s *consoleSession) extended(ctx context.Context, msg pgproto3.FrontendMessage) error {
	switch m := msg.(type) {
	case *pgproto3.Parse:
		return s.parse(m)
	case *pgproto3.Bind:
		return s.bind(m)
	case *pgproto3.Describe:
		return s.describe(m)
	case *pgproto3.Execute:
		return s.execute(ctx, m)
	case *pgproto3.Close:
		if m.ObjectType == pgwire.TargetStatement {
			delete(s.statements, m.Name)
		} else {
			delete(s.portals, m.Name)
		}
		s.backend.Send(&pgproto3.CloseComplete{})
	case *pgproto3.Flush: // whatever was answered has left
	default:
		return pgwire.ErrConsoleProtocol.New("")
	}
	return nil
}

// sync ends a group of messages. Portals end with it, as with a transaction of their own.
func (s *consoleSession) sync() {
	s.skipping = false
	if !s.block {
		clear(s.portals)
	}
	s.ready()
}

// parse keeps a statement. What is wrong with it is said here, as by PostgreSQL.
func (s *consoleSession) parse(m *pgproto3.Parse) error {
	statements := splitStatements(m.Query)
	_, known := s.statements[m.Name]
	switch {
	case len(m.ParameterOIDs) > 0:
		return pgwire.ErrConsoleProtocol.New("The console takes no parameters.")
	case len(statements) > 1:
		return pgwire.ErrConsoleSyntax.New("A prepared statement is one command.", statements[1])
	case known && m.Name != "":
		return pgwire.ErrStatementExists.New("", m.Name)
	case len(s.statements) >= preparedLimit:
		return pgwire.ErrTooManyStatements.New("")
	}
	text := ""
	if len(statements) > 0 {
		text = statements[0]
		if _, _, err := s.find(text); err != nil {
			return err
		}
	}
	s.statements[m.Name] = text
	s.backend.Send(&pgproto3.ParseComplete{})
	return nil
}

func (s *consoleSession) bind(m *pgproto3.Bind) error {
	text, known := s.statements[m.PreparedStatement]
	switch {
	case !known:
		return pgwire.ErrStatementNotFound.New("", m.PreparedStatement)
	case len(m.Parameters) > 0:
		return pgwire.ErrConsoleProtocol.New("The console takes no parameters.")
	case len(s.portals) >= preparedLimit:
		return pgwire.ErrTooManyStatements.New("")
	}
	s.portals[m.DestinationPortal] = &portal{text: text, formats: append([]int16(nil), m.ResultFormatCodes...)}
	s.backend.Send(&pgproto3.BindComplete{})
	return nil
}

// deallocate forgets a prepared statement, or all: DEALLOCATE [PREPARE] { name | ALL }.
func (s *consoleSession) deallocate(words []string) error {
	if len(words) == 2 && strings.EqualFold(words[0], "prepare") {
		words = words[1:]
	}
	if len(words) != 1 {
		return pgwire.ErrConsoleSyntax.New("", "DEALLOCATE")
	}
	name := words[0]
	_, known := s.statements[name]
	switch {
	case strings.EqualFold(name, "all"):
		clear(s.statements)
	case !known:
		return pgwire.ErrStatementNotFound.New("", name)
	}
	delete(s.statements, name)
	return nil
}

// noPortal is PostgreSQL's error for Execute and Describe of a portal that does not exist.
func noPortal(name string) error { return pgwire.ErrConsoleUnknown.New("", "portal", name) }

func (s *consoleSession) describe(m *pgproto3.Describe) error {
	var text string
	var formats []int16
	if m.ObjectType == pgwire.TargetStatement {
		var known bool
		if text, known = s.statements[m.Name]; !known {
			return pgwire.ErrStatementNotFound.New("", m.Name)
		}
		s.backend.Send(&pgproto3.ParameterDescription{})
	} else {
		p := s.portals[m.Name]
		if p == nil {
			return noPortal(m.Name)
		}
		text, formats = p.text, p.formats
	}
	cmd, _, err := s.find(text)
	if err != nil {
		return err
	}
	if cmd == nil || cmd.columns == nil {
		s.backend.Send(&pgproto3.NoData{})
		return nil
	}
	s.backend.Send(description(cmd.columns, formats))
	return nil
}

// execute runs a portal, or goes on with its rows: at most MaxRows of them, 0 = all.
func (s *consoleSession) execute(ctx context.Context, m *pgproto3.Execute) error {
	p := s.portals[m.Portal]
	if p == nil {
		return noPortal(m.Portal)
	}
	if p.text == "" {
		s.backend.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	if !p.ran {
		var err error
		if p.result, err = s.run(ctx, p.text); err != nil {
			return err
		}
		p.ran = true
	}
	rows := p.result.rows
	if m.MaxRows > 0 && len(rows) > int(m.MaxRows) {
		rows = rows[:m.MaxRows]
	}
	for _, row := range rows {
		s.row(p.result.columns, row, p.formats)
	}
	p.result.rows = p.result.rows[len(rows):]
	if len(p.result.rows) > 0 {
		s.backend.Send(&pgproto3.PortalSuspended{})
		return nil
	}
	s.complete(p.result.tag)
	return nil
}
