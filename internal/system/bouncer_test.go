package system

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// bouncerProgram returns how the PgBouncer of the Debian 13 that scripts/setup-bench makes is started, with that one's own libraries. It
// skips the test where there is none.
func bouncerProgram(t *testing.T) []string {
	t.Helper()
	root := cmp.Or(os.Getenv("PGROUTER_TRIXIE"), "/opt/trixie")
	program := filepath.Join(root, "usr/sbin/pgbouncer")
	if own := os.Getenv("TEST_PGBOUNCER"); own != "" {
		program = own
	}
	loaders, _ := filepath.Glob(filepath.Join(root, "usr/lib*/ld-linux*.so.*"))
	libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if _, err := os.Stat(program); err != nil || len(loaders) == 0 || len(libraries) == 0 {
		t.Skipf("no PgBouncer in %s (scripts/setup-bench puts one there)", root)
	}
	return []string{loaders[0], "--library-path", strings.Join(libraries, ":"), program}
}

// bouncer puts a PgBouncer in front of a node, as in the architectures that have one on each, with some lines of pgbouncer.ini, and
// returns its address.
func bouncer(t *testing.T, c *testcluster.Cluster, n *testcluster.Node, host, lines string) string {
	t.Helper()
	program := bouncerProgram(t)
	_, port, _ := strings.Cut(testrouter.FreeAddress(t), ":")
	address := host + ":" + port
	dir, err := os.MkdirTemp("", "pgrouter-bouncer") //nolint:usetesting // PgBouncer's account has to come into it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var users strings.Builder
	for _, name := range []string{testcluster.AppUser, testcluster.ProbeUser} {
		fmt.Fprintf(&users, "%q %q\n", name, c.Role(name).Password)
	}
	config := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr = %s\nlisten_port = %s\nunix_socket_dir =\n"+
		"auth_type = scram-sha-256\nauth_file = %s/users.txt\n%s\nserver_login_retry = 1\n", n.Port(), host, port, dir, lines)
	cmd := exec.Command(program[0], append(program[1:], filepath.Join(dir, "pgbouncer.ini"))...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 { // PgBouncer does not run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, err := range []error{os.Chmod(dir, 0o711), os.Chown(dir, uid, gid)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range map[string]string{"pgbouncer.ini": config, "users.txt": users.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log of PgBouncer for %s:\n%s", n.Name(), text)
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(time.Minute); ; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return address
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
