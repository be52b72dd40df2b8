package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgrouter/pgrouter/internal/ledger"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/internal/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func direct(ctx context.Context, t *testing.T, n *testcluster.Node) *pgx.Conn {
	t.Helper()
	conn, err := n.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// running starts a load and returns it with the function that ends it in order.
func running(ctx context.Context, t *testing.T, config ledger.Config) (*ledger.Load, func()) {
	t.Helper()
	l, err := ledger.New(config)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { l.Run(ctx) })
	end := func() { l.Stop(); group.Wait() }
	t.Cleanup(end)
	return l, end
}

// until waits for a condition of the load.
func until(ctx context.Context, t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func written(l *ledger.Load) uint64 {
	total := l.Total()
	return total.Writes.Count()
}

func prepared(ctx context.Context, t *testing.T, options testcluster.Options) (*testcluster.Cluster, *pgx.Conn) {
	t.Helper()
	c := clustertest.Start(t, options)
	conn := direct(ctx, t, c.Primary())
	if err := ledger.Prepare(ctx, conn, 100); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReplicas(ctx); err != nil { // a standby answers before it has the rows
		t.Fatal(err)
	}
	return c, conn
}

func TestAnUndisturbedLoadIsAllThereInBothProtocols(t *testing.T) {
	ctx := limit(t)
	c, conn := prepared(ctx, t, testcluster.Options{})
	dsn := c.Primary().DSN(testcluster.AppUser, testcluster.DefaultDatabase)
	for name, protocol := range map[string]ledger.Protocol{"simple": ledger.Simple, "extended": ledger.Extended} {
		t.Run(name, func(t *testing.T) {
			l, end := running(ctx, t, ledger.Config{WriteDSN: dsn, Clients: 4, Subscribers: 100, Protocol: protocol})
			until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 400 })
			end()
			v, err := l.Verify(ctx, conn)
			if err != nil || v.Err() != nil {
				t.Fatalf("%v, %v", err, v.Err())
			}
			if v.Acknowledged == 0 || v.Failed != 0 || v.Unknown != 0 {
				t.Errorf("verdict %+v; want acknowledged writes only", v)
			}
			total := l.Total()
			if total.Reads.Count() == 0 || total.Writes.Count() != uint64(v.Acknowledged) || total.Reconnects != 0 || len(total.Errors) != 0 {
				t.Errorf("%d reads, %d writes, %d reconnects, errors %v", total.Reads.Count(), total.Writes.Count(), total.Reconnects, total.Errors)
			}
		})
	}
}

// The proof must fail when it should.
func TestVerifyFindsEachKindOfFault(t *testing.T) {
	ctx := limit(t)
	c, conn := prepared(ctx, t, testcluster.Options{})
	dsn := c.Primary().DSN(testcluster.AppUser, testcluster.DefaultDatabase)
	cases := []struct {
		name, sql string
		fault     func(ledger.Verdict) int64
	}{
		{"a removed row", `DELETE FROM pgrouter_ledger WHERE ctid = (SELECT min(ctid) FROM pgrouter_ledger WHERE run = $1 AND kind = 'register')`,
			func(v ledger.Verdict) int64 { return v.Lost }},
		{"a doubled row", `INSERT INTO pgrouter_ledger SELECT * FROM pgrouter_ledger WHERE run = $1 AND kind = 'register' LIMIT 1`,
			func(v ledger.Verdict) int64 { return v.Doubled }},
		{"a number never used", `INSERT INTO pgrouter_ledger (run, client, seq, id, kind) VALUES ($1, 0, 1000000, 'x', 'register')`,
			func(v ledger.Verdict) int64 { return v.Alien }},
		{"a foreign id", `UPDATE pgrouter_ledger SET id = 'x' WHERE ctid = (SELECT min(ctid) FROM pgrouter_ledger WHERE run = $1 AND kind = 'register')`,
			func(v ledger.Verdict) int64 { return v.Alien }},
		{"half a transaction", `DELETE FROM pgrouter_cdr WHERE ctid = (SELECT min(ctid) FROM pgrouter_cdr WHERE run = $1)`,
			func(v ledger.Verdict) int64 { return v.Torn }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			l, end := running(ctx, t, ledger.Config{WriteDSN: dsn, Clients: 2, Subscribers: 100})
			until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 100 })
			end()
			if _, err := conn.Exec(ctx, tc.sql, l.RunID()); err != nil {
				t.Fatal(err)
			}
			v, err := l.Verify(ctx, conn)
			if err != nil {
				t.Fatal(err)
			}
			if tc.fault(v) != 1 || v.Clean() || !errors.Is(v.Err(), ledger.ErrFaulty) || len(v.Examples) == 0 {
				t.Errorf("verdict %+v, error %v", v, v.Err())
			}
			if int64(len(v.Missing)) != v.Lost || v.Lost > 0 && v.Missing[0].At.IsZero() {
				t.Errorf("%d writes are lost, and these are named: %+v", v.Lost, v.Missing)
			}
		})
	}
}

// An answer that is not the statement's own, or lacks its row, shows at once: the load does not wait for Verify to find it.
func TestAnAnswerThatIsNotItsOwnIsFound(t *testing.T) {
	ctx := limit(t)
	c, conn := prepared(ctx, t, testcluster.Options{})
	cases := []struct {
		name, spoil string
		mix         ledger.Mix
	}{
		{"a lookup without its row", "DELETE FROM pgrouter_location", ledger.Mix{Lookup: 100}},
		{"another's registration", foreignAnswers("pgrouter_location", "ledger_id"), ledger.Mix{Register: 100}},
		{"another's record", foreignAnswers("pgrouter_cdr", "id"), ledger.Mix{Record: 100}},
		{"another's call", foreignAnswers("pgrouter_ledger", "id"), ledger.Mix{Call: 100}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := conn.Exec(ctx, "DROP FUNCTION IF EXISTS spoil CASCADE"); err != nil {
				t.Fatal(err)
			}
			if err := ledger.Prepare(ctx, conn, 100); err != nil {
				t.Fatal(err)
			}
			l, end := running(ctx, t, ledger.Config{
				WriteDSN: c.Primary().DSN(testcluster.AppUser, testcluster.DefaultDatabase), Clients: 2, Subscribers: 100, Mix: tc.mix,
			})
			until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 20 })
			if total := l.Total(); total.Mixed != 0 {
				t.Fatalf("%d answers are mixed before there is one: %q", total.Mixed, total.Answers)
			}
			if _, err := conn.Exec(ctx, tc.spoil); err != nil {
				t.Fatal(err)
			}
			until(ctx, t, "a wrong answer", func() bool { total := l.Total(); return total.Mixed > 0 })
			end()
			if v, err := l.Verify(ctx, conn); err != nil || v.Mixed == 0 || v.Clean() || len(v.Examples) == 0 {
				t.Errorf("verdict %+v, error %v", v, err)
			}
		})
	}
}

// foreignAnswers lets a table answer to what is written as if somebody else had done it.
func foreignAnswers(table, column string) string {
	return "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW." + column + " = 'x'; RETURN NEW; END $$;" +
		"CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON " + table + " FOR EACH ROW EXECUTE FUNCTION spoil()"
}

// A statement that fails for certain and is there all the same is a ghost: a trigger in another transaction would be one.
func TestVerifyFindsAWriteThatWasReportedAsFailed(t *testing.T) {
	ctx := limit(t)
	c, conn := prepared(ctx, t, testcluster.Options{})
	l, end := running(ctx, t, ledger.Config{
		WriteDSN: c.Primary().DSN(testcluster.AppUser, testcluster.DefaultDatabase), Clients: 1, Subscribers: 100,
		Mix: ledger.Mix{Register: 100},
	})
	until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 10 })
	if _, err := conn.Exec(ctx, "ALTER TABLE pgrouter_location ADD CONSTRAINT none CHECK (false) NOT VALID"); err != nil {
		t.Fatal(err)
	}
	until(ctx, t, "failures", func() bool { return l.Live().Errors["23514"] > 0 })
	end()
	v, err := l.Verify(ctx, conn)
	if err != nil || v.Err() != nil || v.Failed == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	_, err = conn.Exec(ctx, `INSERT INTO pgrouter_ledger (run, client, seq, id, kind)
		SELECT run, client, max(seq) + 1, run || '-' || client || '-' || max(seq) + 1, 'register' FROM pgrouter_ledger WHERE run = $1 GROUP BY run, client`, l.RunID())
	if err != nil {
		t.Fatal(err)
	}
	if v, err = l.Verify(ctx, conn); err != nil || v.Ghosts != 1 {
		t.Errorf("verdict %+v, error %v; want one ghost", v, err)
	}
}

// The load goes through a proxy that is turned to the new primary, as a careless virtual address would be: connections
// die, but nothing that was acknowledged may be lost with synchronous replication.
func TestAFailoverUnderLoadLosesNothingThatWasAcknowledged(t *testing.T) {
	ctx := limit(t)
	c, _ := prepared(ctx, t, testcluster.Options{Standbys: 2, Sync: true})
	proxy, err := wiretest.NewProxy(c.Primary().Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = proxy.Close() }()
	l, end := running(ctx, t, ledger.Config{
		WriteDSN: c.DSN(proxy.Addr(), testcluster.AppUser, testcluster.DefaultDatabase),
		ReadDSN:  c.Node(2).DSN(testcluster.AppUser, testcluster.DefaultDatabase),
		Clients:  8, Rate: 400, Subscribers: 100,
	})
	until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 200 })

	l.Mark("during", true)
	old := c.Primary()
	old.Kill9()
	supervisor := testcluster.NewSupervisor(c, testcluster.SupervisorOptions{Notify: func(s testcluster.Supervision) {
		t.Logf("%v %v %v %v", s.Time, s.Kind, s.Node, s.Err)
		if s.Kind == testcluster.Promoted {
			proxy.SetTarget(s.Node.Addr())
		}
	}})
	supervising, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { supervisor.Run(supervising) })
	defer group.Wait()
	defer cancel()
	before := written(l)
	until(ctx, t, "writes on the new primary", func() bool { return written(l) > before+100 })
	l.Mark("after", false)
	until(ctx, t, "writes afterwards", func() bool { return l.Windows()[2].Writes.Count() > 20 })
	end()

	if c.Primary() == old {
		t.Fatal("nobody was promoted")
	}
	v, err := l.Verify(ctx, direct(ctx, t, c.Primary()))
	if err != nil || v.Err() != nil {
		t.Fatalf("%v, %v", err, v.Err())
	}
	t.Logf("verdict %+v, gap %v, errors %v", v, l.Windows()[1].Gap, l.Windows()[1].Errors)
	windows := l.Windows()
	during := windows[1]
	if during.Reconnects == 0 || len(during.Errors) == 0 || during.Gap.Length() == 0 {
		t.Errorf("during: %d reconnects, errors %v, gap %v; a dead primary was not felt", during.Reconnects, during.Errors, during.Gap.Length())
	}
	for _, i := range []int{0, 2} {
		if len(windows[i].Errors) != 0 {
			t.Errorf("%s: errors %v", windows[i].Name, windows[i].Errors)
		}
	}
}

// A proxy that swallows the answers of writes makes them unknown, never acknowledged or failed.
func TestSwallowedAnswersLeaveWritesInDoubt(t *testing.T) {
	ctx := limit(t)
	c, conn := prepared(ctx, t, testcluster.Options{})
	proxy, err := wiretest.NewProxy(c.Primary().Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = proxy.Close() }()
	l, end := running(ctx, t, ledger.Config{
		WriteDSN: c.DSN(proxy.Addr(), testcluster.AppUser, testcluster.DefaultDatabase),
		Clients:  4, Subscribers: 100, Mix: ledger.Mix{Register: 100},
	})
	until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 50 })
	proxy.Set(wiretest.ToClient, wiretest.Fault{Cut: &wiretest.Cut{At: 0, How: wiretest.Reset}})
	until(ctx, t, "doubts", func() bool { return l.Live().Unknown > 0 })
	proxy.Heal()
	healed := l.Live().Acknowledged
	until(ctx, t, "operations after healing", func() bool { return l.Live().Acknowledged > healed+50 })
	end()
	v, err := l.Verify(ctx, conn)
	if err != nil || v.Err() != nil {
		t.Fatalf("%v, %v", err, v.Err())
	}
	if v.Unknown == 0 || v.UnknownPresent == 0 {
		t.Errorf("verdict %+v; want writes in doubt that are there", v)
	}
}

func TestAHeldLoadShowsWhoWaitsAndCountsThemWhenTheyAreAnswered(t *testing.T) {
	ctx := limit(t)
	c, _ := prepared(ctx, t, testcluster.Options{})
	const clients = 4
	l, end := running(ctx, t, ledger.Config{
		WriteDSN: c.Primary().DSN(testcluster.AppUser, testcluster.DefaultDatabase), Clients: clients, Subscribers: 100,
		Slow: 50 * time.Millisecond,
	})
	until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 50 })
	c.Primary().Stop()
	until(ctx, t, "everybody waits", func() bool { return l.Live().Waiting == clients })
	c.Primary().Cont()
	until(ctx, t, "nobody waits", func() bool { return l.Live().Waiting == 0 })
	end()
	if total := l.Total(); total.Held < clients || total.HeldMax < 50*time.Millisecond || total.Failed != 0 {
		t.Errorf("%d held, longest %v, %d failed; want at least %d held and no failure", total.Held, total.HeldMax, total.Failed, clients)
	}
}

func TestABrokenOffLoadEndsAtOnce(t *testing.T) {
	ctx := limit(t)
	c, _ := prepared(ctx, t, testcluster.Options{})
	brief, cancel := context.WithCancel(ctx)
	l, end := running(brief, t, ledger.Config{
		WriteDSN: c.Primary().DSN(testcluster.AppUser, testcluster.DefaultDatabase), Clients: 2, Subscribers: 100,
	})
	until(ctx, t, "operations", func() bool { return l.Live().Acknowledged > 10 })
	c.Primary().Stop()
	until(ctx, t, "everybody waits", func() bool { return l.Live().Waiting == 2 })
	cancel()
	end()
	c.Primary().Cont()
}
