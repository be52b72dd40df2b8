package relay

import (
	"github.com/pgrouter/pgrouter/state"
)

// PreparedLimit is how many statements one server keeps where nobody says otherwise.
const PreparedLimit = 200

// Prepared is what one server has prepared, whoever's it is. It goes from link to link with its server. Its zero value is that of a
// new server. Ownership: who has the server.
type Prepared struct {
	Limit int // how many statements the server keeps; 0: PreparedLimit

	held           map[*state.Statement]*held
	newest, oldest *held // by use
	leaving        int   // those for which a Close is outstanding

	sql *state.Preparations // what SQL has prepared there
}

// held is one statement on one server.
type held struct {
	statement    *state.Statement
	there        tentative[bool]
	shape        shape  // as far as it is known
	asked        uint32 // how many Describes of it are not answered
	warned       bool   // the server had something to say of it when it parsed it
	newer, older *held
}

// Len returns how many statements the server has, or is about to have.
func (p *Prepared) Len() int { return len(p.held) }

// Forget notes that the server has dropped all of its statements. Those that were sent behind that are to come.
func (p *Prepared) Forget() {
	p.sql = nil
	for _, h := range p.held {
		h.there.now = false
		p.settled(h)
	}
}

// find returns a statement that the server has or is about to have, nil when it has not, and notes that it is used.
func (p *Prepared) find(s *state.Statement) *held {
	if p.newest != nil && p.newest.statement == s {
		return p.newest
	}
	h := p.held[s]
	if h != nil {
		p.unlink(h)
		p.link(h)
	}
	return h
}

// add returns the place of a statement that the server is about to get.
func (p *Prepared) add(s *state.Statement) *held {
	if h := p.find(s); h != nil {
		return h
	}
	if p.held == nil {
		p.held = make(map[*state.Statement]*held)
	}
	h := &held{statement: s}
	p.held[s] = h
	p.link(h)
	return h
}

// limit returns how many statements the server keeps.
func (p *Prepared) limit() int {
	if p.Limit <= 0 {
		return PreparedLimit
	}
	return p.Limit
}

// surplus returns the statement that has not been used for longest, when there is no room for another one; else nil. One that is
// about to come or to go is none.
func (p *Prepared) surplus() *held {
	if len(p.held)-p.leaving < p.limit() {
		return nil
	}
	h := p.oldest
	for h != nil && h.there.unsettled > 0 {
		h = h.newer
	}
	return h
}

// settled forgets a statement that the server does not have and is not about to get.
func (p *Prepared) settled(h *held) {
	if !h.there.now && h.there.unsettled == 0 && p.held[h.statement] == h {
		delete(p.held, h.statement)
		p.unlink(h)
	}
}

func (p *Prepared) link(h *held) {
	h.newer, h.older = nil, p.newest
	if p.newest == nil {
		p.oldest = h
	} else {
		p.newest.newer = h
	}
	p.newest = h
}

func (p *Prepared) unlink(h *held) {
	if h.newer == nil {
		p.newest = h.older
	} else {
		h.newer.older = h.older
	}
	if h.older == nil {
		p.oldest = h.newer
	} else {
		h.older.newer = h.newer
	}
	h.newer, h.older = nil, nil
}
