package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Setup is what a router needs to know of the demo's cluster.
type Setup struct {
	Nodes         []string          // "127.0.0.1:port", the primary first
	ProbeUser     string            // may watch the nodes and promote one
	ProbePassword string            //
	AppUser       string            // whom clients log in as
	AppPassword   string            //
	Database      string            // where their tables are
	StopCommands  map[string]string // by node: the shell command that shuts it down in order; none with Patroni
	Etcd          []string          // with Patroni: the addresses of its etcd
	Scope         string            // with Patroni: its scope there
	Agents        []string          // with Patroni: the addresses of its agents
	Dir           string            // a directory that goes away with the demo, for the router's files
}

// Router is the router on stage. Its methods are called from several goroutines.
type Router interface {
	WriteDSN() string                                // of the port that leads to the primary, for Setup.AppUser, with its password
	ReadDSN() string                                 // of the port that leads to the standbys
	AdminURL() string                                // of the page to look at
	Events() <-chan event.Event                      // what happens; read until it is closed or the demo ends
	Switchover(ctx context.Context, to string) error // planned; returns when the node "to" is the primary and clients go on
	Close() error                                    // ends it; Events may be closed by it
}

// Options say how the demo runs. StartRouter and Stdout are needed.
type Options struct {
	Patroni     bool      // three nodes that Patroni runs, with etcd, instead of a primary with standbys and a supervisor
	Script      bool      // no screen: one failover, one switchover, the report. Also when there is no terminal
	ReportFile  string    // where the report is written as JSON; nowhere when empty
	Stdin       io.Reader // keys come from here when it is a terminal
	Stdout      io.Writer
	StartRouter func(ctx context.Context, setup Setup) (Router, error)

	Clients       int           // 16
	Rate          float64       // operations per second of all clients; 300
	FailoverDelay time.Duration // how long the supervisor lets a dead primary be dead, as a lease would; 1 s
	Calm          time.Duration // of a script, before, between and after its events; 5 s
}

func (o Options) withDefaults() Options {
	const (
		clients = 16
		rate    = 300
		calm    = 5 * time.Second
	)
	if o.Clients == 0 {
		o.Clients = clients
	}
	if o.Rate == 0 {
		o.Rate = rate
	}
	if o.FailoverDelay == 0 {
		o.FailoverDelay = time.Second
	}
	if o.Calm == 0 {
		o.Calm = calm
	}
	return o
}

// Run plays the demo until the script is over or somebody presses q. It returns an error when something could not be
// started, an event did not come to an end, or the ledger does not agree with what clients were told. When ctx ends it
// takes everything down and returns ctx's error.
func Run(ctx context.Context, options Options) error {
	if options.StartRouter == nil || options.Stdout == nil {
		return errors.New("demo: no router or no output given")
	}
	err := perform(ctx, options.withDefaults())
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("demo: broken off, everything is taken down: %w", context.Cause(ctx))
	}
	return err
}

// perform is the demo from its first line to its last.
func perform(ctx context.Context, options Options) error {
	begun := time.Now()
	fmt.Fprintln(options.Stdout, options.opening())
	s, err := raise(ctx, options)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer s.fall()
	if err := s.open(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.ready = time.Since(begun)
	s.announce(options.Stdout)
	if err := s.play(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return s.finale(ctx)
}

// opening says what is about to be started.
func (o Options) opening() string {
	if o.Patroni {
		return "starting etcd, three PostgreSQL nodes under Patroni and the router; this takes 15 to 30 seconds …"
	}
	return "starting a primary, two standbys and the router …"
}

// play runs the script, or the screen when there is somebody to look at it.
func (s *stage) play(ctx context.Context) error {
	in, out := terminalOf(s.options.Stdin), terminalOf(s.options.Stdout)
	if s.options.Script || in == nil || out == nil {
		return s.script(ctx)
	}
	return s.interact(ctx, in, out)
}

// terminalOf returns the file behind a stream if it is a terminal.
func terminalOf(stream any) *os.File {
	if f, ok := stream.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// finale stops the load, proves the ledger and hands out the report.
func (s *stage) finale(ctx context.Context) error {
	s.endLoad(ctx)
	report, err := s.report(ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	report.print(s.options.Stdout)
	if s.options.ReportFile != "" {
		if err := report.save(s.options.ReportFile); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return report.err()
}

// announce tells where everything is.
func (s *stage) announce(w io.Writer) {
	fmt.Fprintf(w, "ready in %.1f s: PostgreSQL %s, %v in %s\n", s.ready.Seconds(), s.version, s.ground, s.ground.Dir())
	fmt.Fprintf(w, "  writes  %s\n  reads   %s\n", s.router.WriteDSN(), s.router.ReadDSN())
	if url := s.router.AdminURL(); url != "" {
		fmt.Fprintf(w, "  page    %s\n", url)
	}
	if hint := s.ground.hint(); hint != "" {
		fmt.Fprintf(w, "  %s\n", hint)
	}
}

func setupOf(g ground) Setup {
	setup := Setup{
		ProbeUser: testcluster.ProbeUser, ProbePassword: g.Role(testcluster.ProbeUser).Password,
		AppUser: testcluster.AppUser, AppPassword: g.Role(testcluster.AppUser).Password,
		Database: testcluster.DefaultDatabase, Dir: g.Dir(),
	}
	for _, n := range g.nodes() {
		setup.Nodes = append(setup.Nodes, n.Addr())
	}
	g.describe(&setup)
	return setup
}
