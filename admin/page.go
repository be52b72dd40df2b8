package admin

import (
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/pgrouter/pgrouter/event"
)

// pageEvents is how many events the page shows.
const pageEvents = 20

func pageFuncs() template.FuncMap {
	return template.FuncMap{
		"ago":    func(t time.Time) string { return age(time.Since(t), t.IsZero()) },
		"clock":  func(t time.Time) string { return t.Format("15:04:05.000") },
		"lag":    lagText,
		"moved":  moved,
		"recent": recent,
		"seen":   seen,
		"secs":   func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) },
	}
}

// age says how long ago something was, as people do.
func age(d time.Duration, never bool) string {
	switch {
	case never:
		return "never"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// moved says from what to what an event led, or who it comes from.
func moved(e EventView) string {
	switch {
	case e.From == "" && e.To == "":
		return ""
	case slices.Contains([]event.Kind{event.HoldBegun, event.HoldEnded, event.SourceSilent, event.SourceBack, event.PeerSilent, event.PeerBack}, e.Kind):
		return e.From
	}
	return e.From + " → " + e.To
}

// seen says when a node last answered.
func seen(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return age(time.Since(t), false) + " ago"
}

func lagText(lag *uint64) string {
	switch {
	case lag == nil:
		return "not known"
	case *lag == 0:
		return "none"
	case *lag < 1<<20:
		return fmt.Sprintf("%d kB", (*lag+1023)>>10)
	}
	return fmt.Sprintf("%d MB", *lag>>20)
}

// recent returns the last events, newest first.
func recent(events []EventView) []EventView {
	last := slices.Clone(events[max(0, len(events)-pageEvents):])
	slices.Reverse(last)
	return last
}
