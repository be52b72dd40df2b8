package testcluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
)

const (
	agentName  = "agent"
	aloneName  = "log-alone"
	configName = "patroni.yml"
)

// PatroniNode is one PostgreSQL server with the Patroni agent that starts and stops it. Its name, address and way in are those of a
// [Node]; the log holds the output of both.
type PatroniNode struct {
	server
	cluster *PatroniCluster
	agent   daemon
	alone   daemon // PostgreSQL that somebody has started past the agent
	rest    string // address of the agent's REST interface
	client  *http.Client
}

// newPatroniNode lays the node's directory: agent and data are where the agent's and PostgreSQL's processes live.
func newPatroniNode(c *PatroniCluster, index, port, rest int) (*PatroniNode, error) {
	name := fmt.Sprintf("n%d", index+1)
	place, err := c.network.place(name, firstNode+index)
	if err != nil {
		return nil, err
	}
	n := &PatroniNode{cluster: c, rest: place.at(rest), client: c.etcd.client,
		server: server{site: c.site, name: name, place: place, port: port, dir: filepath.Join(c.dir, name)}}
	// On SIGTERM the agent stops PostgreSQL.
	n.agent = daemon{account: c.account, dir: n.path(agentName), log: n.path(logName), onDeath: syscall.SIGTERM, place: place}
	n.alone = daemon{account: c.account, dir: n.dir, log: n.path(aloneName), onDeath: syscall.SIGQUIT, place: place}
	for _, dir := range []string{n.dir, n.agent.dir} {
		if err := c.account.mkdir(dir); err != nil {
			return nil, err
		}
	}
	config, err := json.MarshalIndent(n.config(index), "", "  ") // which is YAML too
	if err != nil {
		return nil, fmt.Errorf("configuration of %v: %w", n, err)
	}
	return n, c.account.write(n.path(configName), string(config))
}

// Place returns where the node lives; nil, which is loopback, unless the members live apart.
func (n *PatroniNode) Place() *Place { return n.place }

// RESTAddr returns the "host:port" of the agent's REST interface.
func (n *PatroniNode) RESTAddr() string { return n.rest }

// ConfigFile returns the agent's patroni.yml, which patronictl reads too.
func (n *PatroniNode) ConfigFile() string { return n.path(configName) }

// AgentRunning reports whether the agent's process exists, stopped by a signal or not.
func (n *PatroniNode) AgentRunning() bool {
	p := n.agent.current()
	return p != nil && p.alive()
}

func (n *PatroniNode) launch() error {
	if _, err := n.agent.launch(n.cluster.programs.patroni, n.path(configName)); err != nil {
		return fmt.Errorf("start the agent of %v: %w", n, err)
	}
	return nil
}

// Restart begins a new life of a dead agent. It returns when PostgreSQL runs, which the agent starts or finds.
func (n *PatroniNode) Restart(ctx context.Context) error {
	if err := n.launch(); err != nil {
		return err
	}
	_, err := n.cluster.Await(ctx, func(v PatroniView) bool { return v.Of(n).State == "running" })
	if err != nil {
		return fmt.Errorf("restart %v: %w", n, err)
	}
	return nil
}

// StartAlone starts PostgreSQL without the agent, which is dead, as what it was last, as somebody does who does not know of Patroni. It
// returns when it accepts connections. Kill9 ends it.
func (n *PatroniNode) StartAlone(ctx context.Context) error {
	if err := awaitNobody(ctx, n.dir); err != nil {
		return fmt.Errorf("start %v alone: processes of its last life remain: %w", n, err)
	}
	p, err := n.alone.launch(n.cluster.program("postgres"), "-D", n.DataDir())
	if err != nil {
		return fmt.Errorf("start %v alone: %w", n, err)
	}
	return poll(ctx, func() (bool, error) {
		if !p.alive() {
			return false, fmt.Errorf("start %v alone: the server ended: %w: %s", n, orExit(p.err), tailOf(n.alone.log, logLines))
		}
		_, err := n.Status(ctx)
		return err == nil, nil
	})
}

// Kill9 kills the agent, PostgreSQL and every process of theirs with SIGKILL, as if the machine had lost its power while the kernel
// still answers for the sockets. It returns when they are gone.
func (n *PatroniNode) Kill9() {
	killAll(n.dir)
	n.agent.ended()
	n.alone.ended()
}

// KillPostgres kills PostgreSQL alone, which the agent starts again.
func (n *PatroniNode) KillPostgres() { killAll(n.DataDir()) }

// KillAgent kills the agent alone: PostgreSQL goes on, primary or not, and nobody watches it.
func (n *PatroniNode) KillAgent() { n.agent.kill() }

// Stop freezes the agent, PostgreSQL and every process of theirs (SIGSTOP): the kernel goes on accepting connections and bytes, nobody
// answers. Cont ends it.
func (n *PatroniNode) Stop() { signalAll(n.dir, syscall.SIGSTOP) }

// StopPostgres freezes PostgreSQL alone.
func (n *PatroniNode) StopPostgres() { signalAll(n.DataDir(), syscall.SIGSTOP) }

// StopAgent freezes the agent alone.
func (n *PatroniNode) StopAgent() { signalAll(n.agent.dir, syscall.SIGSTOP) }

// Cont wakes whatever was frozen.
func (n *PatroniNode) Cont() { signalAll(n.dir, syscall.SIGCONT) }
