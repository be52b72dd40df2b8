package relay

import (
	"bytes"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/state"
)

// deaf hears parameters and forgets them.
type deaf struct{}

// Parameter forgets.
func (deaf) Parameter(_, _ []byte) {}
func (deaf) ReadOnly() bool        { return false }
func (deaf) Stray()                {}

// feedAll reads a stream in pieces of at most step bytes, as a session does, and returns what was forwarded. A verdict must
// stay inside what it was given, and must get on.
func feedAll(t *testing.T, stream []byte, step int, l *Link, read func([]byte) Verdict) (out []byte, last Verb) {
	t.Helper()
	var pending []byte
	for len(stream) > 0 {
		n := min(step, len(stream))
		pending, stream = append(pending, stream[:n]...), stream[n:]
		for len(pending) > 0 {
			v := read(pending)
			if v.N < 0 || v.Skip < 0 || v.N+v.Skip > len(pending) {
				t.Fatalf("verdict %+v for %d bytes", v, len(pending))
			}
			out = append(out, pending[:v.N]...)
			pending = pending[v.N+v.Skip:]
			last = v.Verb
			switch v.Verb {
			case Insert:
				out = append(out, l.Insertion(new(state.Vector))...)
				continue
			case Replace:
				if v.Skip == 0 {
					t.Fatal("nothing is replaced")
				}
				out = append(out, l.Replacement()...)
				continue
			case Drop, UnitEnd, PreludeDone:
				if v.N+v.Skip == 0 && v.Verb == Drop {
					t.Fatal("a drop of nothing")
				}
				continue
			}
			if v.Verb != More {
				return out, last
			}
			break
		}
	}
	return out, last
}

// FuzzFromClient holds that whatever a client sends, cut anywhere, the same bytes go to the server.
func FuzzFromClient(f *testing.F) {
	f.Add(pgwire.AppendTerminate(pgwire.AppendQuery(nil, "select 1")))
	f.Add(pgwire.AppendSync(pgwire.AppendExecute(pgwire.AppendBind(pgwire.AppendParse(nil, "", "select 1", nil), "", "", nil), "", 0)))
	f.Add(pgwire.AppendSync(pgwire.AppendBind(nil, "", "", nil)))
	f.Add(pgwire.AppendBind(pgwire.AppendParse(pgwire.AppendQuery(nil, "listen x"), "s", "load 'x'", nil), "", "s", nil))
	f.Add(append(pgwire.AppendQuery(nil, "copy t from stdin"), 'd', 0, 0, 0, 5, 'x', 'c', 0, 0, 0, 4))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, refuse := range []bool{false, true} {
			whole, cut := &Link{Observer: deaf{}, RefusePins: refuse}, &Link{Observer: deaf{}, RefusePins: refuse}
			whole.Attach(false, event.PinNone)
			cut.Attach(false, event.PinNone)
			a, verbA := feedAll(t, stream, len(stream)+1, whole, whole.FromClient)
			b, verbB := feedAll(t, stream, 1, cut, cut.FromClient)
			if !bytes.Equal(a, b) || verbA != verbB || whole.Outstanding() != cut.Outstanding() {
				t.Fatalf("whole %q (%d), cut %q (%d); outstanding %d and %d", a, verbA, b, verbB, whole.Outstanding(), cut.Outstanding())
			}
		}
	})
}

// FuzzFromServer holds that a server may send anything at any cut: no panic, and the same end.
func FuzzFromServer(f *testing.F) {
	f.Add(pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "SELECT 1"), 'I'))
	f.Add(pgwire.AppendError(nil, &pgwire.Error{Severity: "FATAL", Code: "57P01", Message: "no"}))
	f.Add(pgwire.AppendParameterStatus(nil, "TimeZone", "UTC"))
	f.Add([]byte{'G', 0, 0, 0, 7, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		ask := pgwire.AppendSync(pgwire.AppendExecute(pgwire.AppendBind(pgwire.AppendQuery(nil, "select 1"), "", "", nil), "", 0))
		var ends [2]Verb
		var outs [2][]byte
		for i, step := range []int{len(stream) + 1, 1} {
			l := &Link{Observer: deaf{}}
			l.Attach(true, event.PinNone)
			feedAll(t, ask, len(ask), l, l.FromClient)
			outs[i], ends[i] = feedAll(t, stream, step, l, l.FromServer)
			l.Lost(Loss{Accepted: true})
		}
		if !bytes.Equal(outs[0], outs[1]) && ends[0] == ends[1] {
			t.Fatalf("whole %q, cut %q", outs[0], outs[1])
		}
	})
}

// TestLostFollowsTheContract is the contract's table for a server that is gone, one row per line.
func TestLostFollowsTheContract(t *testing.T) {
	query := func(sql string) []byte { return pgwire.AppendQuery(nil, sql) }
	inBlock := pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "BEGIN"), 'T')
	listening := pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "LISTEN"), 'I')
	for _, tc := range []struct {
		name    string
		standby bool
		pin     event.PinReason
		sent    []byte // answered by reply
		reply   []byte
		running []byte // not answered
		loss    Loss
		want    Outcome
	}{
		{name: "nothing was going on", want: Unaffected},
		{name: "pinned and idle", sent: query("listen news"), reply: listening, want: PinnedLost},
		{name: "idle in session mode", pin: event.PinSession, want: Unaffected},
		{name: "nothing was accepted in session mode", pin: event.PinSession, running: query("insert into t"), loss: Loss{Kept: true}, want: Requeue},
		{name: "nothing was accepted", running: query("insert into t"), loss: Loss{Kept: true}, want: Requeue},
		{name: "nothing was accepted, but not all is at hand", running: query("insert into t"), want: OutcomeUnknown},
		{name: "autocommit on a writable node", running: query("select 1"), loss: Loss{Accepted: true, Kept: true}, want: OutcomeUnknown},
		{name: "a read on a standby", standby: true, running: query("select 1"), loss: Loss{Accepted: true, Kept: true}, want: Replay},
		{name: "the same a second time", standby: true, running: query("select 1"), loss: Loss{Accepted: true, Kept: true, Replayed: true}, want: TransactionLost},
		{name: "the same where it is forbidden", standby: true, running: query("select 1"), loss: Loss{Accepted: true, Kept: true, NoReplay: true}, want: TransactionLost},
		{name: "what may write on a standby", standby: true, running: query("insert into t"), loss: Loss{Accepted: true, Kept: true}, want: OutcomeUnknown},
		{name: "a call on a standby", standby: true, running: query("call p()"), loss: Loss{Accepted: true, Kept: true}, want: OutcomeUnknown},
		{name: "the beginning of a transaction on a standby", standby: true, running: query("begin"), loss: Loss{Accepted: true, Kept: true}, want: Replay},
		{name: "two statements on a standby", standby: true, running: query("select 1; select 2"), loss: Loss{Accepted: true, Kept: true}, want: TransactionLost},
		{name: "idle in a transaction", sent: query("begin"), reply: inBlock, loss: Loss{Accepted: true}, want: TransactionLost},
		{name: "a statement in a transaction", sent: query("begin"), reply: inBlock, running: query("insert into t"), loss: Loss{Accepted: true, Kept: true}, want: TransactionLost},
		{name: "a commit", sent: query("begin"), reply: inBlock, running: query("commit"), loss: Loss{Accepted: true, Kept: true}, want: OutcomeUnknown},
		{name: "a commit on a standby", standby: true, sent: query("begin"), reply: inBlock, running: query("commit"), loss: Loss{Accepted: true, Kept: true}, want: TransactionLost},
		{name: "a commit and a write on a standby", standby: true, sent: query("begin"), reply: inBlock, running: append(query("commit"), query("insert into t")...), loss: Loss{Accepted: true, Kept: true}, want: OutcomeUnknown},
		{name: "a commit among others", sent: query("begin"), reply: inBlock, running: append(query("select 1"), query("end")...), loss: Loss{Accepted: true}, want: OutcomeUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &Link{Observer: deaf{}}
			l.Attach(tc.standby, tc.pin)
			feedAll(t, tc.sent, 1<<20, l, l.FromClient)
			feedAll(t, tc.reply, 1<<20, l, l.FromServer)
			feedAll(t, tc.running, 1<<20, l, l.FromClient)
			if got := l.Lost(tc.loss); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
