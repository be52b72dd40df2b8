package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgrouter/pgrouter/bench/program"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// builtRouter is where make build puts the router.
const builtRouter = "bin/pgrouter"

// profileName is the file in a router's folder that its CPU profile is written to.
const profileName = "cpu.pprof"

func (s spec) router(where site, folder string) (command, error) {
	router := cmp.Or(s.program, builtRouter)
	if _, err := os.Stat(router); err != nil {
		return command{}, fmt.Errorf("no router to compare (make build makes it): %w", err)
	}
	address, err := testcluster.FreeAddress()
	if err != nil {
		return command{}, err
	}
	admin, err := testcluster.FreeAddress()
	if err != nil {
		return command{}, err
	}
	path := filepath.Join(folder, "pgrouter.toml")
	args := []string{router, "run", "--config", path}
	if s.profile {
		args = append(args, "--cpuprofile", filepath.Join(folder, profileName))
	}
	return command{
		Command: program.Command{Args: args, Version: []string{router, "version"}},
		address: address,
	}, os.WriteFile(path, []byte(routerConfig(where, address, admin)), 0o600)
}

func routerConfig(where site, address, admin string) string {
	return fmt.Sprintf(`[admin]
http = %q

[auth]
method = "trust"

[pool]
mode = "transaction"
size = %d

[cluster.main]
nodes = [%q]
probe_user = %q

[[listener]]
address = %q
route = "primary"
`, admin, where.pool, where.database, testcluster.ProbeUser, address)
}

func (s spec) bouncer(where site, folder string) (command, error) {
	bouncer, err := s.bouncerProgram()
	if err != nil {
		return command{}, err
	}
	account, err := program.Servant()
	if err != nil {
		return command{}, fmt.Errorf("an account for PgBouncer: %w", err)
	}
	address, err := testcluster.FreeAddress()
	if err != nil {
		return command{}, err
	}
	config, users := filepath.Join(folder, "pgbouncer.ini"), filepath.Join(folder, "users.txt")
	c := command{
		Command: program.Command{Args: append(bouncer, config), Version: append(slices.Clip(bouncer), "--version"), Account: account},
		address: address,
	}
	// Readable by PgBouncer's account; there is no secret in them.
	return c, errors.Join(
		os.WriteFile(config, []byte(bouncerConfig(where, address, users)), 0o644),
		os.WriteFile(users, []byte(`"`+testcluster.AppUser+`" ""`+"\n"), 0o644))
}

// bouncerProgram returns how PgBouncer is started.
func (s spec) bouncerProgram() ([]string, error) {
	if s.program != "" {
		return []string{s.program}, nil
	}
	return program.OfTrixie("sbin/pgbouncer")
}

// bouncerConfig is PgBouncer as shipped, but for what the comparison fixes: pool, mode, no passwords, and no line in the log for each
// connection.
func bouncerConfig(where site, address, users string) string {
	host, port, _ := strings.Cut(address, ":")
	dbHost, dbPort, _ := strings.Cut(where.database, ":")
	return fmt.Sprintf(`[databases]
%s = host=%s port=%s

[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = %d
max_client_conn = 10000
log_connections = 0
log_disconnections = 0
`, testcluster.DefaultDatabase, dbHost, dbPort, host, port, users, where.pool)
}
