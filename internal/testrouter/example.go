package testrouter

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// Example runs the router with a configuration from examples/, and waits until it is ready.
func Example(t testing.TB, c *testcluster.Cluster, text string) *Process {
	t.Helper()
	p := Prepare(t, c, text)
	p.Run()
	return p
}

// Prepare writes a configuration from examples/, in which only what belongs to a machine is replaced: the addresses of nodes and
// of the first two listeners, and the state directory. The files that it names stand beside it.
func Prepare(t testing.TB, c *testcluster.Cluster, text string) *Process {
	t.Helper()
	var nodes []string
	for _, n := range c.Nodes() {
		nodes = append(nodes, n.Addr())
	}
	return prepare(t, c, replaceLine(text, `^nodes = .*$`, func(string) string { return "nodes = " + list("", nodes) }))
}

// PreparePatroni is Prepare in front of a cluster that Patroni runs: the addresses of its agents and of its etcd are replaced, and the
// scope is told.
func PreparePatroni(t testing.TB, c *testcluster.PatroniCluster, text string) *Process {
	t.Helper()
	var agents []string
	for _, n := range c.Nodes() {
		agents = append(agents, n.RESTAddr())
	}
	for pattern, line := range map[string]string{
		`^urls = .*$`:      "urls = " + list("http://", agents),
		`^endpoints = .*$`: "endpoints = " + list("http://", c.Endpoints()),
		`^# scope = .*$`:   fmt.Sprintf("scope = %q", testcluster.PatroniScope),
	} {
		text = replaceLine(text, pattern, func(string) string { return line })
	}
	return prepare(t, c, text)
}

// list is a list of strings in TOML, each with a prefix.
func list(prefix string, values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(prefix + v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// accounts are who may log in.
type accounts interface {
	Role(name string) testcluster.Role
}

// prepare replaces what any kind of cluster needs replaced.
func prepare(t testing.TB, c accounts, text string) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{t: t, dir: dir, Write: FreeAddress(t), Read: FreeAddress(t), Admin: FreeAddress(t), log: filepath.Join(dir, "router.log")}
	doors := []string{p.Write, p.Read}
	text = replaceLine(text, `^state_dir = .*$`, func(string) string { return fmt.Sprintf("state_dir = %q", dir) })
	text = replaceLine(text, `^http = .*$`, func(string) string { return fmt.Sprintf("http = %q", p.Admin) })
	text = replaceLine(text, `^address = .*$`, func(line string) string {
		if len(doors) == 0 {
			return line
		}
		line = fmt.Sprintf("address = %q", doors[0])
		doors = doors[1:]
		return line
	})
	if !strings.Contains(text, "http = ") {
		text = fmt.Sprintf("[admin]\nhttp = %q\n", p.Admin) + text
	}
	app, probe := c.Role(testcluster.AppUser), c.Role(testcluster.ProbeUser)
	for name, content := range map[string]string{
		"pgrouter.toml": text, "userlist.txt": fmt.Sprintf("%q %q\n", app.Name, app.Password), "probe-password.txt": probe.Password,
		"switchover-password.txt": probe.Password,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Run starts a prepared router, and waits until it is ready. It is given sockets as systemd gives them, if there are any.
func (p *Process) Run(sockets ...*os.File) {
	p.t.Helper()
	p.Begin(sockets...)
	p.awaitReady()
}

// Begin is Run without the wait, for a router that may never be ready.
func (p *Process) Begin(sockets ...*os.File) {
	p.t.Helper()
	p.args = []string{Binary(p.t), "run", "--config", p.Config()}
	if p.inherited = sockets; len(sockets) > 0 {
		p.args = Activated(len(sockets), p.args...)
	}
	p.run()
}

// Rewrite changes one of the router's files: pgrouter.toml, or one that it names. The router reads it when it is told to.
func (p *Process) Rewrite(name string, change func(text string) string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(change(string(text))), 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// Activated is a command line that runs another one as systemd does with sockets: the variables name the process that it becomes.
func Activated(sockets int, args ...string) []string {
	const script = `export LISTEN_PID=$$ LISTEN_FDS=$0 LISTEN_FDNAMES=pgrouter.socket:spare; exec "$@"`
	return append([]string{"/bin/sh", "-c", script, strconv.Itoa(sockets)}, args...)
}

func replaceLine(text, pattern string, with func(line string) string) string {
	return regexp.MustCompile("(?m)"+pattern).ReplaceAllStringFunc(text, with)
}

// Config returns the file of a prepared router's configuration.
func (p *Process) Config() string { return filepath.Join(p.dir, "pgrouter.toml") }
