package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/bench/program"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// startHAProxy puts HAProxy in front of the nodes.
func startHAProxy(ctx context.Context, s *site) (*front, error) {
	f, err := newFront()
	if err != nil {
		return nil, err
	}
	var servers []server
	for _, n := range s.cluster.Nodes() {
		servers = append(servers, server{n.Name(), n.Addr(), n.RESTAddr()})
	}
	return f, f.launchHAProxy(ctx, s, servers)
}

// server is one line of HAProxy's configuration.
type server struct {
	name    string
	address string // of PostgreSQL, or of the PgBouncer beside it
	agent   string // of Patroni, which is asked
}

// launchHAProxy starts HAProxy in front of servers.
func (f *front) launchHAProxy(ctx context.Context, s *site, servers []server) error {
	haproxy, err := exec.LookPath(s.options.haproxy)
	if err != nil {
		return fmt.Errorf("no HAProxy to compare with (scripts/setup-haproxy installs it): %w", err)
	}
	folder, err := os.MkdirTemp(s.dir, "haproxy-")
	if err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	config, err := s.file(folder, "haproxy.cfg", haproxyConfig(f, servers))
	if err != nil {
		return err
	}
	return f.launch(ctx, program.Command{
		Args: []string{haproxy, "-db", "-f", config}, Version: []string{haproxy, "-v"}, Log: filepath.Join(folder, "log"),
	})
}

// haproxyConfig is the one of Patroni's documentation, with its health checks.
func haproxyConfig(f *front, servers []server) string {
	var b strings.Builder
	b.WriteString(`global
	maxconn 1000
defaults
	mode tcp
	retries 2
	timeout client 30m
	timeout connect 4s
	timeout server 30m
	timeout check 5s
`)
	for _, door := range []struct{ name, address, path string }{{"primary", f.write, "/primary"}, {"replicas", f.read, "/replica"}} {
		fmt.Fprintf(&b, `listen %s
	bind %s
	option httpchk OPTIONS %s
	http-check expect status 200
	default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
`, door.name, door.address, door.path)
		for _, one := range servers {
			_, port, _ := strings.Cut(one.agent, ":")
			fmt.Fprintf(&b, "\tserver %s %s maxconn 100 check port %s\n", one.name, one.address, port)
		}
	}
	return b.String()
}

// startBouncers puts a PgBouncer beside each node, on its machine, and HAProxy in front of them.
func startBouncers(ctx context.Context, s *site) (*front, error) {
	f, err := newFront()
	if err != nil {
		return nil, err
	}
	addresses := map[string]string{} // of the PgBouncers, by node
	var servers []server
	for _, n := range s.cluster.Nodes() {
		if addresses[n.Name()], err = testcluster.FreeAddress(); err != nil {
			return nil, err
		}
		servers = append(servers, server{n.Name(), addresses[n.Name()], n.RESTAddr()})
	}
	f.onReset = func(ctx context.Context, n *testcluster.PatroniNode) error {
		return f.launchBouncer(ctx, s, n, addresses[n.Name()])
	}
	for _, n := range s.cluster.Nodes() {
		if err := f.onReset(ctx, n); err != nil {
			f.stop()
			return nil, err
		}
	}
	if err := f.launchHAProxy(ctx, s, servers); err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// launchBouncer starts the PgBouncer of a node. It lives in the node's directory, so that it is killed and frozen with its machine.
func (f *front) launchBouncer(ctx context.Context, s *site, n *testcluster.PatroniNode, address string) error {
	command, err := program.OfTrixie("sbin/pgbouncer")
	if err != nil {
		return err
	}
	folder, err := s.folder("pgbouncer-" + n.Name())
	if err != nil {
		return err
	}
	users, errUsers := s.file(folder, "users.txt", fmt.Sprintf("%q \"\"\n", testcluster.AppUser))
	config, errConfig := s.file(folder, "pgbouncer.ini", bouncerConfig(n.Port(), address, users))
	if err := errors.Join(errUsers, errConfig); err != nil {
		return err
	}
	return f.launch(ctx, program.Command{
		Args: append(slices.Clip(command), config), Version: append(slices.Clip(command), "--version"),
		Log: filepath.Join(folder, "log"), Dir: filepath.Dir(n.DataDir()),
	})
}

func bouncerConfig(database int, address, users string) string {
	host, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf(`[databases]
%s = host=127.0.0.1 port=%d

[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
`, testcluster.DefaultDatabase, database, host, port, users, poolSize)
}
