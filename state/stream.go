package state

import "github.com/pgrouter/pgrouter/event"

// Stream judges a query string that comes in pieces, as Classify does with the whole of one, wherever it is cut. It keeps a few
// hundred bytes of it at most: of a string without code in it nothing. The zero value is at the beginning of a text.
type Stream struct {
	texts  [3]text // by reading; only the first until they disagree
	parted bool
}

// Read reads the next piece of the text.
func (s *Stream) Read(piece []byte) {
	if !s.parted {
		n, parting := s.texts[0].read(0, piece)
		if !parting {
			return
		}
		piece = piece[n:]
		s.part()
	}
	for i := range s.texts {
		s.texts[i].read(0, piece)
	}
}

// part lets the readings go on their own, each from here.
func (s *Stream) part() {
	s.parted = true
	s.texts[1], s.texts[2] = s.texts[0], s.texts[0]
	for i, how := range [...]reading{readStandard, readEscapes, readPlain} {
		for depth := range s.texts[i].levels {
			s.texts[i].levels[depth].lexer.how = how
		}
	}
}

// Pin returns what the text leaves on the server, as far as it has been read.
func (s *Stream) Pin() event.PinReason {
	return firstPin(s.texts[0].pin, firstPin(s.texts[1].pin, s.texts[2].pin))
}

// End returns what the text means now that all of it has been read.
func (s *Stream) End() Class {
	c := s.texts[0].end()
	if s.parted {
		c = worst(c, worst(s.texts[1].end(), s.texts[2].end()))
	}
	return c
}

// ReadOnly reports whether the text was read-only, see the function ReadOnly; after End.
func (s *Stream) ReadOnly() bool {
	writes := false
	for i := range s.texts {
		writes = writes || s.texts[i].levels[0].judge.writes
	}
	return !writes
}

// text is one reading of a text: of itself, of the code in a DO's string, and of the strings in that code, which may be given to
// EXECUTE.
type text struct {
	levels [3]level
	pin    event.PinReason
	later  event.PinReason // for which what it prepares pins when it is executed
}

// level is what reads one of them.
type level struct {
	lexer lexer
	judge judge
}

// read reads a piece at one level, and what stands in its strings one level deeper. It stops where the readings part, and
// returns how much it has used.
func (x *text) read(depth int, piece []byte) (used int, parting bool) {
	lex := &x.levels[depth].lexer
	for used < len(piece) {
		n, t := lex.next(piece[used:])
		used += n
		switch t.kind {
		case tokenNone:
			return used, false
		case tokenParting:
			return used, true
		default:
			x.take(depth, t)
		}
		if lex.inside && lex.how == readUndecided { // code is rare: it need not part from inside
			return used, true
		}
	}
	return used, false
}

// take gives a token to the judge of its level, or a piece of a string to the level below.
func (x *text) take(depth int, t token) {
	at := &x.levels[depth]
	switch t.kind {
	case tokenInside:
		x.read(depth+1, t.text)
		return
	case tokenEnd:
		x.finish(depth + 1)
		return
	case tokenString:
		if at.lexer.inside {
			x.levels[depth+1] = level{lexer{how: at.lexer.how, inside: depth == 0}, judge{code: true}}
		}
	default:
	}
	prepared := at.judge.first == kwPrepare
	x.note(at.judge.take(t), prepared)
	if depth == 0 {
		at.lexer.inside = at.judge.first == kwDo
	}
}

// finish ends what is read at a level.
func (x *text) finish(depth int) {
	at := &x.levels[depth]
	for t := at.lexer.end(); t.kind != tokenNone; t = at.lexer.end() {
		x.take(depth, t)
	}
	prepared := at.judge.first == kwPrepare
	x.note(at.judge.endStatement(), prepared)
}

// note notes for what a statement pins: now, or when it is executed. What cannot be read may be more than it.
func (x *text) note(why event.PinReason, prepared bool) {
	if prepared && why != event.PinUncertain {
		x.later = firstPin(x.later, why)
		return
	}
	x.pin = firstPin(x.pin, why)
}

func (x *text) end() Class {
	x.finish(0)
	c := x.levels[0].judge.class()
	c.Pin, c.Later = x.pin, x.later
	return c
}
