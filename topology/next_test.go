package topology

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

func kinds(changes []Change) []ChangeKind {
	var list []ChangeKind
	for _, c := range changes {
		list = append(list, c.Kind)
	}
	return list
}

func (s *tale) last(lines ...string) []Change {
	for _, line := range lines {
		s.changes = nil
		s.play(line)
	}
	return s.changes
}

func TestAFailoverTellsItsStoryInOrder(t *testing.T) {
	s := newTale(t, "a", "b")
	for _, line := range []string{"a primary 1 at 50, b standby 1 at 40", "a missed", "a refused", "b primary 2 from 1@40 at 48", "a primary 1 again"} {
		s.play(line)
	}
	want := []ChangeKind{
		ChangeNodeUp, ChangeNodeUp, ChangePrimaryChanged,
		ChangeNodeSuspect, ChangePrimaryDoubtful,
		ChangeNodeDown, ChangePrimaryLost,
		ChangeNodeRole, ChangePrimaryChanged, ChangeFloorLifted,
		ChangeNodeUp, ChangeNodeRefused,
	}
	if got := kinds(s.changes); !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	changed := s.changes[8]
	if changed.From != "a" || changed.To != "b" || changed.Epoch != 2 || changed.Took != 200*time.Millisecond {
		t.Errorf("primary changed: %+v", changed)
	}
	if !strings.Contains(changed.Reason, "timeline 2 left timeline 1 at 0/40") || !strings.Contains(changed.Reason, "16 bytes further") {
		t.Errorf("the reason does not say what was lost: %q", changed.Reason)
	}
}

func TestASplitAndItsEndAreTold(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	if got := kinds(s.last("b primary 1")); !slices.Equal(got, []ChangeKind{ChangeNodeRole, ChangeSplitBrain}) {
		t.Errorf("split: %v", got)
	}
	if got := kinds(s.last("b refused")); !slices.Equal(got, []ChangeKind{ChangeNodeDown, ChangeSplitBrainHealed, ChangePrimaryConfirmed}) {
		t.Errorf("healed: %v", got)
	}
}

func TestNothingIsToldWhenNothingHappens(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	if got := s.last("a primary 1 at 60, b standby 1 at 50"); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestAMissingHistoryIsExplainedInTheAlarm(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	s.play("a refused")
	o := s.observation(strings.Fields("b primary 2"))
	o.Note = "GRANT it"
	s.keep(Next(s.state, []Observation{o}, s.now))
	if alarm := s.state.Snapshot().Alarm; !strings.Contains(alarm, "timeline 2") || !strings.Contains(alarm, "GRANT it") {
		t.Errorf("alarm %q", alarm)
	}
}

func TestTheIncarnationGrowsWithEachLife(t *testing.T) {
	s := newTale(t, "a", "b")
	for i, step := range []struct {
		line string
		want Incarnation
	}{
		{"a missed", 0},
		{"a primary 1", 1},
		{"a primary 1", 1},
		{"a missed", 1},
		{"a primary 1", 1},
		{"a refused", 1},
		{"a primary 1 again", 2},
		{"a standby 1 again", 3},
		{"a primary 2", 4},
		{"a primary 3", 5},
		{"a primary 3 sys 8", 6},
		{"a standby 3 sys 8", 7},
		{"a standby 4 sys 8", 7},
	} {
		s.play(step.line)
		if got := s.state.Snapshot().Node("a").Incarnation; got != step.want {
			t.Fatalf("step %d, %s: incarnation %d, want %d", i, step.line, got, step.want)
		}
	}
}

func TestLagIsMeasuredAgainstThePrimaryOrTheFurthestPositionKnown(t *testing.T) {
	s := newTale(t, "a", "b", "c")
	lag := func(id NodeID, want uint64, known bool) {
		t.Helper()
		n := s.state.Snapshot().Node(id)
		if n.LagBytes != want || n.LagKnown != known {
			t.Errorf("%s: lag %d (known %v), want %d (%v)", id, n.LagBytes, n.LagKnown, want, known)
		}
	}
	s.play("a primary 1 at 100, b standby 1 at f0, c standby 1 at 110")
	lag("a", 0, false)
	lag("b", 0x10, true)
	lag("c", 0, true) // asked a moment later than the primary
	s.play("a standby 1 at 100")
	lag("b", 0x20, true)
	s.play("c standby 1")
	lag("c", 0, false)
	s.play("b standby 1 sys 8 at 90")
	if s.state.Snapshot().Node("b").Refused == "" {
		t.Error("a node of another cluster is not refused")
	}
}

func TestObservationsThatComeLateAreIgnored(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	o := s.observation(strings.Fields("a refused"))
	o.At = o.At.Add(-time.Minute)
	s.keep(Next(s.state, []Observation{o}, s.now))
	s.play("=> steady a 1")
}

func TestAQuestionFromTheFutureDoesNotStayFresh(t *testing.T) {
	s := newTale(t, "a", "b")
	o := s.observation(strings.Fields("a primary 1"))
	o.At = o.At.Add(time.Hour)
	s.keep(Next(s.state, []Observation{o}, s.now))
	s.play("b standby 1")
	s.play("=> steady a 1")
	s.play("wait 10s")
	s.play("=> doubtful - 1")
}

func TestTheClockOfASnapshotNeverRunsBackwards(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	at := s.state.Snapshot().At
	next, _ := Next(s.state, nil, at.Add(-time.Hour))
	if next.Snapshot().At.Before(at) {
		t.Errorf("went from %s to %s", at, next.Snapshot().At)
	}
}

func TestTheZeroStateHasNoPrimary(t *testing.T) {
	next, changes := Next(State{}, []Observation{{Node: "a", Outcome: OutcomeAnswered}}, time.Unix(1, 0))
	if snap := next.Snapshot(); snap.Phase != PhaseUnknown || snap.Primary != "" || len(changes) != 0 {
		t.Errorf("%+v %v", snap, changes)
	}
}

func TestMembersThatStayKeepWhatIsKnownOfThem(t *testing.T) {
	s := newTale(t, "a", "b")
	s.play("a primary 1, b standby 1")
	s.keep(WithMembers(s.state, []Member{{ID: "c"}, {ID: "a"}, {ID: "a"}, {ID: "b", Address: "elsewhere:5432"}}, s.now))
	s.play("=> steady a 1")
	snap := s.state.Snapshot()
	if len(snap.Nodes) != 3 || snap.Nodes[0].ID != "a" || snap.Nodes[2].ID != "c" {
		t.Fatalf("nodes %+v", snap.Nodes)
	}
	if b := snap.Node("b"); b.Role != RoleUnknown || b.Incarnation != 1 || b.Address != "elsewhere:5432" {
		t.Errorf("another address is another node: %+v", b)
	}
}

// TestThePackageIsPure reads the sources: no clock, no socket, no goroutine, nothing of the house.
func TestThePackageIsPure(t *testing.T) {
	allowed := []string{"cmp", "errors", "fmt", "slices", "strconv", "strings", "time"}
	files, err := fs.Glob(dir(t), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path := strings.Trim(spec.Path.Value, `"`); !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", name)
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "Tick"}, n.Sel.Name) {
					t.Errorf("%s uses time.%s", name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestANodeAtAnotherAddressIsAnotherMachine(t *testing.T) {
	at := func(address string) []Member { return []Member{{ID: "db:5432", Address: address, Resolved: true}} }
	now := time.Unix(1_000_000, 0)
	s := NewState("main", at("db:5432"), Floor{}, taleLimits, now)
	seen := Observation{Node: "db:5432", At: now, Outcome: OutcomeAnswered, Role: RolePrimary, SystemID: 7, Timeline: 1}
	s, _ = Next(s, []Observation{seen}, now)
	for _, step := range []struct {
		address string
		kept    bool
	}{{"10.0.0.1:5432", true}, {"10.0.0.1:5432", true}, {"10.0.0.2:5432", false}} {
		lives := s.Snapshot().Nodes[0].Incarnation
		s, _ = WithMembers(s, at(step.address), now)
		n := s.Snapshot().Nodes[0]
		if n.Address != step.address || (n.Role == RolePrimary) != step.kept || n.Incarnation != lives {
			t.Errorf("%s: %+v", step.address, n)
		}
	}
	lives := s.Snapshot().Nodes[0].Incarnation
	s, _ = Next(s, []Observation{seen}, now)
	if n := s.Snapshot().Nodes[0]; n.Incarnation != lives+1 {
		t.Errorf("the first answer from there: incarnation %d after %d", n.Incarnation, lives)
	}
}
