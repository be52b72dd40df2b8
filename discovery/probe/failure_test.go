package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/topology"
)

func says(code, message string) error {
	return fmt.Errorf("connect: %w", &pgconn.PgError{Severity: "FATAL", Code: code, Message: message})
}

func dialError(errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
}

func TestEachFailureMeansOneThing(t *testing.T) {
	refused, unreachable := dialError(syscall.ECONNREFUSED), dialError(syscall.EHOSTUNREACH)
	timedOut := &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	for _, row := range []struct {
		sentence string
		err      error
		dials    []error
		want     topology.Outcome
	}{
		{"a refused port proves that nobody listens", refused, []error{refused}, topology.OutcomeRefused},
		{"a socket that is not there proves it too", dialError(syscall.ENOENT), []error{dialError(syscall.ENOENT)}, topology.OutcomeRefused},
		{"all addresses of a name refuse", errors.Join(refused, refused), []error{refused, refused}, topology.OutcomeRefused},
		{
			"one address refuses, the other leads nowhere from here", errors.Join(refused, refused),
			[]error{dialError(syscall.ENETUNREACH), refused},
			topology.OutcomeRefused,
		},
		{"one address refuses, the other is silent", errors.Join(refused, timedOut), []error{refused, timedOut}, topology.OutcomeMissed},
		{"one address refuses, the other accepts and is silent", errors.Join(refused, context.DeadlineExceeded), []error{refused, nil}, topology.OutcomeMissed},
		{"one address refuses, the other has no route", errors.Join(refused, unreachable), []error{refused, unreachable}, topology.OutcomeMissed},
		{"no address leads anywhere", dialError(syscall.ENETUNREACH), []error{dialError(syscall.ENETUNREACH)}, topology.OutcomeMissed},
		{"no answer to the dial", timedOut, []error{timedOut}, topology.OutcomeMissed},
		{"no answer after the dial", context.DeadlineExceeded, []error{nil}, topology.OutcomeMissed},
		{"no route", unreachable, []error{unreachable}, topology.OutcomeMissed},
		{"no address", &net.DNSError{Err: "no such host", Name: "db", IsNotFound: true}, nil, topology.OutcomeMissed},
		{"the connection is closed", io.ErrUnexpectedEOF, []error{nil}, topology.OutcomeReset},
		{"the connection is reset", dialError(syscall.ECONNRESET), []error{nil}, topology.OutcomeReset},
		{"something else", errors.New("server refused TLS connection"), []error{nil}, topology.OutcomeFailed},

		{"the server shuts down", says("57P03", "the database system is shutting down"), []error{nil}, topology.OutcomeStopping},
		{"the server shuts down in German", says("57P03", "das Datenbanksystem fährt herunter"), []error{nil}, topology.OutcomeStopping},
		{"the server starts", says("57P03", "the database system is starting up"), []error{nil}, topology.OutcomeStarting},
		{"the server recovers", says("57P03", "the database system is in recovery mode"), []error{nil}, topology.OutcomeStarting},
		{"the server is no hot standby", says("57P03", "the database system is not accepting connections"), []error{nil}, topology.OutcomeStarting},
		{"the server says 57P03 in a tongue that nobody knows", says("57P03", "?"), []error{nil}, topology.OutcomeStarting},
		{"the session was terminated", says("57P01", "terminating connection due to administrator command"), nil, topology.OutcomeReset},
		{"the password is wrong", says("28P01", "password authentication failed"), []error{nil}, topology.OutcomeDenied},
		{"pg_hba.conf has no line", says("28000", "no pg_hba.conf entry"), []error{nil}, topology.OutcomeDenied},
		{"the database is not there", says("3D000", "database does not exist"), []error{nil}, topology.OutcomeDenied},
		{"the server is full", says("53300", "sorry, too many clients already"), []error{nil}, topology.OutcomeDenied},
		{"the question fails", says("XX000", "oops"), nil, topology.OutcomeFailed},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			got, problem := judge(row.err, row.dials)
			if got != row.want || problem == "" || strings.Contains(problem, "\n") {
				t.Errorf("got %s (%q), want %s", got, problem, row.want)
			}
		})
	}
}
