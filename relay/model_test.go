package relay

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// server is a naive PostgreSQL: whole messages in, answers out, in order. It knows what the protocol chapter and postgres.c
// say of transaction status, of reading over everything until Sync, of COPY, and of the unnamed statement.
type server struct {
	status   byte
	ignoring bool
	copying  byte // 0, or the kind of message that began the COPY
	named    map[string]string
	unnamed  string  // text of the unnamed statement, "" when there is none
	portal   *string // text of the unnamed portal: it ends with its transaction, and with a simple Query
	out      []byte
}

func newServer() *server { return &server{status: StatusIdle, named: map[string]string{}} }

func (s *server) emit(b []byte) { s.out = append(s.out, b...) }

func (s *server) ready() {
	if s.status == StatusIdle {
		s.portal = nil
	}
	s.out = pgwire.AppendReadyForQuery(s.out, s.status)
}

func (s *server) fail(code string) {
	if s.status != StatusIdle {
		s.status = StatusFailed
	}
	s.out = pgwire.AppendError(s.out, &pgwire.Error{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "no"})
}

func (s *server) message(kind byte, body []byte) {
	if s.copying != 0 {
		s.messageInCopy(kind)
		return
	}
	switch kind {
	case pgwire.KindCopyData, pgwire.KindCopyDone, pgwire.KindCopyFail, pgwire.KindFlush:
		return
	case pgwire.KindSync:
		s.ignoring = false
		s.ready()
		return
	}
	if s.ignoring {
		return
	}
	switch kind {
	case pgwire.KindQuery:
		s.unnamed, s.portal = "", nil
		if s.run(string(body[:len(body)-1]), 'Q') {
			s.ready()
		}
	case pgwire.KindFunctionCall:
		s.emit([]byte{'V', 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff})
		s.ready()
	default:
		s.extended(kind, body)
	}
}

func (s *server) messageInCopy(kind byte) {
	began := s.copying
	switch kind {
	case pgwire.KindCopyData, pgwire.KindSync, pgwire.KindFlush:
		return
	case pgwire.KindCopyDone:
		s.copying = 0
		s.out = pgwire.AppendCommandComplete(s.out, "COPY 0")
	default:
		s.copying = 0
		s.fail("57014")
		s.ignoring = began == 'E'
	}
	if began == 'Q' {
		s.ready()
	}
}

func (s *server) extended(kind byte, body []byte) {
	switch kind {
	case pgwire.KindParse:
		name, rest, _ := cutString(body)
		text, _, _ := cutString(rest)
		if _, taken := s.named[string(name)]; taken || s.status == StatusFailed && string(text) != "rollback" && len(text) > 0 {
			s.fail("42P05")
			s.ignoring = true
			return
		}
		if string(text) == "broken" {
			if len(name) == 0 {
				s.unnamed = ""
			}
			s.fail("42601")
			s.ignoring = true
			return
		}
		if len(name) == 0 {
			s.unnamed = string(text)
		} else {
			s.named[string(name)] = string(text)
		}
		s.out = pgwire.AppendParseComplete(s.out)
	case pgwire.KindBind, pgwire.KindDescribe:
		_, rest, _ := cutString(body)
		name := rest
		if kind == pgwire.KindDescribe {
			name = body[1:]
		}
		text := s.unnamed
		n, _, _ := cutString(name)
		named := len(n) > 0
		if named {
			text, named = s.named[string(n)]
		}
		if text == "" && !named {
			s.fail("26000")
			s.ignoring = true
			return
		}
		if kind == pgwire.KindDescribe {
			s.out = pgwire.AppendParameterDescription(s.out, nil)
			s.out = pgwire.AppendNoData(s.out)
			return
		}
		s.portal = &text
		s.out = pgwire.AppendBindComplete(s.out)
	case pgwire.KindExecute:
		if s.portal == nil {
			s.fail("34000")
			s.ignoring = true
			return
		}
		s.run(*s.portal, 'E')
	case pgwire.KindClose:
		if len(body) == 2 && body[0] == pgwire.TargetStatement {
			s.unnamed = ""
		}
		delete(s.named, string(body[1:len(body)-1]))
		s.out = pgwire.AppendCloseComplete(s.out)
	}
}

// run executes a text. It returns false when a COPY FROM has begun.
func (s *server) run(text string, began byte) bool {
	switch {
	case text == "":
		s.out = pgwire.AppendEmptyQueryResponse(s.out)
	case text == "error" || s.status == StatusFailed && text != "rollback":
		s.fail("22012")
		s.ignoring = began == 'E'
	case text == "begin":
		s.status = StatusInTransaction
		s.out = pgwire.AppendCommandComplete(s.out, "BEGIN")
	case text == "commit", text == "rollback":
		s.status = StatusIdle
		s.out = pgwire.AppendCommandComplete(s.out, "COMMIT")
	case text == "copy in":
		s.copying = began
		s.emit([]byte{'G', 0, 0, 0, 7, 0, 0, 0})
		return false
	case text == "copy out":
		s.emit([]byte{'H', 0, 0, 0, 7, 0, 0, 0, 'd', 0, 0, 0, 5, 'x', 'c', 0, 0, 0, 4})
		s.out = pgwire.AppendCommandComplete(s.out, "COPY 1")
	default:
		if began == 'Q' {
			s.out = pgwire.AppendRowDescription(s.out, []string{"text"})
		}
		s.emit([]byte{'N', 0, 0, 0, 5, 0})
		s.out = pgwire.AppendDataRow(s.out, []string{text})
		s.out = pgwire.AppendCommandComplete(s.out, "SELECT 1")
	}
	return true
}

const StatusInTransaction = StatusBlock

// harness runs a client's stream through a Link to servers that change at the end of units.
type harness struct {
	t       *rapid.T
	link    Link
	servers [2]*server

	prepared [2]Prepared
	at       int
	stream   [][]byte
	pending  []byte // from the client, not used yet
	toSrv    []byte // forwarded, not processed
	fromSrv  []byte // answered, not relayed
	got      []byte // what the client has received
	refused  bool
	sent     bool // something of a unit is under way
}

func (h *harness) Parameter(name, value []byte) {}
func (h *harness) ReadOnly() bool               { return false }
func (h *harness) Stray()                       {}

// client offers what is pending to the link.
func (h *harness) client() {
	for len(h.pending) > 0 {
		v := h.next()
		h.toSrv = append(h.toSrv, h.pending[:v.N]...)
		h.pending = h.pending[v.N:]
		switch v.Verb {
		case More:
			return
		case Drop:
			h.pending = h.pending[v.Skip:]
		case Insert:
			h.toSrv = append(h.toSrv, h.link.Insertion(nil)...)
		case Replace:
			h.toSrv = append(h.toSrv, h.link.Replacement()...)
			h.pending = h.pending[v.Skip:]
		case Full:
			return // until the server has answered
		case UnitEnd:
			h.unitEnd()
		case Start:
			h.link.Prepared = &h.prepared[h.at]
			h.link.Attach(false, event.PinNone)
			h.sent = true
		case Refuse:
			h.refused = true // a request in the middle of a COPY
			return
		default:
			h.t.Fatalf("verdict %+v", v)
		}
	}
}

func (h *harness) next() Verdict {
	if !h.link.Linked() {
		return h.link.Begin(h.pending)
	}
	return h.link.FromClient(h.pending)
}

// serve lets the server process every whole message that it has.
func (h *harness) serve() {
	s := h.servers[h.at]
	for {
		f, ok, err := pgwire.PeekFrame(h.toSrv)
		if err != nil {
			h.t.Fatal(err)
		}
		if !ok || f.Len > len(h.toSrv) {
			break
		}
		s.message(f.Kind, h.toSrv[pgwire.HeaderLen:f.Len])
		h.toSrv = h.toSrv[f.Len:]
	}
	h.fromSrv = append(h.fromSrv, s.out...)
	s.out = nil
}

// answer relays at most n bytes of what the server has said.
func (h *harness) answer(n int) {
	given := n
	for {
		v := h.link.FromServer(h.fromSrv[:n])
		h.got = append(h.got, h.fromSrv[:v.N]...)
		h.fromSrv = h.fromSrv[v.N+v.Skip:]
		n -= v.N + v.Skip
		switch v.Verb {
		case More:
			if n > 0 && given < len(h.fromSrv) {
				return // the rest of a message that is kept back
			}
			return
		case Drop:
		case Replace:
			h.got = append(h.got, h.link.Replacement()...)
		case UnitEnd:
			h.unitEnd()
			return
		default:
			h.t.Fatalf("verdict %+v before %q; stream %q, unread %q", v, h.fromSrv, h.stream, h.toSrv)
		}
	}
}

// unitEnd is where a server is given to somebody else: it must have nothing to do and nothing to say.
func (h *harness) unitEnd() {
	s := h.servers[h.at]
	for len(h.toSrv) > 0 && (isCopy(h.toSrv[0]) || h.toSrv[0] == pgwire.KindFlush) { // late, whole, and without effect
		f, _, _ := pgwire.PeekFrame(h.toSrv)
		h.toSrv = h.toSrv[f.Len:]
	}
	if s.status != StatusIdle || s.ignoring || s.copying != 0 || len(h.toSrv) > 0 || len(h.fromSrv) > 0 || h.link.MidMessage() {
		h.t.Fatalf("unit ended while the server is busy: %+v, unread %q, unsaid %q", s, h.toSrv, h.fromSrv)
	}
	h.sent = false
	if h.link.Pinned() != event.PinNone {
		h.link.NextUnit()
		return
	}
	h.link.Detach()
	if rapid.Bool().Draw(h.t, "swap") {
		h.at = 1 - h.at
		h.servers[h.at].unnamed = "stranger" // somebody else has used it
	}
}

// messages draws what a client may send; raw CopyData goes anywhere.
func messages(t *rapid.T) [][]byte {
	texts := []string{"select 1", "select 2", "begin", "commit", "rollback", "error", "", "copy in", "copy out"}
	text := func() string { return rapid.SampledFrom(texts).Draw(t, "text") }
	name := func() string { return rapid.SampledFrom([]string{"", "", "a", "b", "c", "pgr1"}).Draw(t, "name") }
	var out [][]byte
	for range rapid.IntRange(1, 25).Draw(t, "messages") {
		var m []byte
		switch rapid.IntRange(0, 11).Draw(t, "kind") {
		case 0, 1, 2:
			m = pgwire.AppendQuery(nil, text())
		case 3:
			m = pgwire.AppendParse(nil, name(), rapid.SampledFrom(append(texts, "broken")).Draw(t, "parse"), nil)
		case 4:
			m = pgwire.AppendBind(nil, "", name(), nil)
		case 5:
			m = pgwire.AppendDescribe(nil, 'S', name())
		case 6:
			m = pgwire.AppendExecute(nil, "", 0)
		case 7:
			m = pgwire.AppendSync(nil)
		case 8:
			m = pgwire.AppendClose(nil, 'S', name())
		case 9:
			m = []byte{'c', 0, 0, 0, 4}
		case 10:
			m = []byte{'d', 0, 0, 0, 6, 'x', 'y'}
			if rapid.Bool().Draw(t, "long") {
				m = append([]byte{'d', 0, 0, 0x80, 4}, make([]byte, 2*holdLimit)...)
			}
		case 11:
			m = pgwire.AppendFlush(nil)
		}
		out = append(out, m)
	}
	return append(out, []byte{'c', 0, 0, 0, 4}, pgwire.AppendSync(nil), pgwire.AppendQuery(nil, "rollback"))
}

// TestRelayedAnswersEqualDirectOnes is the differential model: whatever a client sends, cut anywhere and with servers swapped
// at the end of units, it receives byte for byte what one server of its own would have sent.
func TestRelayedAnswersEqualDirectOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := messages(t)
		direct := newServer()
		h := &harness{t: t, stream: stream, servers: [2]*server{newServer(), newServer()}}
		h.link.Observer = h
		h.prepared[0].Limit, h.prepared[1].Limit = 2, 2
		h.servers[0].unnamed = "stranger"
		for i, m := range stream {
			direct.message(m[0], m[pgwire.HeaderLen:])
			for len(m) > 0 {
				if len(m) > holdLimit {
					h.pending = append(h.pending, m[:holdLimit]...)
					m = m[holdLimit:]
					h.step(t)
				}
				n := rapid.IntRange(1, len(m)).Draw(t, fmt.Sprintf("cut of %d", i))
				h.pending = append(h.pending, m[:n]...)
				m = m[n:]
				h.step(t)
			}
		}
		h.drain()
		if hasCopyIn(stream) && (h.refused || h.link.Pinned() == event.PinUncertain) {
			return // a request was sent into a COPY: the server is closed afterwards, nothing is promised about order
		}
		if !bytes.Equal(direct.out, h.got) {
			t.Fatalf("stream %q\ndirect  %q\nrelayed %q", stream, direct.out, h.got)
		}
		if h.sent && h.link.Pinned() == event.PinNone {
			t.Fatalf("stream %q: the server is idle, but the unit has not ended (%d outstanding)", stream, h.link.Outstanding())
		}
	})
}

// step lets some of what is possible happen.
func (h *harness) step(t *rapid.T) {
	if h.refused {
		return
	}
	h.client()
	if rapid.Bool().Draw(t, "serve") {
		h.serve()
	}
	if n := len(h.fromSrv); n > 0 && h.link.Linked() {
		h.answer(rapid.IntRange(0, n).Draw(t, "answered"))
	}
}

// drain lets everything happen.
func (h *harness) drain() {
	for range 100 {
		if h.refused {
			return
		}
		h.client()
		h.serve()
		if len(h.fromSrv) > 0 && h.link.Linked() {
			h.answer(len(h.fromSrv))
		}
	}
}

// hasCopyIn reports whether the stream has a COPY FROM at all.
func hasCopyIn(stream [][]byte) bool {
	for _, m := range stream {
		if bytes.Contains(m, []byte("copy in")) {
			return true
		}
	}
	return false
}
