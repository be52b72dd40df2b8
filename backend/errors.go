package backend

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/topology"
)

// Op is what was being done when an error came.
type Op string

// The operations.
const (
	OpConnect   Op = "connect"   // name resolution and connection
	OpLogin     Op = "login"     // from the start-up packet to AuthenticationOk
	OpStartup   Op = "startup"   // from AuthenticationOk to ReadyForQuery
	OpAdmission Op = "admission" // asking the server what it is
	OpCancel    Op = "cancel"    // a cancel request
)

// Failure is what every error of [Dial] answers; find it with errors.As.
type Failure interface {
	error
	// Temporary reports whether the same attempt may succeed later without anybody changing a configuration: the server is
	// down, starting, full, slow or of the wrong role. It is false when the server refuses the user, the database or a
	// setting, and when it does not speak the protocol.
	Temporary() bool
	// Code returns the SQLSTATE that the server sent, "" if there is none.
	Code() string
	// ServerError returns the server's own error, to be passed on to a client, or nil.
	ServerError() *pgwire.Error
}

// DialError is why a server connection could not be made, or a cancel request not be delivered.
type DialError struct {
	Op      Op
	Node    topology.NodeID // "" for a cancel request
	Address string
	Server  *pgwire.Error // what the server sent; nil if it did not refuse. Its text is not trustworthy before login
	Err     error         // the cause; Server if there is one

	permanent bool
}

// Error returns address, operation and cause.
func (e *DialError) Error() string {
	return "server " + e.Address + ": " + string(e.Op) + ": " + e.Err.Error()
}

// Unwrap returns the cause: *pgwire.Error if the server refused, *ProtocolError, *auth.LoginError, or an error of the
// network or of the context.
func (e *DialError) Unwrap() error { return e.Err }

// Temporary implements Failure.
func (e *DialError) Temporary() bool { return !e.permanent }

// ServerError implements Failure.
func (e *DialError) ServerError() *pgwire.Error { return e.Server }

// Code implements Failure.
func (e *DialError) Code() string {
	if e.Server == nil {
		return ""
	}
	return e.Server.Code
}

// AdmissionReason is why a server that let us in is not the one that was wanted.
type AdmissionReason string

// The reasons.
const (
	NotPrimary   AdmissionReason = "in recovery"               // it is a standby
	NotStandby   AdmissionReason = "not in recovery"           // it is no standby
	RoleUnproven AdmissionReason = "role unknown"              // it does not report in_hot_standby, and this session cannot ask
	WrongSystem  AdmissionReason = "another system identifier" // it belongs to another cluster
)

// AdmissionError says that a server that let us in is not the one that was wanted, so that the connection was closed unused:
// what is known of the node is out of date, or its address leads elsewhere.
type AdmissionError struct {
	Node     topology.NodeID
	Address  string
	Reason   AdmissionReason
	SystemID uint64 // what the server has, with WrongSystem
	Wanted   uint64 // what it should have, with WrongSystem
}

// Error returns address and reason.
func (e *AdmissionError) Error() string {
	text := "server " + e.Address + ": not admitted: " + string(e.Reason)
	if e.Reason == WrongSystem {
		text += fmt.Sprintf(" (%d instead of %d)", e.SystemID, e.Wanted)
	}
	return text
}

// Temporary implements Failure: the topology will catch up.
func (e *AdmissionError) Temporary() bool { return true }

// Code implements Failure.
func (e *AdmissionError) Code() string { return "" }

// ServerError implements Failure.
func (e *AdmissionError) ServerError() *pgwire.Error { return nil }

// ProtocolError says that the peer does not speak PostgreSQL's protocol, or not as it must.
type ProtocolError struct {
	What string // constant text
	Kind byte   // of the message concerned; 0 if it is none in particular
}

// Error says what is wrong.
func (e *ProtocolError) Error() string {
	if e.Kind == 0 {
		return "protocol violation: " + e.What
	}
	return fmt.Sprintf("protocol violation: %s (message %q)", e.What, e.Kind)
}

func violation(what string, kind byte) error { return &ProtocolError{what, kind} }

// newDialError classifies the cause.
func newDialError(op Op, t Target, err error) *DialError {
	e := &DialError{Op: op, Node: t.Node, Address: t.Address, Err: err}
	var refused *refusal
	var broken *ProtocolError
	switch {
	case errors.As(err, &refused):
		e.Server, e.Err = refused.server, refused.server
		e.permanent = isPermanent(refused.server.Code)
	case errors.As(err, &broken):
		e.permanent = true
	}
	return e
}

// refusal carries an ErrorResponse from where it was read to the DialError.
type refusal struct{ server *pgwire.Error }

// Error implements error.
func (r *refusal) Error() string { return r.server.Error() }

// isPermanent tells the SQLSTATEs of a login that will come again until a person changes something. All others, and an error
// without a SQLSTATE, are taken as temporary: out of resources, starting up, shutting down, too many connections.
func isPermanent(code string) bool {
	const classLen = 2
	if code == pgwire.CodeProtocolViolation || code == pgwire.CodeCannotChangeNow {
		return true
	}
	if len(code) < classLen {
		return false
	}
	return strings.Contains(" 0A 0L 0P 22 28 3D 3F 42 ", " "+code[:classLen]+" ")
}
