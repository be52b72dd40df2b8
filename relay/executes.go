package relay

import "github.com/pgrouter/pgrouter/state"

// What a text does by running what SQL has prepared: an EXECUTE says nothing of it itself.

// runsPrepared notes what a Query does that runs what SQL has prepared.
func (l *Link) runsPrepared(text []byte, whole bool) {
	if !l.runsOthers() {
		return
	}
	what := l.executing(text, whole)
	l.pinsFor(what.pins)
	l.unit.frees = l.unit.frees || what.frees
	l.touch(what.touched)
}

// executing returns what a text does by running what SQL has prepared, as far as its words tell. Where they tell no name it may be all.
func (l *Link) executing(text []byte, whole bool) (d does) {
	if !l.runsOthers() || whole && !state.Executes(text) {
		return does{}
	}
	d.pins = l.unit.later
	named := false
	if whole {
		for _, use := range state.PreparedUses(text) {
			if what, ok := l.sql.mine.Find(use.Name); ok {
				d.runs(what.Statement)
				named = true
			}
		}
	}
	if !named {
		for _, what := range l.sql.mine.All() {
			d.runs(what.Statement)
		}
	}
	return d
}

// runs adds what a statement does that SQL has prepared.
func (d *does) runs(st *state.Statement) {
	d.pins = d.pins.With(st.Class().Later)
	d.frees = d.frees || st.Class().Frees
	d.touched = bothTouched(d.touched, st.Touched())
}

// and returns what two texts do.
func (d does) and(e does) does {
	e.pins = d.pins | e.pins
	e.later = d.later | e.later
	e.frees = d.frees || e.frees
	e.mayEnd, e.writes, e.recalls = d.mayEnd || e.mayEnd, d.writes || e.writes, d.recalls || e.recalls
	e.sets = d.sets || e.sets
	e.touched = bothTouched(d.touched, e.touched)
	return e
}

// bothTouched returns the settings that one of two texts touches. Neither is changed: they may be a statement's.
func bothTouched(a, b *state.Touched) *state.Touched {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	touched := new(state.Touched)
	touched.Add(a)
	touched.Add(b)
	return touched
}
