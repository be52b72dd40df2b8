package demo

import (
	"slices"
	"sync"
	"time"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Who tells something.
const (
	sourceDemo       = "demo"
	sourceSupervisor = "supervisor" // who keeps a cluster without Patroni
	sourcePatroni    = "patroni"
	sourceRouter     = "router"
)

// entry is one thing that somebody told.
type entry struct {
	at     time.Time
	source string
	kind   string
	node   string // name of the node concerned, "" for none
	text   string // more for people
}

// maxEntries keeps a demo that somebody forgot on a screen from growing.
const maxEntries = 10000

// journal is everything that was told, in the order of arrival.
type journal struct {
	mu struct {
		sync.Mutex
		entries []entry
	}
}

func (j *journal) add(e entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.mu.entries) < maxEntries {
		j.mu.entries = append(j.mu.entries, e)
	}
}

// between returns the entries that happened in a stretch of time, in the order in which they happened; a zero end is now.
func (j *journal) between(from, to time.Time) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []entry
	for _, e := range j.mu.entries {
		if !e.at.Before(from) && (to.IsZero() || e.at.Before(to)) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b entry) int { return a.at.Compare(b.at) })
	return found
}

// last returns the newest entries.
func (j *journal) last(n int) []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]entry(nil), j.mu.entries[max(0, len(j.mu.entries)-n):]...)
}

// first returns when the first of these kinds happened, or the zero time.
func first(entries []entry, source string, kinds ...string) time.Time {
	for _, e := range entries {
		if e.source != source {
			continue
		}
		if slices.Contains(kinds, e.kind) {
			return e.at
		}
	}
	return time.Time{}
}

// kept returns when the supervisor, or Patroni, first told this of the cluster that it keeps.
func kept(entries []entry, kind testcluster.SupervisionKind) time.Time {
	if at := first(entries, sourceSupervisor, string(kind)); !at.IsZero() {
		return at
	}
	return first(entries, sourcePatroni, string(kind))
}

func supervisionEntry(s testcluster.Supervision) entry {
	e := entry{at: s.Time, source: sourceSupervisor, kind: string(s.Kind)}
	if s.Node != nil {
		e.node = s.Node.Name()
	}
	if s.Err != nil {
		e.text = s.Err.Error()
	}
	return e
}

func routerEntry(e event.Event, names map[string]string) entry {
	entry := entry{at: e.Time, source: sourceRouter, kind: string(e.Kind), node: names[e.Node], text: e.Reason}
	if entry.at.IsZero() {
		entry.at = time.Now()
	}
	if entry.node == "" {
		entry.node = names[e.To]
	}
	return entry
}
