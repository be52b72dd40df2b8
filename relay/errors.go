package relay

import (
	"errors"

	"github.com/pgrouter/pgrouter/pgwire"
)

// fault turns a framing error into what the client is told.
func fault(err error) *pgwire.Error {
	if e, ok := errors.AsType[*pgwire.Error](err); ok {
		return e
	}
	return pgwire.ErrProtocol.New(err.Error())
}

// unexpected is the answer to a message that has no place here: a password after the login.
func unexpected(kind byte) *pgwire.Error { return pgwire.ErrMessageType.New("", kind) }
