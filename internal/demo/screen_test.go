package demo

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

func sample() *scene {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	history := make([]float64, 60)
	for i := range history {
		history[i] = 300
		if i > 30 && i < 36 {
			history[i] = float64(40 * (i - 31))
		}
	}
	return &scene{
		elapsed: 42 * time.Second, begun: begun, now: at(42000), cluster: "1 primary, 2 standbys", clients: 16,
		writeDSN: "postgres://app:ABCDEFGHIJKL@127.0.0.1:15432/app?sslmode=disable",
		readDSN:  "postgres://app:ABCDEFGHIJKL@127.0.0.1:15433/app?sslmode=disable",
		adminURL: "http://127.0.0.1:17000/",
		nodes: []nodeState{
			{name: "n1", addr: "127.0.0.1:20792"},
			{name: "n2", addr: "127.0.0.1:24943", running: true, answered: true, status: testcluster.Status{Timeline: 2, WriteLSN: 50000000}},
			{name: "n3", addr: "127.0.0.1:15123", running: true, answered: true, status: testcluster.Status{InRecovery: true, Timeline: 2, Streaming: true, ReplayLSN: 49990000}},
		},
		live: ledger.Live{PerSecond: 299.6, P50: 800 * time.Microsecond, P99: 5210 * time.Microsecond, Waiting: 3, LongestWait: 1234 * time.Millisecond,
			Acknowledged: 12345, Failed: 4, Unknown: 1, Reconnects: 5, Held: 16, Errors: map[string]int64{"57P01": 4, "08007": 1}},
		history: history,
		entries: []entry{
			{at: at(31000), source: sourceDemo, kind: failover, node: "n1"},
			{at: at(31004), source: sourceRouter, kind: string(event.PrimaryLost), node: "n1"},
			{at: at(31005), source: sourceSupervisor, kind: string(testcluster.PrimaryKilled), node: "n1"},
			{at: at(32010), source: sourceSupervisor, kind: string(testcluster.Promoting), node: "n2"},
			{at: at(32061), source: sourceSupervisor, kind: string(testcluster.Promoted), node: "n2"},
			{at: at(32070), source: sourceRouter, kind: string(event.PrimaryChanged), node: "n2"},
			{at: at(32071), source: sourceRouter, kind: string(event.PoolReleased), text: "16 clients"},
		},
	}
}

func TestTheScreenOf80By24ShowsWhatMatters(t *testing.T) {
	var screen wiretest.Trace
	for _, l := range sample().draw(80, 24) {
		screen.Note(strings.TrimRight(l.text, " "))
	}
	wiretest.Golden(t, "screen", &screen)
}

func TestTheScreenFitsEverySize(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 10}, {1, 1}, {200, 60}, {10, 30}} {
		for _, busy := range []string{"", failover} {
			s := sample()
			s.busy = busy
			lines := s.draw(size[0], size[1])
			if len(lines) > size[1] {
				t.Errorf("%v: %d lines", size, len(lines))
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l.text); n > size[0] {
					t.Errorf("%v: a line of %d columns: %q", size, n, l.text)
				}
			}
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is printed as %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{-5: "nothing", 0: "nothing", 512: "512 B", 2048: "2.0 kB", 3 << 20: "3.0 MB"} {
		if got := size(n); got != want {
			t.Errorf("%d bytes are printed as %s, want %s", n, got, want)
		}
	}
}
