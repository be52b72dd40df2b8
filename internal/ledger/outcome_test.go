package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func said(severity, code string) error {
	return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: severity, Code: code})
}

func TestAnErrorIsJudgedByHowFarTheWriteHadCome(t *testing.T) {
	cases := []struct {
		name string
		at   Stage
		err  error
		tag  tagState
		want Outcome
	}{
		{"no error", Autocommit, nil, tagAfterCommit, Acknowledged},
		{"nothing was sent", Connecting, syscall.ECONNREFUSED, noTag, Failed},
		{"refused login", Connecting, said("FATAL", "57P03"), noTag, Failed},
		{"lost before COMMIT", InTransaction, io.ErrUnexpectedEOF, noTag, Failed},
		{"shut down before COMMIT", InTransaction, said("FATAL", "57P01"), noTag, Failed},
		{"in doubt before COMMIT is nonsense but certain", InTransaction, said("FATAL", "08007"), noTag, Failed},
		{"lost at COMMIT", Committing, io.ErrUnexpectedEOF, noTag, Unknown},
		{"shut down at COMMIT", Committing, said("FATAL", "57P01"), noTag, Unknown},
		{"said to be in doubt", Committing, said("FATAL", "08007"), noTag, Unknown},
		{"in doubt as an ERROR", Autocommit, said("ERROR", "08007"), noTag, Unknown},
		{"COMMIT refused", Committing, said("ERROR", "40001"), noTag, Failed},
		{"lost in autocommit", Autocommit, io.EOF, noTag, Unknown},
		{"time-out in autocommit", Autocommit, context.DeadlineExceeded, noTag, Unknown},
		{"shut down in autocommit", Autocommit, said("FATAL", "57P01"), noTag, Failed},
		{"shut down after the tag", Autocommit, said("FATAL", "57P01"), tagAfterCommit, Unknown},
		{"shut down after Execute's tag", Autocommit, said("FATAL", "57P01"), tagBeforeCommit, Unknown},
		{"crash of another server process", Autocommit, said("FATAL", "57P02"), noTag, Unknown},
		{"statement refused", Autocommit, said("ERROR", "25006"), noTag, Failed},
		{"commit refused behind Execute's tag", Autocommit, said("ERROR", "23503"), tagBeforeCommit, Failed},
		{"no room", Autocommit, said("FATAL", "53300"), noTag, Failed},
		{"not now", Autocommit, said("FATAL", "57P03"), noTag, Failed},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := judge(tc.at, tc.err, tc.tag); got != tc.want {
				t.Errorf("judged %v, want %v", got, tc.want)
			}
		})
	}
}

func TestErrorsAreCountedByWhatTheyAre(t *testing.T) {
	cases := []struct {
		err  error
		want string
	}{
		{said("FATAL", "57P01"), "57P01"},
		{errors.Join(io.EOF, context.DeadlineExceeded), ErrorTimeout},
		{errors.Join(io.EOF, context.Canceled), ErrorAborted},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), ErrorRefused},
		{io.ErrUnexpectedEOF, ErrorLost},
	}
	for _, tc := range cases {
		if got := errorKey(tc.err); got != tc.want {
			t.Errorf("%v is counted as %q, want %q", tc.err, got, tc.want)
		}
	}
}
