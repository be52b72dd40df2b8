package proxy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/pgwire"
	"github.com/pgrouter/pgrouter/proxy"
)

// told hears how the router ends the client.
func (p *peer) told(want string) {
	p.t.Helper()
	e, err := pgwire.ParseError(p.expect("E"))
	if err != nil {
		p.t.Fatal(err)
	}
	if e.Code != want || e.Severity != pgwire.SeverityFatal {
		p.t.Errorf("the client is told %s %s, not FATAL %s", e.Severity, e.Code, want)
	}
	if n, err := p.conn.Read(make([]byte, 1)); err == nil {
		p.t.Errorf("%d bytes more", n)
	}
}

func (p *peer) query(sql string) { p.send(pgwire.AppendQuery(nil, sql)) }

func TestATransactionThatSitsIsRolledBackAndItsServerIsFree(t *testing.T) {
	r, c := newRouter(t, func(r *router) { r.policy.Limits.IdleTransaction, r.policy.Pool.Size = brief, 1 })
	setup := r.connect(context.Background(), "")
	text(t, setup, "create table sits(n int)")
	a := r.raw(t)
	a.query("begin; insert into sits values (1)")
	a.expect("CCZ")
	a.told("25P03")
	r.awaitServers(c, "select count(*) from pg_stat_activity where state like 'idle in transaction%'", "0")
	if got := text(t, setup, "select count(*) from sits"); got != "0" { // there is one server connection
		t.Fatalf("%s rows of a transaction that was cut", got)
	}
}

// The connection to the server is closed, and nothing is cancelled: what the server was doing is finished there. So the client was
// rightly told that the outcome is unknown, and in a transaction that it is none.
func TestAStatementThatIsCutMayBeCommittedAllTheSame(t *testing.T) {
	r, c := newRouter(t, func(r *router) { r.policy.Limits.Query = limit })
	text(t, r.connect(context.Background(), ""), "create table late(n int)")
	alone, inBlock := r.raw(t), r.raw(t)
	inBlock.query("begin")
	inBlock.expect("CZ")
	other := r.direct(c) // whom both wait for
	defer other.Close(context.Background())
	text(t, other, "select pg_advisory_lock(1)")
	alone.query("insert into late select 1 from pg_advisory_xact_lock(1)")
	inBlock.query("insert into late select 2 from pg_advisory_xact_lock(1)")
	const running = "select count(*) from pg_stat_activity where query like 'insert into late%' and state = 'active'"
	r.awaitServers(c, running, "2")
	r.proxy.Pass(limit)
	alone.told("08007")
	inBlock.told("57014")
	text(t, other, "select pg_advisory_unlock(1)")
	r.awaitServers(c, running, "0")
	r.awaitServers(c, "select string_agg(n::text, ',') from late", "1")
	if totals := r.proxy.Totals(); totals.InDoubt != 1 || totals.Aborted != 0 {
		t.Errorf("%d in doubt, %d aborted", totals.InDoubt, totals.Aborted)
	}
	counters := r.counters()
	if n := labelled(counters, "pgrouter_client_closed_total", "query_timeout"); n != 2 {
		t.Errorf("%v clients closed by query_timeout", n)
	}
	for _, outcome := range []string{"outcome_unknown", "transaction_lost"} {
		if n := labelled(counters, "pgrouter_server_lost_total", "timeout", outcome); n != 1 {
			t.Errorf("%v servers left with %s", n, outcome)
		}
	}
}

// labelled adds up the counters of a name that have these label values.
func labelled(all map[string]float64, name string, values ...string) (sum float64) {
series:
	for series, n := range all {
		for _, v := range values {
			if !strings.Contains(series, `"`+v+`"`) {
				continue series
			}
		}
		if strings.HasPrefix(series, name) {
			sum += n
		}
	}
	return sum
}

// What nobody asked for costs nothing: no timer runs for a client without limits, or for one whose limits have nothing to measure.
func TestATimerRunsOnlyWhileALimitMayCome(t *testing.T) {
	for name, limits := range map[string]proxy.TimeLimits{"none": {}, "for queries": {Query: brief}} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRouter(t, func(r *router) { r.policy.Limits = limits })
			a := r.connect(context.Background(), "")
			for range 3 {
				if _, err := query(a, "select 1"); err != nil && limits.Query == 0 {
					t.Fatal(err)
				}
			}
			r.await("no timer runs", func() bool {
				runs := false
				r.proxy.OnSessions(func(s *proxy.Session) { runs = runs || s.TimerRuns() })
				return !runs
			})
		})
	}
}

// The console has no limits: who watches is silent for long.
func TestAConsoleIsNotCutForItsSilence(t *testing.T) {
	boss := &console{}
	r, _ := newRouter(t, func(r *router) {
		r.console = boss
		r.policy.Limits = proxy.TimeLimits{Query: brief, IdleTransaction: brief, ClientIdle: brief}
	})
	silent := r.raw(t)
	watcher := r.dial(t)
	watcher.send(pgwire.AppendStartup(nil, []pgwire.Param{{Name: "user", Value: "boss"}, {Name: "database", Value: "console"}}))
	watcher.expect("RKZ")
	silent.told("57P05")
	another := r.raw(t)
	another.told("57P05") // by now the console has been silent for longer than the limit
	r.await("only the console is left", func() bool {
		infos := r.proxy.Clients()
		return len(infos) == 1 && infos[0].Kind == "console"
	})
	watcher.send(pgwire.AppendTerminate(nil))
}

// Limits that are set while clients are here hold for those that are silent, too: nobody says a word that would set their timers.
func TestNewTimeLimitsEndWhoIsSilent(t *testing.T) {
	r, _ := newRouter(t, nil)
	idle, keeps := r.raw(t), r.raw(t)
	keeps.query("listen news")
	keeps.expect("CZ")
	limited := r.policy
	limited.Limits.ClientIdle = brief
	r.later.Store(&limited)
	r.proxy.Renew()
	idle.told("57P05")
	keeps.told("57P05")
}
