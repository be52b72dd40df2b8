package proxy_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

// raw makes a message of a server's, be it one that no server sends.
func raw(kind byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

// encoded returns messages as bytes.
func encoded(messages ...pgproto3.Message) (b []byte) {
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			panic(err)
		}
	}
	return b
}

var (
	anAnswer   = encoded(wiretest.Row("v", "for a")...)
	aNotice    = raw('N', "SNOTICE\x00C00000\x00Mm\x00\x00")
	fatalBytes = encoded(adminFatal)
)

// hostile runs a router with a pool of one connection, n.1, that client a has used and b is about to use. After what the test plays
// the pool must be as it should: b is served, by n.1 or by another, in its own words, and nobody has heard anything else.
func hostile(t *testing.T, loops int, setup func(*router), play func(s *stage, n *node, a, n1 *actor)) {
	t.Helper()
	s := &stage{router: &router{t: t, policy: defaultPolicy(), loops: loops}, trace: &wiretest.Trace{}, over: make(chan struct{})}
	t.Cleanup(s.strike)
	withOneServer(s.router)
	if setup != nil {
		setup(s.router)
	}
	s.start()
	if loops > 1 {
		s.proxy.MoveAlways()
	}
	n := s.primary("n")
	a, n1 := s.enters("a", n)
	play(s, n, a, n1)
	s.curtain()
	if faults := s.pool.Faults(); faults > 0 {
		t.Errorf("%d faults of the pool", faults)
	}
}

// violations counts what servers must not send, of those in use and of idle ones.
func (s *stage) violations() (n uint64) {
	n = s.proxy.Totals().Violations
	for _, q := range s.pool.Stats() {
		n += q.Violations
	}
	return n
}

// serves lets another client be served: by server, or when that is gone by a connection that is opened for it.
func (n *node) serves(server *actor) {
	n.stage.t.Helper()
	b := n.stage.joins("b")
	b.asks("select 'for b'")
	if server.gone {
		server = n.opens()
	}
	server.hears("Q")
	server.says(wiretest.Row("v", "for b")...)
	if row := b.hears("TD"); !strings.Contains(row.Text, "for b") {
		n.stage.t.Errorf("b got %s", row.Text)
	}
	b.hears("CZ")
}

// sees checks what a client gets: kinds of messages, then "." when it is left alone, "!" for the end of its connection, and between
// "!" and the end of the text the SQLSTATE that it is told, if any.
func (a *actor) sees(want string) {
	a.stage.t.Helper()
	kinds, end, closed := strings.Cut(want, "!")
	a.hears(strings.TrimSuffix(kinds, "."))
	if !closed {
		return
	}
	if end != "" {
		if e, ok := a.hears("E").Value.(*pgproto3.ErrorResponse); !ok || e.Severity != "FATAL" || e.Code != end {
			a.stage.t.Errorf("%s was told %+v, want FATAL %s", a.Name, e, end)
		}
	}
	a.ends()
}

// TestAServerThatBreaksTheProtocolHarmsItsClientOnly: a asks, and this is what n.1 says. What answers nothing ends the server, with
// outcome_unknown where a has asked: the statement may have been done. What is wrong to a alone passes, because it is clear where it
// ends; PostgreSQL would not say it, and a's driver is to judge.
func TestAServerThatBreaksTheProtocolHarmsItsClientOnly(t *testing.T) {
	row := encoded(&pgproto3.DataRow{Values: [][]byte{[]byte("x")}})
	done, readyIdle := encoded(complete("SELECT 1")), encoded(ready('I'))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, tc := range map[string]struct {
		says     []byte
		sees     string
		violates uint64
	}{
		"a kind that does not exist":       {join(row, raw('?', "x")), "D!08007", 1},
		"a login in a result":              {join(row, raw('R', "\x00\x00\x00\x00")), "D!08007", 1},
		"a key in a result":                {join(row, raw('K', "\x00\x00\x00\x01abcd")), "D!08007", 1},
		"ready too early":                  {readyIdle, "!08007", 1},
		"ready twice":                      {join(anAnswer, readyIdle), "TDCZ.", 1},
		"ready in a state unknown":         {join(done, raw('Z', "?")), "C!08007", 1},
		"parsed, although nothing was":     {raw('1', ""), "!08007", 1},
		"the answer twice":                 {join(anAnswer, anAnswer), "TDCZ.", 1},
		"complete twice":                   {join(done, done, readyIdle), "CCZ.", 0},
		"a row that nobody described":      {join(row, done, readyIdle), "DCZ.", 0},
		"an error without a code":          {join(raw('E', "SERROR\x00Mno code\x00\x00"), readyIdle), "EZ.", 0},
		"an error without fields":          {join(raw('E', "\x00"), readyIdle), "EZ.", 0},
		"an error without its end":         {join(raw('E', "SERROR\x00Mno end"), readyIdle), "!08007", 1},
		"an error with a field cut":        {join(raw('E', "SERROR\x00C"), readyIdle), "!08007", 1},
		"a length of 0":                    {[]byte{'D', 0, 0, 0, 0}, "!08007", 1},
		"a length of 3":                    {[]byte{'C', 0, 0, 0, 3}, "!08007", 1},
		"a negative length":                {[]byte{'D', 0xff, 0xff, 0xff, 0xff}, "!08007", 1},
		"a length of 2 GB":                 {[]byte{'T', 0x7f, 0xff, 0xff, 0xff}, "!08007", 1},
		"a long ready":                     {join(done, raw('Z', "II")), "C!08007", 1},
		"a parameter without a value":      {raw('S', "name\x00"), "!08007", 1},
		"a flood of parameters":            {join(bytes.Repeat(raw('S', "flood\x00x\x00"), 2000), anAnswer), strings.Repeat("S", 2000) + "TDCZ.", 0},
		"a notification for another":       {join(raw('A', "\x00\x00\x00\x01news\x00text\x00"), anAnswer), "TDCZ.", 0},
		"a flood of notices":               {join(bytes.Repeat(aNotice, 2000), anAnswer), strings.Repeat("N", 2000) + "TDCZ.", 0},
		"a good-bye without a code":        {raw('E', "SFATAL\x00Mno code\x00\x00"), "E!", 0},
		"a good-bye and more":              {join(fatalBytes, anAnswer), "E!", 0},
		"a row with a negative count":      {join(raw('D', "\xff\xff"), done, readyIdle), "DCZ.", 0},
		"a row with a value of minus 2":    {join(raw('D', "\x00\x01\xff\xff\xff\xfe"), done, readyIdle), "DCZ.", 0},
		"rows of a COPY that nobody began": {join(raw('d', "x"), done, readyIdle), "dCZ.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inLoops(t, func(t *testing.T, loops int) {
				t.Helper()
				hostile(t, loops, nil, func(s *stage, n *node, a, n1 *actor) {
					a.asks("select 1")
					n1.hears("Q")
					n1.must(n1.SendBytes(tc.says))
					a.sees(tc.sees)
					switch {
					case name == "a notification for another": // it listens for somebody
						n1.hears("X")
						n1.ends()
					case tc.violates > 0 || strings.HasSuffix(tc.sees, "!"):
						n1.ends()
					}
					n.serves(n1)
					if got := s.violations(); got != tc.violates {
						t.Errorf("%d violations, want %d", got, tc.violates)
					}
				})
			})
		})
	}
}

// TestAnAnswerMayComeByteByByte, and is the same.
func TestAnAnswerMayComeByteByByte(t *testing.T) {
	inLoops(t, func(t *testing.T, loops int) {
		t.Helper()
		hostile(t, loops, nil, func(s *stage, n *node, a, n1 *actor) {
			a.asks("select 1")
			n1.hears("Q")
			for i := range anAnswer {
				n1.must(n1.SendBytes(anAnswer[i : i+1]))
			}
			a.hears("TDCZ")
			n.serves(n1)
		})
	})
}

// TestAServerThatEndsAtTheMomentOfAQuery: both are there before the loop looks at either. When it sees the end first nobody hears of it;
// otherwise the query has been sent to that server, and its last words are passed on as they are.
func TestAServerThatEndsAtTheMomentOfAQuery(t *testing.T) {
	endsAtAQuery(t, func(a, n1 *actor) { a.asks("select 1"); n1.says(adminFatal) })
	for range severalTurns { // an idle server's end does not stand back for queries
		if endsAtAQuery(t, func(a, n1 *actor) { n1.says(adminFatal); a.asks("select 1") }) {
			return
		}
	}
	t.Error("no end of an idle server was seen before the query that came behind it")
}

// severalTurns are enough for one in which the loop finds things in the order in which they came: mostly it does.
const severalTurns = 20

// endsAtAQuery says whether the client did not hear of the end.
func endsAtAQuery(t *testing.T, together func(a, n1 *actor)) (unheard bool) {
	t.Helper()
	hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
		a.isAnswered(n1, "select 0", "0")
		s.inOneTurn(func() { together(a, n1) })
		if m, err := n1.Next(); err == nil && m.Kind == 'Q' {
			a.sees("E!")
			n1.ends()
		} else {
			unheard, n1.gone = true, true
			n2 := n.opens()
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			a.sees("TDCZ.")
			n1 = n2
		}
		n.serves(n1)
	})
	return unheard
}

// TestAQueryIsHandledBeforeTheAnswersOfItsTurn: another server could be at work on it while they are passed on. Here there is no other: it
// has to wait for the one whose answer came first.
func TestAQueryIsHandledBeforeTheAnswersOfItsTurn(t *testing.T) {
	hostile(t, 1, nil, func(s *stage, _ *node, a, n1 *actor) {
		b := s.joins("b")
		before := s.pool.Stats()[0].Waits
		for range severalTurns {
			a.asks("select 1")
			n1.hears("Q")
			s.inOneTurn(func() {
				n1.says(wiretest.Row("v", "1")...)
				b.asks("select 2")
			})
			a.hears("TDCZ")
			n1.hears("Q")
			n1.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
			if s.pool.Stats()[0].Waits > before {
				return
			}
		}
		s.t.Error("no query was handled before the answer that came ahead of it")
	})
}

// TestAMessageThatBreaksOff leaves its client with what it can be told: outcome_unknown, or nothing, when a part of the message has
// reached it.
func TestAMessageThatBreaksOff(t *testing.T) {
	for _, whole := range [][]byte{
		raw('T', "\x00\x00"), raw('D', "\x00\x00"), raw('C', "SELECT 1\x00"), raw('I', ""), raw('Z', "I"), raw('E', "SERROR\x00\x00"),
		raw('N', "SNOTICE\x00\x00"), raw('S', "a\x00b\x00"), raw('A', "\x00\x00\x00\x01a\x00b\x00"), raw('G', "\x00\x00\x00"),
		raw('H', "\x00\x00\x00"), raw('d', "row\n"), raw('c', ""),
	} {
		for _, cut := range []int{1, 4, 5, len(whole) - 1} {
			if cut >= len(whole) {
				continue
			}
			hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
				a.asks("select 1")
				n1.hears("Q")
				n1.must(n1.SendBytes(whole[:cut]))
				unseen := cut < 5 || strings.IndexByte("ZENSAC", whole[0]) >= 0
				if !unseen {
					a.hearsBytes(cut, "a part of a message")
				}
				n1.resets()
				if unseen {
					a.sees("!08007")
				} else {
					a.ends()
				}
				n.serves(n1)
				if got := s.violations(); got > 0 {
					t.Errorf("%q, %d bytes: %d violations", whole, cut, got)
				}
			})
		}
	}
}

// TestWhatAnIdleServerSaysReachesNobody: n.1 has no client. a, who had it before, asks afterwards, and is served. Notices that the router
// reads only then are a's: from a server that lives they pass as they come.
func TestWhatAnIdleServerSaysReachesNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		says     [][]byte // each in a packet of its own
		lives    bool
		violates uint64
	}{
		"a good-bye":                 {says: [][]byte{fatalBytes}},
		"a good-bye in pieces":       {says: [][]byte{fatalBytes[:1], fatalBytes[1:20], fatalBytes[20:]}},
		"a good-bye and more":        {says: [][]byte{append(slices.Clone(fatalBytes), anAnswer...)}},
		"a good-bye without a code":  {says: [][]byte{raw('E', "SFATAL\x00\x00")}},
		"an error":                   {says: [][]byte{encoded(failure("XX000", "no"))}, violates: 1},
		"an error without fields":    {says: [][]byte{raw('E', "\x00")}, violates: 1},
		"an error without its end":   {says: [][]byte{raw('E', "SFATAL\x00Mcut")}, violates: 1},
		"an answer":                  {says: [][]byte{anAnswer}, violates: 1},
		"ready":                      {says: [][]byte{raw('Z', "I")}, violates: 1},
		"a kind that does not exist": {says: [][]byte{raw('?', "x")}, violates: 1},
		"a negative length":          {says: [][]byte{{'N', 0xff, 0xff, 0xff, 0xff}}, violates: 1},
		"a notification":             {says: [][]byte{raw('A', "\x00\x00\x00\x01a\x00b\x00")}, violates: 1},
		"a notice that breaks off":   {says: [][]byte{aNotice[:9]}},
		"a gigabyte of a notice":     {says: [][]byte{{'N', 0x3f, 0xff, 0xff, 0xff}}},
		"a flood of notices":         {says: slices.Repeat([][]byte{bytes.Repeat(aNotice, 100)}, 20), lives: true},
		"a flood of parameters":      {says: [][]byte{bytes.Repeat(raw('S', "TimeZone\x00CET\x00"), 1000)}},
	} {
		t.Run(name, func(t *testing.T) {
			inLoops(t, func(t *testing.T, loops int) {
				t.Helper()
				hostile(t, loops, nil, func(s *stage, n *node, a, n1 *actor) {
					a.isAnswered(n1, "select 1", "1")
					for _, b := range tc.says {
						if err := n1.SendBytes(b); err != nil && tc.lives {
							t.Fatal(err)
						}
					}
					if !tc.lives {
						n1.ends()
						n1 = n1.replacedFor(a, n)
					}
					a.asks("select 2")
					n1.hears("Q")
					n1.says(wiretest.Row("v", "2")...)
					a.hearsBehind('N', "TDCZ")
					n.serves(n1)
					if got := s.violations(); got != tc.violates {
						t.Errorf("%d violations, want %d", got, tc.violates)
					}
				})
			})
		})
	}
}

// TestAServerThatHasBegunToSayMoreIsNotHandedOn: n.1 answers a, and in the same packet begins a message that nobody has asked for. Its
// rest would reach b, who waits, in the middle of what is b's.
func TestAServerThatHasBegunToSayMoreIsNotHandedOn(t *testing.T) {
	for name, more := range map[string][]byte{
		"a notice":            aNotice,
		"a parameter":         raw('S', "TimeZone\x00CET\x00"),
		"a notification":      raw('A', "\x00\x00\x00\x01a\x00b\x00"),
		"a good-bye":          fatalBytes,
		"something too short": {'N'},
	} {
		t.Run(name, func(t *testing.T) {
			inLoops(t, func(t *testing.T, loops int) {
				t.Helper()
				hostile(t, loops, nil, func(s *stage, n *node, a, n1 *actor) {
					a.asks("select 'for a'")
					n1.hears("Q")
					b := s.joins("b")
					b.asks("select 'for b'")
					s.awaits(1, "b waits")
					n1.must(n1.SendBytes(append(slices.Clone(anAnswer), more[:max(1, len(more)/2)]...)))
					a.hears("TDCZ")
					n1.ends()
					n2 := n.opens()
					n2.hears("Q")
					n2.says(wiretest.Row("v", "for b")...)
					if row := b.hears("TD"); !strings.Contains(row.Text, "for b") {
						t.Errorf("b got %s", row.Text)
					}
					b.hears("CZ")
				})
			})
		})
	}
}

// hearsBehind is hears for what may stand behind other messages: what a server said before it was somebody's, but was read later.
func (a *actor) hearsBehind(skip byte, kinds string) {
	a.stage.t.Helper()
	m, err := a.Next()
	for err == nil && m.Kind == skip {
		m, err = a.Next()
	}
	a.must(err)
	if m.Kind != kinds[0] {
		a.stage.t.Fatalf("%s hears %s, not %q", a.Name, m.Text, kinds)
	}
	a.hears(kinds[1:])
}

// replacedFor opens the connection that a client's next unit of work needs when server is gone.
func (*actor) replacedFor(client *actor, n *node) *actor {
	n.stage.t.Helper()
	client.asks("select 'anew'")
	anew := n.opens()
	anew.hears("Q")
	anew.says(wiretest.Row("v", "anew")...)
	client.hears("TDCZ")
	return anew
}

// TestAPreludeThatGoesWrongHarmsNobody: b needs other parameters than n.1 has. Nothing of b's has been sent to n.1 while it is asked for
// them, so that b waits for another server, whatever n.1 says or does not say.
func TestAPreludeThatGoesWrongHarmsNobody(t *testing.T) {
	isSet := encoded(set("DateStyle", "ISO, MDY")...)
	for name, tc := range map[string]struct {
		says     []byte
		violates uint64
	}{
		"no word":                  {nil, 0},
		"half a word":              {isSet[:7], 0},
		"ready too early":          {raw('Z', "I"), 1},
		"ready in a transaction":   {encoded(complete("SET"), ready('T')), 1},
		"an answer to another":     {raw('2', ""), 1},
		"an error without its end": {raw('E', "SERROR\x00Mcut"), 1},
		"the answer twice":         {append(slices.Clone(isSet), isSet...), 1},
		"an answer to b's query":   {append(slices.Clone(isSet), anAnswer...), 1},
		"a good-bye":               {fatalBytes, 0},
		"a good-bye at the end":    {append(slices.Clone(isSet), fatalBytes...), 0},
	} {
		t.Run(name, func(t *testing.T) {
			setup := func(r *router) {
				if strings.HasSuffix(name, " word") { // what is said counts, however late
					r.policy.Pool.AnswerTimeout = brief
				}
			}
			hostile(t, 1, setup, func(s *stage, n *node, a, n1 *actor) {
				b := s.joins("b")
				a.asks("set datestyle to 'german'")
				n1.hears("Q")
				n1.says(set("DateStyle", "German, DMY")...)
				a.hears("CSZ")
				b.asks("insert into t values (1)")
				n1.hears("Q")
				n1.must(n1.SendBytes(tc.says))
				n1.ends()
				n2 := n.opens()
				n2.hears("Q")
				n2.says(wiretest.Done("INSERT 0 1", 'I')...)
				b.hears("CZ")
				n.serves(n2)
				if got := s.violations(); got != tc.violates {
					t.Errorf("%d violations, want %d", got, tc.violates)
				}
			})
		})
	}
}

// TestServersThatEndAtThePreludeAreNotDialledAtOnce: they let us in, and end before they were given anything of the client's. That is a
// failed login, behind which comes a pause, here a long one.
func TestServersThatEndAtThePreludeAreNotDialledAtOnce(t *testing.T) {
	impatient := func(p *proxy.Policy) { p.WaitTimeout, p.HoldTimeout = brief, brief }
	for name, tc := range map[string]struct {
		well int // servers that do what they should
		asks func(r *router)
	}{
		"a unit of work": {1, func(r *router) {
			a := r.raw(t)
			r.fromNowOn(impatient)
			a.send(pgwire.AppendQuery(nil, "insert into t values (1)"))
			if told := a.expect("E"); !bytes.Contains(told, []byte("57P03")) {
				t.Errorf("told %q", told)
			}
		}},
		"a login": {0, func(r *router) {
			r.fromNowOn(impatient)
			a := r.dial(t)
			a.send(pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "app"}, {Name: "datestyle", Value: "SQL"}}))
			a.expect("E")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			sick, err := wiretest.NewServer(func(n int, p *wiretest.Peer) error {
				parameters := wiretest.DefaultParameters()
				if n >= tc.well {
					parameters["DateStyle"] = "German, DMY" // not as those that have let the client in
				}
				if _, err := p.AcceptTrust(parameters); err != nil || n < tc.well {
					return err
				}
				_, err := p.Next()
				p.Abort()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sick.Close() }) // a connection that the router ends is no fault
			r := &router{t: t, policy: defaultPolicy(), loops: 1}
			r.policy.Pool.Size = 1
			r.policy.Pool.DialBackoffMin, r.policy.Pool.DialBackoffMax = time.Hour, time.Hour
			r.start()
			r.show("n", topology.Node{ID: "n", Address: sick.Addr()})
			tc.asks(r)
			if n := sick.Accepted() - tc.well; n != 1 {
				t.Errorf("%d logins during one pause", n)
			}
		})
	}
}

// TestAResetThatGoesWrongIsNobodysServer: a was pinned, and has left.
func TestAResetThatGoesWrongIsNobodysServer(t *testing.T) {
	for name, tc := range map[string]struct {
		says     []byte
		violates uint64
	}{
		"no word":                 {nil, 0},
		"ready too early":         {raw('Z', "I"), 1},
		"a message of no kind":    {raw('?', "x"), 1},
		"an answer to another":    {raw('1', ""), 1},
		"an error without a code": {raw('E', "SERROR\x00\x00"), 0},
		"a good-bye":              {fatalBytes, 0},
		"the answer twice":        {slices.Repeat(encoded(wiretest.Done("DISCARD ALL", 'I')...), 2), 1},
	} {
		t.Run(name, func(t *testing.T) {
			setup := func(r *router) {
				if tc.says == nil { // what is said counts, however late
					r.policy.Pool.AnswerTimeout, r.sweep = brief, brief
				}
			}
			hostile(t, 1, setup, func(s *stage, n *node, a, n1 *actor) {
				s.joins("who keeps the queue in use")
				a.does(n1, "load 'auto_explain'", "LOAD", 'I')
				a.saysGoodbye()
				n1.hears("Q")
				n1.must(n1.SendBytes(tc.says))
				if tc.says == nil {
					n1.hears("X")
				}
				n1.ends()
				n.serves(n1)
				if got := s.violations(); got != tc.violates {
					t.Errorf("%d violations, want %d", got, tc.violates)
				}
			})
		})
	}
}

// TestASilentServerHoldsItsClientAndNobodyElse: a statement may take any time. When its client leaves, or the request to cancel it
// is not answered either, the place in the pool is free again.
func TestASilentServerHoldsItsClientAndNobodyElse(t *testing.T) {
	hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
		a.asks("select 1")
		n1.hears("Q")
		a.resets()
		n1.ends()
		n.serves(n1)
	})
	hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
		s.reconfigure(func(c *proxy.Config) { c.CancelTimeout = brief })
		a.asks("select 1")
		n1.hears("Q")
		c := s.cancels(a)
		request := n.hearsCancel(n1)
		n1.must(n1.SendBytes(anAnswer))
		a.hears("TDCZ")
		request.ends() // it is given up; nobody knows what becomes of it
		c.ends()
		n1.hears("X")
		n1.ends()
		n.serves(n1)
	})
}

// TestALoginSurvivesTheServerThatIsAskedForIt: what that has begun behind its answer is for nobody, and if it says nothing another one is
// asked.
func TestALoginSurvivesTheServerThatIsAskedForIt(t *testing.T) {
	isSet := encoded(set("TimeZone", "Asia/Tokyo")...)
	for name, more := range map[string][]byte{"half a notice": aNotice[:9], "half a row": anAnswer[:3], "a notice": aNotice} {
		t.Run(name, func(t *testing.T) {
			hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
				c := s.knocks("c", "timezone", "Asia/Tokyo")
				n1.hears("Q")
				n1.must(n1.SendBytes(append(slices.Clone(isSet), more...)))
				c.isIn()
				n1.ends()
				n.serves(n1)
			})
		})
	}
	t.Run("nothing", func(t *testing.T) {
		setup := func(r *router) { r.policy.Pool.AnswerTimeout = unhurried }
		hostile(t, 1, setup, func(s *stage, n *node, a, n1 *actor) {
			c := s.knocks("c", "timezone", "Asia/Tokyo")
			n1.hears("Q")
			n1.ends()
			n2 := n.opens()
			n2.hears("Q")
			n2.says(set("TimeZone", "Asia/Tokyo")...)
			c.isIn()
			c.isAnswered(n2, "select 1", "1")
		})
	})
	t.Run("nothing of the kind", func(t *testing.T) {
		hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
			c := s.knocks("c", "timezone", "Asia/Tokyo")
			n1.hears("Q")
			n1.must(n1.SendBytes(raw('2', "")))
			c.sees("!08P01")
			n1.ends()
			n.serves(n1)
			if got := s.violations(); got != 1 {
				t.Errorf("%d violations", got)
			}
		})
	})
}

// TestALoginThatTheServerSpoils: what a server does instead of letting us in. A client that comes in then is told at once when it would
// come again. A connection that breaks off may hold the next time, so that it waits as long as it may for one.
func TestALoginThatTheServerSpoils(t *testing.T) {
	ok := raw('R', "\x00\x00\x00\x00")
	for name, tc := range map[string]struct {
		says []byte
		sees string
	}{
		"a kind that does not exist":   {raw('?', "x"), "!08004"},
		"a negative length":            {[]byte{'R', 0xff, 0xff, 0xff, 0xff}, "!08004"},
		"a method that nobody has":     {raw('R', "\x00\x00\x00\x63"), "!08004"},
		"SCRAM without a secret of us": {raw('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"), "!08004"},
		"a key of 1000 bytes":          {append(slices.Clone(ok), raw('K', strings.Repeat("k", 1004))...), "!08004"},
		"an error without fields":      {raw('E', "\x00"), "!57P03"},
		"the end after Ok":             {ok, "!57P03"},
		"half a message":               {ok[:4], "!57P03"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stage{router: &router{t: t, policy: defaultPolicy(), loops: 1}, trace: &wiretest.Trace{}, over: make(chan struct{})}
			t.Cleanup(s.strike)
			withOneServer(s.router)
			if tc.sees == "!57P03" { // nobody will come
				s.policy.LoginHoldTimeout, s.policy.WaitTimeout, s.policy.HoldTimeout = brief, brief, brief
			}
			s.policy.Pool.DialBackoffMin, s.policy.Pool.DialBackoffMax = time.Hour, time.Hour
			s.start()
			n := s.primary("n")
			a := s.knocks("a")
			n1 := n.accepts()
			n1.hearsStartup()
			n1.must(n1.SendBytes(tc.says))
			n1.leaves()
			a.sees(tc.sees)
			s.curtain()
		})
	}
}
