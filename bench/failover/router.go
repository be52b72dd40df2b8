package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/bench/program"
	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// hold is how long the router lets clients wait: longer than the leader's lease, as its documentation wants it.
const hold = ttl + 10*time.Second

// source is where a router learns of Patroni's cluster.
type source struct {
	config string // in TOML
	orders bool   // and where it can order a switchover
}

// fromEtcd lets the router read Patroni's keys.
func fromEtcd(s *site) source {
	return source{config: fmt.Sprintf("[cluster.main.etcd]\nendpoints = [%s]\nscope = %q\n", quoted("http://", s.cluster.Endpoints()), testcluster.PatroniScope)}
}

// fromREST lets the router ask Patroni's agents.
func fromREST(s *site) source {
	var agents []string
	for _, n := range s.cluster.Nodes() {
		agents = append(agents, n.RESTAddr())
	}
	return source{config: fmt.Sprintf("[cluster.main.patroni]\nurls = [%s]\n", quoted("http://", agents)), orders: true}
}

func quoted(prefix string, values []string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = strconv.Quote(prefix + v)
	}
	return strings.Join(all, ", ")
}

func startRouter(ctx context.Context, s *site, from source) (*front, error) {
	f, err := newFront()
	if err != nil {
		return nil, err
	}
	admin, err := testcluster.FreeAddress()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(s.dir, "pgrouter-")
	if err != nil {
		return nil, err
	}
	router, err := filepath.Abs(s.options.router)
	if err != nil {
		return nil, err
	}
	config, err := s.file(folder, "pgrouter.toml", routerConfig(f, admin, s.cluster.Role(testcluster.ProbeUser).Password, from.config))
	if err != nil {
		return nil, err
	}
	p, err := program.Command{
		Args: []string{router, "run", "--config", config}, Version: []string{router, "version"}, Log: filepath.Join(folder, "log"),
	}.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the router (make build makes it): %w", err)
	}
	f.processes = []*program.Process{p}
	if from.orders {
		f.order = func(ctx context.Context, to *testcluster.PatroniNode) error {
			return orderSwitchover(ctx, router, admin, to)
		}
	}
	return f, nil
}

// orderSwitchover asks the running router for a planned switchover.
func orderSwitchover(ctx context.Context, router, admin string, to *testcluster.PatroniNode) error {
	out, err := exec.CommandContext(ctx, router, "switchover", "--admin", admin, "--to", to.Addr()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pgrouter switchover: %w\n%s", err, out)
	}
	return nil
}

func routerConfig(f *front, admin, secret, source string) string {
	return fmt.Sprintf(`[admin]
http = %q

[auth]
method = "trust"

[pool]
mode = "transaction"
size = %d
hold_timeout = "%s"
login_hold_timeout = "%s"

[cluster.main]
probe_user = %q
probe_password = %q

%s
[[listener]]
address = %q
route = "primary"

[[listener]]
address = %q
route = "replica"
`, admin, poolSize, hold, hold, testcluster.ProbeUser, secret, source, f.write, f.read)
}
