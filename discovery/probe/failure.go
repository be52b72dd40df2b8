package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/topology"
)

// The SQLSTATEs that tell failures apart.
const (
	codeCannotConnectNow       = "57P03"
	codeInsufficientPrivilege  = "42501"
	codeInvalidCatalogName     = "3D000"
	codeProtocolViolation      = "08P01"
	codeTooManyConnections     = "53300"
	classInvalidAuthorization  = "28"
	classOperatorIntervention  = "57P"
	classConfigurationExceeded = "53"
)

// bouncerRefusal begins what PgBouncer says to start-up parameters that it does not know. PostgreSQL's own word is another, and PgBouncer
// speaks no other language.
const bouncerRefusal = "unsupported startup parameter"

// shuttingDown is what a server says when it shuts down, in the languages that PostgreSQL speaks. The SQLSTATE 57P03 is the
// same while it starts, but only the shutdown proves that it takes no more writes; in another language it proves nothing.
func shuttingDown() []string {
	return []string{
		"the database system is shutting down",
		"das Datenbanksystem fährt herunter",
		"el sistema de base de datos está apagándose",
		"le système de base de données s'arrête",
		"il database si sta spegnendo",
		"データベースシステムはシャットダウンしています",
		"მონაცემთა ბაზის სისტემა ითიშება",
		"데이터베이스 시스템이 중지 중입니다",
		"система баз данных останавливается",
		"databassystemet stänger ner",
		"система бази даних завершує роботу",
		"数据库系统正在关闭",
		"資料庫系統正在關閉",
	}
}

// judge says what the failure of a connection means for the node. dials are the ends of all attempts to reach its port, nil for
// those that succeeded: a name may have several addresses, and only when all refuse nobody listens.
func judge(err error, dials []error) (topology.Outcome, string) {
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server):
		return judgeServer(server), sentence(server)
	case allRefused(dials):
		return topology.OutcomeRefused, sentence(lastFailure(dials, err))
	case silent(err):
		return topology.OutcomeMissed, sentence(lastFailure(dials, err))
	case broken(err):
		return topology.OutcomeReset, sentence(err)
	}
	if last := lastFailure(dials, nil); last != nil {
		return topology.OutcomeMissed, sentence(last) // no route, no address: the port was never reached
	}
	return topology.OutcomeFailed, sentence(err)
}

// judgeServer tells apart what a server says instead of letting the probe in.
func judgeServer(e *pgconn.PgError) topology.Outcome {
	switch {
	case e.Code == codeCannotConnectNow && slices.Contains(shuttingDown(), e.Message):
		return topology.OutcomeStopping
	case e.Code == codeCannotConnectNow:
		return topology.OutcomeStarting
	case strings.HasPrefix(e.Code, classOperatorIntervention):
		return topology.OutcomeReset
	case strings.HasPrefix(e.Code, classInvalidAuthorization), strings.HasPrefix(e.Code, classConfigurationExceeded),
		e.Code == codeInsufficientPrivilege, e.Code == codeInvalidCatalogName:
		return topology.OutcomeDenied
	}
	return topology.OutcomeFailed
}

// allRefused reports whether nobody listens: each address refused, or leads nowhere from here, and at least one refused. A unix
// socket that is not there refuses too: PostgreSQL removes it when it stops.
func allRefused(dials []error) bool {
	refused := false
	for _, err := range dials {
		switch {
		case err == nil:
			return false
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
			refused = true
		case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		default:
			return false
		}
	}
	return refused
}

// silent reports a time that ran out, or a name without an address.
func silent(err error) bool {
	var timeout net.Error
	var name *net.DNSError
	return errors.As(err, &name) || errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &timeout) && timeout.Timeout()) || pgconn.Timeout(err)
}

// broken reports a connection that was closed or reset by the other side.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, net.ErrClosed)
}

// lastFailure returns the error of the last attempt that did not reach the port, or err.
func lastFailure(dials []error, err error) error {
	if n := len(dials); n > 0 && dials[n-1] != nil {
		return dials[n-1]
	}
	return err
}

// sentence makes one line of an error. pgconn's own name user and database on every line, and the addresses twice.
func sentence(err error) string {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		if server.Code == codeProtocolViolation && strings.HasPrefix(server.Message, bouncerRefusal) {
			return server.Error() + ": this is PgBouncer, " + poolerHint
		}
		return server.Error()
	}
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok && connect.Unwrap() != nil {
		err = connect.Unwrap()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
