package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// print writes the report for people.
func (r *Report) print(w io.Writer) {
	fmt.Fprintf(w, "\nREPORT: %d clients, PostgreSQL %s, %s, ready in %.1f s\n", r.Clients, r.PostgreSQL, r.Cluster, r.ReadySeconds)
	for i, e := range r.Events {
		fmt.Fprintf(w, "\n%d. %s from %s to %s\n", i+1, e.Kind, e.From, e.To)
		e.print(w)
	}
	fmt.Fprintf(w, "\nLEDGER, counted on a direct connection to the primary\n")
	fmt.Fprintf(w, "   writes    %s acknowledged, %s failed, %s in doubt (%s of them there)\n",
		thousands(r.Acknowledged), thousands(r.Failed), thousands(r.InDoubt), thousands(r.InDoubtPresent))
	fmt.Fprintf(w, "   lost %d   doubled %d   failed but there %d   torn %d   never sent %d   mixed up %d\n",
		r.Lost, r.Doubled, r.Ghosts, r.Torn, r.Alien, r.Mixed)
	fmt.Fprintf(w, "   clients   %s reconnects, errors: %s\n", thousands(r.Reconnects), errorList(r.Errors))
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "     %-7s %s\n", code, meaning(code))
	}
	for _, f := range r.Faults {
		fmt.Fprintf(w, "   FAULT     %s\n", f)
	}
}

func (e *EventReport) print(w io.Writer) {
	line := func(name string, ms *float64) {
		if ms == nil {
			fmt.Fprintf(w, "   %-22s %12s\n", name, "not seen")
			return
		}
		fmt.Fprintf(w, "   %-22s %9.0f ms\n", name, *ms)
	}
	line("router noticed", e.Detected)
	line("new primary writable", e.NewPrimaryWritable)
	line("router proved it", e.NewPrimaryProven)
	line("first write served", e.FirstWriteServed)
	line("no write for", &e.WithoutWrite)
	fmt.Fprintf(w, "   operations: %s held (longest %.0f ms), %s served, %s failed, %s in doubt\n",
		thousands(e.Held), e.HeldMax, thousands(e.Served), thousands(e.Failed), thousands(e.InDoubt))
	fmt.Fprintf(w, "   clients: %s reconnects, errors: %s\n", thousands(e.Reconnects), errorList(e.Errors))
	fmt.Fprintf(w, "   latency p50/p99 in ms:")
	for _, name := range []string{"before", "during", "after"} {
		p := e.Latency[name]
		fmt.Fprintf(w, "  %s %.1f/%.1f", name, p.P50, p.P99)
	}
	fmt.Fprintln(w)
	if e.Error != "" {
		fmt.Fprintf(w, "   FAILED: %s\n", e.Error)
	}
}

// errorList names errors with their numbers, in a fixed order.
func errorList(errors map[string]int64) string {
	if len(errors) == 0 {
		return "none"
	}
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(errors)) {
		parts = append(parts, fmt.Sprintf("%s ×%s", code, thousands(errors[code])))
	}
	return strings.Join(parts, ", ")
}

// thousands prints 1234567 as 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	const group = 3
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - group; i > 0; i -= group {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
