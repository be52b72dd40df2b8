package topology

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// sees is one answer of the primary a, a second after the one before.
func (s *tale) sees(w SyncWait) *Node {
	s.now = s.now.Add(time.Second)
	o := s.observation(strings.Fields("a primary 1"))
	o.SyncWait = w
	s.keep(Next(s.state, []Observation{o, s.observation(strings.Fields("b standby 1"))}, s.now))
	return s.state.Snapshot().Node("a")
}

func TestCommitsThatHangAreAnAlarmWithTheirReason(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	began := time.Unix(1_700_000_000, 0)
	hangs := SyncWait{Names: "FIRST 1 (s1, s2)", Present: "s2", Waiting: 2, Oldest: began}
	for range 3 {
		if n := s.sees(hangs); n.Stalled != "" {
			t.Fatalf("told after %s: %s", n.SyncWaited, n.Stalled)
		}
	}
	s.changes = nil
	n := s.sees(hangs)
	want := "commits hang in the wait for a synchronous standby (SyncRep): synchronous_standby_names is 'FIRST 1 (s1, s2)', " +
		"of which s1 does not stream; s2 streams, but what it confirms is not enough"
	if n.Stalled != want || n.SyncWaited != stallAfter {
		t.Errorf("after %s: %q, want %q", n.SyncWaited, n.Stalled, want)
	}
	snap := s.state.Snapshot()
	if snap.Alarm != "a: "+want || snap.Primary != "a" {
		t.Errorf("the alarm is %q, the primary %q", snap.Alarm, snap.Primary)
	}
	s.sees(hangs)
	if n := s.sees(SyncWait{Names: "FIRST 1 (s1, s2)", Present: "s1"}); n.Stalled != "" || n.SyncWaited != 0 || s.state.Snapshot().Alarm != "" {
		t.Errorf("when it is over: %q, alarm %q", n.Stalled, s.state.Snapshot().Alarm)
	}
	if got := kinds(s.changes); !slices.Equal(got, []ChangeKind{ChangeCommitsStalled, ChangeCommitsFlow}) || s.changes[1].Took != 2*time.Second {
		t.Errorf("told %+v", s.changes)
	}
}

func TestCommitsThatWaitTheirTurnAreNoAlarm(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	for i := range 10 {
		oldest := time.Unix(1_700_000_000+int64(i), 0) // each second another commit
		if n := s.sees(SyncWait{Names: "*", Present: "s1", Waiting: 3, Oldest: oldest}); n.Stalled != "" {
			t.Fatal(n.Stalled)
		}
	}
}

func TestAMissingSynchronousStandbyIsToldBeforeACommitHangs(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	alone := SyncWait{Names: "*"}
	for range 3 {
		s.sees(alone)
	}
	if n := s.sees(alone); n.Stalled != "the next commit will hang in the wait for a synchronous standby: synchronous_standby_names is '*', and no standby streams" {
		t.Error(n.Stalled)
	}
	s.play("a refused") // what is down has no commits
	if snap := s.state.Snapshot(); snap.Node("a").Stalled != "" || !slices.Contains(kinds(s.changes), ChangeCommitsFlow) {
		t.Errorf("%q, %v", snap.Alarm, kinds(s.changes))
	}
}

func TestStandbysThatAreCalledByName(t *testing.T) {
	for names, want := range map[string]string{
		"": "", "*": "", "a": "a", "a, b": "a b", "2 (a, b)": "a b", "FIRST 1 (voip_standby_1)": "voip_standby_1",
		`ANY 2 ("s-1", b, *)`: "s-1 b", "(": "", ",,": "",
	} {
		w := SyncWait{Names: names}
		if got := strings.Join(w.called(), " "); got != want {
			t.Errorf("%q calls %q, want %q", names, got, want)
		}
	}
}
