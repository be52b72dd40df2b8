package topology

import (
	"strings"
	"testing"
)

// TestAlarmsOfClustersWithADCS says what operators are told. The stories are those of the tables.
func TestAlarmsOfClustersWithADCS(t *testing.T) {
	const steady = "a primary 1, b standby 1, dcs a, agent a leads, agent b follows\n"
	for story, want := range map[string]string{
		steady: "",
		// The DCS is silent: what of the writes?
		steady + "pass 11s\n a primary 1, b standby 1, agent a leads": "a stays primary as long as its own Patroni says that it leads; no other node is opened before the DCS is heard again",
		steady + "pass 11s\n a primary 1, b standby 1, agent a fails": "the DCS is silent: no node is opened before it is heard again; writes are held",
		// The leader key and SQL disagree: not at once, a promotion takes its time.
		steady + "a standby 1, b standby 1, dcs b": "",
		steady + "a standby 1, b standby 1, dcs b\n wait 2500ms\n a standby 1, b standby 1, dcs b\n wait 2500ms\n a standby 1, b standby 1, dcs b":    "the leader key names b, but SQL says that it is a standby; writes are held",
		steady + "a standby 1, b readonly 1, dcs b\n wait 2500ms\n a standby 1, b readonly 1, dcs b\n wait 2500ms\n a standby 1, b readonly 1, dcs b": "the leader key names b, but SQL says that it is read-only (default_transaction_read_only); writes are held",
		steady + "a standby 1, b refused, dcs b\n wait 2500ms\n a standby 1, b refused, dcs b\n wait 2500ms\n a standby 1, b refused, dcs b":          "the leader key names b, but SQL says that it is down (refused); writes are held",
		steady + "a standby 1, b standby 1, dcs x\n wait 2500ms\n a standby 1, b standby 1, dcs x\n wait 2500ms\n a standby 1, b standby 1, dcs x":    "the leader key names x, which is no node of this router; writes are held",
		steady + "a primary 1, b standby 1, dcs -\n wait 2500ms\n a primary 1, b standby 1, dcs -":                                                    "a is writable, but the DCS names nobody; writes are held",
	} {
		s := taleWith(t, dcsLimits, "a", "b")
		s.tell(story)
		if alarm := s.state.Snapshot().Alarm; !strings.Contains(alarm, want) || (alarm == "") != (want == "") {
			t.Errorf("%s\n the alarm: %q\n it has not: %q", story, alarm, want)
		}
	}
}
