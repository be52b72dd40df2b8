package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// tone is how a line looks.
type tone string

// The tones, as the parameters of the terminal's SGR sequence.
const (
	toneNone  tone = ""
	toneTitle tone = "7"  // reversed
	toneHead  tone = "1"  // bold
	toneGood  tone = "32" // green
	toneBad   tone = "31" // red
	toneWarn  tone = "33" // yellow
)

// line is one line of the screen, without control characters.
type line struct {
	text string
	tone tone
}

// scene is all that the screen shows. It is put together twice a second.
type scene struct {
	elapsed  time.Duration
	begun    time.Time
	now      time.Time
	writeDSN string
	readDSN  string
	adminURL string
	nodes    []nodeState
	live     ledger.Live
	cluster  string // what it is, in words
	clients  int
	history  []float64 // operations per second, oldest first, one per redraw
	entries  []entry
	busy     string // the event under way; "" for none
	plain    bool   // only ASCII
}

// draw lays a scene out on a screen of that size. The events take what the rest leaves.
func (s *scene) draw(width, height int) []line {
	top := s.top(width)
	bottom := s.keys()
	room := max(0, height-len(top)-len(bottom))
	lines := append(top, s.events(room)...)
	lines = append(lines, bottom...)
	for i := range lines {
		lines[i].text = fit(lines[i].text, width, lines[i].tone == toneTitle)
	}
	return lines[:min(len(lines), height)]
}

func (s *scene) top(width int) []line {
	clock := fmt.Sprintf("%02d:%02d ", int(s.elapsed.Minutes()), int(s.elapsed.Seconds())%60)
	title := " pgrouter demo: " + s.cluster + ", " + strconv.Itoa(s.clients) + " clients"
	lines := []line{
		{spread(title, clock, width), toneTitle},
		{" writes " + s.writeDSN, toneNone},
		{" reads  " + s.readDSN, toneNone},
		{" page   " + s.adminURL, toneNone},
		{},
		{" NODE  ADDRESS            ROLE       TIMELINE  BEHIND", toneHead},
	}
	primary := s.primary()
	for _, n := range s.nodes {
		lines = append(lines, n.line(primary))
	}
	return append(lines, s.figures(width)...)
}

// primary returns the state of the node that is out of recovery, nil when none is.
func (s *scene) primary() *nodeState {
	for i := range s.nodes {
		if n := &s.nodes[i]; n.running && n.answered && !n.status.InRecovery {
			return n
		}
	}
	return nil
}

func (n *nodeState) line(primary *nodeState) line {
	row := func(role, timeline, behind string, t tone) line {
		return line{fmt.Sprintf(" %-5s %-18s %-10s %-9s %s", n.name, n.addr, role, timeline, behind), t}
	}
	switch {
	case !n.running:
		return row("DOWN", "-", "-", toneBad)
	case !n.answered:
		return row("starting", "-", "-", toneWarn)
	case !n.status.InRecovery:
		return row("PRIMARY", fmt.Sprint(n.status.Timeline), "-", toneGood)
	case !n.status.Streaming:
		return row("standby", "-", "not connected", toneWarn)
	}
	behind := "unknown"
	if primary != nil {
		behind = size(int64(primary.status.WriteLSN) - int64(n.status.ReplayLSN))
	}
	return row("standby", fmt.Sprint(n.status.Timeline), behind, toneNone)
}

// figures shows what the clients feel.
func (s *scene) figures(width int) []line {
	l := s.live
	waiting := line{fmt.Sprintf(" waiting now %d", l.Waiting), toneNone}
	if l.Waiting > 0 {
		waiting = line{fmt.Sprintf(" waiting now %d, the longest for %.1f s", l.Waiting, l.LongestWait.Seconds()), toneWarn}
	}
	waiting.text += fmt.Sprintf("   held and then served %s   reconnects %s", thousands(l.Held), thousands(l.Reconnects))
	errors := line{" client errors " + errorList(l.Errors), toneNone}
	if len(l.Errors) > 0 {
		errors.tone = toneBad
	}
	return []line{
		{},
		{" CLIENTS", toneHead},
		{fmt.Sprintf(" %.0f operations/s   p50 %s   p99 %s", l.PerSecond, latency(l.P50), latency(l.P99)), toneNone},
		{" " + s.graph(width-2), toneGood},
		waiting,
		errors,
		{fmt.Sprintf(" served %s, failed %s, in doubt %s   (the ledger is proven at the end)",
			thousands(l.Acknowledged), thousands(l.Failed), thousands(l.Unknown)), toneNone},
		{},
	}
}

// graph draws the operations per second of the last while.
func (s *scene) graph(width int) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	if s.plain {
		levels = []rune("_.-=+*%#")
	}
	values := s.history[max(0, len(s.history)-max(width, 0)):]
	most := 1.0
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(levels[min(len(levels)-1, int(v/most*float64(len(levels))))])
	}
	return b.String()
}

func (s *scene) events(room int) []line {
	const head = 1
	if room <= head {
		return make([]line, room)
	}
	lines := []line{{" EVENTS", toneHead}}
	entries := s.entries[max(0, len(s.entries)-(room-head)):]
	for _, e := range entries {
		at := e.at.Sub(s.begun)
		lines = append(lines, line{fmt.Sprintf(" %02d:%06.3f  %-10s %s", int(at.Minutes()), at.Seconds()-60*float64(int(at.Minutes())), e.source, e.sentence()), e.tone()})
	}
	for len(lines) < room {
		lines = append(lines, line{})
	}
	return lines
}

func (s *scene) keys() []line {
	if s.busy != "" {
		return []line{{" " + s.busy + " under way …   q  quit", toneTitle}}
	}
	return []line{{" f  fail the primary (kill -9)   s  planned switchover   q  quit and prove", toneTitle}}
}

// sentence says an entry in words.
func (e entry) sentence() string {
	words := map[string]string{
		failover: "kills the primary with kill -9", switchover: "asks for a planned switchover",
		"over": "all is well again, primary", "failed": "this did not work",
		string(testcluster.PrimaryKilled): "sees that the primary is gone", string(testcluster.PrimaryStopped): "sees that the primary was shut down",
		string(testcluster.Promoting): "promotes the freshest standby", string(testcluster.Promoted): "new primary takes writes",
		string(testcluster.NodeRejoined): "is a standby again", string(testcluster.SupervisionErr): "has a problem",
		string(event.PrimaryDoubtful): "primary is in doubt", string(event.PrimaryLost): "no primary: writes are held",
		string(event.PrimaryChanged): "new primary is proven", string(event.PrimaryConfirmed): "primary is proven again",
		string(event.PoolHeld): "clients wait", string(event.PoolReleased): "clients go on",
	}
	text, known := words[e.kind]
	if !known {
		text = strings.ReplaceAll(e.kind, "_", " ")
	}
	if e.node != "" {
		text += ": " + e.node
	}
	if e.text != "" {
		text += " (" + e.text + ")"
	}
	return text
}

func (e entry) tone() tone {
	switch e.kind {
	case failover, string(event.PrimaryLost), string(testcluster.PrimaryKilled), "failed", string(testcluster.SupervisionErr):
		return toneBad
	case "over", string(event.PrimaryChanged), string(event.PoolReleased), string(testcluster.Promoted):
		return toneGood
	}
	return toneNone
}

// fit cuts a text to the width, or fills it up when it has a background.
func fit(text string, width int, fill bool) string {
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:width])
	}
	if fill {
		return text + strings.Repeat(" ", width-n)
	}
	return text
}

// spread puts one text at the left and one at the right.
func spread(left, right string, width int) string {
	gap := width - utf8.RuneCountInString(left) - utf8.RuneCountInString(right)
	return left + strings.Repeat(" ", max(1, gap)) + right
}

func latency(d time.Duration) string {
	const slow = 100 * time.Millisecond
	if d >= slow {
		return fmt.Sprintf("%.0f ms", milliseconds(d))
	}
	return fmt.Sprintf("%.1f ms", milliseconds(d))
}

func size(bytes int64) string {
	const kilo, mega = 1 << 10, 1 << 20
	switch {
	case bytes <= 0:
		return "nothing"
	case bytes >= mega:
		return fmt.Sprintf("%.1f MB", float64(bytes)/mega)
	case bytes >= kilo:
		return fmt.Sprintf("%.1f kB", float64(bytes)/kilo)
	}
	return fmt.Sprintf("%d B", bytes)
}
