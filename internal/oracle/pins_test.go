package oracle

import "testing"

// pinSteps are statements, each with the reason for which the client keeps its server behind it; "" when it does not.
type pinSteps [][2]string

// pinHistories show that a pin lasts as long as its reason. Somebody else has the lock 7.
var pinHistories = map[string]pinSteps{
	"a temporary table":             {{"create temp table x(n int)", "temp_table"}, {"select 1", "temp_table"}, {"drop table x", ""}},
	"one of two temporary tables":   {{"create temp table x(n int); create temp table y(n int)", "temp_table"}, {"drop table x", "temp_table"}, {"drop table y", ""}},
	"one that is rolled back":       {{"begin; create temp table x(n int); rollback", ""}},
	"one that is not made":          {{"create temp table x(n int); select 1/0", ""}},
	"one behind a savepoint":        {{"begin; create temp table x(n int); savepoint a; create temp table y(n int); rollback to a; commit", "temp_table"}, {"discard temp", ""}},
	"one of which the drop fails":   {{"create temp table x(n int)", "temp_table"}, {"drop table x, nothing", "temp_table"}, {"drop table x", ""}},
	"a temporary function":          {{"create function pg_temp.f() returns int language sql as 'select 1'", "temp_table"}, {"drop function pg_temp.f", ""}},
	"a lock":                        {{"select pg_advisory_lock(1)", "advisory_lock"}, {"select 1", "advisory_lock"}, {"select pg_advisory_unlock(1)", ""}},
	"a lock taken twice":            {{"select pg_advisory_lock(1), pg_advisory_lock(1)", "advisory_lock"}, {"select pg_advisory_unlock(1)", "advisory_lock"}, {"select pg_advisory_unlock(1)", ""}},
	"a lock within a statement":     {{"select pg_advisory_lock(1), pg_advisory_unlock(1)", ""}},
	"a lock within a transaction":   {{"begin; select pg_advisory_lock(1); select pg_advisory_unlock(1); commit", ""}},
	"a lock that outlives it":       {{"begin; select pg_advisory_lock(1); rollback", "advisory_lock"}, {"select pg_advisory_unlock_all()", ""}},
	"a lock that somebody else has": {{"select pg_try_advisory_lock(7)", ""}, {"select pg_try_advisory_lock(8)", "advisory_lock"}, {"discard all", ""}},
	"a lock in code":                {{"do $$begin perform pg_advisory_lock(1); end$$", "advisory_lock"}, {"do $$begin perform pg_advisory_unlock(1); end$$", ""}},
	"a lock in a prepared statement": {{"prepare p as select pg_advisory_lock(1)", ""}, {"execute p", "advisory_lock"}, {"deallocate p", "advisory_lock"},
		{"select pg_advisory_unlock(1)", ""}},
	"a lock in a statement that is prepared and run in one breath": {{"prepare p as select pg_advisory_lock(1); execute p", "advisory_lock"}, {"select pg_advisory_unlock(1)", ""}},
	"a lock in a prepared statement that code runs":                {{"prepare p as select pg_advisory_lock(1)", ""}, {"do $$begin execute 'execute p'; end$$", "advisory_lock"}},
	"a prepared statement":                                         {{"prepare p as select 1", ""}, {"execute p", ""}, {"deallocate all", ""}},
	"a statement that is prepared under a setting of its transaction": {{"begin; set local datestyle = 'German'; prepare p as select 1; commit", "prepared_statement"}, {"execute p", "prepared_statement"},
		{"deallocate p", ""}},
	"a statement that code prepares":                             {{"do $$begin execute 'prepare p as select 1'; end$$", "prepared_statement"}, {"deallocate p", ""}},
	"a statement that cannot be told from what stands beside it": {{"prepare p as select 1; deallocate p; prepare p as select 2", "prepared_statement"}, {"deallocate p", ""}},
	"a statement with a name of the router's":                    {{"prepare pgr1 as select 1", "prepared_statement"}, {"deallocate pgr1", ""}},
	"a cursor":                         {{"declare c cursor with hold for select 1", "cursor"}, {"fetch c", "cursor"}, {"close c", ""}},
	"a channel":                        {{"listen x", "listen"}, {"listen y", "listen"}, {"unlisten x", "listen"}, {"unlisten *", ""}},
	"two reasons":                      {{"create temp table x(n int)", "temp_table"}, {"listen x", "listen"}, {"unlisten x", "temp_table"}, {"drop table x", ""}},
	"a second reason in the same text": {{"listen x; create temp table x(n int)", "listen"}, {"unlisten x", "temp_table"}, {"drop table x", ""}},
}

// TestAPinLastsAsLongAsItsReason: at each step the thieves take the server, unless the client keeps it; they could not if nobody had
// given it back.
func TestAPinLastsAsLongAsItsReason(t *testing.T) {
	w := newWorld(t)
	other := login(t, w.direct, transaction, nil)
	ask(t, other, "select pg_advisory_lock(7)")
	for name, history := range pinHistories {
		t.Run(name, func(t *testing.T) {
			h := newThieves(t, w, transaction)
			p := login(t, w.router, transaction, nil)
			h.follow(p)
			for i, step := range history {
				if err := p.Query(step[0]); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Until('Z'); err != nil {
					t.Fatal(err)
				}
				mark(t, p)
				if h.kept[i] != step[1] {
					t.Errorf("%s: the client keeps its server for %q, want %q", step[0], h.kept[i], step[1])
				}
			}
			leave(t, p)
			h.leave()
		})
	}
	w.sound(t)
}

// TestAResetAfterEachUnitTakesAwayWhatAFunctionHides: a lock that no text shows is free when the unit is over, and not before.
func TestAResetAfterEachUnitTakesAwayWhatAFunctionHides(t *testing.T) {
	w := newWorld(t)
	console := login(t, w.router, "pgrouter", nil)
	ask(t, console, "set pool.reset = 'always'")
	direct := login(t, w.direct, transaction, nil)
	ask(t, direct, "create function hidden() returns boolean language sql as 'select pg_try_advisory_lock(11)'")
	p := login(t, w.router, transaction, nil)
	ask(t, p, "begin")
	ask(t, p, "select hidden()")
	if got := ask(t, direct, "select pg_try_advisory_lock(11) as got")[0]["got"]; got != "f" {
		t.Fatalf("the lock is not held in the unit: %s", got)
	}
	ask(t, p, "commit")
	ask(t, direct, "select pg_advisory_lock(11)") // waits until it is free
	w.sound(t)
}
