package topology

import (
	"fmt"
	"testing"
	"time"
)

// cadence is how often the nodes of these tales are asked.
const cadence = time.Second

// second lets a second pass in which both nodes are asked, the standby a moment later than the primary.
func (s *tale) second(primary, standby string) time.Duration {
	s.t.Helper()
	s.now = s.now.Add(cadence - 200*time.Millisecond)
	s.play(primary)
	s.play(standby)
	n := s.state.Snapshot().Node("b")
	if !n.LagTimeKnown {
		return -1
	}
	return n.LagTime
}

func at(who string, lsn int) string { return fmt.Sprintf("%s 1 at %x", who, lsn) }

// TestALagInTimeIsTheDelayWithWhichAStandbyReplays lets a primary write all the time, and a standby replay it with a delay.
func TestALagInTimeIsTheDelayWithWhichAStandbyReplays(t *testing.T) {
	for _, delay := range []int{0, 1, 10, 100, 7200} {
		s := newTale(t, "a", "b")
		for i := 1; i <= 2*delay+10; i++ {
			lag := s.second(at("a primary", 10000+i), at("b standby", 10000+i-delay))
			want := time.Duration(delay) * cadence
			if i > delay && (lag < want-cadence || lag > want+want/8+cadence) {
				t.Fatalf("second %d: a standby that replays %d s late is %v behind", i, delay, lag)
			}
		}
		if n := len(s.state.trail); n > mostSightings {
			t.Errorf("%d positions are remembered", n)
		}
	}
}

func TestBehindAPrimaryThatRestsNoLagGrows(t *testing.T) {
	s := newTale(t, "a", "b")
	for range 1000 {
		if lag := s.second(at("a primary", 100), at("b standby", 100)); lag != 0 {
			t.Fatalf("%v behind although nobody wrote", lag)
		}
	}
	if lag := s.second(at("a primary", 200), at("b standby", 100)); lag > cadence {
		t.Errorf("%v behind a write that came a moment ago", lag)
	}
	if lag := s.second(at("a primary", 200), at("b standby", 200)); lag != 0 {
		t.Errorf("%v behind when it has replayed that", lag)
	}
}

func TestALagInTimeGrowsWhileAStandbyStandsStill(t *testing.T) {
	s := newTale(t, "a", "b")
	for i := range 60 {
		s.second(at("a primary", 100+i), at("b standby", 100))
	}
	if lag := s.second(at("a primary", 200), at("b standby", 100)); lag < 59*time.Second || lag > 61*time.Second {
		t.Errorf("%v behind after a minute", lag)
	}
	s.second("a missed", at("b standby", 100))
	for range 60 {
		if lag := s.second("a refused", at("b standby", 100)); lag > 62*time.Second {
			t.Fatalf("%v behind: without a primary nothing new is missed", lag)
		}
	}
}

func TestAStandbyThatComesBackShowsWhatItHadWhenItWent(t *testing.T) {
	s := newTale(t, "a", "b")
	s.second(at("a primary", 100), at("b standby", 100))
	for i := range 600 {
		s.second(at("a primary", 200+i), "b refused")
	}
	lag := s.second(at("a primary", 900), at("b standby", 100)+" again")
	if lag < 599*time.Second || lag > 602*time.Second {
		t.Errorf("it is %v behind after ten minutes", lag)
	}
}

func TestAStandbyThatHasCrashedShowsWhatItHasReplayedAgain(t *testing.T) {
	s := newTale(t, "a", "b")
	for i := range 60 {
		s.second(at("a primary", 100+i), at("b standby", 100+i))
	}
	if lag := s.second(at("a primary", 200), at("b standby", 101)+" again"); lag < 57*time.Second || lag > 60*time.Second {
		t.Errorf("it shows what was a minute ago, and is %v behind", lag)
	}
}

func TestASilentStandbyIsAsFarBehindAsItSaidLast(t *testing.T) {
	s := newTale(t, "a", "b")
	s.second(at("a primary", 100), at("b standby", 100))
	for i := range 60 {
		if lag := s.second(at("a primary", 200+i), "b missed"); lag > cadence {
			t.Fatalf("it is %v behind", lag)
		}
	}
}

func TestOfAStandbyNeverSeenUpToDateItsOwnWordCounts(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play(at("a primary", 200))
	for _, step := range []struct {
		says time.Duration
		at   LSN
		want time.Duration // -1: not known
	}{{0, 100, -1}, {time.Hour, 100, time.Hour}, {time.Hour, 200, 0}, {time.Hour, 100, 0}} {
		s.now = s.now.Add(100 * time.Millisecond)
		s.keep(Next(s.state, []Observation{{
			Node: "b", At: s.now, Outcome: OutcomeAnswered, Role: RoleStandby, SystemID: taleSystem, Timeline: 1, StartedAt: time.Unix(0, 0),
			ReplayLSN: step.at, ReplayAge: step.says,
		}}, s.now))
		n := s.state.Snapshot().Node("b")
		if n.LagTimeKnown != (step.want >= 0) || n.LagTimeKnown && n.LagTime != step.want {
			t.Errorf("%+v: %v behind, known: %v", step, n.LagTime, n.LagTimeKnown)
		}
	}
}

func TestALagInTimeIsMeasuredBehindAnotherPrimaryAsWell(t *testing.T) {
	s := newTale(t, "a", "b", "c")
	s.tell("a primary 1 at 300, b standby 1 at 200, c standby 1 at 200\na refused\nc primary 2 from 1@200 at 210")
	for i := range 30 {
		s.second(fmt.Sprintf("c primary 2 from 1@200 at %x", 0x220+i), fmt.Sprintf("b standby 2 at %x", 0x220+i))
	}
	if n := s.state.Snapshot().Node("b"); n.LagTime > cadence || !n.LagTimeKnown {
		t.Errorf("%v behind the new primary", n.LagTime)
	}
}
