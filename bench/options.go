package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	rounds    int // pairs of runs for each protocol and number of clients
	seconds   int // measured seconds of each run, after one second of warm-up for both
	clients   []int
	protocols []string
	subject   spec
	peer      spec
	pool      int           // server connections that each proxy may open
	scale     int           // of pgbench's tables, 100,000 rows each
	turn      time.Duration // how long one load runs until it is the other's turn
	steal     float64       // percent of the machine's time that its host may give to others during a run that counts
	write     bool
	profile   string // where the subject's CPU profile goes; empty = nowhere

	instructions bool // the subject's are counted, and no time is measured
}

// The defaults take about ten minutes, and up to three times that where rounds are measured again.
const (
	defaultRounds  = 8
	defaultSeconds = 5
	defaultPool    = 20
	defaultScale   = 10
	defaultSteal   = 5
	defaultTurn    = 500 * time.Millisecond
	shortestTurn   = 50 * time.Millisecond
)

func parseOptions(args []string, stderr io.Writer) (options, error) {
	o := options{}
	var clients, protocols, subject, peer string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", defaultRounds, "paired rounds for each protocol and number of clients")
	flags.IntVar(&o.seconds, "seconds", defaultSeconds, "measured seconds of each run")
	flags.StringVar(&clients, "clients", "1,16,100", "numbers of clients")
	flags.StringVar(&protocols, "protocol", "simple,extended", "of pgbench: simple, extended, prepared")
	flags.StringVar(&subject, "subject", "router", "what is compared: router or pgbouncer, or one of them with its program, as in router=bin/pgrouter")
	flags.StringVar(&peer, "peer", "pgbouncer", "what it is compared with, written like -subject")
	flags.IntVar(&o.pool, "pool", defaultPool, "size of each proxy's pool")
	flags.IntVar(&o.scale, "scale", defaultScale, "scale of pgbench's tables")
	flags.DurationVar(&o.turn, "turn", defaultTurn, "how long one load runs until it is the other's turn")
	flags.Float64Var(&o.steal, "steal", defaultSteal, "percent of the machine's time that its host may give to others; a round with more is measured again, at most twice as often as rounds are wanted")
	flags.StringVar(&o.profile, "profile", "", "write the subject's CPU profile to this file (only of a router; profiling costs, so the ratios mean nothing)")
	flags.BoolVar(&o.instructions, "instructions", false, "count the subject's own instructions for each transaction with valgrind, and measure nothing")
	flags.BoolVar(&o.write, "write", false, "write the results to bench/RESULTS.md")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var errs [4]error
	o.clients, errs[0] = parseClients(clients)
	o.protocols, errs[1] = parseProtocols(protocols)
	o.subject, errs[2] = parseSpec(subject)
	o.peer, errs[3] = parseSpec(peer)
	o.subject.counted, o.subject.profile = o.instructions, o.profile != ""
	return o, errors.Join(append(errs[:], o.validate(flags.Args()))...)
}

func (o options) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("arguments that mean nothing: %s", strings.Join(rest, " "))
	case o.rounds < 1 || o.seconds < 1 || o.pool < 1 || o.scale < 1:
		return errors.New("-rounds, -seconds, -pool and -scale are at least 1")
	case o.turn < shortestTurn || o.turn > time.Duration(o.seconds)*time.Second:
		return fmt.Errorf("-turn is at least %v and at most -seconds", shortestTurn)
	case o.steal < 0 || o.steal > 100:
		return errors.New("-steal is a percentage")
	case o.profile != "" && (o.subject.kind != "router" || o.write):
		return errors.New("-profile needs a router as -subject and goes without -write")
	case o.instructions && (o.subject.kind != "router" || o.write || o.profile != ""):
		return errors.New("-instructions needs a router as -subject and goes without -write and -profile")
	}
	return nil
}

func parseClients(s string) ([]int, error) {
	var list []int
	for field := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-clients: %q is no number of clients", field)
		}
		list = append(list, n)
	}
	return list, nil
}

func parseProtocols(s string) ([]string, error) {
	list := strings.Split(s, ",")
	for _, name := range list {
		if !slices.Contains([]string{"simple", "extended", "prepared"}, name) {
			return nil, fmt.Errorf("-protocol: %q is none of simple, extended, prepared", name)
		}
	}
	return list, nil
}

// spec names a proxy and, when it is not the usual one, its program.
type spec struct {
	kind    string // router or pgbouncer
	program string
	counted bool // it runs under callgrind, see underCallgrind
	profile bool // the router writes a CPU profile into its folder, see profileName
}

func parseSpec(s string) (spec, error) {
	kind, program, _ := strings.Cut(s, "=")
	if kind != "router" && kind != "pgbouncer" {
		return spec{}, fmt.Errorf("%q is no proxy that can be compared: router or pgbouncer", kind)
	}
	return spec{kind: kind, program: program}, nil
}

// String returns what the user wrote.
func (s spec) String() string {
	if s.program == "" {
		return s.kind
	}
	return s.kind + "=" + s.program
}
