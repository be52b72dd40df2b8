package pool

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// states returns what Servers says of each: state, whose, and whether it is retiring.
func states(w *world) (all []string) {
	for _, s := range w.pool.Servers() {
		text := s.State
		if s.Client != 0 {
			text += " by " + string(rune('0'+s.Client))
		}
		if s.Retiring {
			text += ", retiring"
		}
		all = append(all, text)
	}
	return all
}

func TestServersTellWhoHasThem(t *testing.T) {
	w, c := opened(t, 2, 1, 2)
	c[0].waiter.Client, c[1].waiter.Client = 1, 2
	look := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, states(w)); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	c[0].acquire()
	w.dialAll()
	look("granted to who waited", "linked by 1")
	c[1].acquire()
	c[0].release(Clean)
	look("promised to another loop", "linked by 2")
	w.runTasks()
	look("arrived there", "linked by 2")
	c[1].release(Clean)
	look("on the shelf", "idle")
	w.elapse(3 * time.Second)
	c[0].acquire()
	c[0].giveUp()
	look("on the way to nobody", "linked")
	w.runTasks()
	look("back on the shelf", "idle")
	c[0].acquire()
	w.runTasks()
	c[0].release(Clean)
	c[0].acquire()
	look("granted at once", "linked by 1")
	if s := w.pool.Servers()[0]; s.ID != 1 || s.Node != "a" || s.For != 0 {
		t.Errorf("%+v", s)
	}
	c[0].server.Retire()
	look("not to be used again", "linked by 1, retiring")
	c[0].release(Dirty)
	look("closed")
}
