package wiretest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// conversation plays a script with a server that answers each query as it is told.
func conversation(t *testing.T, answer func() []pgproto3.Message, with func(p *wiretest.Peer), steps ...wiretest.Step) *wiretest.Dialogue {
	t.Helper()
	s, err := wiretest.NewServer(wiretest.Script(wiretest.Answer(func(m wiretest.Message) []pgproto3.Message {
		if m.Kind == 'Q' {
			return answer()
		}
		return nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := wiretest.Dial(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Conn.Close()
	with(p)
	return p.Converse(steps...)
}

func failure(routine, message string) func() []pgproto3.Message {
	return func() []pgproto3.Message {
		return []pgproto3.Message{
			&pgproto3.NotificationResponse{PID: uint32(len(routine)), Channel: "x"},
			&pgproto3.ErrorResponse{Severity: "ERROR", Code: "22012", Message: message, File: routine + ".c", Line: int32(len(routine)), Routine: routine},
			&pgproto3.ReadyForQuery{TxStatus: 'I'},
		}
	}
}

func nothing(*wiretest.Peer) {}

func TestDialoguesAreTheSameButForWhatDiffersFromServerToServer(t *testing.T) {
	ask := []wiretest.Step{wiretest.Send(&pgproto3.Query{String: "select 1/0"}), wiretest.Ready(1)}
	a := conversation(t, failure("int4div", "division by zero"), nothing, ask...)
	b := conversation(t, failure("div", "division by zero"), func(p *wiretest.Peer) { p.Chunk = 1 }, ask...)
	if !a.Same(b) {
		t.Errorf("they are the same:\n%s", a.Beside("a", b, "b"))
	}
	c := conversation(t, failure("int4div", "division by one"), nothing, ask...)
	if beside := a.Beside("a", c, "c"); a.Same(c) || !strings.Contains(beside, "! "+` < ErrorResponse ERROR 22012 "division by zero"`) {
		t.Errorf("they are not the same:\n%s", beside)
	}
	if !a.Without(` < ErrorResponse ERROR 22012 "division by zero"`).Same(c.Without(` < ErrorResponse ERROR 22012 "division by one"`)) {
		t.Error("without what differs they are the same")
	}
	if beginning := ` < ErrorResponse ERROR 22012 "division by…`; !a.Without(beginning).Same(c.Without(beginning)) || a.Without(beginning).Same(a) {
		t.Error("without what begins alike they are the same")
	}
	if last := a.Lines()[len(a.Lines())-1]; last != "(end)" || a.Hung() {
		t.Errorf("the last line is %q", last)
	}
}

func TestASilentServerIsNotWaitedForEternally(t *testing.T) {
	marks := 0
	d := conversation(t, func() []pgproto3.Message { return nil }, func(p *wiretest.Peer) {
		p.Limit = 50 * time.Millisecond
		p.Mark = func() error { marks++; return nil }
	}, wiretest.Mark(), wiretest.Send(&pgproto3.Query{String: "select 1"}), wiretest.Ready(1), wiretest.Mark())
	if !d.Hung() || marks != 1 {
		t.Errorf("%d marks and %q", marks, d.Lines())
	}
}

func TestTheOrderInWhichParametersAreReportedDoesNotMatter(t *testing.T) {
	report := func(names ...string) func() []pgproto3.Message {
		return func() []pgproto3.Message {
			var all []pgproto3.Message
			for _, name := range names {
				all = append(all, &pgproto3.ParameterStatus{Name: name, Value: "x"})
			}
			return append(all, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		}
	}
	reset := []wiretest.Step{wiretest.Send(&pgproto3.Query{String: "reset all"}), wiretest.Ready(1)}
	a := conversation(t, report("DateStyle", "TimeZone"), nothing, reset...)
	b := conversation(t, report("TimeZone", "DateStyle"), nothing, reset...)
	c := conversation(t, report("TimeZone"), nothing, reset...)
	if !a.Same(b) || a.Same(c) {
		t.Errorf("%q\n%q\n%q", a.Lines(), b.Lines(), c.Lines())
	}
}
