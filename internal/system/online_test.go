package system

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// checkOnline runs the verb and returns what it says, and its exit status.
func checkOnline(t *testing.T, r *testrouter.Process) (text string, status int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), testrouter.Binary(t), "check", "--online", "--config", r.Config()).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		status = exit.ExitCode()
	}
	return string(out), status
}

func mentions(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, want := range words {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

const checkedConfig = "[auth]\nuserlist = \"userlist.txt\"\n[cluster.main]\nnodes = []\nprobe_password_file = \"probe-password.txt\"\nstate_dir = \"\"\n"

// TestCheckOnlineAsksEveryNode: what it says of a good cluster, and of one in which something is wrong.
func TestCheckOnlineAsksEveryNode(t *testing.T) {
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Prepare(t, c, checkedConfig)
	text, status := checkOnline(t, r)
	if status != 0 || strings.Contains(text, "problem") {
		t.Errorf("status %d of a good cluster:\n%s", status, text)
	}
	mentions(t, text, c.Node(0).Addr()+": primary, server_version_num", c.Node(1).Addr()+": standby", "system identifier", "197 connections")

	conn, err := c.Primary().ConnectTo(t.Context(), "postgres") // rights on functions are a database's own
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"ALTER ROLE pgrouter NOREPLICATION", "REVOKE pg_monitor FROM pgrouter", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(context.Background())
	if err := c.WaitReplicas(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Rewrite("pgrouter.toml", func(text string) string { return "[pool]\nsize = 150\n" + text })
	if text, status = checkOnline(t, r); status != 1 {
		t.Errorf("status %d", status)
	}
	mentions(t, text, "ALTER ROLE pgrouter REPLICATION", "GRANT pg_monitor TO pgrouter", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system()",
		"may take 300 connections here, the server has 197")

	if err := c.Primary().StopFast(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, status = checkOnline(t, r)
	mentions(t, text, c.Node(0).Addr()+": refused", "0 nodes take writes")
	if status != 1 {
		t.Errorf("status %d", status)
	}
}

// TestCheckOnlineKnowsPgBouncer: with PgBouncer's port alone, and with PostgreSQL's beside it.
func TestCheckOnlineKnowsPgBouncer(t *testing.T) {
	_, r := pooled(t, "pool_mode = session", "")
	text, status := checkOnline(t, r)
	mentions(t, text, "this is PgBouncer, set probe_port of the cluster to PostgreSQL's own port")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	_, r = pooled(t, "pool_mode = session", "probe_port = OWN")
	if text, status = checkOnline(t, r); status != 0 {
		t.Errorf("status %d", status)
	}
	mentions(t, text, "a connection pooler does its work, and PostgreSQL is watched on port")
}
