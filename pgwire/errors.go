package pgwire

import "fmt"

// ErrID names one of the errors that pgrouter itself sends. The table behind them, errorRows, is what clients are promised:
// docs/errors.md is printed from it.
type ErrID uint8

// Start-up and login.
const (
	ErrNone ErrID = iota // of an Error that a server sent

	ErrStartupLength
	ErrStartupIncomplete
	ErrStartupLayout
	ErrProtocolVersion
	ErrUnencryptedAfterSSL
	ErrUnencryptedAfterGSS
	ErrNoUserName
	ErrReplicationValue
	ErrOptionArgument // arg: the switch
	ErrOptionValue    // arg: the switch
	ErrSessionAttrs   // arg: the value
	ErrTLSRequired

	ErrExpectedPassword // arg: the kind of the message that came
	ErrExpectedSASL     // arg: the kind of the message that came
	ErrPasswordPacket
	ErrEmptyPassword
	ErrSASLMechanism
	ErrSASLMalformed
	ErrSASLExtension
	ErrChannelBinding
	ErrAuthFailed     // arg: user
	ErrCertAuthFailed // arg: user
	ErrHBANoEntry     // args: address, user, database, "SSL encryption" | "no encryption"
	ErrHBARejected    // args: address, user, database, "SSL encryption" | "no encryption"
	ErrLoginTimeout
	ErrCredentialLookup
	ErrUnknownDatabase  // arg: database
	ErrDatabaseDisabled // arg: database
	ErrReplicationUnsupported
	ErrServerLogin
	ErrLoginHoldTimeout
	ErrShuttingDown

	// Limits.
	ErrTooManyClients
	ErrTooManyLogins
	ErrTooManyDatabaseClients // arg: database
	ErrTooManyUserClients     // arg: user
	ErrTooManyAddressClients  // arg: address
	ErrTooManyStatements
	ErrPlanChanged
	ErrQueueFull
	ErrQueueBytes

	// Waiting.
	NoticeWaiting // a notice: send it with AppendNotice
	ErrHoldTimeout
	ErrWaitTimeout
	ErrLimitTimeout
	ErrPauseTimeout // arg: database
	ErrCancelled

	// A server is lost.
	ErrTransactionLost
	ErrOutcomeUnknown
	ErrPinnedServerLost // arg: the pin's reason
	ErrReplicationLost
	ErrNodeDemoted
	ErrLostMidMessage
	ErrServerProtocol

	// What a client sent.
	ErrProtocol
	ErrMessageType // arg: the kind
	ErrMessageLength
	ErrMessageFormat
	ErrStatementNotFound // arg: the client's own name
	ErrUnnamedStatement
	ErrStatementExists // arg: the client's own name
	ErrStatementModeTransaction
	ErrPinRefused // arg: the pin's reason

	// Time limits.
	ErrQueryTimeout
	ErrIdleTransaction
	ErrTimeoutUnknown // arg: the limit's name
	ErrClientIdle

	// Operators.
	ErrAdminShutdown
	ErrKilled
	ErrReconfigured
	ErrInternal

	// The console.
	ErrConsoleLogin // arg: user
	ErrConsoleCommand
	ErrConsoleSyntax  // arg: the word near which it is wrong
	ErrConsoleDenied  // arg: the command
	ErrConsoleUnknown // args: the kind of thing, its name
	NoticeUnasked     // arg: the database; a notice
	NoticeReloaded    // arg: the change; a notice
	NoticeRestart     // arg: the change; a notice
	ErrConsoleReload
	ErrConsoleSetting  // arg: the setting
	ErrConsoleValue    // args: the setting, the value
	ErrConsoleRestart  // arg: the setting
	ErrConsoleFileOnly // arg: the setting
	ErrConsoleState    // arg: what is in the way
	ErrConsoleBusy     // args: the time, how many
	ErrConsoleHeld     // args: the time, when the hold ends
	ErrConsoleBlocked  // arg: the time
	NoticeNotHeld      // a notice
	ErrConsoleSuspend
	ErrConsoleProtocol
	ErrConsoleRefused
	ErrConsoleFailed // arg: what went wrong

	errCount // how many there are; not an error
)

// New makes the error, ready to be sent. args fill the places in its message, in the order that the table gives; detail may
// be empty, then the table's own stands there.
func (id ErrID) New(detail string, args ...any) *Error {
	r := id.row()
	if detail == "" {
		detail = r.detail
	}
	message := r.message
	if len(r.args) > 0 {
		message = fmt.Sprintf(r.message, args...)
	}
	return &Error{
		ID: id, Severity: r.severity, SeverityUnlocalized: r.severity, Code: r.code, Message: message, Detail: detail, Hint: r.hint,
	}
}

// String returns the name of the constant.
func (id ErrID) String() string { return id.row().name }

// Code returns the SQLSTATE.
func (id ErrID) Code() string { return id.row().code }

// Severity returns SeverityFatal, SeverityError or SeverityNotice.
func (id ErrID) Severity() string { return id.row().severity }

// Survives reports whether the client's session goes on after this error.
func (id ErrID) Survives() bool { s := id.row().severity; return s != SeverityFatal && s != "" }

// Silent reports whether the error is for the log only and the connection is closed without it.
func (id ErrID) Silent() bool { return id.row().silent }

func (id ErrID) row() errorRow {
	if id >= errCount {
		id = ErrNone
	}
	return errorRows[id]
}
