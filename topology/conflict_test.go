package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The conflict table. A row is a sentence and a story. A line of a story is either an event:
//
//	a primary 1            node a answers: writable on timeline 1 (also: standby, readonly)
//	a primary 2 from 1@60  … and its history says that timeline 2 left timeline 1 at LSN 0x60
//	a standby 1 at 40      … it stands at LSN 0x40
//	a primary 1 sys 8      … with another system identifier (7 otherwise)
//	a primary 1 again      … after a restart of its postmaster
//	a missed               silence (also: refused, reset, starting, stopping, denied, failed)
//	router restarts        only the floor survives;  router restarts without a floor: nothing does
//	operator accepts       accept-cluster (also: sys 8, on 2: which one is meant; in vain: it is refused)
//	members a b            the configuration names these nodes only
//	wait 5s                time passes and nothing is seen
//	pass 5s                time passes, and what was seen meanwhile comes on the next line
//
// or, after "=>", what must hold then: phase, primary (- for none), epoch; then any of "alarm", "quiet", "refused a", "usable a".
// Several events on one line, parted by commas, are seen in one reduction. The cluster has the nodes a, b and c where c is heard
// only when a row names it.
var conflictTable = []struct{ sentence, story string }{
	{"the only writable node becomes the first primary", `
		a primary 1, b standby 1
		=> steady a 1 quiet`},
	{"nothing is opened before every node was heard", `
		a primary 1
		=> unknown - 0
		b missed
		=> steady a 1`},
	{"a node that stays silent from the start is waited for only so long", `
		a primary 1
		wait 5s
		a primary 1
		=> steady a 1`},
	{"with standbys only there is no primary", `
		a standby 1, b standby 1
		=> leaderless - 0`},
	{"two writable nodes on one timeline hold the writes and raise the alarm", `
		a primary 1, b primary 1
		=> split - 0 alarm`},
	{"at start the newer timeline wins when it descends from the older", `
		a primary 1, b primary 2 from 1@60
		=> steady b 1 alarm refused a`},
	{"at start two timelines without a history are a split", `
		a primary 1, b primary 2
		=> split - 0 alarm`},
	{"two clusters in one configuration serve nobody until one is pinned", `
		a standby 1, b standby 1 sys 8
		=> leaderless - 0 alarm refused a refused b`},
	{"two writable nodes of different clusters are a split", `
		a primary 1, b primary 1 sys 8
		=> split - 0 alarm`},

	{"a missed heartbeat makes the primary doubtful, and its answer steady in the same epoch", `
		a primary 1, b standby 1
		a missed
		=> doubtful - 1
		a primary 1
		=> steady a 1 quiet`},
	{"an answer that grew stale is as good as a missed heartbeat", `
		a primary 1, b standby 1
		wait 4s
		=> doubtful - 1`},
	{"a refused connection takes the primary away at once", `
		a primary 1, b standby 1
		a refused
		=> leaderless - 1`},
	{"a primary that restarts keeps its epoch", `
		a primary 1, b standby 1
		a stopping
		=> leaderless - 1
		a refused
		a starting
		=> leaderless - 1
		a primary 1 again
		=> steady a 1 quiet`},
	{"a primary made read-only takes no writes, and returns when it is writable", `
		a primary 1, b standby 1
		a readonly 1
		=> leaderless - 1 alarm
		a primary 1
		=> steady a 1 quiet`},
	{"a probe that is not let in proves nothing: no writes", `
		a primary 1, b standby 1
		a denied
		=> doubtful - 1`},

	{"a promoted standby takes over when its timeline descends", `
		a primary 1, b standby 1
		a refused
		b primary 2 from 1@60
		=> steady b 2 quiet`},
	{"a promoted standby without a known history is held and alarmed", `
		a primary 1, b standby 1
		a refused
		b primary 2
		=> leaderless - 1 alarm
		b primary 2 from 1@60
		=> steady b 2 quiet`},
	{"a promoted standby on a timeline of another branch is refused", `
		a primary 2, b standby 2
		=> steady a 1
		a refused
		b primary 3 from 1@60
		=> leaderless - 1 alarm refused b`},
	{"a descending timeline beats an old primary that is silent", `
		a primary 1, b standby 1
		a missed
		b primary 2 from 1@60
		=> steady b 2`},
	{"a descending timeline beats an old primary that is still writable", `
		a primary 1, b standby 1
		b primary 2 from 1@60
		=> steady b 2 alarm refused a`},
	{"a newer timeline without a history beside a living primary is a split", `
		a primary 1, b standby 1
		b primary 2
		=> split - 1 alarm`},
	{"a newer timeline of another branch beside a living primary is a split", `
		a primary 2, b standby 2
		b primary 3 from 1@60
		=> split - 1 alarm refused b`},
	{"grandchildren descend too", `
		a primary 1, b standby 1
		a refused
		b primary 3 from 1@60 2@80
		=> steady b 2`},

	{"silence of the old primary does not let another follow on the same timeline", `
		a primary 1, b standby 1
		a missed
		b primary 1
		=> doubtful - 1 alarm`},
	{"a refused port of the old primary lets another follow on the same timeline", `
		a primary 1, b standby 1
		a refused
		b primary 1
		=> steady b 2`},
	{"an old primary that shuts down lets another follow on the same timeline", `
		a primary 1, b standby 1
		a stopping
		b primary 1
		=> steady b 2`},
	{"an old primary that became a standby lets another follow on the same timeline", `
		a primary 1, b standby 1
		a standby 1
		=> leaderless - 1
		b primary 1
		=> steady b 2`},
	{"an old primary that starts up again may become writable: no follower", `
		a primary 1, b standby 1
		a refused
		a starting
		b primary 1
		=> leaderless - 1 alarm`},
	{"a reset is a sign of life, not of a stop", `
		a primary 1, b standby 1
		a reset
		b primary 1
		=> leaderless - 1 alarm`},
	{"silence after a proven stop takes the proof not back", `
		a primary 1, b standby 1
		a refused
		a missed
		b primary 1
		=> steady b 2`},
	{"an old primary made read-only is not stopped", `
		a primary 1, b standby 1
		a readonly 1
		b primary 1
		=> leaderless - 1 alarm`},
	{"the old primary returns beside a follower on the same timeline: a split", `
		a primary 1, b standby 1
		a refused
		b primary 1
		=> steady b 2
		a primary 1 again
		=> split - 2 alarm`},
	{"a split is not healed by silence of the other", `
		a primary 1, b standby 1
		b primary 1
		=> split - 1 alarm
		b missed
		=> split - 1 alarm`},
	{"a split is healed by a proven stop of the other", `
		a primary 1, b standby 1
		b primary 1
		b refused
		=> steady a 1`},
	{"a split is healed by a proven newer timeline", `
		a primary 1, b primary 1, c standby 1
		=> split - 0
		c primary 2 from 1@60
		=> steady c 1 alarm refused a refused b`},
	{"a split of which both sides stop leaves no primary", `
		a primary 1, b primary 1
		a refused, b refused
		=> leaderless - 0`},
	{"a read-only node beside the primary is no rival", `
		a primary 1, b standby 1
		b readonly 1
		=> steady a 1`},

	{"an old primary that comes back on its lower timeline is refused", `
		a primary 1, b standby 1
		a refused
		b primary 2 from 1@60
		a primary 1 again
		=> steady b 2 alarm refused a`},
	{"an old primary is refused even when the new one is gone", `
		a primary 1, b standby 1
		a refused
		b primary 2 from 1@60
		b refused
		a primary 1 again
		=> leaderless - 2 alarm refused a`},
	{"an old primary that follows as a standby is used again", `
		a primary 1, b standby 1
		a refused
		b primary 2 from 1@60
		a standby 2 again
		=> steady b 2 quiet usable a`},
	{"a standby that knows a newer timeline shows that the visible primary is an old one", `
		a primary 1, b standby 1, c standby 1
		c standby 2
		=> leaderless - 1 alarm
		b primary 2 from 1@60
		=> steady b 2`},
	{"a newer timeline that was seen writable stays evidence when its node falls silent", `
		a primary 1, b standby 1
		a refused
		b primary 2
		b missed
		a primary 1 again
		=> leaderless - 1 alarm`},
	{"a newer timeline stays evidence when its node stops, for there may be commits on it", `
		a primary 1, b standby 1
		a refused
		b primary 2
		b refused
		a primary 1 again
		=> leaderless - 1 alarm`},
	{"a node promoted by mistake counts no longer once it is a standby of the primary again", `
		a primary 1, b standby 1
		b primary 2
		=> split - 1
		b refused
		b standby 1 again
		=> steady a 1 quiet`},
	{"a node of another branch counts no longer once it is stopped", `
		a primary 2, b standby 2
		b primary 3 from 1@60
		=> split - 1
		b refused
		=> steady a 1`},
	{"the same node on a newer timeline of its own begins another reign", `
		a primary 1, b standby 1
		a standby 1 again
		a primary 2 from 1@60
		=> steady a 2 quiet`},

	{"a node of another cluster is refused and changes nothing", `
		a primary 1, b standby 1
		b primary 9 sys 8
		=> steady a 1 alarm refused b`},
	{"the primary's address now leads to another cluster: no primary", `
		a primary 1, b standby 1
		a primary 5 sys 8
		=> leaderless - 1 alarm refused a`},

	{"after a restart of the router the floor still refuses the old primary", `
		a primary 1, b standby 1
		a refused
		b primary 2 from 1@60
		router restarts
		b missed, a primary 1
		=> leaderless - 2 alarm refused a`},
	{"after a restart of the router the same primary keeps its epoch", `
		a primary 1, b standby 1
		router restarts
		a primary 1, b standby 1
		=> steady a 1 quiet`},
	{"after a restart of the router a descending timeline follows", `
		a primary 1, b standby 1
		router restarts
		a missed, b primary 2 from 1@60
		=> steady b 2`},
	{"after a restart of the router a newer timeline without a history is held", `
		a primary 1, b standby 1
		router restarts
		a missed, b primary 2
		=> leaderless - 1 alarm`},
	{"after a restart of the router the last primary's silence is still no proof", `
		a primary 1, b standby 1
		router restarts
		a missed, b primary 1
		=> leaderless - 1 alarm
		a refused
		=> steady b 2`},
	{"after a restart without a floor the only writable node is believed", `
		a primary 1, b standby 1
		router restarts without a floor
		a missed, b primary 1
		=> steady b 1`},

	{"an operator accepts a cluster that was re-initialised", `
		a primary 3, b standby 3
		a primary 1 sys 8 again, b standby 1 sys 8 again
		=> leaderless - 1 alarm refused a refused b
		operator accepts
		=> steady a 2 quiet usable b`},
	{"an operator accepts an older timeline although a standby knows a newer one", `
		a primary 1, b standby 1, c standby 1
		a refused
		b primary 2 from 1@60
		c standby 2
		b refused
		a primary 1 again
		=> leaderless - 2 alarm
		operator accepts
		=> steady a 3`},
	{"an operator's word does not choose between two writable nodes", `
		a primary 1, b primary 1
		operator accepts in vain
		=> split - 0 alarm`},
	{"an operator's word chooses between the nodes of two clusters", `
		a primary 1, b primary 1 sys 8
		operator accepts in vain
		operator accepts sys 9 in vain
		operator accepts sys 8 on 2 in vain
		=> split - 0 alarm
		operator accepts sys 8 on 1
		=> steady b 1 refused a`},
	{"an upgraded cluster is accepted beside a node of the old one", `
		a primary 3, b standby 3, c standby 3
		a primary 1 sys 8 again
		=> leaderless - 1 alarm refused a
		operator accepts sys 7 in vain
		operator accepts
		=> steady a 2 refused b refused c
		b standby 1 sys 8 again
		=> steady a 2 usable b refused c`},
	{"an identity that was accepted holds before there is a primary", `
		a primary 3, b standby 3
		a primary 1 sys 8 again, b readonly 1 sys 8 again
		operator accepts
		=> steady a 2
		router restarts
		a standby 1 sys 8, b primary 3
		=> leaderless - 2 refused b`},
	{"nothing is accepted while nobody takes writes", `
		a primary 3, b standby 3
		a standby 1 sys 8 again, b standby 1 sys 8 again
		operator accepts in vain
		=> leaderless - 1 alarm refused a`},
	{"accepting while there is a primary changes nothing", `
		a primary 1, b standby 1
		operator accepts in vain
		=> steady a 1 quiet`},
	{"a last primary that is taken out of the configuration is nobody's rival", `
		a primary 1, b standby 1
		a missed
		b primary 1
		=> doubtful - 1 alarm
		members b
		=> steady b 2 quiet`},
	{"a primary that is taken out of the configuration is primary no more", `
		a primary 1, b standby 1
		members b
		=> leaderless - 1`},
}

// tale plays a story.
type tale struct {
	t       *testing.T
	limits  Limits
	state   State
	now     time.Time
	starts  map[string]int
	changes []Change
}

const (
	taleMaxAge    = 3 * time.Second
	taleStartWait = 4 * time.Second
	taleSystem    = 7
)

var taleLimits = Limits{MaxAge: taleMaxAge, StartWait: taleStartWait, AgentAge: taleMaxAge}

func newTale(t *testing.T, members ...string) *tale {
	t.Helper()
	return taleWith(t, taleLimits, members...)
}

func taleWith(t *testing.T, limits Limits, members ...string) *tale {
	t.Helper()
	s := &tale{t: t, limits: limits, now: time.Unix(1_000_000, 0), starts: map[string]int{}}
	s.state = NewState("main", named(members), Floor{}, limits, s.now)
	return s
}

func named(ids []string) []Member {
	var members []Member
	for _, id := range ids {
		members = append(members, Member{ID: NodeID(id)})
	}
	return members
}

func TestEachRowOfTheConflictTable(t *testing.T) {
	for _, row := range conflictTable {
		t.Run(row.sentence, func(t *testing.T) {
			members := []string{"a", "b"}
			if strings.Contains(row.story, "c standby") || strings.Contains(row.story, "c primary") {
				members = append(members, "c")
			}
			newTale(t, members...).tell(row.story)
		})
	}
}

func (s *tale) tell(story string) {
	s.t.Helper()
	for line := range strings.Lines(story) {
		if line = strings.TrimSpace(line); line != "" {
			s.play(line)
		}
	}
}

func (s *tale) play(line string) {
	s.t.Helper()
	s.now = s.now.Add(100 * time.Millisecond)
	words := strings.Fields(line)
	before := s.state.Snapshot()
	switch {
	case words[0] == "=>":
		s.expect(line, words[1:])
		return
	case strings.HasPrefix(line, "router restarts"):
		floor := s.state.Floor()
		if strings.HasSuffix(line, "without a floor") {
			floor = Floor{}
		}
		s.state = NewState("main", members(before), floor, s.limits, s.now)
		return
	case words[0] == "operator":
		state, changes, err := Accept(s.state, s.acceptance(words), s.now)
		s.keep(state, changes)
		if refused := slices.Contains(words, "vain"); refused != (err != nil) {
			s.t.Errorf("%s: %v", line, err)
		}
	case words[0] == "members":
		s.keep(WithMembers(s.state, named(words[1:]), s.now))
	case words[0] == "wait", words[0] == "pass":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(d)
		if words[0] == "wait" {
			s.keep(Next(s.state, nil, s.now))
		}
	default:
		s.see(strings.Split(line, ","))
	}
	mustBeLegal(s.t, line, before.Phase, s.state.Snapshot().Phase)
}

func (s *tale) keep(state State, changes []Change) {
	s.state = state
	s.changes = append(s.changes, changes...)
}

func members(snap *Snapshot) []Member {
	var list []Member
	for _, n := range snap.Nodes {
		list = append(list, Member{ID: n.ID, Address: n.Address})
	}
	return list
}

var taleOutcomes = map[string]Outcome{
	"missed": OutcomeMissed, "refused": OutcomeRefused, "reset": OutcomeReset,
	"starting": OutcomeStarting, "stopping": OutcomeStopping, "denied": OutcomeDenied, "failed": OutcomeFailed,
}

func (s *tale) observation(words []string) Observation {
	o := Observation{Node: NodeID(words[0]), At: s.now, Outcome: taleOutcomes[words[1]], Problem: words[1]}
	if o.Outcome != OutcomeUnknown {
		return o
	}
	o.Outcome, o.Problem, o.SystemID = OutcomeAnswered, "", taleSystem
	o.Role, o.ReadOnly = RolePrimary, words[1] == "readonly"
	if words[1] == "standby" {
		o.Role = RoleStandby
	}
	o.Timeline = uint32(s.number(words[2], 10))
	for rest := words[3:]; len(rest) > 0; {
		rest = s.detail(&o, rest)
	}
	o.StartedAt = time.Unix(int64(s.starts[words[0]]), 0)
	return o
}

func (s *tale) detail(o *Observation, words []string) []string {
	switch words[0] {
	case "again":
		s.starts[string(o.Node)]++
		return words[1:]
	case "sys":
		o.SystemID = s.number(words[1], 10)
		return words[2:]
	case "at":
		o.WriteLSN = LSN(s.number(words[1], 16))
		if o.Role == RoleStandby {
			o.WriteLSN, o.ReplayLSN = 0, o.WriteLSN
		}
		return words[2:]
	case "from":
		o.History.Timeline = o.Timeline
		for words = words[1:]; len(words) > 0 && strings.Contains(words[0], "@"); words = words[1:] {
			parent, at, _ := strings.Cut(words[0], "@")
			o.History.Branches = append(o.History.Branches, Branch{Parent: uint32(s.number(parent, 10)), At: LSN(s.number(at, 16))})
		}
		return words
	}
	s.t.Fatalf("story: what is %q?", words[0])
	return nil
}

func (s *tale) number(text string, base int) uint64 {
	n, err := strconv.ParseUint(text, base, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// acceptance reads what an operator names.
func (s *tale) acceptance(words []string) (a Acceptance) {
	for i, word := range words {
		switch word {
		case "sys":
			a.SystemID = s.number(words[i+1], 10)
		case "on":
			a.Timeline = uint32(s.number(words[i+1], 10))
		}
	}
	return a
}

func (s *tale) expect(line string, words []string) {
	s.t.Helper()
	snap := s.state.Snapshot()
	primary := string(snap.Primary)
	if primary == "" {
		primary = "-"
	}
	got := fmt.Sprint(snap.Phase, " ", primary, " ", snap.Epoch)
	if want := strings.Join(words[:3], " "); got != want {
		s.t.Errorf("%s\n got %q, alarm %q, nodes %+v", line, got, snap.Alarm, snap.Nodes)
	}
	for rest := words[3:]; len(rest) > 0; rest = rest[1:] {
		var ok bool
		switch rest[0] {
		case "alarm":
			ok = snap.Alarm != ""
		case "quiet":
			ok = snap.Alarm == ""
		case "refused":
			ok, rest = snap.Node(NodeID(rest[1])).Refused != "", rest[1:]
		case "usable":
			ok, rest = snap.Node(NodeID(rest[1])).Usable(), rest[1:]
		default:
			ok = s.shows(snap, rest[0])
		}
		if !ok {
			s.t.Errorf("%s: failed at %q, alarm %q, nodes %+v", line, rest[0], snap.Alarm, snap.Nodes)
		}
	}
}

// legal holds the successors of each phase as the constants' comments give them; a phase may always stay.
var legal = map[Phase][]Phase{
	PhaseUnknown:    {PhaseSteady, PhaseLeaderless, PhaseSplit},
	PhaseSteady:     {PhaseDoubtful, PhaseLeaderless, PhaseSplit},
	PhaseDoubtful:   {PhaseSteady, PhaseLeaderless, PhaseSplit},
	PhaseLeaderless: {PhaseSteady, PhaseSplit},
	PhaseSplit:      {PhaseSteady, PhaseLeaderless},
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func mustBeLegal(t fataler, what string, from, to Phase) {
	t.Helper()
	if from != to && !slices.Contains(legal[from], to) {
		t.Fatalf("%s: phase went from %s to %s", what, from, to)
	}
}
