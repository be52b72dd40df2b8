package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/internal/ledger"
)

// eventWindow is the second one of a load, behind the calm.
const eventWindow = 1

// result is what clients of a stack felt of one event.
type result struct {
	stack, event  string
	gap           time.Duration    // longest stretch without an acknowledged write
	own           time.Duration    // the same on direct connections: Patroni's and PostgreSQL's own
	writers       map[string]int64 // errors of operations, by SQLSTATE or kind of silence
	readers       map[string]int64
	refused       int64 // connects that failed, writers' and readers'
	dropped       int64 // connections that were lost and opened again
	inDoubt       int64 // writes of which nobody told the client
	lost, doubled int64
}

// take takes over what the clients saw.
func (r *result) take(c *clients, begun time.Time) {
	writers, acks := figures(c.writers(), eventWindow)
	readers, _ := figures([]*ledger.Load{c.read}, eventWindow)
	r.gap = longest(begun, acks)
	r.writers, r.readers = errorsOf(&writers), errorsOf(&readers)
	r.refused = refusals(&writers) + refusals(&readers)
	r.dropped = writers.Reconnects + readers.Reconnects
	r.inDoubt = writers.Unknown
}

// errorsOf counts errors of operations that had a connection.
func errorsOf(f *ledger.Figures) map[string]int64 {
	counts := map[string]int64{}
	for fault, n := range f.Faults {
		if fault.Stage != ledger.Connecting {
			counts[fault.Code] += n
		}
	}
	return counts
}

// refusals counts connects that failed.
func refusals(f *ledger.Figures) (n int64) {
	for fault, times := range f.Faults {
		if fault.Stage == ledger.Connecting {
			n += times
		}
	}
	return n
}

// beyond is what the stack added to Patroni's own time.
func (r result) beyond() time.Duration { return max(0, r.gap-r.own) }

// String says it in a line.
func (r result) String() string {
	return fmt.Sprintf("%-22s %-30s no write for %5.2f s (direct %5.2f s), errors: writers %s, readers %s, %d dropped, %d refused, %d in doubt, lost %d, doubled %d",
		r.stack, r.event, r.gap.Seconds(), r.own.Seconds(), list(r.writers), list(r.readers), r.dropped, r.refused, r.inDoubt, r.lost, r.doubled)
}

// list says counts in a fixed order.
func list(counts map[string]int64) string {
	if len(counts) == 0 {
		return "0"
	}
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[code], code))
	}
	return strings.Join(parts, ", ")
}
