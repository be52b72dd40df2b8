package oracle

// preparationScripts are about what SQL's PREPARE makes.
func preparationScripts() []script {
	return []script{
		{name: "a statement of SQL's is known elsewhere", steps: do(
			query("prepare a(int) as select $1 + 1"), ready(1), elsewhere(), query("execute a(1)"), ready(1), elsewhere(), query("select 1"), ready(1), elsewhere(),
			query("explain (costs off) execute a(1)"), ready(1), elsewhere(), query("prepare a as select 2"), ready(1), elsewhere(),
			query("select name, statement from pg_prepared_statements where from_sql"), ready(1), elsewhere(), query("deallocate a"), ready(1), elsewhere(), query("execute a(1)"), ready(1))},
		{name: "a statement of SQL's means what it meant", steps: do(
			query("set datestyle = 'German'; set transform_null_equals = on"), ready(1), query("prepare a as select '01.02.2003'::date, null = null"), ready(1),
			query("set datestyle = 'ISO, MDY'"), query("reset transform_null_equals"), ready(2), elsewhere(), query("execute a"), ready(1), elsewhere(),
			query("set search_path = pg_catalog"), ready(1), elsewhere(), query("execute a"), query("show datestyle"), query("show transform_null_equals"), ready(3))},
		{name: "two statements of SQL's in one text", steps: do(
			query("prepare a as select ';'; prepare b as select 2; select 3"), ready(1), elsewhere(), query("execute a; execute b"), ready(1), elsewhere(),
			query("deallocate a; prepare a as select 4"), ready(1), elsewhere(), query("execute a"), query("execute b"), ready(2), elsewhere(), query("deallocate all"), ready(1), elsewhere(),
			query("execute b"), ready(1))},
		{name: "a statement of SQL's out of a text of several, and where in it the error is", steps: do(
			query("create table sundry(n int)"), ready(1), query("select 'ä'; prepare a as select n from sundry; select 1"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(),
			query("alter table sundry rename n to m"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(), query("deallocate a; drop table sundry"), ready(1))},
		{name: "a statement of SQL's outlives its transaction", steps: do(
			query("begin"), query("prepare a as select 1"), query("rollback"), ready(3), elsewhere(), query("execute a"), ready(1), elsewhere(),
			query("begin; deallocate a; rollback"), ready(1), elsewhere(), query("execute a"), ready(1))},
		{name: "a statement of SQL's and an error behind it", steps: do(
			query("prepare a as select 1; select 1/0"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(), query("discard all"), ready(1), elsewhere(), query("execute a"), ready(1))},
		{name: "a statement of SQL's and a commit that fails behind it", steps: do(
			query("create table due(n int unique deferrable initially deferred)"), ready(1), query("insert into due values (1), (1); prepare a as select 1"), ready(1), elsewhere(),
			query("execute a"), ready(1), elsewhere(), query("insert into due values (1), (1); deallocate a"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(),
			query("prepare a as select 2; insert into due values (1), (1); deallocate all"), ready(1), elsewhere(), query("prepare a as select 3"), ready(1), elsewhere(),
			query("execute a"), ready(1), elsewhere(), query("deallocate all; drop table due"), ready(1))},
		{name: "a statement of SQL's by the extended protocol", steps: do(
			batchOf("prepare a(int) as select $1 + 1"), ready(1), elsewhere(), batchOf("execute a(1)"), ready(1), elsewhere(), parse("b", "execute a(2)"), describeStatement("b"), sync(), ready(1), elsewhere(),
			bind("", "b"), execute("", 0), sync(), ready(1))},
		{name: "the protocol uses a statement of SQL's", steps: do(
			query("prepare a(int) as select $1 + 1 as n"), ready(1), elsewhere(), describeStatement("a"), sync(), ready(1), elsewhere(), bind("", "a", "1"), execute("", 0), sync(), ready(1), elsewhere(),
			closeStatement("a"), sync(), ready(1), elsewhere(), query("execute a(1)"), ready(1))},
		{name: "SQL and the protocol share their names", steps: do(
			query("prepare a as select 1"), ready(1), elsewhere(), parse("a", "select 2"), sync(), ready(1), elsewhere(), parse("b", "select 2"), sync(), ready(1), elsewhere(),
			query("begin"), query("prepare c as select 1"), ready(2), parse("c", "select 2"), sync(), ready(1), query("rollback"), ready(1), elsewhere(),
			parse("a", "selekt"), sync(), ready(1), elsewhere(), query("deallocate a"), ready(1), elsewhere(), parse("a", "select 3"), bind("", "a"), execute("", 0), sync(), ready(1))},
		{name: "a statement of SQL's whose table is gone", steps: do(
			query("begin; create table gone(n int)"), query("prepare a as select n from gone"), query("rollback"), ready(3), elsewhere(), query("select 1"), ready(1))},
		{name: "a statement of SQL's whose table comes again", steps: do(
			query("create table again(n int)"), ready(1), query("prepare a as select n from again"), ready(1), query("drop table again"), ready(1), elsewhere(),
			query("execute a"), ready(1), elsewhere(), query("create temp table again(n int)"), ready(1), query("execute a"), ready(1), query("drop table again"), ready(1), elsewhere(),
			query("create temp table again(other int)"), ready(1), query("execute a"), ready(1), batchOf("execute a"), ready(1),
			query("alter table again rename other to n"), ready(1), batchOf("execute a"), ready(1), query("drop table again"), ready(1), elsewhere(), query("deallocate all"), ready(1))},
		{name: "a statement of SQL's under policies of rows", steps: do(
			query("create table guarded as select n from generate_series(1, 4) n"), query("alter table guarded enable row level security"), query("grant select on guarded to helper"),
			query("create policy even on guarded to helper using (n % 2 = 0)"), ready(4), query("set row_security = off"), ready(1), query("prepare a as select n from guarded"), ready(1),
			query("set role helper"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(), query("set row_security = on"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(),
			query("reset role"), ready(1), elsewhere(), query("execute a"), ready(1), elsewhere(), query("set role helper"), ready(1), query("set row_security = off"), ready(1), elsewhere(),
			query("execute a"), ready(1), query("reset all"), query("reset role"), query("drop table guarded"), ready(3))},
	}
}
