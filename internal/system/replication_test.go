package system

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// replicationGround is a cluster whose application user may replicate, and a router in front of it.
func replicationGround(t *testing.T) (*testcluster.Cluster, *testrouter.Process) {
	t.Helper()
	c := clustertest.Start(t, testcluster.Options{
		Standbys: 1, Roles: []testcluster.Role{{Name: testcluster.AppUser, Options: "REPLICATION"}}, Conf: map[string]string{"wal_level": "logical"},
	})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 2) // without a standby the read port leads to the primary
	return c, r
}

// program prepares one of PostgreSQL's programs, as a user would call it.
func program(t *testing.T, c *testcluster.Cluster, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.Binaries(), name), args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+c.Role(testcluster.AppUser).Password, "LC_ALL=C")
	return cmd
}

// runs runs one to its end, which must be a good one, and returns what it says.
func runs(t *testing.T, c *testcluster.Cluster, name string, args ...string) string {
	t.Helper()
	out, err := program(t, c, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// at are the options that lead to an address.
func at(address string, more ...string) []string {
	host, port, _ := strings.Cut(address, ":")
	return append([]string{"-h", host, "-p", port, "-U", testcluster.AppUser, "-w"}, more...)
}

// position is how far the primary has written.
func position(t *testing.T, c *testcluster.Cluster, r *testrouter.Process) string {
	t.Helper()
	return psql(t, c, r.Write, "select pg_current_wal_flush_lsn()")
}

func TestReplicationProgramsWorkOnBothPorts(t *testing.T) {
	c, r := replicationGround(t)
	psql(t, c, r.Write, "create table t(n int)")
	system := psql(t, c, r.Write, "select system_identifier from pg_control_system()")
	for name, address := range map[string]string{"primary": r.Write, "standby": r.Read} {
		t.Run(name, func(t *testing.T) {
			host, port, _ := strings.Cut(address, ":")
			for _, kind := range []string{"true", "database"} {
				dsn := "host=" + host + " port=" + port + " user=app dbname=app replication=" + kind
				if got := runs(t, c, "psql", "-AtX", "-c", "IDENTIFY_SYSTEM", dsn); !strings.HasPrefix(got, system+"|") {
					t.Errorf("replication=%s: %s, want system %s", kind, got, system)
				}
			}
			backup := filepath.Join(t.TempDir(), "backup")
			runs(t, c, "pg_basebackup", at(address, "-D", backup, "-X", "stream", "-c", "fast")...)
			runs(t, c, "pg_verifybackup", backup)
			psql(t, c, r.Write, "insert into t select generate_series(1, 10000)")
			wal := t.TempDir()
			runs(t, c, "pg_receivewal", at(address, "-D", wal, "-n", "--endpos", position(t, c, r))...)
			if segments, err := os.ReadDir(wal); err != nil || len(segments) == 0 {
				t.Errorf("pg_receivewal has received %v, %v", segments, err)
			}
		})
	}
}

func TestLogicalDecodingPassesThrough(t *testing.T) {
	c, r := replicationGround(t)
	psql(t, c, r.Write, "create table t(n int)")
	runs(t, c, "pg_recvlogical", at(r.Write, "-d", "app", "-S", "s", "-P", "test_decoding", "--create-slot")...)
	psql(t, c, r.Write, "insert into t values (4711)")
	end := position(t, c, r)
	got := runs(t, c, "pg_recvlogical", at(r.Write, "-d", "app", "-S", "s", "--start", "-n", "-E", end, "-f", "-")...)
	if !strings.Contains(got, "table public.t: INSERT: n[integer]:4711") {
		t.Errorf("decoded:\n%s", got)
	}
	runs(t, c, "pg_recvlogical", at(r.Write, "-d", "app", "-S", "s", "--drop-slot")...)
}

// receiver begins pg_receivewal and waits until it streams.
func receiver(t *testing.T, c *testcluster.Cluster, r *testrouter.Process, more ...string) (cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	said = &bytes.Buffer{}
	cmd = program(t, c, "pg_receivewal", at(r.Write, append([]string{"-D", t.TempDir(), "-v"}, more...)...)...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Await("pg_receivewal streams", time.Minute, func() bool { return receives(t, c.Primary()) })
	return cmd, said
}

// receives reports whether pg_receivewal streams from a node.
func receives(t *testing.T, n *testcluster.Node) (is bool) {
	t.Helper()
	conn, err := n.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const question = "select exists (select from pg_stat_replication where application_name = 'pg_receivewal' and state = 'streaming')"
	if err := conn.QueryRow(t.Context(), question).Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

// TestAReplicationConnectionIsCutFromTheOldPrimary freezes the primary and promotes the standby: who streams from the old one is told so,
// and finds the new one behind the same port. Nothing of the old connection is left.
func TestAReplicationConnectionIsCutFromTheOldPrimary(t *testing.T) {
	c, r := replicationGround(t)
	old := c.Primary()
	receive, said := receiver(t, c, r, "-n")
	host, port, _ := strings.Cut(r.Write, ":")
	shown := runs(t, c, "psql", "-AtX", "-c", "show clients", "host="+host+" port="+port+" user=app dbname=pgbouncer")
	if !strings.Contains(shown, "C|app|replication|physical|active|") {
		t.Errorf("SHOW CLIENTS:\n%s", shown)
	}
	old.Stop()
	t.Cleanup(old.Cont)
	if err := c.Standbys()[0].Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := receive.Wait(); err == nil || !strings.Contains(said.String(), "terminating replication connection because its server was lost") {
		t.Errorf("pg_receivewal: %v\n%s", err, said)
	}
	r.Await("it is gone", time.Minute, func() bool { return r.Metrics()["pgrouter_clients"] == 0 })
	psql(t, c, r.Write, "create table t(n int)")
	runs(t, c, "pg_receivewal", at(r.Write, "-D", t.TempDir(), "-n", "--endpos", position(t, c, r))...)
}

// TestAReplicationClientFollowsASwitchover: pg_receivewal connects again by itself, and goes on with the new timeline.
func TestAReplicationClientFollowsASwitchover(t *testing.T) {
	c, r := replicationGround(t)
	receive, said := receiver(t, c, r)
	next := c.Standbys()[0]
	if err := r.Switchover(t.Context(), next.Addr()); err != nil {
		t.Fatal(err)
	}
	r.Await("it streams from the new primary", 2*time.Minute, func() bool { return receives(t, next) })
	if err := receive.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := receive.Wait(); err != nil {
		t.Errorf("pg_receivewal: %v\n%s", err, said)
	}
}
