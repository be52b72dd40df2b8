package relay

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// refusing is a client of a server, where nothing may pin.
type refusing struct {
	t       *testing.T
	link    *Link
	server  *truth
	sent    []byte
	refused []event.PinReason
}

func newRefusing(t *testing.T, pin event.PinReason) *refusing {
	t.Helper()
	r := &refusing{t: t, link: &Link{Observer: deaf{}, RefusePins: true}, server: newTruth(false, nil, nil)}
	r.link.Attach(false, pin)
	return r
}

// fromClient is the link's, and notes what is refused.
func (r *refusing) fromClient(b []byte) Verdict {
	v := r.link.FromClient(b)
	if v.Pin != event.PinNone {
		r.refused = append(r.refused, v.Pin)
	}
	return v
}

// says sends what the client says and returns what it is told, each in pieces of a size: the kinds of the messages, with the codes
// of errors and the transaction's status.
func (r *refusing) says(stream []byte, size int) string {
	r.t.Helper()
	sent, _ := feedAll(r.t, stream, size, r.link, r.fromClient)
	r.sent = append(r.sent, sent...)
	var told []string
	for _, msg := range wholeMessages(sent) {
		heard, _ := feedAll(r.t, r.server.take(msg), size, r.link, r.link.FromServer)
		for _, m := range wholeMessages(heard) {
			switch word := string(m[:1]); m[0] {
			case pgwire.KindErrorResponse:
				told = append(told, word+string(errorField(m, 'C')))
			case pgwire.KindReadyForQuery:
				told = append(told, word+string(m[pgwire.HeaderLen:]))
			default:
				told = append(told, word)
			}
		}
	}
	return strings.Join(told, " ")
}

// TestWhatWouldPinIsRefused: its error stands where PostgreSQL's would, the transaction fails, and nothing of it is run.
func TestWhatWouldPinIsRefused(t *testing.T) {
	run := func(name string) []byte { return join(bindTo("", name), execute("", 0), syncMsg()) }
	longBind := join(pgwire.AppendBind(nil, "", "s", [][]byte{make([]byte, 2*holdLimit)}), execute("", 0), syncMsg())
	type turn struct {
		says []byte
		told string
	}
	for name, turns := range map[string][]turn{
		"a query":                            {{query("listen x"), "E0A000 ZI"}, {query("select 1"), "T D C ZI"}},
		"in a block":                         {{query("begin"), "C ZT"}, {query("listen x"), "E0A000 ZE"}, {query("select 1"), "E25P02 ZE"}, {query("rollback"), "C ZI"}},
		"pipelined":                          {{join(query("begin"), query("listen x"), query("rollback"), query("select 1")), "C ZT E0A000 ZE C ZI T D C ZI"}},
		"one of several":                     {{query(insert + "; listen x"), "E0A000 ZI"}},
		"unnamed":                            {{join(parse("", "listen x"), run("")), "1 E0A000 ZI"}},
		"unnamed, later":                     {{join(parse("", "listen x"), syncMsg()), "1 ZI"}, {run(""), "E0A000 ZI"}, {run(""), "E0A000 ZI"}},
		"named":                              {{join(parse("s", "listen x"), run("s")), "1 E0A000 ZI"}, {run("s"), "E0A000 ZI"}},
		"a long Bind":                        {{join(parse("s", "listen x"), syncMsg()), "1 ZI"}, {longBind, "E0A000 ZI"}, {query("select 1"), "T D C ZI"}},
		"in a failed one":                    {{join(parse("s", "listen x"), syncMsg()), "1 ZI"}, {query("begin"), "C ZT"}, {query("select 1/0"), "E22012 ZE"}, {run("s"), "E0A000 ZE"}},
		"behind a write":                     {{join(parse("s", "listen x"), syncMsg()), "1 ZI"}, {join(parse("", insert), bindTo("", ""), execute("", 0), run("s")), "1 2 C E0A000 ZI"}},
		"read over":                          {{join(parse("s", "listen x"), syncMsg()), "1 ZI"}, {join(bindTo("", "none"), run("s"), query("listen x")), "E26000 ZI E0A000 ZI"}},
		"a Query read over":                  {{join(bindTo("", "none"), query("listen x"), syncMsg()), "E26000 ZI"}, {query("listen x"), "E0A000 ZI"}},
		"a Query ends the unnamed statement": {{join(parse("", "select 1"), syncMsg()), "1 ZI"}, {query("listen x"), "E0A000 ZI"}, {run(""), "E26000 ZI"}},
		"an unnamed statement that is gone": {
			{join(parse("", "listen x"), run("")), "1 E0A000 ZI"}, {query("select 1"), "T D C ZI"}, {run(""), "E26000 ZI"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size < 120; size++ {
				r := newRefusing(t, event.PinNone)
				for _, turn := range turns {
					if got := r.says(turn.says, size); got != turn.told {
						t.Fatalf("%d bytes at a time: told %q, want %q", size, got, turn.told)
					}
				}
				for _, msg := range wholeMessages(r.sent) {
					if msg[0] == pgwire.KindQuery && bytes.Contains(msg, []byte("listen")) {
						t.Fatalf("the server has got %q", msg)
					}
				}
				if len(r.refused) == 0 || slices.ContainsFunc(r.refused, func(p event.PinReason) bool { return p != event.PinListen }) {
					t.Fatalf("refused for %v", r.refused)
				}
				if l := r.link; l.Pinned() != event.PinNone || l.Outstanding() > 0 || l.MidMessage() || !l.statements.words.empty() || l.unnamed.unsettled != 0 {
					t.Fatalf("pinned for %v, %d outstanding, in a message: %v", l.Pinned(), l.Outstanding(), l.MidMessage())
				}
				if len(r.server.durable) > 0 {
					t.Fatalf("done: %q", r.server.durable)
				}
			}
		})
	}
}

// TestEachPinIsRefusedByItsReason, where it would pin, and only there.
func TestEachPinIsRefusedByItsReason(t *testing.T) {
	drawn := []byte("INSERT 0 1\x00")
	for sql, want := range map[string]event.PinReason{
		"create temp table x(n int)":                         event.PinTempTable,
		"prepare p as select 1":                              event.PinNone,
		"prepare p as select pg_advisory_lock(1)":            event.PinNone,
		"prepare p as select pg_advisory_lock(1); execute p": event.PinAdvisoryLock,
		"execute mine":                                       event.PinPreparedStatement,
		"execute other":                                      event.PinNone,
		"deallocate mine":                                    event.PinNone,
		"declare c cursor with hold for select 1":            event.PinCursor,
		"select pg_advisory_lock(1)":                         event.PinAdvisoryLock,
		"select pg_advisory_xact_lock(1)":                    event.PinNone,
		"load 'x'":                                           event.PinLoad,
		"set seed to 0.5":                                    event.PinSetting,
		"set work_mem to '1MB'":                              event.PinNone,
		"select currval('s')":                                event.PinSequence,
		"select nextval('s'); select currval('s')":           event.PinNone,
		"create temp table x(n int) on commit drop":          event.PinNone,
		"select 1; listen x; create temp table x as y":       event.PinListen,
	} {
		for _, named := range []bool{false, true} {
			r := newRefusing(t, event.PinNone)
			r.link.names().add([]byte("mine"))
			if got := r.link.refuses(r.link.pinsOf([]byte(sql))); got != want {
				t.Errorf("%s: %v, want %v", sql, got, want)
			}
			name := map[bool]string{true: "s"}[named]
			feedAll(t, join(parse(name, sql), bindTo("", name)), 1<<20, r.link, r.fromClient)
			bound := event.PinNone
			if len(r.refused) > 0 {
				bound = r.refused[0]
			}
			switch {
			case named && sql == "execute mine", strings.Contains(sql, ";"): // not seen there; cannot be prepared
			case !named && sql == "deallocate mine":
				if bound != event.PinPreparedStatement {
					t.Errorf("%s, prepared: %v", sql, bound)
				}
			case bound != want:
				t.Errorf("%s, prepared (named: %v): %v, want %v", sql, named, bound, want)
			}
			if r.link.Pinned() != event.PinNone && bound != event.PinNone {
				t.Errorf("%s pins for %v all the same", sql, r.link.Pinned())
			}
		}
	}
	r := newRefusing(t, event.PinNone)
	r.link.sequences.draws(drawn)
	if got := r.link.refuses(r.link.pinsOf([]byte("select currval('s')"))); got != event.PinNone {
		t.Errorf("behind what it has drawn itself: %v", got)
	}
}

// TestWhatCannotBeRefusedPins: a text that is not here as a whole, however it comes; and in session mode nothing is refused.
func TestWhatCannotBeRefusedPins(t *testing.T) {
	long := query("listen x; " + strings.Repeat(" ", holdLimit))
	for name, tc := range map[string]struct {
		mode event.PinReason
		says []byte
	}{
		"a long text": {event.PinNone, long}, "session mode": {event.PinSession, query("listen x")},
		"session mode, extended": {event.PinSession, join(parse("s", "listen x"), bindTo("", "s"))},
	} {
		for _, size := range []int{1, 1000, 1 << 20} {
			r := newRefusing(t, tc.mode)
			feedAll(t, tc.says, size, r.link, r.fromClient)
			if len(r.refused) > 0 || r.link.Pinned() != event.PinListen {
				t.Errorf("%s, %d bytes at a time: refused for %v, pinned for %v", name, size, r.refused, r.link.Pinned())
			}
		}
	}
}

// TestWhatWasSentToFailMustFail: a server that says that it has done it is not to be trusted.
func TestWhatWasSentToFailMustFail(t *testing.T) {
	for _, said := range [][]byte{pgwire.AppendCommandComplete(nil, "LISTEN"), readyIdle} {
		r := newRefusing(t, event.PinNone)
		feedAll(t, query("listen x"), 1<<20, r.link, r.fromClient)
		if v := r.link.FromServer(said); v.Verb != Violation {
			t.Errorf("%q: %+v", said, v)
		}
	}
	r := newRefusing(t, event.PinNone)
	feedAll(t, join(parse("", "listen x"), bindTo("", "")), 1<<20, r.link, r.fromClient)
	if v := r.link.FromServer(join(pgwire.AppendParseComplete(nil), pgwire.AppendBindComplete(nil))); v.Verb != Violation {
		t.Errorf("bound: %+v", v)
	}
}

// TestARefusedQueryEndsItsBatch, as any Query does; and of a lost server it is known that nothing was run.
func TestARefusedQueryEndsItsBatch(t *testing.T) {
	r := newRefusing(t, event.PinNone)
	feedAll(t, join(parse("s", "select 1"), query("listen x")), 1<<20, r.link, r.fromClient)
	if r.link.MidMessage() {
		t.Error("the batch is open")
	}
	if got := r.link.Lost(Loss{Accepted: true, Kept: true}); got != TransactionLost {
		t.Errorf("lost: %v", got)
	}
	if v := r.link.FromClient(bindTo("", "s")); v.Verb != Full {
		t.Errorf("whether there is a statement is not known yet: %+v", v)
	}
}
