package pool

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/routing"
)

func TestWhatIsOnItsWayToALostPrimaryIsTakenBack(t *testing.T) {
	for name, tc := range map[string]struct {
		lose func(w *world)
		want bool
	}{
		"another primary is proven": {want: true, lose: func(w *world) {
			w.publish(w.picture("b", 1, 2))
			w.pool.Cut(testCluster, "a", event.CutNodeGone)
			w.runTasks()
		}},
		"nobody is, and the client leaves":          {want: true, lose: func(w *world) { w.publish(w.picture("", 1, 1)) }},
		"all is well, and the client leaves":        {lose: func(*world) {}},
		"the primary is about to be moved in order": {lose: func(w *world) { w.pool.Hold(testCluster, event.HoldSwitchover) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, routing.Primary, 1, Defaults())
			w.publish(w.picture("a", 1, 1))
			c := w.newClient(0)
			c.acquire()
			w.dialAll()
			x := w.wires[0]
			tc.lose(w)
			if c.server != nil { // a client whose server is cut has let go of it
				c.release(Broken)
			}
			if !x.closed || x.aborted != tc.want {
				t.Errorf("closed %v, aborted %v; want %v", x.closed, x.aborted, tc.want)
			}
		})
	}
}
