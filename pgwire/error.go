package pgwire

import "errors"

// Severities of errors and notices.
const (
	SeverityError   = "ERROR"
	SeverityFatal   = "FATAL"
	SeverityPanic   = "PANIC"
	SeverityWarning = "WARNING"
	SeverityNotice  = "NOTICE"
)

// Error is an ErrorResponse or NoticeResponse: a server's, read by ParseError, or our own, made by ErrID.New. Empty fields
// are not sent.
type Error struct {
	ID ErrID // which of our own it is; 0 for one that a server sent

	Severity            string // as the server's language has it
	SeverityUnlocalized string // ERROR, FATAL…; "" from servers before 9.6
	Code                string // SQLSTATE
	Message             string
	Detail              string
	Hint                string
	Position            string
	InternalPosition    string
	InternalQuery       string
	Where               string
	Schema              string
	Table               string
	Column              string
	DataType            string
	Constraint          string
	File                string
	Line                string
	Routine             string
	Unknown             []ErrorField // of kinds that are not known here, in order

	OldStyle bool // to be sent in the form of protocol 2.0, because the client spoke that

	lead byte // sent ahead of the message: the answer to an SSLRequest or GSSENCRequest; 0: nothing
}

// ErrorField is a field of an ErrorResponse of a kind that has no place in Error.
type ErrorField struct {
	Kind  byte
	Value string
}

var errErrorLayout = errors.New("pgwire: malformed error response")

// Error returns severity, message and SQLSTATE.
func (e *Error) Error() string {
	return e.severity() + ": " + e.Message + " (SQLSTATE " + e.Code + ")"
}

// Fatal reports whether the connection ends with this error.
func (e *Error) Fatal() bool {
	s := e.severity()
	return s == SeverityFatal || s == SeverityPanic
}

// Silent reports whether the error is for the log only: PostgreSQL closes the connection without sending it.
func (e *Error) Silent() bool { return e.ID.Silent() }

func (e *Error) severity() string {
	if e.SeverityUnlocalized != "" {
		return e.SeverityUnlocalized
	}
	return e.Severity
}

// Kinds of the fields of ErrorResponse (protocol chapter "Error and Notice Message Fields").
const (
	fieldSeverity            = 'S'
	fieldSeverityUnlocalized = 'V'
	fieldCode                = 'C'
	fieldMessage             = 'M'
	fieldDetail              = 'D'
	fieldHint                = 'H'
	fieldPosition            = 'P'
	fieldInternalPosition    = 'p'
	fieldInternalQuery       = 'q'
	fieldWhere               = 'W'
	fieldSchema              = 's'
	fieldTable               = 't'
	fieldColumn              = 'c'
	fieldDataType            = 'd'
	fieldConstraint          = 'n'
	fieldFile                = 'F'
	fieldLine                = 'L'
	fieldRoutine             = 'R'
)

// errorFields is the order in which PostgreSQL sends the fields.
const errorFields = "SVCMDHPpqWstcdnFLR"

// field returns the place of the field of a kind, or nil.
func (e *Error) field(kind byte) *string {
	switch kind {
	case fieldSeverity:
		return &e.Severity
	case fieldSeverityUnlocalized:
		return &e.SeverityUnlocalized
	case fieldCode:
		return &e.Code
	case fieldMessage:
		return &e.Message
	case fieldDetail:
		return &e.Detail
	case fieldHint:
		return &e.Hint
	case fieldPosition:
		return &e.Position
	case fieldInternalPosition:
		return &e.InternalPosition
	case fieldInternalQuery:
		return &e.InternalQuery
	case fieldWhere:
		return &e.Where
	case fieldSchema:
		return &e.Schema
	case fieldTable:
		return &e.Table
	case fieldColumn:
		return &e.Column
	case fieldDataType:
		return &e.DataType
	case fieldConstraint:
		return &e.Constraint
	case fieldFile:
		return &e.File
	case fieldLine:
		return &e.Line
	case fieldRoutine:
		return &e.Routine
	default:
		return nil
	}
}

// ParseError reads the body of an ErrorResponse or NoticeResponse. The result shares nothing with body.
func ParseError(body []byte) (*Error, error) {
	e := &Error{}
	for len(body) > 0 && body[0] != 0 {
		kind := body[0]
		value, rest, ok := CString(body[1:])
		if !ok {
			return nil, errErrorLayout
		}
		if at := e.field(kind); at != nil {
			*at = string(value)
		} else {
			e.Unknown = append(e.Unknown, ErrorField{kind, string(value)})
		}
		body = rest
	}
	if len(body) != 1 {
		return nil, errErrorLayout
	}
	return e, nil
}

// AppendError appends e as an ErrorResponse, or in protocol 2.0's form when e.OldStyle is set.
func AppendError(dst []byte, e *Error) []byte {
	if e.lead != 0 {
		dst = append(dst, e.lead)
	}
	if e.OldStyle {
		dst = append(dst, KindErrorResponse)
		dst = append(append(dst, e.severity()...), ":  "...)
		dst = append(append(dst, e.Message...), '\n')
		return append(dst, 0)
	}
	return appendFields(dst, KindErrorResponse, e)
}

// AppendNotice appends e as a NoticeResponse.
func AppendNotice(dst []byte, e *Error) []byte { return appendFields(dst, KindNoticeResponse, e) }

func appendFields(dst []byte, kind byte, e *Error) []byte {
	dst, at := begin(dst, kind)
	for i := range len(errorFields) {
		if value := *e.field(errorFields[i]); value != "" {
			dst = appendString(append(dst, errorFields[i]), value)
		}
	}
	for _, f := range e.Unknown {
		dst = appendString(append(dst, f.Kind), f.Value)
	}
	return finish(append(dst, 0), at)
}
