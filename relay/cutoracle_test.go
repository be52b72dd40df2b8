package relay

import (
	"bytes"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// cutView is what is true of a session at the moment its server is lost, found out without asking the link: from the bytes
// that passed, and from a server of the model that reads everything that was sent.
type cutView struct {
	linked  bool
	standby bool
	pinned  bool
	torn    bool // the client has a message in part
	upTorn  bool // a message of the client's was passed on in part
	seen    bool // the client has seen something of this unit's answer
	block   byte // the transaction status that the client was told last
	all     bool // everything sent was answered, and the answer passed on
	since   sinceZ
	unit    sinceZ // the same for the whole unit
	lasting bool   // since the client was last told a status, something may have become durable
}

// sinceZ is what was sent behind the last request whose ReadyForQuery the client has been given.
type sinceZ struct {
	batch   bool // an extended batch that has no Sync yet
	run     int  // Query, Execute and FunctionCall
	ran     int  // statements that were really run, if the server read everything
	several bool // several statements in one Query
	outside bool // CALL, DO, COPY, FunctionCall
	ended   int  // statements run that may end a block
	mention bool // a text that may end a block was sent, or something in part
	writes  bool // a text that may change the database was sent to be run, or something in part
	wrote   int  // statements run that may change the database
}

// look finds out what is true. The history is the one in which the server did as much as it can have done.
func (s *cutSession) look() cutView {
	v := cutView{linked: s.server != nil, standby: s.setting.standby, block: StatusIdle}
	if !v.linked {
		return v
	}
	told := append(bytes.Clone(s.got[s.gotHere:]), s.held...)
	v.seen = len(s.got) > s.gotUnit
	v.standby = v.standby && !bytes.Contains(told, promotion)
	zs, rest := 0, told
	for _, m := range wholeMessages(told) {
		if m[0] == pgwire.KindReadyForQuery {
			zs++
			v.block = m[pgwire.HeaderLen]
		}
		rest = rest[len(m):]
	}
	v.torn = len(rest) > 0
	s.history(&v, zs)
	return v
}

// history runs everything that was sent through a server of the model.
func (s *cutSession) history(v *cutView, zs int) {
	ref := s.reference()
	if s.setting.prelude {
		zs++
	}
	durable, ended, ran, wrote, length := len(ref.durable), 0, 0, 0, 0
	names := newTruth(false, nil, nil) // what would be bound if nothing failed
	delete(names.statements, "")
	sent := s.toServer
	for _, m := range wholeMessages(s.toServer) {
		if len(s.toServer)-len(sent) == s.unit {
			v.unit = sinceZ{}
		}
		was := ref.zs
		v.since.note(m, ref, names)
		v.unit.note(m, ref, names)
		length += len(ref.take(m))
		sent = sent[len(m):]
		if ref.zs > was && ref.zs <= zs { // the client knows all of it
			v.since, durable, ended, ran, wrote = sinceZ{}, len(ref.durable), ref.enders, ref.ran, ref.writers
		}
	}
	late := ref.copying == 0 && !v.since.batch && length == s.given
	v.upTorn = len(sent) > 0
	v.all = length == s.given && len(s.down) == 0 && (!v.upTorn || late && sent[0] == pgwire.KindCopyData) && ref.copying == 0
	if v.upTorn && v.all {
		v.upTorn = false
	}
	v.since.mention = v.since.mention || v.upTorn
	v.unit.writes = v.unit.writes || v.upTorn
	v.since.ended, v.since.ran, v.since.wrote = ref.enders-ended, ref.ran-ran, ref.writers-wrote
	v.lasting = len(ref.durable) > durable
	v.pinned = s.link.Pinned() == event.PinUncertain || s.keepsState()
}

// keepsState reports whether something was sent whose effect stays with the server.
func (s *cutSession) keepsState() bool {
	for i, m := range wholeMessages(s.toServer[s.free:]) {
		switch {
		case i == 0 && s.setting.prelude && s.free == 0:
		case m[0] == pgwire.KindQuery && bytes.Contains(m, []byte("listen")):
			return true
		case m[0] == pgwire.KindParse && m[pgwire.HeaderLen] == 0 && bytes.Contains(m, []byte("listen")):
			return true
		}
	}
	return false
}

// note reads one message that was sent, for a server as it is and for one on which everything before succeeded.
func (z *sinceZ) note(m []byte, ref, names *truth) {
	body := m[pgwire.HeaderLen:]
	switch m[0] {
	case pgwire.KindQuery:
		z.run++
		z.batch = false
		z.text(string(body[:len(body)-1]))
	case pgwire.KindParse:
		name, rest, _ := bytes.Cut(body, []byte{0})
		text, _, _ := bytes.Cut(rest, []byte{0})
		names.statements[string(name)] = string(text)
		z.batch = true
		outside, writes := z.outside, z.writes
		z.text(string(text))
		z.outside, z.writes = outside, writes // it is not run yet
	case pgwire.KindBind:
		name, rest, _ := bytes.Cut(body, []byte{0})
		statement, _, _ := bytes.Cut(rest, []byte{0})
		z.batch = true
		z.writes = z.writes || unknown(string(statement), names, ref)
		z.text(names.statements[string(statement)])
		z.text(ref.statements[string(statement)])
		names.portals[string(name)] = &portal{text: names.statements[string(statement)]}
	case pgwire.KindExecute:
		name, _, _ := bytes.Cut(body, []byte{0})
		z.batch = true
		z.run++
		for _, on := range []*truth{ref, names} {
			if p := on.portals[string(name)]; p != nil {
				z.text(p.text)
			}
		}
	case pgwire.KindDescribe, pgwire.KindClose:
		z.batch = true
	case pgwire.KindFunctionCall:
		z.run++
		z.outside, z.writes = true, true
	case pgwire.KindCopyData, pgwire.KindCopyDone, pgwire.KindCopyFail:
		z.outside, z.writes = true, true
	case pgwire.KindSync:
		z.batch = z.batch && ref.copying != 0 // a COPY reads over it
	}
}

// unknown reports whether nobody has prepared what is bound: it is not known what it would do.
func unknown(statement string, names, ref *truth) bool {
	_, prepared := names.statements[statement]
	_, there := ref.statements[statement]
	return statement != "" && !prepared && !there
}

func (z *sinceZ) text(text string) {
	z.several = z.several || len(acts[text]) > 1
	for _, a := range acts[text] {
		z.outside = z.outside || a == actProcedure || a == actCopyIn || a == actCopyRefused || a == actCopyOut || a == actCopyProgram
		z.mention = z.mention || a.mayEndBlock()
		z.writes = z.writes || !a.reads()
	}
}

// permits returns what the contract's table lets be done. More than one outcome: the table leaves it open.
func (v cutView) permits(loss Loss) []Outcome {
	quiet := v.all && !v.since.batch && v.since.run == 0
	switch {
	case !v.linked:
		return []Outcome{Unaffected}
	case v.torn: // "a message partly forwarded: close"
		return []Outcome{CloseSilently}
	case quiet && v.block == StatusIdle && v.pinned: // "pinned session whose server is gone"
		return []Outcome{PinnedLost}
	case quiet && v.block == StatusIdle: // "idle client, its node goes away: nothing"
		return []Outcome{Unaffected}
	case quiet: // in a block
		return []Outcome{TransactionLost}
	case v.whole(loss) && !loss.Accepted: // "unit of which no byte was accepted by a server's socket: re-queued"
		return []Outcome{Requeue}
	case v.whole(loss) && v.standby && v.mayRunTwice(loss): // "one autocommit statement, sent to a server in hot standby …"
		return []Outcome{Replay}
	case v.standby && !v.unit.writes: // it cannot have committed anything
		return []Outcome{TransactionLost}
	case v.standby && v.since.wrote == 0: // nor here, but what was read over may be held to be under way
		return append(v.permitsOnPrimary(), TransactionLost)
	}
	return v.permitsOnPrimary()
}

// permitsOnPrimary is the part of the table for a server that may have committed something: a standby too, to which something
// was sent that writes, because it may have been promoted.
func (v cutView) permitsOnPrimary() []Outcome {
	switch {
	case v.block != StatusIdle && v.since.ended > 0:
		return []Outcome{OutcomeUnknown}
	case v.block != StatusIdle && v.since.mention:
		return []Outcome{OutcomeUnknown, TransactionLost}
	case v.block != StatusIdle: // "every statement since begins with a keyword that cannot end a transaction"
		return []Outcome{TransactionLost}
	case v.pinned && v.all && v.since.run == 0:
		return []Outcome{PinnedLost, TransactionLost, OutcomeUnknown}
	case v.since.ran == 0 || v.since.batch: // nothing was run, or nothing committed for want of a Sync
		return []Outcome{OutcomeUnknown, TransactionLost}
	default: // "anything else unanswered on a writable node"
		return []Outcome{OutcomeUnknown}
	}
}

// whole reports whether the unit can be sent again at all: all of it is at hand, none of its answer was seen, and it needs
// nothing that only this server had.
func (v cutView) whole(loss Loss) bool {
	return loss.Kept && !v.pinned && !v.seen && !v.upTorn && v.block == StatusIdle
}

// mayRunTwice reports whether a standby may be asked again: a single read, for the first time.
func (v cutView) mayRunTwice(loss Loss) bool {
	return !loss.Replayed && !loss.NoReplay && v.unit.run <= 1 && !v.unit.several && !v.unit.outside && !v.unit.writes
}
