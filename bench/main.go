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
	"syscall"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run does what the arguments ask for and writes what a person wants to read to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pgrouter-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// PgBouncer, which refuses to be root, has its folder in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	db, err := startDatabase(ctx, o.scale)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	site := site{dir: dir, database: db.node.Addr(), pool: o.pool}
	if o.instructions {
		return countAll(ctx, db, site, o, stdout)
	}
	return compare(ctx, db, site, o, stdout)
}

// compare measures both proxies, and writes what came out.
func compare(ctx context.Context, db *database, site site, o options, stdout io.Writer) (err error) {
	subject, peer, err := startPair(ctx, site, o)
	if err != nil {
		return err
	}
	defer subject.Stop()
	defer peer.Stop()
	if o.profile != "" {
		defer func() { err = errors.Join(err, subject.saveProfile(o.profile)) }()
	}

	report := &report{options: o, subject: subject.label, peer: peer.label, facts: gatherFacts(ctx, db, subject, peer), started: time.Now()}
	report.writeFacts(stdout)
	if err := measureAll(ctx, db, pair{subject, peer}, report, stdout); err != nil {
		return err
	}
	report.writeTable(stdout)
	if !o.write {
		return nil
	}
	return report.save(filepath.Join("bench", "RESULTS.md"))
}

// startPair starts both proxies, or none.
func startPair(ctx context.Context, s site, o options) (subject, peer *proxy, err error) {
	subject, err = o.subject.start(ctx, s, "subject")
	if err != nil {
		return nil, nil, err
	}
	peer, err = o.peer.start(ctx, s, "peer")
	if err != nil {
		subject.Stop()
		return nil, nil, err
	}
	if subject.label == peer.label {
		subject.label, peer.label = o.subject.String(), o.peer.String()
	}
	if subject.label == peer.label {
		peer.label += " (peer)"
	}
	return subject, peer, nil
}

// database is the PostgreSQL that both proxies use, with pgbench's tables in it.
type database struct {
	*testcluster.Cluster
	node *testcluster.Node
}

func startDatabase(ctx context.Context, scale int) (*database, error) {
	cluster, err := testcluster.Start(ctx, testcluster.Options{
		HBA: []string{"host all all 127.0.0.1/32 trust"},
		// What runs besides must not fall into one round and not into the other.
		Conf: map[string]string{"autovacuum": "off", "shared_buffers": "256MB", "checkpoint_timeout": "1h"},
	})
	if err != nil {
		return nil, fmt.Errorf("temporary PostgreSQL: %w", err)
	}
	db := &database{cluster, cluster.Node(0)}
	if err := db.initialise(ctx, scale); err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return db, nil
}
