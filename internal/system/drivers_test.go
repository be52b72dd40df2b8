package system

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/testrouter"
)

// TestLibPQWorksInTransactionMode runs queries with arguments through a pool of two servers. lib/pq prepares with Parse and
// Sync and runs with Bind and Sync: in between, the server may be another, or hold another client's unnamed statement.
func TestLibPQWorksInTransactionMode(t *testing.T) {
	c := sharedCluster(t)
	r := testrouter.Start(t, c, testrouter.Options{Loops: 3, Size: 2})
	connector, err := pq.NewConnector(c.DSN(r.Write, testcluster.AppUser, testcluster.DefaultDatabase))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(8)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for j := range 50 {
				var text string
				var number int
				err := db.QueryRowContext(ctx, fmt.Sprintf("select $1::text, $2::int + %d", i), fmt.Sprint(i, "-", j), j).Scan(&text, &number)
				if err != nil || text != fmt.Sprint(i, "-", j) || number != i+j {
					t.Errorf("client %d: %q %d, %v", i, text, number, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// TestTheSwitchoverVerbMovesThePrimary asks the running router from the command line.
func TestTheSwitchoverVerbMovesThePrimary(t *testing.T) {
	ctx := t.Context()
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	r := testrouter.Start(t, c, testrouter.Options{})
	knows(r, 2)
	to := c.Standbys()[0].Addr()
	out, err := exec.CommandContext(ctx, testrouter.Binary(t), "switchover", "--admin", r.Admin, "--to", "nowhere:1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no node") {
		t.Fatalf("to nowhere: %v %s", err, out)
	}
	out, err = exec.CommandContext(ctx, testrouter.Binary(t), "switchover", "--admin", r.Admin, "--to", to, "--within", "1m").CombinedOutput()
	if err != nil || !strings.Contains(string(out), to+" is the primary") {
		t.Fatalf("%v %s", err, out)
	}
	if got := psql(t, c, r.Write, "select inet_server_port()"); !strings.HasSuffix(to, ":"+got) {
		t.Fatalf("writes go to port %s, not to %s", got, to)
	}
}

// TestTheExamplesRun starts the router with each configuration under examples/ that names its nodes, its addresses replaced by those of
// the test.
func TestTheExamplesRun(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/pgrouter.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	c := clustertest.Start(t, testcluster.Options{Standbys: 1, HBA: []string{"host all all 127.0.0.1/32 trust"}})
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !namesNodes(string(text)) {
				t.Skip("its nodes are found: see TestTheExamplesForPatroniRun")
			}
			r := testrouter.Example(t, c, string(text))
			if got := psql(t, c, r.Write, "select pg_is_in_recovery()"); got != "f" {
				t.Errorf("write port: in recovery = %s", got)
			}
		})
	}
}

// namesNodes reports whether a configuration says where the nodes are.
func namesNodes(text string) bool { return strings.Contains(text, "\nnodes = ") }

// TestAStoredVerifierIsEnoughToLogInToTheServers gives the router no password, only what pg_authid holds: the key that opens
// the servers is recovered from the client's own login.
func TestAStoredVerifierIsEnoughToLogInToTheServers(t *testing.T) {
	ctx := context.Background()
	c := sharedCluster(t)
	conn, err := c.Primary().Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var verifier string
	if err := conn.QueryRow(ctx, "select rolpassword from pg_authid where rolname = 'app'").Scan(&verifier); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "verifiers.txt")
	if err := os.WriteFile(list, []byte(fmt.Sprintf("\"app\" %q\n", verifier)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := testrouter.Example(t, c, fmt.Sprintf(`
[auth]
method = "scram-sha-256"
userlist = %q
[cluster.main]
nodes = []
probe_user = "pgrouter"
probe_password_file = "probe-password.txt"
state_dir = ""
[[listener]]
address = ""
route = "primary"
`, list))
	if got := psql(t, c, r.Write, "select current_user"); got != "app" {
		t.Fatal(got)
	}
	cmd := exec.CommandContext(ctx, "psql", "-h", "127.0.0.1", "-p", strings.TrimPrefix(r.Write, "127.0.0.1:"), "-U", "app", "-c", "select 1", "app")
	cmd.Env = append(os.Environ(), "PGPASSWORD=wrong")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "password authentication failed") {
		t.Fatalf("a wrong password: %v %s", err, out)
	}
}
