package proxy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// scenario is a conversation of clients and servers through a router, and the name of the file that shows it.
type scenario struct {
	name  string
	shows string        // what stands at the top of the file
	setup func(*router) // before the router starts; may be nil
	play  func(*stage)
}

const traces = "traces" // the folder in testdata

func scenarios() []scenario {
	return slices.Concat(loginScenarios, queryScenarios, preparedScenarios, preparationScenarios, copyScenarios, stateScenarios, leaveScenarios, waitScenarios, lostScenarios,
		standbyScenarios, shutdownScenarios, killScenarios, queryTimeoutScenarios, idleTimeoutScenarios, modeTimeoutScenarios, pinScenarios,
		settingScenarios, cancelScenarios, replicationScenarios)
}

// TestConversationsAreAsTheGoldenTracesShowThem plays each scenario on one event loop, and on three with every client moving to
// another one for each of its units of work. Nobody can see the difference.
func TestConversationsAreAsTheGoldenTracesShowThem(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) { inLoops(t, sc.run) })
	}
}

func (sc scenario) run(t *testing.T, loops int) {
	t.Helper()
	s := &stage{router: &router{t: t, policy: defaultPolicy(), loops: loops}, trace: &wiretest.Trace{}, over: make(chan struct{})}
	s.comments(sc.shows)
	t.Cleanup(s.strike)
	if sc.setup != nil {
		sc.setup(s.router)
	}
	s.start()
	if loops > 1 {
		s.proxy.MoveAlways()
	}
	sc.play(s)
	s.curtain()
	wiretest.Golden(t, filepath.Join(traces, sc.name), s.timeless())
}

// TestEachGoldenTraceHasItsScenario: no file is left over, and no name stands for two.
func TestEachGoldenTraceHasItsScenario(t *testing.T) {
	known := make(map[string]bool)
	for _, sc := range scenarios() {
		if known[sc.name] {
			t.Errorf("two scenarios have the name %s", sc.name)
		}
		known[sc.name] = true
	}
	files, err := os.ReadDir(filepath.Join("testdata", traces))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), ".trace"); ok && !known[name] {
			t.Errorf("no scenario writes %s", f.Name())
		}
	}
}
