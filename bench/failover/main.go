package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "failover:", err)
		stop()
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	stacks  []stack
	events  []event
	rate    int    // operations per second of each client
	router  string // the programs
	haproxy string
	limit   time.Duration
	write   bool
}

// The defaults take about twelve minutes.
const (
	usualEvents  = "switchover,order,kill,freeze"
	defaultRate  = 50
	defaultLimit = 15 * time.Minute
)

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var names, kinds string
	flags := flag.NewFlagSet("failover", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&names, "stacks", strings.Join(keys(stacks()), ","), "what stands in front of the cluster, in this order")
	flags.StringVar(&kinds, "events", usualEvents, "what happens to the cluster, in this order")
	flags.IntVar(&o.rate, "rate", defaultRate, "operations per second of each writer")
	flags.StringVar(&o.router, "router", filepath.Join("bin", "pgrouter"), "the router's program")
	flags.StringVar(&o.haproxy, "haproxy", "/usr/sbin/haproxy", "HAProxy's program")
	flags.DurationVar(&o.limit, "limit", defaultLimit, "when the run is given up")
	flags.BoolVar(&o.write, "write", false, "write the results to bench/FAILOVER.md")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("arguments that mean nothing: %s", strings.Join(flags.Args(), " "))
	}
	var errs [2]error
	o.stacks, errs[0] = pick("-stacks", names, stacks())
	o.events, errs[1] = pick("-events", kinds, events())
	if o.rate < 1 {
		return o, errors.Join(errs[0], errs[1], errors.New("-rate is at least 1"))
	}
	return o, errors.Join(errs[:]...)
}

// keyed is what the command line can name.
type keyed interface{ name() string }

func keys[T keyed](all []T) (names []string) {
	for _, one := range all {
		names = append(names, one.name())
	}
	return names
}

// pick returns those of all that a list names.
func pick[T keyed](flagName, list string, all []T) (picked []T, err error) {
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(one T) bool { return one.name() == name })
		if i < 0 {
			return nil, fmt.Errorf("%s: %q is none of %s", flagName, name, strings.Join(keys(all), ", "))
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// run does what the arguments ask for and writes what a person wants to read to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done within %v", o.limit))
	defer cancel()
	s, err := newSite(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	r := &report{options: o, started: time.Now(), facts: gatherFacts(ctx, s)}
	r.writeFacts(stdout)
	for _, one := range o.stacks {
		if err := measure(ctx, s, one, r, stdout); err != nil {
			return fmt.Errorf("%s: %w", one.title, err)
		}
	}
	r.writeTables(stdout)
	if !o.write {
		return nil
	}
	return r.save(filepath.Join("bench", "FAILOVER.md"))
}

// measure puts a stack in front of the cluster and lets everything happen to it.
func measure(ctx context.Context, s *site, one stack, to *report, out io.Writer) error {
	f, err := one.start(ctx, s)
	if err != nil {
		return err
	}
	defer f.stop()
	to.tell(f.versions())
	for _, e := range to.options.events {
		if e.orders && f.order == nil {
			continue
		}
		result, err := play(ctx, s, f, e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.title, err)
		}
		result.stack = one.title
		to.results = append(to.results, result)
		fmt.Fprintln(out, result)
	}
	return nil
}
