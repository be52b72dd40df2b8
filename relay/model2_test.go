package relay

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// relayModel drives a session step by step: the client sends a few bytes, the server reads a message, says something unasked,
// a piece of the answer arrives. It knows which messages are the router's own, and so what the client must receive.
type relayModel struct {
	t      *rapid.T
	s      *cutSession
	want   []byte // what the servers said that the client is to receive
	params int    // ParameterStatus delivered whole
	heard  int
	over   bool
}

// Parameter counts.
func (m *relayModel) Parameter(_, _ []byte) { m.heard++ }
func (m *relayModel) ReadOnly() bool        { return false }
func (m *relayModel) Stray()                {}

// read lets the server process its next message, if it has one.
func (m *relayModel) read() bool {
	s := m.s
	if s.server == nil {
		return false
	}
	list := wholeMessages(s.toServer[s.taken:])
	if len(list) == 0 {
		return false
	}
	out := s.server.take(list[0])
	if s.parsed[s.taken] {
		m.want = append(m.want, bytes.Replace(out, pgwire.AppendCloseComplete(nil), pgwire.AppendParseComplete(nil), 1)...)
	} else if !s.ours[s.taken] || out != nil && out[0] == pgwire.KindErrorResponse && list[0][0] != pgwire.KindQuery {
		m.want = append(m.want, out...)
	}
	s.taken += len(list[0])
	s.unsaid = append(s.unsaid, out...)
	return true
}

// aside lets the server say something unasked. What it says while our prelude is under way, but for a notification, is not
// the client's.
func (m *relayModel) aside() {
	s := m.s
	if s.server == nil {
		return
	}
	asides := [][]byte{someNotice, someParameter, lastWarning}
	if s.setting.session { // another client would have to say LISTEN first
		asides = append(asides, someNotification)
	}
	said := rapid.SampledFrom(asides).Draw(m.t, "aside")
	s.unsaid = append(s.unsaid, said...)
	s.asides += len(said)
	if said[0] == pgwire.KindParameterStatus {
		m.params++
	}
	if !s.setting.prelude || s.taken > 0 || said[0] == pgwire.KindNotification {
		m.want = append(m.want, said...)
	}
}

var someNotification = []byte{'A', 0, 0, 0, 14, 0, 0, 0, 1, 'c', 0, 'h', 'i', '!', 0}

// sure leaves out what may be the client's or not: a notice that comes while the server is at a request of the router's own is said of that,
// and is not.
func sure(b []byte) []byte { return bytes.ReplaceAll(b, someNotice, nil) }

// released: what the server says now nobody will hear. It must be nothing that was asked for.
func (m *relayModel) released() {
	s := m.s
	if lost := m.want[len(s.got):]; len(synchronous(lost)) > 0 {
		m.t.Fatalf("the unit ended before %q", lost)
	}
	if sv := s.server; sv.status != StatusIdle || sv.ignoring || sv.copying != 0 || s.link.MidMessage() {
		m.t.Fatalf("the unit ended while the server is busy: %+v", sv)
	}
	m.want, m.params = bytes.Clone(s.got), m.heard
}

// arrive gives the link the next bytes of what the server has said.
func (m *relayModel) arrive(n int) {
	s := m.s
	if s.server == nil || n == 0 || m.over {
		return
	}
	violation := s.deliver(n, nil)
	if violation && !m.certain() {
		m.over = true // a request was sent into a COPY: the server must die, because it may answer or not
		return
	}
	if violation {
		m.t.Fatalf("a correct server broke the protocol; sent %q, client got %q", s.toServer, s.got)
	}
	m.check()
}

// certain reports whether the client kept to the protocol's order, so that the link could follow it.
func (m *relayModel) certain() bool { return !m.s.refused && m.s.link.Pinned() != event.PinUncertain }

// check holds what is true at every moment.
func (m *relayModel) check() {
	s := m.s
	if !bytes.HasPrefix(sure(m.want), sure(s.got)) {
		m.t.Fatalf("the client got  %q\nand should have %q\nsent %q", s.got, m.want, s.toServer)
	}
	rest := len(s.got)
	for _, msg := range wholeMessages(s.got) {
		rest -= len(msg)
	}
	if s.link.AtBoundary() != (rest == 0) {
		m.t.Fatalf("at a boundary: %t, but %d bytes of a message were passed on: %q", s.link.AtBoundary(), rest, s.got)
	}
	if s.server == nil || !m.certain() {
		return
	}
	m.checkRest()
	ref, owed := s.reference(), 0
	for _, msg := range wholeMessages(s.toServer) {
		owed += len(ref.take(msg))
	}
	owed += s.asides
	if s.link.unit.copySync {
		return // it cannot be known whether something is outstanding
	}
	if s.asides > 0 && len(s.unsaid)+len(s.down) > 0 && s.link.Outstanding() == 0 {
		return // it may be something unasked that is under way
	}
	if done := owed == s.given-len(s.down) && ref.copying == 0; done != (s.link.Outstanding() == 0) {
		m.t.Fatalf("%d outstanding, but of %d bytes of answer %d have come, COPY %q; sent %q", s.link.Outstanding(), owed, s.given, ref.copying, s.toServer)
	}
}

// checkRest: where the proxy would give the server to somebody else, because the client has gone, it must be as new.
func (m *relayModel) checkRest() {
	s := m.s
	if s.link.Outstanding() > 0 || s.link.Status() != StatusIdle || s.link.MidMessage() {
		return
	}
	sv, unread := s.server, 0
	for _, msg := range wholeMessages(s.toServer[s.taken:]) {
		if !isCopy(msg[0]) && msg[0] != pgwire.KindFlush { // late, and without effect
			unread++
		}
	}
	if unread > 0 || sv.status != StatusIdle || sv.ignoring || sv.copying != 0 || len(sv.dirty) > 0 {
		m.t.Fatalf("a server that seems to rest is at work: %+v; sent %q", sv, s.toServer)
	}
}

// settled holds what is true when nothing moves any more.
func (m *relayModel) settled() {
	s := m.s
	m.check()
	if m.heard != m.params {
		m.t.Fatalf("%d of %d parameters were heard", m.heard, m.params)
	}
	if !m.certain() {
		return
	}
	if !bytes.Equal(sure(m.want), sure(s.got)) {
		m.t.Fatalf("the client got  %q\nand should have %q", s.got, m.want)
	}
	if s.server == nil || s.link.Pinned() != event.PinNone {
		return
	}
	if s.server.status != StatusIdle || s.server.copying != 0 || s.server.ignoring || s.look().since.batch {
		return
	}
	m.t.Fatalf("the server is idle, but the unit has not ended (%d outstanding); sent %q", s.link.Outstanding(), s.toServer)
}

// requests draws what a client may send.
func requests(t *rapid.T) (list [][]byte) {
	texts := []string{
		"select 1", "select 1", insert, "begin", "commit", "rollback", "select 1/0", "", "copy t from stdin", "copy t to stdout", "savepoint a",
		"rollback to a", "select 1; select 2", "insert into t values (1); commit; select 1", "copy t from stdin; select 1", "copy guarded from stdin", "call p()", "broken",
	}
	text := func() string { return rapid.SampledFrom(texts).Draw(t, "text") }
	name := func() string { return rapid.SampledFrom([]string{"", "", "a", "a", "b", "c", "pgr1"}).Draw(t, "name") }
	for range rapid.IntRange(1, 20).Draw(t, "requests") {
		var m []byte
		switch rapid.IntRange(0, 13).Draw(t, "request") {
		case 0, 1:
			m = query(text())
		case 2:
			m = join(unnamedRun(text()), syncMsg())
		case 3:
			m = parse(name(), text())
		case 4:
			m = bindTo(name(), name())
		case 5:
			m = describe(rapid.SampledFrom([]byte("SP")).Draw(t, "target"), name())
		case 6, 7:
			m = execute(name(), uint32(rapid.IntRange(0, 2).Draw(t, "limit")))
		case 8:
			m = closeOf(rapid.SampledFrom([]byte("SP")).Draw(t, "target"), name())
		case 9:
			m = syncMsg()
		case 10:
			m = flush()
		case 11:
			m = functionCall
		case 12:
			m = rapid.SampledFrom([][]byte{copyDone, copyFail}).Draw(t, "end")
		case 13:
			m = rapid.SampledFrom([][]byte{copyData, badData, longData, longBad}).Draw(t, "data")
		}
		list = append(list, m)
	}
	if rapid.Bool().Draw(t, "leaves") {
		return append(list, pgwire.AppendTerminate(nil))
	}
	return append(list, copyDone, syncMsg(), query("rollback"))
}

var (
	badData  = []byte{'d', 0, 0, 0, 6, '!', '\n'}
	longData = append([]byte{'d', 0, 0, 0x80, 4}, make([]byte, 2*holdLimit)...)
	longBad  = append([]byte{'d', 0, 0, 0x80, 4, '!'}, make([]byte, 2*holdLimit-1)...)
)

// TestAnySessionReceivesWhatIsItsOwn lets clients send what they like, in pieces of any size and any order of steps, with
// servers that change at the ends of units, say things unasked and give up a COPY by themselves.
func TestAnySessionReceivesWhatIsItsOwn(t *testing.T) { rapid.Check(t, anySession) }

// FuzzAnySession is the same, led by coverage.
func FuzzAnySession(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anySession)) }

func anySession(t *rapid.T) {
	stream := requests(t)
	s := newCutSession(cutSetting{
		standby: rapid.Bool().Draw(t, "standby"), session: rapid.Bool().Draw(t, "session"), prelude: rapid.Bool().Draw(t, "prelude"),
	})
	s.evicts = rapid.Bool().Draw(t, "evicts")
	m := &relayModel{t: t, s: s}
	s.link.Observer, s.released, s.shows = m, m.released, true
	for i, msg := range stream {
		for len(msg) > 0 {
			n := len(msg)
			if rapid.Bool().Draw(t, fmt.Sprintf("cut %d", i)) {
				n = rapid.IntRange(1, len(msg)).Draw(t, "piece")
			}
			s.feed(msg[:n])
			msg = msg[n:]
			m.check()
			m.some()
		}
	}
	for range 50 {
		s.feed(nil)
		for m.read() {
		}
		m.arrive(len(s.unsaid))
	}
	if !m.over {
		m.settled()
		m.compare(stream)
	}
}

// some lets a few steps happen.
func (m *relayModel) some() {
	for range rapid.IntRange(0, 4).Draw(m.t, "steps") {
		switch rapid.IntRange(0, 5).Draw(m.t, "step") {
		case 0:
			m.aside()
		case 1, 2:
			m.read()
		default:
			m.arrive(rapid.IntRange(0, len(m.s.unsaid)).Draw(m.t, "arrives"))
		}
	}
}

// compare holds that it was as with one server of the client's own.
func (m *relayModel) compare(stream [][]byte) {
	if !m.certain() {
		return
	}
	direct := newTruth(m.s.setting.standby, nil, nil)
	delete(direct.statements, "")
	var said []byte
	for _, msg := range wholeMessages(join(stream...)) {
		if msg[0] == pgwire.KindTerminate {
			break
		}
		said = append(said, direct.take(msg)...)
	}
	if !bytes.Equal(synchronous(m.s.got), said) {
		m.t.Fatalf("stream %q\ndirect  %q\nrelayed %q", stream, said, m.s.got)
	}
	if durable, _ := m.s.effects(); len(durable) != len(direct.durable) {
		m.t.Fatalf("stream %q\ndirect  %q\nrelayed %q", stream, direct.durable, durable)
	}
}
