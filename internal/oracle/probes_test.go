package oracle

import "strings"

// nothingStays names the probes that look whether something ends where PostgreSQL ends it.
var nothingStays = []string{
	"SET LOCAL", "SET in a transaction that is rolled back", "SET behind a savepoint that is rolled back", "SET and RESET", "SET and RESET ALL", "DISCARD ALL",
	"a temporary table, ON COMMIT DROP", "advisory locks of a transaction",
	"a cursor of a transaction", "LISTEN and UNLISTEN", "a temporary table that was dropped", "advisory locks that were given back", "set_config of a transaction",
}

// probes are all that there are.
func probes() []probe {
	var all []probe
	for _, group := range [][]probe{settingProbes(), codeProbes(), startProbes(), statementProbes(), objectProbes()} {
		all = append(all, group...)
	}
	return all
}

// says is a simple query and its answer.
func says(sql ...string) []step {
	var parts []any
	for _, s := range sql {
		parts = append(parts, query(s), ready(1))
	}
	return do(parts...)
}

// asks is a batch of the extended protocol and its answer.
func asks(sql string, values ...string) []step { return do(batchOf(sql, values...), ready(1)) }

const (
	never   = "never"
	yes     = "yes"
	refused = "refused"
)

// settingProbes are about settings that a client makes by statements of SQL.
func settingProbes() []probe {
	return []probe{
		{name: "SET of a reported parameter", bouncer: yes, leaves: says("set timezone = 'Asia/Tokyo'; set datestyle = 'German'"), shows: says("show timezone; show datestyle")},
		{name: "SET client_encoding", bouncer: yes, leaves: says("set client_encoding = 'latin1'"), shows: says("show client_encoding; select chr(233)")},
		{name: "SET of another parameter", bouncer: never, leaves: says("set work_mem = '1MB'; set bytea_output = escape"), shows: says("show work_mem; select '\\x00'::bytea")},
		{name: "SET statement_timeout", bouncer: never, leaves: says("set statement_timeout = '50s'"), shows: says("show statement_timeout")},
		{name: "SET default_transaction_read_only", bouncer: never, leaves: says("set default_transaction_read_only = on"), shows: says("delete from t where n = 99")},
		{name: "SET search_path", bouncer: never, leaves: says("set search_path = pg_catalog"), shows: says("show search_path; select count(*) from t")},
		{name: "SET SESSION CHARACTERISTICS", bouncer: never, leaves: says("set session characteristics as transaction isolation level serializable"), shows: says("show transaction_isolation")},
		{name: "SET of a parameter of one's own", bouncer: never, leaves: says("set app.tenant = 'seven'"), shows: says("show app.tenant"),
			seen: "that there is such a name, without a value"},
		{name: "SET ROLE", bouncer: never, leaves: says("set role helper"), shows: says("select current_user, session_user")},
		{name: "SET SESSION AUTHORIZATION", bouncer: never, parameters: map[string]string{"user": "boss"}, leaves: says("set session authorization app"), shows: says("select current_user, session_user")},
		{name: "SET by the extended protocol", bouncer: never, leaves: asks("set work_mem = '1MB'"), shows: asks("show work_mem")},
		{name: "SET LOCAL", bouncer: yes, leaves: says("begin; set local work_mem = '1MB'; commit"), shows: says("show work_mem")},
		{name: "SET in a transaction that is rolled back", leaves: says("begin", "set work_mem = '1MB'", "rollback"), shows: says("show work_mem")},
		{name: "SET behind a savepoint that is rolled back", leaves: says("begin", "savepoint a", "set work_mem = '1MB'", "rollback to a", "commit"), shows: says("show work_mem")},
		{name: "SET and RESET", leaves: says("set work_mem = '1MB'", "reset work_mem"), shows: says("show work_mem")},
		{name: "SET and RESET ALL", leaves: says("set work_mem = '1MB'; set timezone = 'Asia/Tokyo'", "reset all"), shows: says("show work_mem; show timezone")},
		{name: "DISCARD ALL", leaves: says("set work_mem = '1MB'; set timezone = 'Asia/Tokyo'; create temp table mine(n int)", "discard all"), shows: says("show work_mem; show timezone; select n + 0 from mine")},
	}
}

// codeProbes are about what code does that a statement calls.
func codeProbes() []probe {
	hidden := func(sql string) []step { return says("select hide(" + quoted(sql) + ")") }
	return []probe{
		{name: "set_config", bouncer: never, leaves: says("select set_config('work_mem', '1MB', false)"), shows: says("show work_mem")},
		{name: "set_config of a transaction", leaves: says("select set_config('work_mem', '1MB', true)"), shows: says("show work_mem")},
		{name: "set_config whose arguments are bound", bouncer: never, leaves: asks("select set_config($1, $2, false)", "work_mem", "1MB"), shows: says("show work_mem")},
		{name: "set_config in DO", bouncer: never, leaves: says("do $$begin perform set_config('work_mem', '1MB', false); end$$"), shows: says("show work_mem")},
		{name: "SET in DO", bouncer: never, leaves: says("do $$begin set work_mem = '1MB'; end$$"), shows: says("show work_mem")},
		{name: "SET of a reported parameter in a function", bouncer: never, leaves: hidden("set timezone = 'Asia/Tokyo'"), shows: says("show timezone")},
		{name: "SET of another parameter in a function", bouncer: never, leaves: hidden("set work_mem = '1MB'"), shows: says("show work_mem"), lost: hiddenInCode, seen: leftByCode},
		{name: "SET ROLE in a function", bouncer: never, leaves: hidden("set role helper"), shows: says("select current_user"), lost: hiddenInCode, seen: leftByCode},
		{name: "advisory locks in a function", bouncer: never, leaves: hidden("select pg_advisory_lock(2)"), shows: says(myLocks), lost: hiddenInCode, seen: leftByCode},
		{name: "a temporary table in a function", bouncer: never, leaves: hidden("create temp table mine as select 1 as n"), shows: says("select n + 0 from mine"), lost: hiddenInCode, seen: leftByCode},
		{name: "LISTEN in a function", bouncer: never, leaves: hidden("listen x"), shows: says("select pg_listening_channels()"), lost: hiddenInCode, seen: leftByCode},
	}
}

// What no reading of statements can see.
const (
	hiddenInCode = "no: code is not seen"
	leftByCode   = "what the code has left"
)

func quoted(sql string) string { return "'" + strings.ReplaceAll(sql, "'", "''") + "'" }

// startProbes are about the start-up packet.
func startProbes() []probe {
	with := func(name, value string) map[string]string { return map[string]string{name: value} }
	return []probe{
		{name: "TimeZone given at the start", bouncer: yes, parameters: with("timezone", "Asia/Tokyo"), shows: says("show timezone")},
		{name: "search_path given at the start", bouncer: refused, parameters: with("search_path", "pg_catalog"), shows: says("show search_path")},
		{name: "options given at the start", bouncer: refused, parameters: with("options", "-c statement_timeout=50s -c work_mem=2MB"), shows: says("show statement_timeout; show work_mem")},
		{name: "a role given at the start", bouncer: refused, parameters: with("role", "helper"), shows: says("select current_user, session_user")},
		{name: "RESET of search_path given at the start", parameters: with("search_path", "pg_catalog"), leaves: says("set search_path = public", "reset search_path"), shows: says("show search_path")},
		{name: "RESET ALL of options given at the start", parameters: with("options", "-c work_mem=2MB"), leaves: says("set work_mem = '1MB'", "reset all"), shows: says("show work_mem")},
		{name: "DISCARD ALL with options given at the start", parameters: with("options", "-c work_mem=2MB"), leaves: says("set work_mem = '1MB'", "discard all"), shows: says("show work_mem")},
		{name: "RESET of TimeZone given at the start", parameters: with("timezone", "Asia/Tokyo"), leaves: says("set timezone = 'Asia/Seoul'", "reset timezone"), shows: says("show timezone")},
	}
}

// statementProbes are about prepared statements.
func statementProbes() []probe {
	return []probe{
		{name: "PREPARE", bouncer: never, leaves: says("prepare mine(int) as select $1 + 1"), shows: says("execute mine(1)")},
		{name: "PREPARE by the extended protocol", bouncer: never, leaves: asks("prepare mine(int) as select $1 + 1"), shows: says("execute mine(1)")},
		{name: "PREPARE in a function", bouncer: never, leaves: says("select hide('prepare mine as select 1')"), shows: says("execute mine"), lost: hiddenInCode, seen: leftByCode},
		{name: "a named statement", bouncer: yes, leaves: do(parse("mine", "select $1::int + 1"), sync(), ready(1)), shows: do(bind("", "mine", "1"), execute("", 0), sync(), ready(1))},
		{name: "a named statement that SQL executes", bouncer: never, leaves: do(parse("mine", "select $1::int + 1"), sync(), ready(1)), shows: says("execute mine(1)")},
		{name: "the unnamed statement", leaves: do(parse("", "select $1::int + 1"), sync(), ready(1)), shows: do(bind("", "", "1"), execute("", 0), sync(), ready(1))},
	}
}

// myLocks counts the advisory locks of the connection that asks.
const myLocks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"

// objectProbes are about things that a server process has for its session.
func objectProbes() []probe {
	return []probe{
		{name: "a temporary table", bouncer: never, leaves: says("create temp table mine as select 1 as n"), shows: says("select n + 0 from mine")},
		{name: "SELECT INTO TEMP", bouncer: never, leaves: says("select 1 as n into temp mine"), shows: says("select n + 0 from mine")},
		{name: "a temporary view", bouncer: never, leaves: says("create temp view mine as select 1 as n"), shows: says("select n + 0 from mine")},
		{name: "a temporary function", bouncer: never, leaves: says("create function pg_temp.mine() returns int language sql return 7"), shows: says("select pg_temp.mine()"),
			seen: "that there is a schema for temporary things"},
		{name: "a temporary table, ON COMMIT DROP", bouncer: yes, leaves: says("begin; create temp table mine(n int) on commit drop; commit"), shows: says("select n + 0 from mine")},
		{name: "a temporary table that was dropped", leaves: says("create temp table mine(n int)", "drop table mine"), shows: says("select n + 0 from mine")},
		{name: "advisory locks", bouncer: never, leaves: says("select pg_advisory_lock(1), pg_try_advisory_lock_shared(3, 4)"), shows: says(myLocks)},
		{name: "advisory locks of a transaction", leaves: says("begin; select pg_advisory_xact_lock(1); commit"), shows: says(myLocks)},
		{name: "advisory locks that were given back", leaves: says("select pg_advisory_lock(1)", "select pg_advisory_unlock(1)"), shows: says(myLocks)},
		{name: "LISTEN", bouncer: never, leaves: says("listen x"), shows: says("select pg_listening_channels()")},
		{name: "LISTEN and UNLISTEN", leaves: says("listen x", "unlisten x"), shows: says("select pg_listening_channels()")},
		{name: "a cursor WITH HOLD", bouncer: never, leaves: says("begin; declare mine cursor with hold for select n + 0 from generate_series(1, 9) n; commit"), shows: says("fetch mine")},
		{name: "a cursor of a transaction", bouncer: yes, leaves: says("begin; declare mine cursor for select 1; fetch mine; commit"), shows: says("fetch mine")},
		{name: "currval and lastval", leaves: says("select setval('numbers', 7)"), shows: says("select currval('numbers')", "select lastval()"),
			lost: "where others were on the server meanwhile PostgreSQL says that there is none (55000)"},
		{name: "LOAD", bouncer: never, parameters: map[string]string{"user": "boss"}, leaves: says("load 'auto_explain'"), shows: says("show auto_explain.log_format"),
			seen: "that the library is loaded"},
	}
}
