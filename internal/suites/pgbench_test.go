//go:build suites

package suites

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgrouter/pgrouter/internal/testcluster"
)

// pgbenchLimit is for one run; on an idle machine it takes some seconds.
const pgbenchLimit = 5 * time.Minute

// The clients of pgbench, the servers that they share, and what each of them does.
const (
	benchClients      = 100
	benchServers      = 20
	benchTransactions = 40
)

// TestPgbenchMakesNoErrorInAnyProtocol lets a hundred clients share twenty servers. With -M prepared all of them have statements of the
// same names; pgbench waits in its thread until one is prepared, and each client has a thread of its own, because one that waits for a
// server must not keep those from ending their transactions that have one.
func TestPgbenchMakesNoErrorInAnyProtocol(t *testing.T) {
	binaries, err := testcluster.FindBinaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(binaries, "pgbench")
	if _, err := os.Stat(program); err != nil {
		program = "pgbench" // the PostgreSQL of npm has none
	}
	c := startCluster(t)
	w := throughSet(t, c, "transaction", fmt.Sprintf("size = %d", benchServers))
	pgbench := func(args ...string) string {
		out, err := run(t, pgbenchLimit, w.env(), program, append(args, testcluster.DefaultDatabase)...)
		if err != nil {
			t.Errorf("pgbench %v: %v\n%s", args, err, out)
		}
		return out
	}
	pgbench("-i", "-q")
	for _, protocol := range []string{"simple", "extended", "prepared"} {
		out := pgbench("-n", "-M", protocol, "-j", strconv.Itoa(benchClients), "-c", strconv.Itoa(benchClients), "-t", strconv.Itoa(benchTransactions))
		all := benchClients * benchTransactions
		if !strings.Contains(out, fmt.Sprintf("actually processed: %d/%d\nnumber of failed transactions: 0 ", all, all)) {
			t.Errorf("-M %s: not all of its transactions were well:\n%s", protocol, out)
		}
	}
	conn, err := c.Primary().ConnectTo(t.Context(), testcluster.DefaultDatabase)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var once bool // each transaction has been made once
	if err := conn.QueryRow(t.Context(), `SELECT count(*) = $1 AND sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers)
		AND sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts) FROM pgbench_history`, 3*benchClients*benchTransactions).Scan(&once); err != nil || !once {
		t.Errorf("the books do not balance: %v", err)
	}
}
