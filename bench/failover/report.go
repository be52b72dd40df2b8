package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/bench/program"
)

// report collects the results and writes them.
type report struct {
	options  options
	facts    []string
	versions []string // of the stacks' programs
	started  time.Time
	results  []result
}

// gatherFacts says what the numbers depend on besides the stacks' merit.
func gatherFacts(ctx context.Context, s *site) []string {
	return []string{
		program.VersionOf(ctx, filepath.Join(s.cluster.Binaries(), "postgres"), "--version"),
		program.VersionOf(ctx, "patroni", "--version"), program.VersionOf(ctx, "etcd", "--version"), program.Machine(),
	}
}

// tell notes the versions of a stack's programs.
func (r *report) tell(versions []string) {
	for _, v := range versions {
		if !slices.Contains(r.versions, v) {
			r.versions = append(r.versions, v)
		}
	}
}

func (r *report) writeFacts(w io.Writer) {
	fmt.Fprintf(w, "- %s\n", strings.Join(r.facts, "; "))
	fmt.Fprintf(w, "- three nodes, synchronous_mode on, fsync off; ttl %.0f, loop_wait %.0f, retry_timeout %.0f\n",
		ttl.Seconds(), loopWait.Seconds(), retryTimeout.Seconds())
	fmt.Fprintf(w, "- %d writers in autocommit and %d of transactions (BEGIN, 3 statements, COMMIT), each %d/s; %d readers, each %d/s\n\n",
		singles, callers, r.options.rate, readers, r.options.rate/slowness)
}

// writeTables writes one table for each event that happened, in Markdown.
func (r *report) writeTables(w io.Writer) {
	for _, e := range r.options.events {
		var rows []result
		for _, one := range r.results {
			if one.event == e.title {
				rows = append(rows, one)
			}
		}
		if len(rows) > 0 {
			fmt.Fprintf(w, "\n## %s%s\n\n", strings.ToUpper(e.title[:1]), e.title[1:])
			writeTable(w, rows)
		}
	}
	fmt.Fprint(w, legend)
}

func writeTable(w io.Writer, rows []result) {
	fmt.Fprintln(w, "| stack | no write for | Patroni's own | beyond it | writers' errors | in doubt | readers' errors | connections dropped | connects failed | lost | doubled |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s | %.2f s | %.2f s | **%.2f s** | %s | %d | %s | %d | %d | %d | %d |\n", r.stack, r.gap.Seconds(), r.own.Seconds(),
			r.beyond().Seconds(), list(r.writers), r.inDoubt, list(r.readers), r.dropped, r.refused, r.lost, r.doubled)
	}
}

const legend = `
*No write for*: the longest stretch, over all writers together, in which no write was acknowledged, from the moment of the event on.
*Patroni's own*: the same for a watcher that tries to write directly on every node each 10 ms, in the same event; what is *beyond* it is
the stack's. *Errors* are of operations whose client had a connection, by SQLSTATE, or lost (the connection ended without a word) or
timeout (no answer for a minute). *In doubt* are those among the writers' whose outcome nobody told. *Dropped* connections were opened
again by their clients; *connects* that failed were tried again after 0.1 s each, so that their number is a measure of time, too.
*Lost* were acknowledged and are not there, *doubled* are there twice: counted on a direct connection after each event.
`

// method says how it was measured, for who reads the results without the program.
const method = `
## How it was measured

All stacks stood in front of one cluster, one after the other, in one run. Each event has clients of its own and begins when they have been
served for 3 s. It is over when another node leads, writes come back, the old primary streams as a standby, and health checks have had 8 s
to see that: a stack that sends clients to the wrong node until then has their errors in its row.

- *Planned switchover*: POST /switchover of Patroni, to the synchronous standby. pgrouter is told no more of it than the others.
- *Asked of pgrouter*: pgrouter switchover, which holds new work, waits for running transactions, and then asks Patroni for the same.
- *kill -9*: PostgreSQL, its agent and, where there is one, the PgBouncer of that machine at once. The kernel lives, so that connections
  are reset and new ones refused; a machine without power is slower to notice, for every stack.
- *SIGSTOP*: the same processes are frozen, sockets stay open. When another node serves, the frozen one is killed as if the machine had
  been reset: awake again it would be Patroni's affair what it may do, no stack's.

pgrouter: transaction pooling, 20 server connections to each node, hold_timeout 30 s, so that it is longer than the lease (the default, 8 s,
is not: clients would then be told 57P03 after 8 s). HAProxy: the configuration of Patroni's documentation, OPTIONS /primary and /replica,
inter 3s fall 3 rise 2, on-marked-down shutdown-sessions. HAProxy + PgBouncer: the same in front of a PgBouncer on each node's machine,
transaction pooling, 20 server connections. Everything runs on one machine and shares its processors; there is one run of each event, so
that small differences mean nothing, and when in its loop an agent is hit moves a gap by up to loop_wait.
`

// byHand stands in front of what a written run leaves as it is.
const byHand = "<!-- From here on it is written by hand, and kept by -write. -->"

// handwritten returns what stands in a file from there on; "" when there is none.
func handwritten(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	_, kept, found := strings.Cut(string(b), byHand)
	if !found {
		return ""
	}
	return "\n" + byHand + kept
}

// save writes the report to a file in Markdown.
func (r *report) save(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Failovers beside HAProxy and PgBouncer: the last written run\n\nMade by `make bench-failover FAILOVER='%s'` on %s.\n\n",
		r.options.line(), r.started.Format(time.DateOnly))
	for _, v := range r.versions {
		fmt.Fprintf(&b, "- %s\n", v)
	}
	r.writeFacts(&b)
	r.writeTables(&b)
	b.WriteString(method)
	b.WriteString(handwritten(path))
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// line returns the command line that asks for the same again.
func (o options) line() string {
	return fmt.Sprintf("-stacks %s -events %s -rate %d -write", strings.Join(keys(o.stacks), ","), strings.Join(keys(o.events), ","), o.rate)
}
