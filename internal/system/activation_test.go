package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgrouter/pgrouter/config"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// units is the example of socket activation.
const units = "../../examples/systemd/"

// descriptor makes a descriptor for another process of anything that has one, and closes the original.
func descriptor(t *testing.T, original any, err error) *os.File {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := original.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	o := original.(interface {
		File() (*os.File, error)
		Close() error
	})
	f, err := o.File()
	if err = errors.Join(err, o.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// listening makes a socket that listens, as a socket unit does.
func listening(t *testing.T, network, address string) *os.File {
	t.Helper()
	ln, err := net.Listen(network, address)
	return descriptor(t, ln, err)
}

// TestSocketActivationServesWhoCameBeforeTheRouter runs the example: its socket unit has the addresses of its configuration, and
// a client that has connected to each of them before there is a router is served when there is one.
func TestSocketActivationServesWhoCameBeforeTheRouter(t *testing.T) {
	cfg, faults := config.Load(units+"pgrouter.toml", nil)
	if cfg == nil {
		t.Fatal(faults)
	}
	text, err := os.ReadFile(units + "pgrouter.toml")
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile(units + "pgrouter.socket")
	if err != nil {
		t.Fatal(err)
	}
	var configured, streams []string
	for _, l := range cfg.Listeners {
		configured = append(configured, l.Address)
	}
	for _, line := range regexp.MustCompile(`(?m)^ListenStream=(.*)$`).FindAllStringSubmatch(string(unit), -1) {
		streams = append(streams, line[1])
	}
	if diff := cmp.Diff(configured, streams); diff != "" {
		t.Errorf("pgrouter.toml (-) and pgrouter.socket (+): %s", diff)
	}

	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Prepare(t, c, string(text))
	sockets := []*os.File{listening(t, "tcp", r.Write), listening(t, "tcp", r.Read)}
	early := make(map[string]net.Conn)
	for _, address := range []string{r.Write, r.Read} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		early[address] = conn
	}
	r.Run(sockets...)
	for address, conn := range early {
		login, err := pgconn.ParseConfig(c.DSN(address, testcluster.AppUser, testcluster.DefaultDatabase))
		if err != nil {
			t.Fatal(err)
		}
		login.DialFunc = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
		client, err := pgconn.ConnectConfig(t.Context(), login)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := query(client, "select 'early'"); err != nil || got != "early" {
			t.Errorf("%s: %q, %v", address, got, err)
		}
		client.Close(t.Context())
		if got := psql(t, c, address, "select 'late'"); got != "late" {
			t.Errorf("%s: %q", address, got)
		}
	}
}

// TestTheUnitsAreValid asks systemd, where there is one.
func TestTheUnitsAreValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"pgrouter.socket", "pgrouter.service"} {
		text, err := os.ReadFile(units + name)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, []byte("/usr/local/bin/pgrouter"), []byte(testrouter.Binary(t)), 1)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pgrouter.socket", "pgrouter.service"} {
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

const activatedConfig = `
[auth]
userlist = "userlist.txt"
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
demote_command = [%q]
[[listener]]
address = ""
route = "primary"
[[listener]]
address = ""
route = "replica"
fallback = "primary"
[[listener]]
address = "%s:1"
[[listener]]
address = "%[2]s:2"
`

// TestInheritedSocketsAreTheRoutersAloneAndStay gives the router two of its four sockets. The others it makes itself; what it runs
// gets none of them; and at its end only the file of its own is removed.
func TestInheritedSocketsAreTheRoutersAloneAndStay(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	dir := t.TempDir()
	demote, told := filepath.Join(dir, "demote"), filepath.Join(dir, "told")
	if err := os.WriteFile(demote, []byte("#!/bin/sh\n{ env; ls -l /proc/$$/fd; } >"+told+"\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := testrouter.Prepare(t, c, fmt.Sprintf(activatedConfig, demote, dir))
	given, own := filepath.Join(dir, ".s.PGSQL.1"), filepath.Join(dir, ".s.PGSQL.2")
	sockets := []*os.File{listening(t, "unix", given), listening(t, "tcp", r.Write)}
	if err := os.Chmod(given, 0o660); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // when the router has ended
		if info, err := os.Stat(given); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("the inherited socket's file: %v, %v", info, err)
		}
		if _, err := os.Stat(own); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the router's own socket's file: %v", err)
		}
	})
	r.Run(sockets...)
	for _, address := range []string{r.Write, r.Read, dir + ":1", dir + ":2"} {
		if got := psql(t, c, address, "select 1"); got != "1" {
			t.Errorf("%s: %q", address, got)
		}
	}
	knows(r, 2)
	if err := r.Switchover(t.Context(), c.Standbys()[0].Addr()); err == nil || !strings.Contains(err.Error(), "demote_command") {
		t.Fatalf("the switchover: %v", err)
	}
	got, err := os.ReadFile(told)
	if err != nil || !bytes.Contains(got, []byte("PGROUTER_OLD_PRIMARY=")) || !bytes.Contains(got, []byte(" 2 -> ")) {
		t.Fatalf("%v\n%s", err, got)
	}
	if bytes.Contains(got, []byte("LISTEN_")) || bytes.Contains(got, []byte("socket:")) {
		t.Errorf("the demote_command has\n%s", got)
	}
}

// TestSocketsThatFitNoListenerAreToldAtTheStart gives the router what it cannot use.
func TestSocketsThatFitNoListenerAreToldAtTheStart(t *testing.T) {
	binary, dir, address := testrouter.Binary(t), t.TempDir(), testrouter.FreeAddress(t)
	path := filepath.Join(dir, "pgrouter.toml")
	text := fmt.Sprintf("[auth]\nmethod=\"trust\"\n[admin]\nhttp=\"\"\n[cluster.main]\nnodes=[\"127.0.0.1:1\"]\n[[listener]]\naddress=%q\n", address)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := []string{binary, "run", "--config", path}
	right := listening(t, "tcp", address)
	other, packets := testrouter.FreeAddress(t), testrouter.FreeAddress(t)
	stranger := listening(t, "unix", filepath.Join(dir, "socket"))
	packet, err := net.ListenPacket("udp", packets)
	datagrams := descriptor(t, packet, err)
	client, err := net.Dial("tcp", address)
	connected := descriptor(t, client, err)
	for _, tc := range []struct {
		name    string
		args    []string
		sockets []*os.File
		want    []string
	}{
		{"another address", testrouter.Activated(2, run...), []*os.File{right, listening(t, "tcp", other)},
			[]string{"descriptor 4 (spare): no listener is configured for " + other, fmt.Sprintf("add a [[listener]] with address = %q", other)}},
		{"another path", testrouter.Activated(1, run...), []*os.File{stranger},
			[]string{"descriptor 3 (pgrouter.socket)", dir + "/socket", "call it /directory/.s.PGSQL.port"}},
		{"another path of PostgreSQL's", testrouter.Activated(1, run...), []*os.File{listening(t, "unix", filepath.Join(dir, ".s.PGSQL.7"))},
			[]string{fmt.Sprintf("address = %q", dir+":7")}},
		{"datagrams", testrouter.Activated(1, run...), []*os.File{datagrams}, []string{packets, "not a stream socket that listens", "ListenStream="}},
		{"a connection", testrouter.Activated(1, run...), []*os.File{connected}, []string{"not a stream socket that listens", "Accept=no"}},
		{"no socket", testrouter.Activated(4, run...), []*os.File{right, right}, []string{"descriptor 5", "bound nowhere"}},
		{"no number", []string{"/bin/sh", "-c", `export LISTEN_PID=$$ LISTEN_FDS=some; exec "$@"`, "sh", binary, "run", "--config", path}, nil,
			[]string{`LISTEN_FDS is "some"`}},
		{"for another process", append([]string{"/usr/bin/env", "LISTEN_PID=1", "LISTEN_FDS=1"}, run...), []*os.File{right}, []string{"address already in use"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, tc.args[0], tc.args[1:]...)
			cmd.ExtraFiles = tc.sockets
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}
