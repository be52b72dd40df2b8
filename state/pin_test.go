package state

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/event"
)

// wantPins classifies each statement alone, behind another one, and in lower and upper case.
func wantPins(t *testing.T, want event.PinReason, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		for _, text := range []string{sql, "select 1; " + sql, sql + "; select ';'", strings.ToLower(sql), strings.ToUpper(sql)} {
			if got := Classify([]byte(text)).Pin; got != want {
				t.Errorf("%s: %v, want %v", text, got, want)
			}
		}
	}
}

func TestAdvisoryLocksPinWhereverTheyAreTaken(t *testing.T) {
	wantPins(t, event.PinAdvisoryLock,
		"SELECT PG_ADVISORY_LOCK(1)",
		`select "pg_advisory_lock"(1)`,
		"select pg_catalog.pg_advisory_lock(1)",
		`select "pg_catalog" . "pg_advisory_lock" (1)`,
		"select pg_advisory_lock /* why */ (1)",
		"select pg_advisory_lock -- why\n (1)",
		"select pg_advisory_lock_shared(1, 2)",
		"select pg_try_advisory_lock(1)",
		"select pg_try_advisory_lock_shared(1)",
		"select 1 where pg_try_advisory_lock(1)",
		"(select pg_advisory_lock(1))",
		"explain analyze select pg_advisory_lock(1)",
		"explain (analyze, costs off) select pg_advisory_lock(1)",
		"values (pg_advisory_lock(1))",
		"with l as (select pg_advisory_lock(1)) select * from l",
		"insert into t select pg_try_advisory_lock(1)",
		"insert into t values (1) returning pg_advisory_lock(1)",
		"update t set n = 1 where pg_try_advisory_lock(1)",
		"delete from t where pg_try_advisory_lock(n)",
		"merge into t using u on pg_try_advisory_lock(1) when matched then delete",
		"execute p(pg_advisory_lock(1))",
		"copy (select pg_advisory_lock(1)) to stdout",
		"create table t as select pg_try_advisory_lock(1)",
		"create temp table t on commit drop as select pg_try_advisory_lock(1)",
		"declare c cursor for select pg_advisory_lock(1)",
		"call p(pg_try_advisory_lock(1))",
		"do $$begin perform pg_advisory_lock(1); end$$",
		"do $$begin execute 'select pg_advisory_lock(1)'; end$$",
		"do 'begin perform pg_advisory_lock(1); end'",
		"select my_advisory_lock(1)", // in doubt
	)
	wantPins(t, event.PinNone,
		"select pg_advisory_xact_lock(1)",
		"select pg_try_advisory_xact_lock_shared(1)",
		"select pg_advisory_unlock(1), pg_advisory_unlock_all()",
		"select 'pg_advisory_lock(1)'",
		"select $a$pg_advisory_lock(1)$a$",
		"select 1 /* pg_advisory_lock(1) */",
		"select 1 -- pg_advisory_lock(1)",
		"select pg_advisory_lock from t",
		"do $$begin perform pg_advisory_xact_lock(1); end$$",
		"do $$begin /* perform pg_advisory_lock(1) */ end$$",
	)
	wantPins(t, event.PinUncertain,
		`select U&"pg\005fadvisory_lock"(1)`,
		`select U&"pg!005fadvisory_lock" uescape '!' (1)`,
		"select pg_catalog.pg_backup_start('x')",
		"select pg_create_physical_replication_slot('x', false, true)",
		"select dblink_connect('x')",
	)
}

func TestTemporaryThingsPin(t *testing.T) {
	wantPins(t, event.PinTempTable,
		"select * into temp x from t",
		"select * into temporary table x from t",
		"select * into local temp x from t",
		"select * into /* why */ pg_temp.x from t",
		`select * into "pg_temp".x from t`,
		"select * into table pg_temp . x from t",
		"with a as (select 1) select * into temp x from a",
		"(select 1 as n into temp x)",
		"explain analyze select 1 as n into temp x",
		"create table pg_temp.x(n int)",
		"create table pg_temp_3.x(n int)",
		"create table pg_temp.x as select 1",
		"create temp table x(n int)",
		"create temp table x as select 1",
		"create temporary table if not exists x as execute p",
		"create global temporary table x(n int)",
		"create temp view x as select 1",
		"create or replace local temporary view v as select 1",
		"create temp recursive view x(n) as select 1",
		"create temp sequence x",
		"create function pg_temp.f() returns int language sql as 'select 1'",
		"create type pg_temp.x as (n int)",
		"explain analyze create temp table x as select 1",
		"explain (analyze) create table pg_temp.x as select 1",
		"create temp table x(n int) on commit delete rows",
		"create temp table x(n int) on commit preserve rows",
		"create temp table x as select a from b join c on commit", // no ON COMMIT DROP
		"create temp table x(a text default 'on commit drop')",
		"create temp table x(n int) /* on commit drop */",
		"create temp table x(n int); select 1 on commit drop",
		"do $$begin create temp table x(n int); end$$",
		"do $$begin execute 'create temp table x(n int)'; end$$",
		"do $$begin if true then create temp table x(n int); end if; end$$",
	)
	wantPins(t, event.PinNone,
		"create temp table x(n int) on commit drop",
		"create temporary table x(n int) with (fillfactor = 50) on commit drop tablespace t",
		"create temp table x on commit drop as select 1",
		"explain analyze create temp table x on commit drop as select 1",
		"do $$begin create temp table x(n int) on commit drop; end$$",
		"create table temp(n int)",
		"create table x(temp int)",
		"create table x as select temp from pg_temps",
		"create unlogged table x(n int)",
		"insert into temp values (1)",
		"insert into temp select 1",
		"with a as (insert into temp values (1) returning n) select * from a",
		"merge into temp using u on true when matched then delete",
		"select temp, 'into temp x' from t",
		"select * into x from temp",
		"select 1 -- into temp x",
		"create function f() returns int language sql set search_path = public, pg_temp as 'select 1'",
	)
}

func TestSettingsInCodePin(t *testing.T) {
	wantPins(t, event.PinSetting,
		"do $$begin perform set_config('a.b', 'c', false); end$$",
		"do $$begin set work_mem = '1MB'; end$$",
		"do $$begin set timezone to default; end$$",
		"do $$begin reset role; end$$",
		"do $$begin execute 'reset all'; end$$",
		"do $$begin execute 'set work_mem = ' || 1; end$$",
		"do $$begin execute 'set ' || n || ' = 1'; end$$",
		"do $$begin execute 'select set_config(' || quote_literal(n) || ', 1, false)'; end$$",
	)
	wantPins(t, event.PinNone,
		"do $$begin perform set_config('a.b', 'c', true); update t set n = 1; end$$",
		"do $$begin set local work_mem = '1MB'; end$$",
		"do $$begin set timezone = 'UTC'; end$$",
	)
	wantPins(t, event.PinRole, "do $$begin set role x; end$$", "do $$begin set session authorization x; end$$")
}

func TestCursorsListenersAndStatementsPin(t *testing.T) {
	wantPins(t, event.PinCursor,
		"declare c cursor with hold for select 1",
		`declare "c d" no scroll cursor with /* why */ hold for select 1`,
		"declare c binary insensitive cursor with hold for select 1",
		"declare declare cursor with hold for select 1",
		"do $$begin execute 'declare c cursor with hold for select 1'; end$$",
	)
	wantPins(t, event.PinListen, "listen x", "/* why */listen\"x\"", "do $$begin listen x; end$$", "do $a$begin execute $b$listen x$b$; end$a$",
		"do $$begin perform 'a\\'; listen x; --'; end$$")
	wantPins(t, event.PinLoad, "load 'auto_explain'")
	wantPins(t, event.PinPreparedStatement, "do $$begin execute 'prepare p as select 1'; end$$",
		"do $$begin execute 'prepare ' || p || ' as select 1'; end$$")
	wantPins(t, event.PinNone,
		"prepare p as select 1", "prepare p(int) as select $1", "prepare p as select pg_advisory_lock(1)",
		"declare c cursor for select 1",
		"declare c cursor without hold for select 1",
		"declare hold cursor without hold for select 1",
		"declare c cursor for select 1 for update",
		"declare c cursor for select 'with hold'",
		"do $$declare c cursor for select 1; begin open c; end$$",
		"unlisten x", "unlisten *", "notify x, 'listen x'",
		"execute p", "execute p(1)", "deallocate p", "prepare transaction 'x'", "prepare transaction E'x'",
		"select 'listen x; prepare p as select 1'", "-- listen x\nselect 1", "/* /* */ listen x; */ select 1",
	)
}

// TestQuotesHideNothing holds that what stands behind quoted text is seen by whatever reading the server may have.
func TestQuotesHideNothing(t *testing.T) {
	for _, sql := range []string{
		`select '\'; listen x; --'`,                         // ends at the second quote
		`select '\'' ; listen x; --'`,                       // ends at the third without standard_conforming_strings
		"select E'\xbf\\'; listen x; --'",                   // half a character
		`select E'a' 'b\'; listen x --'`,                    // faulty, but nobody relies on that
		"select E'a'\n'b\\''; listen x; --'",                // continued, with escapes
		"select 'x\\' as \"'\", E'a'\n'\\''; listen x; --'", // the same; by the other readings it is all quoted
		"select 'x\\' as \"'\", E'a' -- b\n'\\''; listen x; --'",
		"select E'a''\\''; listen x; --'", // the quote is doubled, then escaped
		"select a$$b$; listen x",          // a word with dollar signs
		"select 1$$'$$; listen x; --'",    // a number
		`select "a""'"; listen x; --'`,    // a quote in a name
		"select $a$ $b$ $a$; listen x; --$b$ ",
		"select $Ä$'$Ä$; listen x; --'",
		"select 2*/*'*/3; listen x; --'", // a comment behind an operator
		"select 2--'\n; listen x; --'",
		"select 2--'\r; listen x; --'",
		"select '--'; listen x",
		"select '/*'; listen x",
		"/*/*'*/*/listen x",
	} {
		if Classify([]byte(sql)).Pin == event.PinNone {
			t.Errorf("%s: does not pin", sql)
		}
	}
}

// TestLongTextsTakeLinearTime reads texts that an attacker would choose. One that took the square of its length would not come
// to its end before the test is stopped.
func TestLongTextsTakeLinearTime(t *testing.T) {
	const size = 512 << 10
	for _, piece := range []string{
		"p", "_", "set_", ";", "'", `"`, `\'`, "$", "$a", "$a$", "$$", "/*", "*/", "--", "--\n", "e'", "e'' ", "u&\"", "(", "into ", "into temps ",
		"set_config(", "set_config(a,", "set_config(a,b,true)", "pg_advisory_lock ", "pg_advisory_lock/**/", "create ", "create temp table ",
		"temp table ", "declare ", "do $$", "do 'begin ", "begin ", "begin create temp table a (", "begin declare for ", "explain ", "prepare ",
	} {
		for _, front := range []string{"", "do $$", "explain create temp table x ", "select 'advisory_lock', set_config("} {
			sql := []byte(front + strings.Repeat(piece, size/len(piece)))
			Classify(sql)
			if testing.Short() {
				break
			}
		}
	}
}

func TestNumbersOfSequencesPin(t *testing.T) {
	wantPins(t, event.PinSequence,
		"select currval('s')",
		`select "pg_catalog"."currval" ('s')`,
		"insert into t values (currval('s'), 1)",
		"select lastval()",
		"do $$begin perform lastval(); end$$",
	)
	wantPins(t, event.PinNone,
		"select nextval('s'), setval('s', 1)",
		"select 'currval(1)'",
		"select currval from t",
		"select val from currency",
	)
}
