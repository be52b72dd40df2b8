package oracle

// settingScripts are about what a session holds.
func settingScripts() []script {
	return []script{
		{name: "a setting that is reported", steps: do(query("set timezone = 'Europe/Vienna'"), ready(1), elsewhere(), query("show timezone"), ready(1), elsewhere(), query("reset timezone"), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "a setting that is rolled back", steps: do(query("begin; set datestyle = 'German'"), ready(1), query("rollback"), ready(1), elsewhere(), query("show datestyle"), ready(1))},
		{name: "a setting of a transaction", steps: do(query("begin; set local timezone = 'Asia/Tokyo'; show timezone"), ready(1), query("commit"), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "a setting back to a savepoint", steps: do(
			query("begin; set timezone = 'Asia/Tokyo'; savepoint a; set timezone = 'Asia/Seoul'"), ready(1), query("rollback to a"), query("commit"), ready(2), elsewhere(), query("show timezone"), ready(1))},
		{name: "settings of a batch", steps: do(batch("set timezone = 'Asia/Tokyo'"), batch("set intervalstyle = 'iso_8601'"), batch("select '1 day'::interval"), sync(), ready(1), elsewhere(), batchOf("select '1 day'::interval"), ready(1))},
		{name: "settings of a batch that fails", steps: do(batch("set timezone = 'Asia/Tokyo'"), batch("select 1/0"), sync(), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "a setting by a function", steps: do(query("select set_config('timezone', 'Asia/Tokyo', true)"), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "a setting by a function for the session", steps: do(query("select set_config('timezone', 'Asia/Tokyo', false)"), ready(1), elsewhere(), query("show timezone"), ready(1))},
		{name: "a value that is refused", steps: do(query("set timezone = 'Nowhere/Town'"), ready(1), elsewhere(), query("set nothing = 1"), ready(1), query("show timezone"), ready(1))},
		{name: "another spelling of a value", steps: do(query("set timezone = 'europe/vienna'; set datestyle = 'dmy'"), ready(1), elsewhere(), query("show timezone; show datestyle"), ready(1))},
		{name: "the name of an application", steps: do(query("set application_name = 'it''s me'"), ready(1), elsewhere(), query("show application_name"), ready(1), elsewhere(), query("set application_name = ''"), ready(1), elsewhere(), query("show application_name"), ready(1))},
		{name: "a setting that is not reported", steps: do(query("set work_mem = '1MB'"), ready(1), elsewhere(), query("show work_mem"), ready(1))},
		{name: "a setting of one's own", steps: do(query("set my.name = 'x'"), ready(1), elsewhere(), query("show my.name"), ready(1))},
		{name: "the search path", steps: do(query("set search_path = pg_catalog"), ready(1), elsewhere(), query("select * from t"), ready(1))},
		{name: "the search path of a session that is uncertain", steps: do(
			parse("a", "select * from t"), sync(), ready(1), parse("", "select 1"), bind("", ""), execute("", 0), query("select 2"), sync(), ready(2),
			query("set search_path = pg_catalog"), ready(1), parse("b", "select * from t"), sync(), ready(1))},
		{name: "RESET ALL", steps: do(query("set timezone = 'Asia/Tokyo'; set datestyle = 'German'"), ready(1), elsewhere(), query("reset all"), ready(1), elsewhere(), query("show timezone; show datestyle"), ready(1))},
		{name: "DISCARD ALL", steps: do(query("set timezone = 'Asia/Tokyo'"), ready(1), elsewhere(), query("discard all"), ready(1), elsewhere(), query("show timezone"), ready(1), query("begin"), query("discard all"), query("rollback"), ready(3))},
		{name: "read-only by default", steps: do(query("set default_transaction_read_only = on"), ready(1), elsewhere(), query("insert into t values (3)"), ready(1))},
		{name: "characteristics of a session", steps: do(query("set session characteristics as transaction read only"), ready(1), elsewhere(), query("insert into t values (3)"), ready(1))},
		{name: "a role", steps: do(query("set role pg_monitor"), ready(1), elsewhere(), query("reset role; select current_user"), ready(1))},
		{name: "each is warned of a string that does not conform", steps: do(
			query("set standard_conforming_strings = off"), ready(1), elsewhere(), parse("a", `select 'a\nb'`), sync(), ready(1), elsewhere(), bind("", "a"), execute("", 0), sync(), ready(1), elsewhere(),
			parse("b", `select 'a\nb'`), sync(), ready(1), parse("c", `select 'a\nb'`), bind("", "c"), execute("", 0), sync(), ready(1))},
		{name: "strings that do not conform", steps: do(query("set standard_conforming_strings = off"), ready(1), elsewhere(), query(`select 'a\nb'`), ready(1))},
		{name: "Latin-1", steps: do(query("set client_encoding = 'latin1'"), ready(1), elsewhere(), query("select '\xe9', length('\xe9'), 'a' || chr(233)"), ready(1), elsewhere(), query("select chr(8364)"), ready(1), query("select 1"), ready(1))},
		{name: "bytes that are no text", steps: do(query("select '\xe9'"), ready(1), elsewhere(), batchOf("select $1::text", "\xff"), ready(1), query("select 1"), ready(1))},
		{name: "an encoding that does not exist", steps: do(query("set client_encoding = 'klingon'"), ready(1), elsewhere(), query("show client_encoding"), ready(1))},
		{name: "a temporary table", steps: do(query("create temp table x as select 1 as n"), ready(1), elsewhere(), query("select n + 0 from x"), ready(1))},
		{name: "a setting in code outlives a temporary table", steps: do(
			query("create temp table x(n int); do $$begin set work_mem = '3MB'; end$$"), ready(1), query("discard temp"), ready(1), elsewhere(), query("show work_mem"), ready(1),
		)},
		{name: "a temporary table of a transaction", steps: do(query("begin; create temp table x(n int) on commit drop"), ready(1), query("select n + 0 from x"), query("commit"), ready(2), elsewhere(), query("select n from x"), ready(1))},
		{name: "a lock of the session", steps: do(query("select pg_advisory_lock(1)"), ready(1), elsewhere(), query("select pg_advisory_unlock(1), pg_advisory_unlock(1)"), ready(1))},
		{name: "a lock of a transaction", steps: do(query("begin; select pg_advisory_xact_lock(1)"), ready(1), query("commit"), ready(1), elsewhere(), query("select pg_advisory_unlock(1)"), ready(1))},
	}
}

// notifyScripts are about LISTEN and NOTIFY.
func notifyScripts() []script {
	return []script{
		{name: "one's own notification", steps: do(query("listen x"), ready(1), elsewhere(), query("notify x, 'hello'"), ready(1), query("notify x; notify y"), ready(1))},
		{name: "notifications wait for the commit", steps: do(query("listen x"), ready(1), query("begin; notify x, 'a'; notify x, 'a'; notify x, 'b'"), ready(1), query("select 1"), ready(1), query("commit"), ready(1))},
		{name: "notifications of a batch", steps: do(batchOf("listen x"), ready(1), batch("notify x, 'a'"), batch("select pg_notify('x', 'b')"), sync(), ready(1))},
		{name: "nobody listens", steps: do(query("notify x, 'hello'"), ready(1), elsewhere(), query("unlisten x"), ready(1), query("unlisten *"), ready(1))},
		{name: "who does not listen any more hears nothing", steps: do(query("listen x"), query("unlisten x"), query("notify x"), ready(3))},
		{name: "a notification that is rolled back", steps: do(query("listen x"), query("begin; notify x"), query("rollback"), query("select 1"), ready(4))},
	}
}
