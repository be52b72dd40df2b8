package relay

import (
	"testing"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/pgwire"
)

// TestAPromotionIsKnownUntilTheNextServer: a server that was in hot standby when it was linked says that it is not any more.
func TestAPromotionIsKnownUntilTheNextServer(t *testing.T) {
	promotion := pgwire.AppendParameterStatus(nil, "in_hot_standby", "off")
	for standby, want := range map[bool]bool{false: false, true: true} {
		l := linked(t, standby, event.PinNone, query("select 1"))
		if l.Promoted() {
			t.Errorf("standby %v: promoted before a word of it", standby)
		}
		l.FromServer(promotion)
		if l.Promoted() != want {
			t.Errorf("standby %v: promoted %v", standby, l.Promoted())
		}
		l.Detach()
		l.Attach(true, event.PinNone)
		if l.Promoted() {
			t.Errorf("standby %v: the next server is promoted as well", standby)
		}
	}
}
