package ledger

import (
	"context"
	"errors"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Outcome is what a client knows about one of its writes.
type Outcome uint8

// The outcomes.
const (
	Unknown      Outcome = iota // sent, and the answer did not come or says so itself (08007): may be there, at most once
	Acknowledged                // must be there, once
	Failed                      // certainly not done: must not be there
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case Acknowledged:
		return "acknowledged"
	case Failed:
		return "failed"
	case Unknown:
	}
	return "unknown"
}

// Stage says how far an operation had come when its error arrived.
type Stage uint8

// The stages.
const (
	Connecting    Stage = iota // nothing was sent
	Beginning                  // BEGIN was sent, and not answered
	InTransaction              // a statement behind it was sent
	Committing                 // COMMIT was sent
	Autocommit                 // the only statement was sent, a write
	Looking                    // the only statement was sent, a lookup
)

// String returns the stage's name.
func (s Stage) String() string {
	return [...]string{"connect", "begin", "transaction", "commit", "autocommit", "lookup"}[s]
}

// Fault is an error of an operation: where it arrived, and its SQLSTATE, or one of the words below.
type Fault struct {
	Stage Stage
	Code  string
}

// String returns both.
func (f Fault) String() string { return f.Stage.String() + ":" + f.Code }

// tagState says whether a command tag came before the error did, and what that is worth.
type tagState uint8

const (
	noTag           tagState = iota
	tagAfterCommit           // simple protocol: the tag is sent when the commit is done
	tagBeforeCommit          // extended protocol: the tag ends Execute, the commit comes with Sync
)

// The SQLSTATEs that decide.
const (
	codeAdminShutdown      = "57P01"
	codeCannotConnectNow   = "57P03"
	codeTooManyConnections = "53300"
	severityError          = "ERROR"
)

// judge says what an error means for the write it ended. Where PostgreSQL's behaviour leaves a doubt it says Unknown:
//   - before COMMIT was sent nothing can have been committed, whatever happened;
//   - an ERROR is the rollback of the only statement, or of the COMMIT, unless a tag had told that it was done;
//   - FATAL 57P01 instead of a command tag is the abort of the statement then running. For COMMIT nobody relies on that;
//   - 57P03 and 53300 refuse before anything runs;
//   - all else (08007, other FATALs, a lost connection, a time-out) proves nothing.
func judge(at Stage, err error, tag tagState) Outcome {
	if err == nil {
		return Acknowledged
	}
	if at <= InTransaction {
		return Failed
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return Unknown
	}
	if tag == tagAfterCommit || tag == tagBeforeCommit && severity(said) != severityError {
		return Unknown
	}
	switch {
	case said.Code == codeCannotConnectNow, said.Code == codeTooManyConnections:
		return Failed
	case said.Code == codeAdminShutdown && at == Autocommit:
		return Failed
	case severity(said) == severityError && !connectionClass(said.Code):
		return Failed
	}
	return Unknown
}

func severity(e *pgconn.PgError) string {
	if e.SeverityUnlocalized != "" {
		return e.SeverityUnlocalized
	}
	return e.Severity
}

// connectionClass reports whether a code is of class 08: the connection, not the statement, has failed.
func connectionClass(code string) bool { return len(code) == 5 && code[:2] == "08" }

// The keys under which errors without a SQLSTATE are counted.
const (
	ErrorLost    = "lost"    // the connection ended without a word
	ErrorRefused = "refused" // nobody listens
	ErrorTimeout = "timeout" // no answer within Config.Timeout
	ErrorAborted = "aborted" // the load itself was broken off
)

// errorKey returns the SQLSTATE of an error, or what kind of silence it was.
func errorKey(err error) string {
	var said *pgconn.PgError
	switch {
	case errors.As(err, &said):
		return said.Code
	case errors.Is(err, context.Canceled):
		return ErrorAborted
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return ErrorTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrorRefused
	}
	return ErrorLost
}
