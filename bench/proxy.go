package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/bench/program"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// startLimit is how long a proxy may take to serve its first query; countedLimit one whose instructions are counted.
const (
	startLimit   = 15 * time.Second
	countedLimit = 90 * time.Second
)

// site is what the proxies of one benchmark share.
type site struct {
	dir      string // of the benchmark
	database string // host:port of PostgreSQL
	pool     int
}

// proxy is a running proxy. Its owner calls Stop.
type proxy struct {
	*program.Process
	label   string
	address string // host:port
	folder  string
	dumps   int // that callgrind has written for it
}

// command says how to start a proxy, and where it will listen.
type command struct {
	program.Command
	address string
}

// start starts the proxy and waits until a query has gone through it.
func (s spec) start(ctx context.Context, where site, name string) (*proxy, error) {
	folder := filepath.Join(where.dir, name)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	var c command
	var err error
	if s.kind == "router" {
		c, err = s.router(where, folder)
	} else {
		c, err = s.bouncer(where, folder)
	}
	if err == nil && s.counted {
		c, err = underCallgrind(c, folder)
	}
	if err != nil {
		return nil, err
	}
	c.Log = filepath.Join(folder, "log")
	process, err := c.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s, err)
	}
	p := &proxy{Process: process, label: s.kind, address: c.address, folder: folder}
	limit := startLimit
	if s.counted {
		limit = countedLimit
	}
	if err := p.await(ctx, limit); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// saveProfile stops the proxy, which then has written its CPU profile, and moves that to path.
func (p *proxy) saveProfile(path string) error {
	p.Stop()
	b, err := os.ReadFile(filepath.Join(p.folder, profileName))
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// await waits until a query goes through the proxy, for at most as long as the limit says.
func (p *proxy) await(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	const pause = 50 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := p.query(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.Exited():
			return fmt.Errorf("%s ended at its start:\n%s", p.label, p.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("%s at %s does not serve: %w\n%s", p.label, p.address, err, p.LogTail())
		case <-ticker.C:
		}
	}
}

func (p *proxy) query(ctx context.Context) error {
	dsn := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", testcluster.AppUser, p.address, testcluster.DefaultDatabase)
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
	return errors.Join(err, conn.Close(ctx))
}
