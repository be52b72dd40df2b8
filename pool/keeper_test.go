package pool

import (
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/state"
)

func TestACancelUnderWayKeepsTheServerFromOthers(t *testing.T) {
	for _, how := range []Outcome{Clean, Dirty} {
		w, c := opened(t, 1, 1, 2)
		c[0].acquire()
		w.dialAll()
		s := c[0].server
		for range 2 {
			if !s.BeginCancel() {
				t.Fatal("cannot cancel what a client runs")
			}
		}
		c[1].acquire()
		c[0].release(how)
		s.EndCancel()
		w.runTasks()
		if w.node("a").CancelPending != 1 || c[1].server != nil || s.BeginCancel() {
			t.Fatalf("outcome %d: %+v", how, w.node("a"))
		}
		s.EndCancel()
		w.runTasks()
		if how == Dirty {
			w.answerReset(w.wireByServer(s), resetAnswer())
		}
		if c[1].server != s {
			t.Errorf("outcome %d: not handed on after the cancel", how)
		}
	}
}

func TestADirtyServerIsResetBeforeAnybodyGetsIt(t *testing.T) {
	ok := resetAnswer()
	notice := pgwire.AppendNotice(nil, &pgwire.Error{Severity: "NOTICE", Code: "00000", Message: "m"})
	ready := func(status byte) []byte {
		return pgwire.AppendReadyForQuery(pgwire.AppendCommandComplete(nil, "DISCARD ALL"), status)
	}
	for name, tc := range map[string]struct {
		said   []byte
		served bool // by this very server
		keeps  bool // what its former holder has set
		reason closeReason
	}{
		"answered":               {said: ok, served: true},
		"answered with a notice": {said: append(notice, ok...), served: true},
		"answered with a row":    {said: append(pgwire.AppendDataRow(pgwire.AppendRowDescription(nil, []string{"v"}), []string{"x"}), ok...), served: true},
		"answered with nothing":  {said: append([]byte{'I', 0, 0, 0, 4}, pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle)...), served: true, keeps: true},
		"parameter as at login":  {said: append(pgwire.AppendParameterStatus(nil, "TimeZone", "UTC"), ok...), served: true},
		"parameter changed":      {said: append(pgwire.AppendParameterStatus(nil, "TimeZone", "CET"), ok...), reason: closedParameter},
		"unknown parameter":      {said: append(pgwire.AppendParameterStatus(nil, "new", "x"), ok...), reason: closedParameter},
		"error":                  {said: pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", Code: "XX000", Message: "m"}), reason: closedReset},
		"in a transaction":       {said: ready(pgwire.StatusInTransaction), reason: closedReset},
		"in no known state":      {said: ready('X'), reason: closedProtocol},
		"ready, not answered":    {said: pgwire.AppendReadyForQuery(nil, pgwire.StatusIdle), reason: closedProtocol},
		"answer to another":      {said: append(pgwire.AppendParseComplete(nil), ok...), reason: closedProtocol},
		"a notice behind":        {said: append(append([]byte(nil), ok...), notice...), served: true},
		"answered twice":         {said: append(append([]byte(nil), ok...), ok...), reason: closedProtocol},
		"garbage":                {said: []byte("HTTP/1.1 400 Bad Request"), reason: closedProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			for cutAt := range 2 {
				w, c := opened(t, 1, 1, 2)
				c[0].acquire()
				w.dialAll()
				s := c[0].server
				s.Conn.Params = []pgwire.Param{{Name: "TimeZone", Value: "UTC"}}
				c[1].acquire()
				c[0].waiter.Vector = new(state.Vector)
				c[0].release(Dirty)
				x := w.wireByServer(s)
				if c[1].server != nil || x.resets != 1 || w.node("a").Resetting != 1 {
					t.Fatal("not reset")
				}
				w.say(x, tc.said[:cutAt*3])
				w.answerReset(x, tc.said[cutAt*3:])
				if (c[1].server == s) != tc.served {
					t.Fatalf("served by it: %v", c[1].server == s)
				}
				if violated := w.queue.Stats().Violations > 0; violated != (tc.reason == closedProtocol) || !tc.served && w.closedFor(tc.reason) != 1 {
					t.Errorf("violated %v, closed %+v", violated, w.queue.Stats().Closed)
				}
				if tc.served && (s.Vector != nil) != tc.keeps {
					t.Errorf("the parameters of the former holder are thought to be there: %v", s.Vector != nil)
				}
				w.dialAll()
				if c[1].server == nil {
					t.Error("never served")
				}
			}
		})
	}
}

func TestWhatAnIdleServerSaysDecidesItsFate(t *testing.T) {
	notice := pgwire.AppendNotice(nil, &pgwire.Error{Severity: "NOTICE", Code: "00000", Message: "m"})
	fatal := pgwire.AppendError(nil, &pgwire.Error{Severity: "FATAL", Code: pgwire.CodeAdminShutdown, Message: "m"})
	russian := pgwire.Error{Severity: "ВАЖНО", SeverityUnlocalized: "FATAL", Code: pgwire.CodeAdminShutdown, Message: "m"}
	for name, tc := range map[string]struct {
		said    []byte
		lives   bool
		reason  closeReason
		trouble int
	}{
		"notices":             {said: append(append([]byte(nil), notice...), notice...), lives: true},
		"parameter":           {said: append(append([]byte(nil), notice...), pgwire.AppendParameterStatus(nil, "a", "b")...), reason: closedParameter},
		"half a notice":       {said: notice[:9], reason: closedParameter},
		"half a header":       {said: notice[:3], reason: closedParameter},
		"last words":          {said: fatal, reason: closedByServer, trouble: 1},
		"half of last words":  {said: fatal[:9], reason: closedByServer, trouble: 1},
		"one byte of them":    {said: fatal[:1], reason: closedByServer, trouble: 1},
		"words and more":      {said: append(append([]byte(nil), fatal...), "HTTP/1.1"...), reason: closedByServer, trouble: 1},
		"words in Russian":    {said: pgwire.AppendError(nil, &russian), reason: closedByServer, trouble: 1},
		"words without code":  {said: []byte("E\x00\x00\x00\x0cSFATAL\x00\x00"), reason: closedByServer, trouble: 1},
		"words without all":   {said: []byte("E\x00\x00\x00\x05\x00"), reason: closedProtocol},
		"an error":            {said: pgwire.AppendError(nil, &pgwire.Error{Severity: "ERROR", Code: "XX000", Message: "m"}), reason: closedProtocol},
		"an answer":           {said: resetAnswer(), reason: closedProtocol},
		"a row":               {said: pgwire.AppendDataRow(nil, []string{"x"}), reason: closedProtocol},
		"a notification":      {said: []byte("A\x00\x00\x00\x0c\x00\x00\x00\x01a\x00b\x00"), reason: closedProtocol},
		"another protocol":    {said: []byte("HTTP/1.1 400 Bad Request"), reason: closedProtocol},
		"malformed last word": {said: []byte{'E', 0, 0, 0, 6, 'X', 'Y'}, reason: closedProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := opened(t, 1, 1, 1)
			c[0].acquire()
			w.dialAll()
			s := c[0].server
			c[0].release(Clean)
			x := w.wireByServer(s)
			w.say(x, tc.said)
			if lives := s.state == stateIdle; lives != tc.lives || x.closed == tc.lives {
				t.Fatalf("it is %s, its socket closed: %v", s.state, x.closed)
			}
			violations := uint64(0)
			if tc.reason == closedProtocol {
				violations = 1
			}
			if !tc.lives && w.closedFor(tc.reason) != 1 || w.trouble != tc.trouble || w.queue.Stats().Violations != violations {
				t.Errorf("closed %+v, %d troubles, %d violations", w.queue.Stats().Closed, w.trouble, w.queue.Stats().Violations)
			}
		})
	}
}

func TestAnIdleServerThatEndsIsReplacedForWhoeverComesNext(t *testing.T) {
	w, c := opened(t, 1, 1, 1)
	c[0].acquire()
	w.dialAll()
	s := c[0].server
	c[0].release(Clean)
	x := w.wireByServer(s)
	w.on(x.loop, func() { x.handler.Ended(x.conn) })
	if s.state != stateClosed || !x.closed || w.trouble != 1 {
		t.Fatalf("it is %s", s.state)
	}
	c[0].acquire()
	w.dialAll()
	if c[0].server == nil {
		t.Error("not served")
	}
}

func TestTheEndOfOneIdleServerCastsDoubtOnTheOthers(t *testing.T) {
	fatal := func(code string) []byte {
		return pgwire.AppendError(nil, &pgwire.Error{Severity: "FATAL", Code: code, Message: "m"})
	}
	for name, tc := range map[string]struct {
		ends  func(w *world, x *wire)
		spare bool
	}{
		"reset":           {ends: func(w *world, x *wire) { w.kill(x) }},
		"closed":          {ends: func(w *world, x *wire) { w.on(x.loop, func() { x.handler.Ended(x.conn) }) }},
		"stopped":         {ends: func(w *world, x *wire) { w.say(x, fatal(pgwire.CodeAdminShutdown)) }},
		"crashed":         {ends: func(w *world, x *wire) { w.say(x, fatal(pgwire.CodeCrashShutdown)) }},
		"half its words":  {ends: func(w *world, x *wire) { w.say(x, fatal(pgwire.CodeAdminShutdown)[:9]) }},
		"idle for long":   {ends: func(w *world, x *wire) { w.say(x, fatal("57P05")) }, spare: true},
		"another setting": {ends: func(w *world, x *wire) { w.say(x, pgwire.AppendParameterStatus(nil, "a", "b")) }, spare: true},
	} {
		w, c := opened(t, 1, 3, 3)
		for _, x := range c {
			x.acquire()
		}
		w.dialAll()
		first := c[0].server
		c[0].release(Clean)
		c[1].release(Clean)
		tc.ends(w, w.wireByServer(first))
		w.runTasks()
		want := uint64(1)
		if tc.spare {
			want = 0
		}
		if n := w.closedFor(closedDoubtful); n != want || w.node("a").Linked != 1 {
			t.Errorf("%s: %d closed in doubt, %+v", name, n, w.node("a"))
		}
	}
}

// TestWhoHasLostAServerDoesNotGetAnotherThatIsAboutToEnd: those of one node end within milliseconds, the last answer of one may come between.
func TestWhoHasLostAServerDoesNotGetAnotherThatIsAboutToEnd(t *testing.T) {
	w, c := opened(t, 1, 2, 2)
	c[0].acquire()
	c[1].acquire()
	w.dialAll()
	c[0].release(Lost)
	c[0].acquire()
	c[1].release(Clean)
	w.runTasks()
	if c[0].server != nil || w.closedFor(closedDoubtful) != 1 {
		t.Fatalf("it has %v, %+v", c[0].server, w.node("a"))
	}
	w.dialAll()
	if c[0].server == nil {
		t.Error("it does not get a new one")
	}
}

// TestEachServerIsResetWhereThatIsWanted: whenever it is given back, but not once more for having been reset.
func TestEachServerIsResetWhereThatIsWanted(t *testing.T) {
	cfg := Defaults()
	cfg.Size, cfg.ResetAlways = 1, true
	w := newWorld(t, routing.Primary, 1, cfg)
	w.publish(w.picture("a", 1, 1))
	c := []*client{w.newClient(0), w.newClient(0)}
	c[0].acquire()
	w.dialAll()
	c[1].acquire()
	for turn := range 3 {
		has, waits := c[turn%2], c[1-turn%2]
		s := has.server
		has.release(Clean)
		x := w.wireByServer(s)
		if waits.server != nil || x.resets != 1 || w.node("a").Resetting != 1 {
			t.Fatal("not reset")
		}
		w.answerReset(x, resetAnswer())
		if waits.server != s || s.Vector != nil {
			t.Fatal("not served by the server that was reset")
		}
		has.acquire()
	}
}
