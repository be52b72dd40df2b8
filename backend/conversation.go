package backend

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/pgrouter/pgrouter/auth"
	"github.com/pgrouter/pgrouter/pgwire"
)

// conversation is the blocking part of a server connection's life: start-up, login, the wait for ReadyForQuery and the
// questions of the admission, strictly in this order.
type conversation struct {
	out   io.Writer
	in    reader
	conn  *Conn
	login *auth.ServerLogin
	op    Op

	pooler bool   // somebody stands in between, see admitRole
	minor  uint16 // of the protocol's version 3 that was asked for, and then that is spoken
}

func newConversation(rw io.ReadWriter, c *Conn, login *auth.ServerLogin) *conversation {
	return &conversation{out: rw, in: reader{src: rw}, conn: c, login: login, op: OpLogin}
}

// open does it all.
func (s *conversation) open(packet []byte, replication bool) error {
	if err := s.send(packet); err != nil {
		return err
	}
	if err := s.authenticate(); err != nil {
		return err
	}
	s.op = OpStartup
	if err := s.awaitReady(); err != nil {
		return err
	}
	s.describe()
	s.op = OpAdmission
	return s.admit(replication)
}

// failure is the error of Dial for what open returned.
func (s *conversation) failure(err error) error {
	if admission, ok := errors.AsType[*AdmissionError](err); ok {
		return admission
	}
	e := newDialError(s.op, s.conn.Target, err)
	if _, ok := errors.AsType[*auth.LoginError](err); ok {
		e.permanent = true
	}
	return e
}

func (s *conversation) send(b []byte) error {
	_, err := s.out.Write(b)
	return err
}

// authenticate answers the server until it says AuthenticationOk.
func (s *conversation) authenticate() error {
	for first := true; ; first = false {
		kind, body, err := s.in.message()
		if err != nil {
			return err
		}
		switch kind {
		case pgwire.KindAuthentication:
			answer, done, err := s.login.Next(body)
			if err != nil || done {
				return err
			}
			if err := s.send(answer); err != nil {
				return err
			}
		case pgwire.KindErrorResponse:
			return s.refused(body)
		case pgwire.KindNoticeResponse:
		case pgwire.KindNegotiate:
			if err := s.negotiate(body, first); err != nil {
				return err
			}
		default:
			return violation("unexpected message during login", kind)
		}
	}
}

// negotiate takes the server's word that it speaks an older version of the protocol than was asked for. It is its first word.
func (s *conversation) negotiate(body []byte, first bool) error {
	minor, unknown, err := pgwire.ParseNegotiate(body)
	if err != nil || !first || minor >= s.minor || len(unknown) > 0 {
		return violation("the server does not accept our version of the protocol or one of our start-up parameters", pgwire.KindNegotiate)
	}
	s.minor = minor
	return nil
}

// awaitReady reads what a server tells of itself before it is ready for the first query.
func (s *conversation) awaitReady() error {
	for {
		kind, body, err := s.in.message()
		if err != nil {
			return err
		}
		switch kind {
		case pgwire.KindParameterStatus:
			err = s.parameter(body)
		case pgwire.KindBackendKeyData:
			err = s.key(body)
		case pgwire.KindNoticeResponse:
		case pgwire.KindErrorResponse:
			return s.refused(body)
		case pgwire.KindReadyForQuery:
			return checkIdle(body)
		default:
			return violation("unexpected message before the server was ready", kind)
		}
		if err != nil {
			return err
		}
	}
}

func (s *conversation) parameter(body []byte) error {
	name, value, err := pgwire.ParseParameterStatus(body)
	if err != nil || len(name) == 0 {
		return violation("malformed message", pgwire.KindParameterStatus)
	}
	s.conn.setParam(string(name), string(value))
	if len(s.conn.Params) > maxParams {
		return violation("the server reports too many parameters", pgwire.KindParameterStatus)
	}
	return nil
}

// maxParams bounds how many parameters a server may report. PostgreSQL 18 has 15, extensions may add their own.
const maxParams = 200

func (s *conversation) key(body []byte) error {
	pid, key, err := pgwire.ParseBackendKeyData(body)
	if err != nil {
		return violation("malformed message", pgwire.KindBackendKeyData)
	}
	s.conn.PID, s.conn.Key = pid, append([]byte(nil), key...)
	return nil
}

func checkIdle(body []byte) error {
	if len(body) != 1 || body[0] != pgwire.StatusIdle {
		return violation("the server is ready, but not idle", pgwire.KindReadyForQuery)
	}
	return nil
}

// refused makes the error of an ErrorResponse. Fields may be missing: none is relied upon.
func (s *conversation) refused(body []byte) error {
	server, err := pgwire.ParseError(body)
	if err != nil {
		return violation("malformed message", pgwire.KindErrorResponse)
	}
	return &refusal{server}
}

// describe reads off the parameters what is asked for often.
func (s *conversation) describe() {
	c := s.conn
	version, _ := c.Param("server_version")
	c.ServerVersion = versionNumber(version)
	readOnly, _ := c.Param("default_transaction_read_only")
	c.ReadOnly = readOnly == "on"
}

// versionNumber turns what server_version reports ("15.4 (Debian 15.4-1)", "9.6.24", "18beta1") into what server_version_num
// would: 150004, 90624, 180000. It returns 0 for what is none.
func versionNumber(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end >= 0 {
		version = version[:end]
	}
	var parts [3]int
	for i, text := range strings.SplitN(version, ".", len(parts)) {
		n, err := strconv.Atoi(text)
		if err != nil || n >= maxVersionPart {
			return 0
		}
		parts[i] = n
	}
	if parts[0] >= firstTwoPartVersion {
		return parts[0]*10000 + parts[1]
	}
	return parts[0]*10000 + parts[1]*100 + parts[2]
}

const (
	firstTwoPartVersion = 10 // since then 10.1 and not 9.6.1
	maxVersionPart      = 10000
)
