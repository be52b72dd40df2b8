package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/bench/program"
)

// report collects the results and writes them.
type report struct {
	options options
	subject string
	peer    string
	facts   facts
	started time.Time
	series  []series
}

// facts are what a number depends on besides the proxies' merit.
type facts struct{ postgres, machine, subjectVersion, peerVersion string }

func gatherFacts(ctx context.Context, db *database, subject, peer *proxy) facts {
	return facts{
		postgres: program.VersionOf(ctx, filepath.Join(db.Binaries(), "postgres"), "--version"), machine: program.Machine(),
		subjectVersion: subject.Version, peerVersion: peer.Version,
	}
}

// roundLine tells how a round of s went. The CPU time by ticks, in brackets, must be near the finer one.
func (r *report) roundLine(s series, number int, one round) string {
	return fmt.Sprintf("%-8s c=%-4d %2d/%d  %s | %s | cpu ×%.3f tps ×%.3f  steal %.1f %%",
		s.protocol, s.clients, number, r.options.rounds, windowText(r.subject, one.subject, s.clients), windowText(r.peer, one.peer, s.clients),
		one.cpuRatio(), one.tpsRatio(), 100*one.steal())
}

func windowText(label string, w window, clients int) string {
	return fmt.Sprintf("%s %5.2f (%.1f) µs/tx %6.0f tps %.3f ms %.2f switches/tx",
		label, w.cpu(), w.coarseCPU(), w.tps(), milliseconds(w.latency(clients)), w.switches())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// writeFacts writes what the numbers depend on.
func (r *report) writeFacts(w io.Writer) {
	fmt.Fprintf(w, "- %s: %s\n- %s: %s\n", r.subject, r.facts.subjectVersion, r.peer, r.facts.peerVersion)
	fmt.Fprintf(w, "- %s, fsync off, scale %d; %s\n", r.facts.postgres, r.options.scale, r.facts.machine)
	fmt.Fprintf(w, "- pgbench --select-only over TCP on loopback, all on one machine; transaction mode, pool of %d, trust; %d rounds of %d s for each, in turns of %v\n\n",
		r.options.pool, r.options.rounds, r.options.seconds, r.options.turn)
}

// writeTable writes the medians as a table in Markdown.
func (r *report) writeTable(w io.Writer) {
	fmt.Fprintf(w, "\n| protocol | clients | %[1]s µs/tx | %[2]s µs/tx | CPU ratio | %[1]s tps | %[2]s tps | TPS ratio | %[1]s ms | %[2]s ms |\n",
		r.subject, r.peer)
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, s := range r.series {
		subjectCPU := spreadOf(s.each(func(r round) float64 { return r.subject.cpu() }))
		peerCPU := spreadOf(s.each(func(r round) float64 { return r.peer.cpu() }))
		subjectTPS := spreadOf(s.each(func(r round) float64 { return r.subject.tps() }))
		peerTPS := spreadOf(s.each(func(r round) float64 { return r.peer.tps() }))
		subjectWait := spreadOf(s.each(func(r round) float64 { return milliseconds(r.subject.latency(s.clients)) }))
		peerWait := spreadOf(s.each(func(r round) float64 { return milliseconds(r.peer.latency(s.clients)) }))
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %s | %s | %s | %.3f | %.3f |\n", s.protocol, s.clients,
			interval(subjectCPU, 2), interval(peerCPU, 2), ratio(spreadOf(s.each(round.cpuRatio))),
			interval(subjectTPS, 0), interval(peerTPS, 0), ratio(spreadOf(s.each(round.tpsRatio))),
			subjectWait.median, peerWait.median)
	}
	fmt.Fprintf(w, "\nEach number is the median of the rounds and, in brackets, its 95 %% interval (the extremes when there are fewer than %d "+
		"rounds).\nA ratio is that of two runs of the same round, %s to %s, and bold where rounds are enough and the interval excludes 1.\n", fewValues, r.subject, r.peer)
	fmt.Fprintf(w, "%d rounds in which the machine's host gave more than %g %% of its time to others were measured again.\n", r.spoilt(), r.options.steal)
}

func (r *report) spoilt() (n int) {
	for _, s := range r.series {
		n += s.spoilt
	}
	return n
}

func interval(s spread, digits int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.median, digits, s.low, digits, s.high)
}

func ratio(s spread) string {
	const digits = 3
	if s.differs() {
		return fmt.Sprintf("**%.*f** (%.*f–%.*f)", digits, s.median, digits, s.low, digits, s.high)
	}
	return interval(s, digits)
}

// save writes the report to a file in Markdown.
func (r *report) save(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results of the last written benchmark\n\nMade by `make bench BENCH='%s'` on %s.\n\n", r.options.line(), r.started.Format(time.DateOnly))
	r.writeFacts(&b)
	for _, s := range r.series {
		for i, one := range s.rounds {
			fmt.Fprintln(&b, "    "+r.roundLine(s, i+1, one))
		}
	}
	r.writeTable(&b)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// line returns the command line that asks for the same again.
func (o options) line() string {
	clients := make([]string, len(o.clients))
	for i, n := range o.clients {
		clients[i] = strconv.Itoa(n)
	}
	return fmt.Sprintf("-rounds %d -seconds %d -clients %s -protocol %s -subject %s -peer %s -pool %d -scale %d -turn %v -steal %g -write",
		o.rounds, o.seconds, strings.Join(clients, ","), strings.Join(o.protocols, ","), o.subject, o.peer, o.pool, o.scale, o.turn, o.steal)
}
