package testcluster_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds a test's waits; it is no expectation of speed.
func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestAPrimaryWithTwoStandbysIsReadyWhenStartReturns(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 2})
	primary, err := c.FindPrimary(ctx)
	if err != nil || primary != c.Node(0) {
		t.Fatalf("primary is %v, error %v; want %v", primary, err, c.Node(0))
	}
	if err := primary.Exec(ctx, "CREATE TABLE t (i int)", "INSERT INTO t VALUES (42)"); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Standbys() {
		if got := count(ctx, t, n, "t"); got != 1 {
			t.Errorf("%v has %d rows, want 1", n, got)
		}
		status, err := n.Status(ctx)
		if err != nil || !status.InRecovery || !status.Streaming || status.Timeline != 1 {
			t.Errorf("%v: status %+v, error %v; want a streaming standby on timeline 1", n, status, err)
		}
	}
}

func count(ctx context.Context, t *testing.T, n *testcluster.Node, table string) int {
	t.Helper()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var rows int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRolesLogInByPasswordAndTheSuperuserOnlyThroughTheSocket(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{
		Roles: []testcluster.Role{{Name: "old", Password: "secret", MD5: true}, {Name: "free"}},
		HBA:   []string{"host all free 127.0.0.1/32 trust"},
	})
	n := c.Primary()
	cases := []struct {
		name, dsn string
		code      string
	}{
		{"the application", n.DSN(testcluster.AppUser, testcluster.DefaultDatabase), ""},
		{"the probe", n.DSN(testcluster.ProbeUser, "postgres"), ""},
		{"md5", n.DSN("old", "postgres"), ""},
		{"trust", "postgres://free@" + n.Addr() + "/postgres?sslmode=disable", ""},
		{"wrong password", "postgres://app:wrong@" + n.Addr() + "/app?sslmode=disable", "28P01"},
		{"superuser over TCP", "postgres://postgres:x@" + n.Addr() + "/app?sslmode=disable", "28000"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := pgx.Connect(ctx, tc.dsn)
			if err == nil {
				err = conn.Close(ctx)
			}
			code := ""
			if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
				code = refused.Code
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tc.code {
				t.Errorf("SQLSTATE %q, want %q", code, tc.code)
			}
		})
	}
}

func TestTheProbeRoleSeesReplicationAndMayPromote(t *testing.T) {
	ctx := limit(t)
	c := clustertest.Start(t, testcluster.Options{Standbys: 1})
	primary, err := pgx.Connect(ctx, c.Node(0).DSN(testcluster.ProbeUser, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = primary.Close(ctx) }()
	var seen bool
	if err := primary.QueryRow(ctx, "SELECT bool_or(replay_lsn IS NOT NULL) FROM pg_stat_replication").Scan(&seen); err != nil || !seen {
		t.Errorf("pg_stat_replication shown: %v, error %v", seen, err)
	}
	c.Node(0).Kill9()
	standby, err := pgx.Connect(ctx, c.Node(1).DSN(testcluster.ProbeUser, testcluster.DefaultDatabase))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = standby.Close(ctx) }()
	if _, err := standby.Exec(ctx, "SELECT pg_promote()"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.FindPrimary(ctx); err != nil || got != c.Node(1) {
		t.Errorf("primary is %v, error %v; want %v", got, err, c.Node(1))
	}
}

func TestAClusterClosesWithItsContextAndLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	if len(parent) > 60 || !traversable(parent) {
		parent = ""
	}
	ctx, cancel := context.WithCancel(limit(t))
	c, err := testcluster.Start(ctx, testcluster.Options{Standbys: 1, Dir: parent})
	if errors.Is(err, testcluster.ErrNoBinaries) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{c.Node(0).PID(), c.Node(1).PID()}
	c.Node(0).Stop()
	cancel()
	<-c.Node(0).Exited()
	<-c.Node(1).Exited()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", c.Dir(), err)
	}
	for _, pid := range pids {
		if p, err := os.FindProcess(pid); err == nil && p.Signal(nil) == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if err := c.Node(0).Start(context.Background()); !errors.Is(err, testcluster.ErrClosed) {
		t.Errorf("start after close: %v, want %v", err, testcluster.ErrClosed)
	}
}

func traversable(dir string) bool {
	for dir != "/" {
		dir = dir[:max(1, lastSlash(dir))]
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
	}
	return true
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return 0
}

func TestACancelledStartLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := testcluster.Start(ctx, testcluster.Options{})
	if err == nil {
		_ = c.Close()
		t.Fatal("a cluster started although its context had ended")
	}
}

func TestImpossibleOptionsAreRefused(t *testing.T) {
	cases := map[string]testcluster.Options{
		"too many standbys":   {Standbys: 100},
		"sync with nobody":    {Sync: true},
		"a second superuser":  {Roles: []testcluster.Role{{Name: "postgres"}}},
		"a role without name": {Roles: []testcluster.Role{{}}},
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			if c, err := testcluster.Start(context.Background(), options); err == nil {
				_ = c.Close()
				t.Error("was started")
			}
		})
	}
}

func TestAbsentBinariesAreSaidSo(t *testing.T) {
	t.Setenv(testcluster.BinariesVariable, t.TempDir())
	if _, err := testcluster.Start(context.Background(), testcluster.Options{}); !errors.Is(err, testcluster.ErrNoBinaries) {
		t.Errorf("error %v, want %v", err, testcluster.ErrNoBinaries)
	}
}
