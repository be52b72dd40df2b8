package topology

import (
	"strings"
	"testing"
)

const wayOut = "run pgrouter accept-cluster --cluster main"

// TestTheAlarmNamesTheWayOutWhereOnlyTheFloorStandsInTheWay tells operators of accept-cluster then, and only then: it is the wrong advice
// for an old primary that is back while the new one is there.
func TestTheAlarmNamesTheWayOutWhereOnlyTheFloorStandsInTheWay(t *testing.T) {
	for story, told := range map[string]bool{
		"a primary 3, b standby 3\n a primary 1 sys 8 again, b standby 1 sys 8 again":                   true,  // another cluster
		"a primary 3, b standby 3\n a primary 2 again, b standby 2 again":                               true,  // restored to an older timeline
		"a primary 3, b standby 3\n a primary 4 from 2@60 again, b standby 4 again":                     true,  // a branch that leaves out timeline 3
		"a primary 3, b standby 3\n a standby 1 sys 8 again, b standby 1 sys 8 again":                   false, // nobody takes writes
		"a primary 3, b standby 3\n a refused\n b standby 3":                                            false,
		"a primary 3, b standby 3\n a primary 4 again":                                                  false, // its history is on its way
		"a primary 3, b standby 3\n a primary 4 from 3@60 again, b primary 3":                           false,
		"a primary 1, b primary 1":                                                                      false,
		"a primary 1, b standby 1\n a refused, b primary 2 from 1@60\n a primary 1 again, b missed":     true, // as far as this router can know
		"a primary 1, b standby 1\n a refused, b primary 2 from 1@60\n a primary 1 again, b readonly 2": true,
	} {
		s := newTale(t, "a", "b")
		s.tell(story)
		if alarm := s.state.Snapshot().Alarm; strings.Contains(alarm, wayOut) != told {
			t.Errorf("%s\n the alarm: %q", story, alarm)
		}
	}
}

func TestAnAcceptanceIsToldWithWhoSaidSo(t *testing.T) {
	s := newTale(t, "a", "b")
	s.tell("a primary 3, b standby 3\n a primary 1 sys 8 again, b standby 1 sys 8 again")
	_, changes, err := Accept(s.state, Acceptance{SystemID: 8, Timeline: 1, By: "anna"}, s.now)
	if err != nil || len(changes) == 0 {
		t.Fatalf("%v, %v", changes, err)
	}
	c := changes[0]
	if c.Kind != ChangeFloorLifted || c.Node != "a" || c.From != "3" || c.To != "1" ||
		c.Reason != "anna accepted the cluster with system identifier 8, which was 7" {
		t.Errorf("%+v", c)
	}
}
