package relay

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
)

// How a server ends.
const (
	endSilent  = iota // the connection breaks
	endFatal          // FATAL 57P01 arrives on its own
	endFatalIn        // FATAL 57P01 arrives together with the answer in front of it
	endWarned         // WARNING 57P02 arrives on its own, and then nothing
	endWarnedIn
	endings
)

var (
	lastFatal = pgwire.AppendError(nil, &pgwire.Error{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command",
	})
	lastWarning = pgwire.AppendNotice(nil, &pgwire.Error{
		Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "57P02", Message: "terminating connection because of crash of another server process",
	})
	someNotice    = pgwire.AppendNotice(nil, &pgwire.Error{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: "by the way"})
	someParameter = pgwire.AppendParameterStatus(nil, "TimeZone", "UTC")
)

// cut is one place at which a server is lost.
type cut struct {
	setting cutSetting
	turns   [][]byte // what the client sends; it waits for all answers between two turns
	turn    int      // the turn in which the server is lost
	sent    int      // how much of this turn the client has sent
	said    int      // how much of the answer has come
	early   int      // how much of that came on its own, before the rest
	ending  int
}

func (c cut) String() string {
	return fmt.Sprintf("standby %t, promoted %d, session %t, prelude %t, noise %d; turn %d of %q, sent %d, said %d, early %d, ending %d",
		c.setting.standby, c.setting.promoted, c.setting.session, c.setting.prelude, len(c.setting.noise), c.turn, c.turns, c.sent, c.said, c.early, c.ending)
}

// play runs a session up to the cut. The second result tells that the link called a correct server's answer a violation.
func (c cut) play() (s *cutSession, violation bool) {
	s = newCutSession(c.setting)
	for _, t := range c.turns[:c.turn] {
		s.feed(t)
		if s.finish() {
			return s, true
		}
	}
	s.feed(c.turns[c.turn][:c.sent])
	s.serve()
	if c.said < 0 || s.server == nil {
		return s, false
	}
	if s.deliver(c.early, nil) {
		return s, true
	}
	last := [endings][]byte{endFatalIn: lastFatal, endWarnedIn: lastWarning}[c.ending]
	if s.server != nil && (c.said > c.early || last != nil) && s.deliver(c.said-c.early, last) {
		return s, true
	}
	if last = [endings][]byte{endFatal: lastFatal, endWarned: lastWarning}[c.ending]; last != nil && s.server != nil {
		return s, s.deliver(0, last)
	}
	return s, false
}

// points returns the places at, just before and just behind the boundaries of b's messages, and those around the place up to
// which a long message is kept back.
func points(b []byte) []int {
	list := []int{0, 1, len(b)}
	at := 0
	for _, m := range wholeMessages(b) {
		if len(m) > holdLimit {
			list = append(list, at+holdLimit-1, at+holdLimit, at+holdLimit+1)
		}
		at += len(m)
		list = append(list, at-1, at, at+1)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(n int) bool { return n > len(b) })
}

// boundaries returns the ends of b's messages, and 0.
func boundaries(b []byte) []int {
	list := []int{0}
	for _, m := range wholeMessages(b) {
		list = append(list, list[len(list)-1]+len(m))
	}
	return list
}

// cutModel counts what was tried.
type cutModel struct {
	t        *testing.T
	direct   []byte // what the client gets from one server of its own that does not die
	effects  [2][]string
	outcomes [CloseSilently + 1]int64
}

// scenario cuts one stream at every place.
func (m *cutModel) scenario(setting cutSetting, turns [][]byte) {
	m.runDirect(setting, turns)
	for t := range turns {
		ends := boundaries(turns[t])
		for _, sent := range points(turns[t]) {
			if next := sent + 1; slices.Contains(ends, next) && next < holdLimit {
				continue // a message that lacks one byte is like one that has one: kept back
			}
			c := cut{setting: setting, turns: turns, turn: t, sent: sent, said: -1}
			s, violation := c.play()
			if violation {
				m.t.Fatalf("violation by a correct server: %v", c)
			}
			m.answers(c, slices.Clone(s.unsaid))
		}
	}
}

// answers cuts behind each piece of the answer, with all ways in which it may have come and the server may end.
func (m *cutModel) answers(c cut, unsaid []byte) {
	ends := boundaries(unsaid)
	part := !slices.Contains(boundaries(c.turns[c.turn]), c.sent)
	for _, c.said = range points(unsaid) {
		if last := c.said - 1; slices.Contains(ends, last) {
			continue // of a message of which one byte has come nothing can be passed on
		}
		whole := slices.Contains(ends, c.said)
		for c.ending = range endings {
			if (!whole || part || c.setting.promoted > 0) && c.ending != endSilent {
				break
			}
			for _, c.early = range earlies(ends, c) {
				m.one(c)
			}
		}
	}
}

// earlies returns how much of the answer may have come on its own: nothing, the first message, all but the last, all.
func earlies(ends []int, c cut) []int {
	list := []int{0, c.said}
	if i := slices.Index(ends, c.said); i > 1 && (c.ending == endFatalIn || c.ending == endWarnedIn) {
		list = append(list, ends[1], ends[i-1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// one judges one cut, for all that the socket may have accepted.
func (m *cutModel) one(c cut) {
	s, violation := c.play()
	if violation {
		m.t.Fatalf("violation by a correct server: %v", c)
	}
	if s.refused || s.server == nil {
		return
	}
	warned := (c.ending == endWarned || c.ending == endWarnedIn) && !c.setting.prelude
	if warned && !s.dying {
		m.t.Fatalf("the warning was not understood: %v", c)
	}
	if s.dying {
		m.dying(c, s)
	}
	view := s.look()
	for _, accepted := range []bool{false, true} {
		stories := s.stories(accepted)
		if len(stories) == 0 {
			continue
		}
		tried := make(map[Outcome]bool)
		for bits := range 8 {
			loss := Loss{Accepted: accepted, Kept: s.keptAll && bits&1 == 0, Replayed: bits&2 != 0, NoReplay: bits&4 != 0}
			got := s.link.Lost(loss)
			m.outcomes[got]++
			if want := view.permits(loss); !slices.Contains(want, got) {
				m.t.Fatalf("%v %+v: %v, want one of %v\nview %+v", c, loss, got, want, view)
			}
			if (got == TransactionLost || got == PinnedLost) && view.lasting {
				m.t.Fatalf("%v %+v: %v, but something may have been committed", c, loss, got)
			}
			if !tried[got] {
				tried[got] = true
				m.invisible(c, got, stories)
			}
		}
	}
}

// dying judges a server that has warned that it ends: what can be saved is saved before anything is shown, and only that.
func (m *cutModel) dying(c cut, s *cutSession) {
	view, stories := s.look(), s.stories(true)
	for bits := range 8 {
		loss := Loss{Accepted: true, Kept: s.keptAll && bits&1 == 0, Replayed: bits&2 != 0, NoReplay: bits&4 != 0}
		got := s.link.Lost(loss)
		if want := view.permits(loss); (got == Replay) != slices.Contains(want, Replay) || got == Requeue {
			m.t.Fatalf("%v %+v: %v, want one of %v\nview %+v", c, loss, got, want, view)
		}
		if got == Replay {
			m.invisible(c, got, stories)
		}
	}
	s.show()
}

// story is what a server may have done when it was lost.
type story struct{ durable, outside []string }

// stories returns all that the server may have done: it has read some of what its socket accepted, and said what came.
func (s *cutSession) stories(accepted bool) (list []story) {
	ref, length, at, mark := s.reference(), 0, 0, s.unit
	if mark < 0 {
		mark = len(s.toServer)
	}
	add := func() {
		if length >= s.given && (at <= mark || accepted) {
			list = append(list, story{slices.Clone(ref.durable), slices.Clone(ref.outside)})
		}
	}
	add()
	for _, m := range wholeMessages(s.toServer) {
		length += len(ref.take(m))
		at += len(m)
		add()
	}
	if accepted && mark == len(s.toServer) {
		return nil // nothing was there to be accepted
	}
	return list
}

// runDirect finds out what one server of the client's own would say and do.
func (m *cutModel) runDirect(setting cutSetting, turns [][]byte) {
	server := newTruth(setting.standby, nil, nil)
	delete(server.statements, "")
	m.direct = nil
	for _, t := range turns {
		for _, msg := range wholeMessages(t) {
			m.direct = append(m.direct, server.take(msg)...)
		}
	}
	m.direct = synchronous(m.direct)
	m.effects = [2][]string{server.durable, server.outside}
}

// synchronous leaves out what a server says unasked.
func synchronous(b []byte) (out []byte) {
	for _, m := range wholeMessages(b) {
		if m[0] != pgwire.KindNoticeResponse && m[0] != pgwire.KindParameterStatus && m[0] != pgwire.KindNotification {
			out = append(out, m...)
		}
	}
	return out
}

// invisible lets a session go on that is not told of its loss. In the end the client must have received, and the cluster must
// hold, exactly what one server would have given that did not die. What one that was promoted in between would have given
// nobody can say: there it must not have done anything that is done again.
func (m *cutModel) invisible(c cut, outcome Outcome, stories []story) {
	if c.setting.promoted > 0 {
		m.harmless(c, outcome, stories)
		return
	}
	if outcome != Unaffected && outcome != Requeue && outcome != Replay {
		return
	}
	for i, st := range stories {
		if i > 0 && slices.Equal(st.durable, stories[i-1].durable) && slices.Equal(st.outside, stories[i-1].outside) {
			continue
		}
		s, _ := c.play()
		s.goOn(outcome, st.durable, st.outside)
		s.feed(c.turns[c.turn][c.sent:])
		violation := s.finish()
		for _, t := range c.turns[c.turn+1:] {
			s.feed(t)
			violation = violation || s.finish()
		}
		durable, outside := s.effects()
		if got := synchronous(s.got); violation || !bytes.Equal(got, m.direct) {
			m.t.Fatalf("%v: %v is seen by the client\ngot    %q\ndirect %q", c, outcome, got, m.direct)
		}
		if !slices.Equal(durable, m.effects[0]) || !slices.Equal(outside, m.effects[1]) {
			m.t.Fatalf("%v: %v changes what is done\ngot    %q %q\ndirect %q", c, outcome, durable, outside, m.effects)
		}
	}
}

// harmless holds that what is sent a second time had no effect the first time, whatever the server did of it.
func (m *cutModel) harmless(c cut, outcome Outcome, stories []story) {
	if outcome != Replay {
		return
	}
	s, _ := c.play()
	for _, st := range stories {
		if !slices.Equal(st.durable, s.base[0]) || !slices.Equal(st.outside, s.base[1]) {
			m.t.Fatalf("%v: what is sent again was done: %q %q", c, st.durable, st.outside)
		}
	}
}

// TestEveryCutOfEveryUnit loses the server at every place of every kind of unit of work, and holds what is decided against
// the contract's table, against what the server may have done, and against a session whose server did not die.
func TestEveryCutOfEveryUnit(t *testing.T) {
	var all [CloseSilently + 1]atomic.Int64
	t.Run("units", func(t *testing.T) {
		for _, sc := range cutScenarios() {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				m := &cutModel{t: t}
				for _, standby := range []bool{false, true} {
					m.circumstances(standby, sc.turns)
				}
				for o, n := range m.outcomes {
					all[o].Add(n)
				}
			})
		}
	})
	for o := Unaffected; o <= CloseSilently; o++ {
		t.Logf("%d losses end as %v", all[o].Load(), o)
		if all[o].Load() == 0 {
			t.Errorf("no loss ends as %v", o)
		}
	}
}

// circumstances cuts one stream under all of them; message by message only in the plainest, because the rest is the same there.
func (m *cutModel) circumstances(standby bool, turns [][]byte) {
	plain := cutSetting{standby: standby}
	m.scenario(plain, byMessage(turns))
	m.scenario(plain, turns)
	m.scenario(cutSetting{standby: standby, session: true}, turns)
	m.scenario(cutSetting{standby: standby, prelude: true}, turns)
	m.scenario(cutSetting{standby: standby, noise: someNotice}, turns)
	m.scenario(cutSetting{standby: standby, noise: someParameter}, turns)
	if !standby {
		return
	}
	for at := range wholeMessages(slices.Concat(turns...)) {
		m.scenario(cutSetting{standby: true, promoted: at + 1}, turns)
	}
}

// byMessage makes each message a turn of its own.
func byMessage(turns [][]byte) (list [][]byte) {
	for _, t := range turns {
		list = append(list, wholeMessages(t)...)
	}
	return list
}
