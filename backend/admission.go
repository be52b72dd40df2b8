package backend

import (
	"errors"
	"strconv"

	"github.com/pgrouter/pgrouter/pgwire"
)

// What a server is asked. Everything is qualified: the session's search_path is the user's.
const (
	queryRecovery = "SELECT pg_catalog.pg_is_in_recovery()"
	querySystem   = "SELECT system_identifier FROM pg_catalog.pg_control_system()"
)

// admit checks that the server is what it was wanted for. Since PostgreSQL 14 the role costs nothing, because it is
// reported at login; the system identifier costs a round trip. default_transaction_read_only is no reason to refuse: a role
// or a start-up parameter may have set it; the probes see the node's own.
func (s *conversation) admit(replication bool) error {
	if err := s.admitRole(replication); err != nil {
		return err
	}
	if s.conn.Target.SystemID == 0 || replication {
		return nil
	}
	return s.admitSystem()
}

// admitRole takes what the server reports. A pooler reports what some server said at its login, perhaps before a promotion: there the
// server itself is asked.
func (s *conversation) admitRole(replication bool) error {
	const param = "in_hot_standby"
	c := s.conn
	standby, reported := c.Param(param)
	switch {
	case reported && !s.pooler:
		c.HotStandby = standby == "on"
	case replication && c.Target.WantPrimary:
		return c.notAdmitted(RoleUnproven)
	case replication:
		return nil
	default:
		answer, err := s.ask(queryRecovery)
		if err != nil {
			return err
		}
		c.HotStandby = answer != "f"
		if reported {
			c.setParam(param, map[bool]string{false: "off", true: "on"}[c.HotStandby])
		}
	}
	switch {
	case c.HotStandby && c.Target.WantPrimary:
		return c.notAdmitted(NotPrimary)
	case !c.HotStandby && c.Target.WantStandby:
		return c.notAdmitted(NotStandby)
	}
	return nil
}

// admitSystem compares system identifiers. A server that does not let this user ask is admitted: the probes have asked.
func (s *conversation) admitSystem() error {
	answer, err := s.ask(querySystem)
	var refused *refusal
	if errors.As(err, &refused) && isUnaskable(refused.server.Code) {
		return nil
	}
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(answer, 10, 64)
	if err != nil {
		return violation("the system identifier is not a number", pgwire.KindDataRow)
	}
	s.conn.SystemID = uint64(id) // the server shows 64 bits as a signed number
	if s.conn.SystemID != s.conn.Target.SystemID {
		return s.conn.notAdmitted(WrongSystem)
	}
	return nil
}

// isUnaskable tells the SQLSTATEs of a function that this user may not call or that an old server does not have.
func isUnaskable(code string) bool {
	const undefinedFunction = "42883"
	return code == pgwire.CodeInsufficientPrivilege || code == undefinedFunction
}

func (c *Conn) notAdmitted(reason AdmissionReason) error {
	return &AdmissionError{Node: c.Target.Node, Address: c.Target.Address, Reason: reason, SystemID: c.SystemID, Wanted: c.Target.SystemID}
}

// ask runs a query that gives one value. After an error of the server it is ready for the next question.
func (s *conversation) ask(sql string) (string, error) {
	if err := s.send(pgwire.AppendQuery(nil, sql)); err != nil {
		return "", err
	}
	var a answer
	for {
		kind, body, err := s.in.message()
		if err != nil {
			return "", err
		}
		switch kind {
		case pgwire.KindParameterStatus:
			err = s.parameter(body)
		case pgwire.KindNoticeResponse:
		case pgwire.KindReadyForQuery:
			return a.end(body)
		default:
			err = s.collect(&a, kind, body)
		}
		if err != nil {
			return "", err
		}
	}
}

// answer is what has come of the answer to a query, in the order of its fields.
type answer struct {
	described bool
	value     string
	rows      int
	completed bool
	err       error
}

func (s *conversation) collect(a *answer, kind byte, body []byte) error {
	switch {
	case kind == pgwire.KindErrorResponse && a.err == nil && !a.completed:
		if a.err = s.refused(body); isFatal(a.err) {
			return a.err
		}
	case kind == pgwire.KindRowDescription && !a.described && a.err == nil:
		a.described = true
	case kind == pgwire.KindDataRow && a.described && !a.completed && a.err == nil:
		values, err := pgwire.ParseDataRow(nil, body)
		if err != nil || len(values) != 1 {
			return violation("malformed message", kind)
		}
		a.value, a.rows = string(values[0]), a.rows+1
	case kind == pgwire.KindCommandComplete && a.described && !a.completed && a.err == nil:
		a.completed = true
	default:
		return violation("unexpected message in the answer to a question", kind)
	}
	return nil
}

func (a *answer) end(body []byte) (string, error) {
	if err := checkIdle(body); err != nil {
		return "", err
	}
	if a.err != nil {
		return "", a.err
	}
	if !a.completed || a.rows != 1 {
		return "", violation("the answer to a question is incomplete", pgwire.KindReadyForQuery)
	}
	return a.value, nil
}

func isFatal(err error) bool {
	var refused *refusal
	return !errors.As(err, &refused) || refused.server.Fatal()
}
