package oracle

import (
	"fmt"
	"strings"
)

// simpleScripts speak the simple protocol.
func simpleScripts() []script {
	return []script{
		{name: "a query answers its rows", steps: do(query("select n, s from t order by n"), ready(1))},
		{name: "values may be null and empty, rows without columns", steps: do(query("select null, '', 0"), query("select"), query("select from t"), ready(3))},
		{name: "queries sent at once are answered in turn", steps: do(query("select 1"), query("select 2/0"), query("select 3"), ready(3))},
		{name: "empty queries say so", steps: do(query(""), ready(1), query(" ; ; "), query("-- nothing"), ready(2))},
		{name: "many statements give many results", steps: do(query("select 1; select 2; ; delete from t; select count(*) from t"), ready(1))},
		{name: "statements of one query are one transaction", steps: do(
			query("insert into t values (3); select 1/0; insert into t values (4)"), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a begin in the middle of a query takes in what stands before", steps: do(
			query("insert into t values (3); begin; insert into t values (4)"), ready(1), query("rollback"), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a commit in the middle of a query keeps what stands before", steps: do(
			query("insert into t values (3); commit; insert into t values (4); select 1/0"), ready(1), elsewhere(), query("select n from t order by n"), ready(1))},
		{name: "a query that does not parse runs nothing of itself", steps: do(
			query("insert into t values (3); selekt"), ready(1), elsewhere(), query("select n from t order by n"), ready(1))},
		{name: "notices and warnings come in their places", steps: do(
			query("select shout('a'), shout('b') from t"), ready(1), elsewhere(), query("do $$begin raise log 'x'; raise info 'y' using hint = 'z'; end$$"), ready(1))},
		{name: "commands that find nothing to do warn", steps: do(
			query("commit"), ready(1), elsewhere(), query("drop table if exists nowhere"), ready(1), query("rollback"), query("set local work_mem = '1MB'"), ready(2))},
		{name: "an error has all its fields", steps: do(
			query("insert into t values (1)"), ready(1), query("select nothing from t"), ready(1), elsewhere(), query("do $$begin raise 'a' using detail = 'b', hint = 'c', errcode = '12345', column = 'd', table = 't'; end$$"), ready(1))},
		{name: "two hundred columns", steps: do(query("select "+strings.Repeat("1,", 199)+"2"), ready(1))},
		{name: "what stands behind the end of a query string is read over", steps: do(frame('Q', "select 1\x00select 2\x00"), ready(1), query("select 3"), ready(1))},
		{name: "a server that terminates itself is heard", steps: do(query("select pg_terminate_backend(pg_backend_pid())"), theEnd())},
	}
}

// transactionScripts are about transaction blocks.
func transactionScripts() []script {
	return []script{
		{name: "a transaction block from begin to commit", steps: do(
			query("begin"), ready(1), query("insert into t values (3)"), ready(1), query("commit"), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a block that failed refuses everything up to its end", steps: do(
			query("begin"), ready(1), query("select 1/0"), ready(1), query("select 1"), ready(1), batchOf("select 2"), ready(1), query("commit"), ready(1), elsewhere(), query("select 3"), ready(1))},
		{name: "savepoints bring a failed block back", steps: do(
			query("begin"), query("savepoint a"), query("insert into t values (1)"), query("rollback to a"), query("insert into t values (3)"), query("release a"), query("commit"), ready(7),
			elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a block in one query", steps: do(query("begin; insert into t values (3); commit"), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a block that ends and begins another one at once", steps: do(
			query("begin; insert into t values (3)"), ready(1), query("commit and chain"), ready(1), query("insert into t values (4)"), query("rollback"), ready(2), elsewhere(), query("select n from t order by n"), ready(1))},
		{name: "a begin inside of a block warns", steps: do(query("begin; begin"), ready(1), query("end"), ready(1))},
		{name: "characteristics of a block end with it", steps: do(
			query("begin isolation level serializable read only"), ready(1), query("show transaction_isolation"), query("insert into t values (3)"), ready(2), query("rollback"), ready(1),
			elsewhere(), query("show transaction_isolation"), query("insert into t values (3)"), ready(2))},
		{name: "pipelined blocks", steps: do(
			query("begin"), query("insert into t values (3)"), query("commit"), query("begin"), query("insert into t values (4)"), query("rollback"), ready(6), elsewhere(), query("select n from t order by n"), ready(1))},
		{name: "a block of the extended protocol", steps: do(
			batchOf("begin"), ready(1), batchOf("insert into t values ($1)", "3"), ready(1), batchOf("commit"), ready(1), elsewhere(), batchOf("select count(*) from t"), ready(1))},
		{name: "a block that fails in the extended protocol", steps: do(
			batchOf("begin"), batchOf("select 1/0"), batchOf("select 1"), batchOf("rollback"), ready(4), elsewhere(), batchOf("select 2"), ready(1))},
		{name: "a client that leaves its block", steps: do(query("begin; insert into t values (3)"), ready(1), terminate(), theEnd())},
		{name: "cursors live as long as their block", steps: do(
			query("begin; declare c cursor for select n from t; fetch c"), ready(1), query("fetch all c"), ready(1), query("commit"), ready(1), elsewhere(), query("fetch c"), ready(1))},
		{name: "a cursor with hold outlives its block", steps: do(
			query("begin; declare c cursor with hold for select n from t order by n; commit"), ready(1), elsewhere(), query("fetch c"), ready(1), elsewhere(), query("fetch c; close c"), ready(1))},
		{name: "two-phase commit where it is not enabled", steps: do(query("begin"), query("prepare transaction 'x'"), ready(2), elsewhere(), query("commit prepared 'x'"), ready(1))},
		{name: "a deferred constraint fails at the commit", steps: do(
			query("create table d(n int unique deferrable initially deferred)"), ready(1), query("begin; insert into d values (1), (1)"), ready(1), query("commit"), ready(1), elsewhere(), query("drop table d"), ready(1))},
	}
}

// batchOf is a statement in the unnamed portal, with its Sync.
func batchOf(sql string, values ...string) []message {
	return append(batch(sql, values...), sync())
}

// largeScripts carry much.
func largeScripts() []script {
	million := strings.Repeat("0123456789abcdef", 1<<16)
	return []script{
		{name: "a row of a megabyte", large: true, steps: do(query("select repeat('x', 1 << 20), 2"), ready(1), elsewhere(), query("select 3"), ready(1))},
		{name: "a query of a megabyte", large: true, steps: do(query("select length('"+million+"')"), ready(1), elsewhere(), query("select 3"), ready(1))},
		{name: "a parameter of a megabyte, and back", large: true, steps: do(batchOf("select $1::text", million), ready(1), elsewhere(), batchOf("select 3"), ready(1))},
		{name: "an unnamed statement of a megabyte", large: true, steps: do(
			parse("", "select length('"+million+"')"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "an unnamed statement of thirty kilobytes moves", large: true, steps: do(
			parse("", "select length('"+million[:30000]+"')"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a COPY of a megabyte in one message", large: true, steps: do(
			query("copy sink from stdin"), hear('G'), data(million+"\n"), copyDone(), ready(1), elsewhere(), query("select max(length(s)) from sink; delete from sink"), ready(1))},
		{name: "ten thousand rows", large: true, steps: do(query("select n, 'row ' || n from generate_series(1, 10000) n"), ready(1), elsewhere(), batchOf("select n from generate_series(1, 10000) n"), ready(1))},
		{name: "five hundred batches at once", large: true, steps: do(times(500, batchOf("select 1")...), ready(500), elsewhere(), batchOf("select 2"), ready(1))},
		{name: "a thousand requests in one batch", large: true, steps: do(parse("", "select $1::text"), times(500, bind("", "", "x"), execute("", 0)), sync(), ready(1), elsewhere(), bind("", "", "y"), execute("", 0), sync(), ready(1))},
		{name: "messages whose lengths lie around the size of a buffer", large: true, steps: do(around(16<<10), ready(40), elsewhere(), around(64<<10), ready(40))},
		{name: "rows whose lengths lie around the size of a buffer", large: true, steps: do(rowsAround(16<<10), ready(1), elsewhere(), rowsAround(64<<10), ready(1))},
	}
}

// around makes queries whose messages have lengths around size.
func around(size int) []message {
	var all []message
	for n := range 40 {
		all = append(all, query(fmt.Sprintf("select %d /*%s*/", n, strings.Repeat("*", size-40+n))))
	}
	return all
}

func rowsAround(size int) message {
	return query(fmt.Sprintf("select repeat('x', %d + n), n from generate_series(-30, 10) n", size))
}
