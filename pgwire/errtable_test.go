package pgwire

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var errorDocument = filepath.Join("..", "docs", "errors.md")

func TestTheErrorTableIsPrintedInTheDocumentation(t *testing.T) {
	var b strings.Builder
	if err := WriteErrorTable(&b); err != nil {
		t.Fatal(err)
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(errorDocument, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(errorDocument)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Error("docs/errors.md is not what the table says: go test ./pgwire -run ErrorTable -update")
	}
}

func TestEveryErrorHasACompleteRowUnderItsOwnName(t *testing.T) {
	names := errorConstants(t)
	if len(names) != int(errCount) {
		t.Fatalf("%d constants, %d rows", len(names), errCount)
	}
	state := regexp.MustCompile(`^[0-9A-Z]{5}$`)
	for i, name := range names[1:] {
		id := ErrID(i + 1)
		r := id.row()
		switch {
		case r.name != name:
			t.Errorf("%s: row of %s", name, r.name)
		case !state.MatchString(r.code):
			t.Errorf("%s: SQLSTATE %q", name, r.code)
		case r.message == "" || r.situation == "":
			t.Errorf("%s: something is missing", name)
		case strings.HasSuffix(r.message, ".") || !strings.HasSuffix(r.situation, "."):
			t.Errorf("%s: messages are no sentences, situations are", name)
		case strings.HasPrefix(name, "Notice") != (r.severity == SeverityNotice):
			t.Errorf("%s: severity %s", name, r.severity)
		case id.Survives() != (r.severity == SeverityError || r.severity == SeverityNotice):
			t.Errorf("%s: %s, survives %v", name, r.severity, id.Survives())
		}
	}
}

// A row is either sent somewhere or marked as still to come: the printed table promises nothing that cannot happen.
func TestRowsThatNothingSendsAreMarked(t *testing.T) {
	word := regexp.MustCompile(`\b(Err|Notice)[A-Z][A-Za-z]*\b`)
	mentioned := make(map[string]bool)
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "internal" || strings.HasPrefix(path, ".git")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		case path == "pgwire/errors.go" || path == "pgwire/errtable.go" || path == "pgwire/errdoc.go":
			return nil // they name every row
		}
		source, err := fs.ReadFile(root, path)
		for _, name := range word.FindAllString(string(source), -1) {
			mentioned[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := ErrNone + 1; id < errCount; id++ {
		if r := id.row(); r.planned == mentioned[r.name] {
			t.Errorf("%s: marked as still to come: %v; named in the sources: %v", r.name, r.planned, mentioned[r.name])
		}
	}
}

// errorConstants returns the names of the constants of type ErrID, in order, without the count.
func errorConstants(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				if n.IsExported() {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

func TestMessagesTakeExactlyTheirArguments(t *testing.T) {
	for id := ErrNone + 1; id < errCount; id++ {
		r := id.row()
		var args []any
		for _, verb := range regexp.MustCompile(`%.`).FindAllString(r.message, -1) {
			switch verb {
			case "%s":
				args = append(args, "100%s")
			case "%d":
				args = append(args, byte('Q'))
			default:
				t.Errorf("%v: verb %s", id, verb)
			}
		}
		e := id.New("", args...)
		if len(args) != len(r.args) || strings.Contains(e.Message, "%!") {
			t.Errorf("%v: %q with %q", id, e.Message, r.args)
		}
		if e.ID != id || e.Severity != r.severity || e.SeverityUnlocalized != r.severity || e.Code != r.code || e.Detail != r.detail || e.Hint != r.hint {
			t.Errorf("%v: %+v", id, e)
		}
		if e := id.New("more", args...); e.Detail != "more" {
			t.Errorf("%v: detail %q", id, e.Detail)
		}
	}
}

func TestSectionsCoverTheTableInOrder(t *testing.T) {
	if errorSections[0].from != ErrNone+1 || errorSections[len(errorSections)-1].from != errCount {
		t.Error("the first or last row is in no section")
	}
	for i := range len(errorSections) - 1 {
		if errorSections[i].from >= errorSections[i+1].from {
			t.Errorf("section %q is out of order", errorSections[i].title)
		}
	}
}

// The laws of the contract that no later change of a text may break.
func TestTheContractWithClientsIsKept(t *testing.T) {
	for id, want := range map[ErrID][2]string{
		ErrHoldTimeout: {SeverityFatal, "57P03"}, ErrLoginHoldTimeout: {SeverityFatal, "57P03"}, ErrWaitTimeout: {SeverityFatal, "53300"}, ErrQueueFull: {SeverityFatal, "53300"},
		ErrTransactionLost: {SeverityFatal, "57P01"}, ErrOutcomeUnknown: {SeverityFatal, "08007"}, ErrPinnedServerLost: {SeverityFatal, "57P01"},
		ErrReplicationLost: {SeverityFatal, "57P01"}, ErrNodeDemoted: {SeverityFatal, "57P01"}, ErrCancelled: {SeverityError, "57014"},
		ErrQueryTimeout: {SeverityFatal, "57014"}, ErrTimeoutUnknown: {SeverityFatal, "08007"}, ErrIdleTransaction: {SeverityFatal, "25P03"}, ErrClientIdle: {SeverityFatal, "57P05"},
		ErrStatementNotFound: {SeverityError, "26000"}, ErrAuthFailed: {SeverityFatal, "28P01"}, ErrUnknownDatabase: {SeverityFatal, "3D000"},
		ErrReplicationUnsupported: {SeverityFatal, "0A000"}, ErrAdminShutdown: {SeverityFatal, "57P01"}, ErrKilled: {SeverityFatal, "57P01"},
		ErrProtocol: {SeverityFatal, "08P01"}, ErrTooManyClients: {SeverityFatal, "53300"}, NoticeWaiting: {SeverityNotice, "00000"},
	} {
		if id.Severity() != want[0] || id.Code() != want[1] {
			t.Errorf("%v is %s %s", id, id.Severity(), id.Code())
		}
	}
	for id := range errCount {
		if id.Code() == CodeReadOnlyTransaction {
			t.Errorf("%v: 25006 must never come from us", id)
		}
	}
}

func TestAnUnknownIDIsNone(t *testing.T) {
	if id := ErrID(255); id.String() != "ErrNone" || id.Survives() || id.Silent() || id.Code() != "" {
		t.Errorf("%v", id)
	}
}

func TestWritingTheTableTellsOfAFailingWriter(t *testing.T) {
	for n := range errorSections {
		if err := WriteErrorTable(&failing{after: n}); err == nil {
			t.Errorf("a failure at write %d was not told", n)
		}
	}
}

type failing struct{ after int }

func (w *failing) Write(b []byte) (int, error) {
	if w.after == 0 {
		return 0, os.ErrClosed
	}
	w.after--
	return len(b), nil
}
