package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgrouter/pgrouter/bench/program"
)

// Two runs through the same proxy, one longer than the other: logins, start and end cost the same in both, and are not in the difference.
const (
	fewTransactions  = 100 // of each client in the short run
	manyTransactions = 500 // … in the long one
)

// tallyName is the file in a proxy's folder that callgrind's are named after.
const tallyName = "callgrind.out"

// underCallgrind changes a command so that valgrind counts its instructions. It does not bear the signals by which Go's scheduler interrupts a
// thread; and when the collector runs would be chance in so short a time.
func underCallgrind(c command, folder string) (command, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return c, fmt.Errorf("no valgrind to count with (Debian's package valgrind has it): %w", err)
	}
	c.Args = append([]string{valgrind, "--tool=callgrind", "--callgrind-out-file=" + filepath.Join(folder, tallyName)}, c.Args...)
	c.Env = []string{"GODEBUG=asyncpreemptoff=1", "GOGC=off"}
	return c, nil
}

// countAll counts the subject's instructions for each protocol and number of clients. They say nothing of the kernel's, which are most of
// a transaction's time, and nothing of caches; but they are repeated within three percent, where times of the same build differ by ten.
func countAll(ctx context.Context, db *database, where site, o options, out io.Writer) error {
	subject, err := o.subject.start(ctx, where, "subject")
	if err != nil {
		return err
	}
	defer subject.Stop()
	for _, protocol := range o.protocols {
		for _, clients := range o.clients {
			l := load{program: db.pgbench(), address: subject.address, protocol: protocol, clients: clients}
			n, err := subject.instructions(ctx, l)
			if err != nil {
				return fmt.Errorf("%s protocol, %d clients: %w", protocol, clients, err)
			}
			fmt.Fprintf(out, "%-8s c=%-4d %s %.0f instructions/tx\n", protocol, clients, subject.label, n)
		}
	}
	return nil
}

// instructions returns how many instructions of its own the proxy needs for a transaction.
func (p *proxy) instructions(ctx context.Context, l load) (float64, error) {
	if _, err := p.dump(ctx); err != nil { // what was before does not count
		return 0, err
	}
	var counts [2]float64
	for i, transactions := range [...]int{fewTransactions, manyTransactions} {
		l.transactions = transactions
		if err := l.runToEnd(ctx); err != nil {
			return 0, err
		}
		n, err := p.dump(ctx)
		if err != nil {
			return 0, err
		}
		counts[i] = n
	}
	return (counts[1] - counts[0]) / float64((manyTransactions-fewTransactions)*l.clients), nil
}

// dump returns how many instructions were counted since the last dump.
func (p *proxy) dump(ctx context.Context) (float64, error) {
	p.dumps++
	cmd := exec.CommandContext(ctx, "callgrind_control", "--dump", strconv.Itoa(p.PID))
	if output, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("callgrind_control: %w\n%s", err, program.Tail(string(output)))
	}
	f, err := os.Open(filepath.Join(p.folder, tallyName+"."+strconv.Itoa(p.dumps)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return parseTotals(f)
}

// parseTotals reads the sum at the end of a file of callgrind's.
func parseTotals(r io.Reader) (float64, error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if s, ok := strings.CutPrefix(lines.Text(), "totals: "); ok {
			return strconv.ParseFloat(s, 64)
		}
	}
	return 0, errors.Join(errors.New("callgrind has written no totals"), lines.Err())
}

// runToEnd runs pgbench for a number of transactions.
func (l load) runToEnd(ctx context.Context) error {
	var output bytes.Buffer
	cmd := l.command(ctx)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pgbench through %s: %w\n%s", l.address, err, program.Tail(output.String()))
	}
	return nil
}
