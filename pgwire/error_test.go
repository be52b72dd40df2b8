package pgwire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/pgwire"
)

// equal compares errors by what they say.
func equal(a, b *pgwire.Error) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(pgwire.Error{}))
}

func fullError() *pgwire.Error {
	return &pgwire.Error{
		Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "23505", Message: "m", Detail: "d", Hint: "h", Position: "1", InternalPosition: "2", InternalQuery: "q",
		Where: "w", Schema: "s", Table: "t", Column: "c", DataType: "dt", Constraint: "n", File: "f.c", Line: "3", Routine: "r",
		Unknown: []pgwire.ErrorField{{Kind: 'x', Value: "new"}, {Kind: 'y', Value: "newer"}},
	}
}

func TestEveryFieldOfAnErrorIsReadAndSentOn(t *testing.T) {
	want := fullError()
	b := pgwire.AppendError(nil, want)
	got, err := pgwire.ParseError(b[pgwire.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	if diff := equal(want, got); diff != "" {
		t.Error(diff)
	}
	var oracle pgproto3.ErrorResponse
	if err := oracle.Decode(b[pgwire.HeaderLen:]); err != nil {
		t.Fatal(err)
	}
	if oracle.Severity != "FEHLER" || oracle.SeverityUnlocalized != "ERROR" || oracle.Routine != "r" || oracle.Line != 3 || oracle.DataTypeName != "dt" || oracle.UnknownFields['y'] != "newer" {
		t.Errorf("%+v", oracle)
	}
}

func TestAnErrorSharesNothingWithItsBody(t *testing.T) {
	b := pgwire.AppendError(nil, fullError())
	e, err := pgwire.ParseError(b[pgwire.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := equal(fullError(), e); diff != "" {
		t.Error(diff)
	}
}

func TestBrokenErrorsAreRefused(t *testing.T) {
	for _, body := range []string{"", "SERROR", "SERROR\x00", "SERROR\x00\x00\x00", "S"} {
		if e, err := pgwire.ParseError([]byte(body)); err == nil {
			t.Errorf("%q: %+v", body, e)
		}
	}
}

func TestFatalIsToldWhateverTheServersLanguage(t *testing.T) {
	for _, c := range []struct {
		e     pgwire.Error
		fatal bool
		text  string
	}{
		{pgwire.Error{Severity: "FATAL", Code: "57P01", Message: "m"}, true, "FATAL: m (SQLSTATE 57P01)"},
		{pgwire.Error{Severity: "FATALE", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "m"}, true, "FATAL: m (SQLSTATE 57P01)"},
		{pgwire.Error{Severity: "PANIK", SeverityUnlocalized: "PANIC", Code: "XX000", Message: "m"}, true, "PANIC: m (SQLSTATE XX000)"},
		{pgwire.Error{Severity: "FEHLER", SeverityUnlocalized: "ERROR", Code: "42601", Message: "m"}, false, "ERROR: m (SQLSTATE 42601)"},
	} {
		if c.e.Fatal() != c.fatal || c.e.Error() != c.text || c.e.Silent() {
			t.Errorf("%q: fatal %v, silent %v", c.e.Error(), c.e.Fatal(), c.e.Silent())
		}
	}
}

// FuzzParseError: what is read is sent on as it was, and pgproto3 reads the same.
func FuzzParseError(f *testing.F) {
	f.Add([]byte("SERROR\x00VERROR\x00C42601\x00Msyntax error at or near \"SELEC\"\x00P1\x00Fscan.l\x00L1188\x00Rscanner_yyerror\x00\x00"))
	f.Add(pgwire.AppendError(nil, fullError())[pgwire.HeaderLen:])
	f.Add([]byte("SFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00"))
	f.Add([]byte("\x00"))
	f.Add([]byte("SERROR\x00SFATAL\x00M\x00\x00"))
	f.Add([]byte("M"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := pgwire.ParseError(body)
		if err != nil {
			return
		}
		again, err := pgwire.ParseError(pgwire.AppendError(nil, e)[pgwire.HeaderLen:])
		if err != nil {
			t.Fatal(err)
		}
		if diff := equal(e, again); diff != "" {
			t.Error(diff)
		}
		var oracle pgproto3.ErrorResponse
		if oracle.Decode(body) != nil {
			return
		}
		if oracle.Severity != e.Severity || oracle.SeverityUnlocalized != e.SeverityUnlocalized || oracle.Code != e.Code || oracle.Message != e.Message ||
			oracle.Detail != e.Detail || oracle.Hint != e.Hint || oracle.Where != e.Where || oracle.ConstraintName != e.Constraint || oracle.Routine != e.Routine {
			t.Errorf("pgproto3 %+v\nours     %+v", oracle, e)
		}
	})
}
