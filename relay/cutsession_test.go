package relay

import (
	"slices"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// cutSetting is under what circumstances a unit of work runs.
type cutSetting struct {
	standby  bool
	promoted int    // before which of its messages the standby is promoted, see truth
	session  bool   // the pool's mode keeps the server
	prelude  bool   // our own SET goes first, pipelined
	noise    []byte // what the server says in front of each answer without being asked
}

// cutSession drives a Link as a session of the proxy does, and writes down what passed.
type cutSession struct {
	setting cutSetting
	link    Link
	server  *truth
	durable []string // of the cluster, while no server is linked
	outside []string
	base    [2][]string // durable and outside as they were when the server was linked

	ours       map[int]bool // where in toServer a message of our own begins
	parsed     map[int]bool // where in it a Close begins that stands for a Parse
	evicts     bool         // its servers keep two statements only
	pending    []byte       // from the client, not used yet
	toServer   []byte       // everything sent to this server, the prelude and what was inserted too
	free       int          // how much of toServer was sent before the server was found to hold nothing
	unit       int          // where in toServer the client's bytes of this unit begin, -1 before there are any
	taken      int          // how much of toServer the server has processed
	unsaid     []byte       // answered and not delivered
	down       []byte       // delivered and kept back
	asides     int          // how many bytes the server said unasked
	given      int          // how much this server's answers were delivered
	got        []byte       // what the client has received
	gotHere    int          // where in got this server begins
	gotUnit    int          // where in got this unit begins
	kept       []byte
	keptAll    bool
	held       []byte // came in front of a FATAL and is not forwarded yet
	fatal      bool
	dying      bool // the server has warned; held ends with its warning
	shows      bool // a dying server's last words are shown at once
	refused    bool
	released   func() // is called before a server is given back
	terminated bool
}

func newCutSession(setting cutSetting) *cutSession {
	s := &cutSession{setting: setting, keptAll: true, unit: -1}
	s.link.Observer = deaf{}
	return s
}

func (s *cutSession) attach() {
	s.server = newTruth(s.setting.standby, s.durable, s.outside)
	s.server.noise, s.server.promoted = s.setting.noise, s.setting.promoted
	s.base = [2][]string{s.durable, s.outside}
	s.toServer, s.taken, s.unsaid, s.down, s.given, s.asides, s.unit = nil, 0, nil, nil, 0, 0, -1
	s.free = 0
	s.gotHere, s.gotUnit = len(s.got), len(s.got)
	s.ours, s.parsed = make(map[int]bool), make(map[int]bool)
	s.link.Prepared = new(Prepared)
	if s.evicts {
		s.link.Prepared.Limit = 2
	}
	pin := event.PinNone
	if s.setting.session {
		pin = event.PinSession
	}
	s.link.Attach(s.setting.standby, pin)
	if s.setting.prelude {
		s.ours[0] = true
		s.toServer = pgwire.AppendQuery(nil, preludeText)
		s.link.Prelude()
	}
}

const preludeText = "set work_mem = '1MB'"

// detach gives the server back, or loses it.
func (s *cutSession) detach(durable, outside []string) {
	s.durable, s.outside, s.server = durable, outside, nil
	s.link.Detach()
	s.resetUnit()
}

func (s *cutSession) resetUnit() {
	s.kept, s.keptAll, s.unit, s.gotUnit = nil, true, -1, len(s.got)
}

// feed takes bytes from the client.
func (s *cutSession) feed(b []byte) {
	s.pending = append(s.pending, b...)
	for len(s.pending) > 0 && !s.refused && !s.terminated {
		var v Verdict
		if s.server == nil {
			v = s.link.Begin(s.pending)
		} else {
			v = s.link.FromClient(s.pending)
		}
		s.forward(s.pending[:v.N])
		s.pending = s.pending[v.N:]
		switch v.Verb {
		case Drop:
			s.pending = s.pending[v.Skip:]
		case Start:
			s.attach()
		case Insert:
			for _, msg := range wholeMessages(s.link.Insertion(nil)) {
				s.ours[len(s.toServer)] = true
				s.toServer = append(s.toServer, msg...)
			}
		case Replace:
			by := s.link.Replacement()
			s.parsed[len(s.toServer)] = by[0] == pgwire.KindClose && s.pending[0] == pgwire.KindParse
			s.sends(s.pending[:v.Skip], by)
			s.pending = s.pending[v.Skip:]
		case UnitEnd:
			s.unitEnd()
		case Ready:
			s.got = pgwire.AppendReadyForQuery(s.got, StatusIdle)
			s.pending = s.pending[v.Skip:]
		case Refuse:
			s.refused = true
		case Terminate:
			s.terminated, s.pending = true, nil
		default: // More and Full wait
			return
		}
	}
}

func (s *cutSession) forward(b []byte) {
	if len(b) > 0 {
		s.sends(b, b)
	}
}

// sends passes on bytes of the client's as others.
func (s *cutSession) sends(b, as []byte) {
	if s.unit < 0 {
		s.unit = len(s.toServer)
	}
	s.kept = append(s.kept, b...)
	s.keptAll = s.keptAll && len(s.kept) <= holdLimit
	s.toServer = append(s.toServer, as...)
}

// serve lets the server process every whole message that it was sent.
func (s *cutSession) serve() {
	if s.server == nil {
		return
	}
	for _, m := range wholeMessages(s.toServer[s.taken:]) {
		s.unsaid = append(s.unsaid, s.server.take(m)...)
		s.taken += len(m)
	}
}

// wholeMessages cuts b into its whole messages; a rest is left out.
func wholeMessages(b []byte) (list [][]byte) {
	for {
		f, ok, err := pgwire.PeekFrame(b)
		if !ok || err != nil || f.Len > len(b) {
			return list
		}
		list, b = append(list, b[:f.Len]), b[f.Len:]
	}
}

// deliver gives the link the next n bytes of what the server has answered, and last, which the server says at its end.
func (s *cutSession) deliver(n int, last []byte) (violation bool) {
	all := append(slices.Clone(s.down), s.unsaid[:n]...)
	all = append(all, last...)
	s.unsaid, s.given = s.unsaid[n:], s.given+n
	ended := false
	for len(all) > 0 {
		v := s.link.FromServer(all)
		if v.Verb == Fatal {
			s.held, s.fatal = all[:v.N], true
			return false
		}
		if v.Verb == Dying && s.shows {
			s.link.Shown()
			v.N, v.Skip = v.N+v.Skip, 0
		}
		if v.Verb == Dying && !s.shows {
			s.held, s.dying = all[:v.N+v.Skip], true
			s.down = all[v.N+v.Skip:]
			return false
		}
		s.got = append(s.got, all[:v.N]...)
		all = all[v.N:]
		if v.Verb == Violation || v.Verb == PreludeFailed {
			return true
		}
		if v.Verb == More {
			break
		}
		switch v.Verb {
		case Settle:
			s.settle()
			s.got = append(s.got, all[:v.Skip]...)
		case Replace:
			s.got = append(s.got, s.link.Replacement()...)
		default:
		}
		all = all[v.Skip:]
		ended = ended || v.Verb == UnitEnd || v.Verb == Settle
	}
	s.down = all
	if ended && s.link.Outstanding() == 0 {
		s.unitEnd()
	}
	if s.link.Outstanding() == 0 {
		s.feed(nil)
	}
	return false
}

// settle plays the postlude, in which nothing happens: the server says whether it has named statements.
func (s *cutSession) settle() {
	s.link.Postlude()
	if got, _ := verbs(&s.link, settleEnd, len(settleEnd)); !slices.Equal(got, []Verb{Settled}) {
		panic(got)
	}
	var held event.Pins
	for name := range s.server.statements {
		if name != "" {
			held = event.PinsOf(event.PinPreparedStatement)
		}
	}
	if held == 0 {
		s.free = len(s.toServer)
	}
	s.link.Held(held)
}

// show passes on what a dying server has said.
func (s *cutSession) show() {
	s.got = append(s.got, s.held...)
	s.held, s.dying = nil, false
	s.link.Shown()
}

func (s *cutSession) unitEnd() {
	if s.link.Pinned() != event.PinNone {
		s.link.NextUnit()
		s.resetUnit()
		return
	}
	if s.released != nil {
		s.released()
	}
	s.detach(s.server.durable, s.server.outside)
}

// finish lets everything happen that can.
func (s *cutSession) finish() (violation bool) {
	for range 50 {
		s.feed(nil)
		s.serve()
		if s.server == nil || len(s.unsaid) == 0 {
			continue
		}
		if s.deliver(len(s.unsaid), nil) {
			return true
		}
	}
	return false
}

// reference returns a server as this one was when it was linked.
func (s *cutSession) reference() *truth {
	ref := newTruth(s.setting.standby, s.base[0], s.base[1])
	ref.noise, ref.promoted = s.setting.noise, s.setting.promoted
	return ref
}

// effects returns what is durable and what was done outside, wherever that is known now.
func (s *cutSession) effects() (durable, outside []string) {
	if s.server != nil {
		return s.server.durable, s.server.outside
	}
	return s.durable, s.outside
}

// goOn follows an outcome that the client does not see: another server goes on where histories left the cluster.
func (s *cutSession) goOn(outcome Outcome, durable, outside []string) {
	kept := s.kept
	s.detach(durable, outside)
	if outcome == Requeue || outcome == Replay {
		s.pending = append(slices.Clone(kept), s.pending...)
	}
	s.held, s.fatal, s.dying = nil, false, false
	s.feed(nil)
}
