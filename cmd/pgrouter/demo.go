package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/demo"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

// demoEvents is how many events wait for the demo to read them; later ones are dropped, an event loop never waits.
const demoEvents = 1024

// demoDrain bounds the end of the demo's router.
const demoDrain = 2 * time.Second

func demoCommand(s streams) *cobra.Command {
	options := demo.Options{Stdin: s.in, Stdout: s.out, StartRouter: startDemoRouter}
	cmd := &cobra.Command{
		Use: "demo", Short: "Watch a real PostgreSQL cluster survive a failover under load", Args: noArgs,
		Long: `demo starts a temporary PostgreSQL primary with two standbys from this machine's binaries, a router in front of
them and a VoIP-like load with a ledger of numbered rows. Press f to kill the primary, s for a planned switchover,
q to end. Without a terminal, or with --script, it does one of each by itself. At the end it counts on a direct
connection what was lost or doubled.

With --patroni the cluster is three nodes that Patroni runs, with an etcd of their own, and f kills the primary together
with its agent. It needs the programs patroni and etcd; scripts/setup-patroni installs Debian's.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return demo.Run(cmd.Context(), options) },
	}
	cmd.Flags().BoolVar(&options.Patroni, "patroni", false, "on a cluster that Patroni and etcd run")
	cmd.Flags().BoolVar(&options.Script, "script", false, "no screen: one failover, one switchover, the report")
	cmd.Flags().StringVar(&options.ReportFile, "report", "", "write the report as JSON to this file")
	return cmd
}

// demoRouter is the router as the demo sees it.
type demoRouter struct {
	router *router
	setup  demo.Setup
	events chan event.Event
}

// anyPort lets the kernel choose a port.
const anyPort = "127.0.0.1:0"

const demoConfig = `
[auth]
method = "scram-sha-256"
user = "%s"
password = "${PGROUTER_DEMO_APP_PASSWORD}"
[pool]
size = 20
hold_timeout = "50s"
login_hold_timeout = "50s"
[cluster.main]
probe_user = "%s"
probe_password = "${PGROUTER_DEMO_PROBE_PASSWORD}"
state_dir = %q
%s
[[listener]]
address = "127.0.0.1:5000"
route = "primary"
[[listener]]
address = "127.0.0.1:5001"
route = "replica"
fallback = "primary"
`

// startDemoRouter starts the ordinary router in front of the demo's cluster.
func startDemoRouter(ctx context.Context, setup demo.Setup) (demo.Router, error) {
	source, err := demoSource(setup)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(demoConfig, setup.AppUser, setup.ProbeUser, setup.Dir, source)
	cfg, faults := config.Parse(filepath.Join(setup.Dir, "pgrouter.toml"), []byte(text), []string{
		"PGROUTER_DEMO_APP_PASSWORD=" + setup.AppPassword, "PGROUTER_DEMO_PROBE_PASSWORD=" + setup.ProbePassword,
	})
	if config.Failed(faults) {
		return nil, fmt.Errorf("the demo's own configuration: %v", faults)
	}
	for i := range cfg.Listeners { // whatever is free: the demo must not meet a server of the machine's
		cfg.Listeners[i].Address = anyPort
	}
	cfg.Admin.HTTP = anyPort
	log, err := demoLog(setup.Dir)
	if err != nil {
		return nil, err
	}
	d := &demoRouter{setup: setup, events: make(chan event.Event, demoEvents)}
	d.router, err = startRouter(context.WithoutCancel(ctx), cfg, log, surroundings{watch: d.watch})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// demoSource says where the nodes are found, in TOML, and how one of them is demoted where Patroni does not do that.
func demoSource(setup demo.Setup) (string, error) {
	if len(setup.Etcd) > 0 {
		return fmt.Sprintf("[cluster.main.patroni]\nurls = %s\n[cluster.main.etcd]\nendpoints = %s\nscope = %q",
			tomlList("http://", setup.Agents), tomlList("http://", setup.Etcd), setup.Scope), nil
	}
	demote, err := demoteScript(setup)
	return fmt.Sprintf("nodes = %s\ndemote_command = %s\nswitchover_user = %q\nswitchover_password = \"${PGROUTER_DEMO_PROBE_PASSWORD}\"",
		tomlList("", setup.Nodes), demote, setup.ProbeUser), err
}

// tomlList is a list of strings, each with a prefix.
func tomlList(prefix string, values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(prefix + v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// demoteScript writes the demote_command: the stop command of whichever node is concerned. It returns a TOML string.
func demoteScript(setup demo.Setup) (string, error) {
	var b strings.Builder
	b.WriteString("#!/bin/sh\ncase \"$PGROUTER_NODE\" in\n")
	for _, node := range setup.Nodes {
		fmt.Fprintf(&b, "%s) %s ;;\n", node, setup.StopCommands[node])
	}
	b.WriteString("*) exit 1 ;;\nesac\n")
	path := filepath.Join(setup.Dir, "demote")
	const executable = 0o700
	if err := os.WriteFile(path, []byte(b.String()), executable); err != nil {
		return "", err
	}
	return fmt.Sprintf("[%q]", path), nil
}

// demoLog keeps the router's log out of the screen's way.
func demoLog(dir string) (*slog.Logger, error) {
	f, err := os.Create(filepath.Join(dir, "router.log"))
	if err != nil {
		return nil, err
	}
	return slog.New(slog.NewTextHandler(f, nil)), nil
}

// watch hands an event on without waiting.
func (d *demoRouter) watch(e event.Event) {
	select {
	case d.events <- e:
	default:
	}
}

// WriteDSN leads to the primary.
func (d *demoRouter) WriteDSN() string { return d.dsn(routing.Primary) }

// ReadDSN leads to the standbys.
func (d *demoRouter) ReadDSN() string { return d.dsn(routing.Replica) }

func (d *demoRouter) dsn(route routing.Route) string {
	for _, door := range d.router.listeners() {
		if door.Route == route {
			u := url.URL{
				Scheme: "postgres", User: url.UserPassword(d.setup.AppUser, d.setup.AppPassword), Host: door.Address, Path: "/" + d.setup.Database,
				RawQuery: "sslmode=disable",
			}
			return u.String()
		}
	}
	return ""
}

// AdminURL is the status page.
func (d *demoRouter) AdminURL() string {
	addr := d.router.admin.Address()
	if addr == nil {
		return ""
	}
	return "http://" + addr.String() + "/"
}

// Events are what happens.
func (d *demoRouter) Events() <-chan event.Event { return d.events }

// Switchover moves the primary.
func (d *demoRouter) Switchover(ctx context.Context, to string) error {
	c := (*d.router.clusters.Load())[0]
	return c.conductor.Switchover(ctx, topology.NodeID(to), 0)
}

// Close ends the router.
func (d *demoRouter) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), demoDrain)
	defer cancel()
	err := d.router.close(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // clients that were in the middle of something; the ledger knows
	}
	return err
}
