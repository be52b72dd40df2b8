package oracle

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	int4 = 23
	text = 25
)

// inBinary is a format code.
const inBinary = 1

// statementScripts are about prepared statements.
func statementScripts() []script {
	return []script{
		{name: "a statement with values", steps: do(batchOf("select $1::int + $2, $3::text", "1", "2", "x"), ready(1), elsewhere(), batchOf("select $1::bool", "maybe"), ready(1))},
		{name: "the unnamed statement outlives its Sync", steps: do(
			parse("", "select $1::int"), sync(), ready(1), elsewhere(), bind("", "", "7"), execute("", 0), sync(), ready(1), elsewhere(), bind("", "", "8"), execute("", 0), sync(), ready(1))},
		{name: "the unnamed statement is described elsewhere", steps: do(
			parse("", "select $1::int as a, $2::text as b"), sync(), ready(1), elsewhere(), describeStatement(""), sync(), ready(1))},
		{name: "the unnamed statement is another one after each Parse", steps: do(
			parse("", "select 1"), parse("", "select 2"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), parse("", "select 3"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a Parse that fails takes the unnamed statement away", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), parse("", "selekt"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a Parse that is read over does not", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), bind("nowhere", "nothing"), parse("", "select 2"), sync(), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a query takes the unnamed statement away", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), query("select 2"), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a query that fails takes it away too", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), query("select 1/0"), ready(1), elsewhere(), bind("", ""), sync(), ready(1))},
		{name: "a query that does not parse takes it away too", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), query("selekt"), ready(1), elsewhere(), bind("", ""), sync(), ready(1))},
		{name: "an empty query takes it away too", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), query(""), ready(1), elsewhere(), bind("", ""), sync(), ready(1))},
		{name: "a Close takes the unnamed statement away", steps: do(
			parse("", "select 1"), sync(), ready(1), elsewhere(), closeStatement(""), sync(), ready(1), elsewhere(), describeStatement(""), sync(), ready(1))},
		{name: "a Bind of the unnamed statement that nobody has parsed", steps: do(
			bind("", ""), execute("", 0), sync(), ready(1), elsewhere(), describeStatement(""), sync(), ready(1))},
		{name: "the unnamed statement of a transaction that is rolled back stays", steps: do(
			query("begin"), ready(1), parse("", "select 5"), sync(), query("rollback"), ready(2), elsewhere(), bind("", ""), sync(), ready(1),
			query("begin"), ready(1), parse("", "select 6"), bind("", ""), execute("", 0), sync(), ready(1), batchOf("rollback"), ready(1), elsewhere(), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a named statement serves many batches", steps: do(
			parse("a", "select $1::int", int4), sync(), ready(1), elsewhere(), bind("", "a", "1"), execute("", 0), sync(), ready(1), elsewhere(), describeStatement("a"), bind("", "a", "2"), execute("", 0), sync(), ready(1))},
		{name: "a name that is taken", steps: do(
			parse("a", "select 1"), sync(), parse("a", "select 2"), sync(), ready(2), elsewhere(), bind("", "a"), execute("", 0), sync(), ready(1))},
		{name: "a name that a failed Parse did not take", steps: do(
			parse("a", "selekt"), sync(), ready(1), elsewhere(), parse("a", "select 2"), bind("", "a"), execute("", 0), sync(), ready(1))},
		{name: "a name that was closed is free", steps: do(
			parse("a", "select 1"), closeStatement("a"), parse("a", "select 2"), sync(), ready(1), elsewhere(), closeStatement("a"), sync(), bind("", "a"), sync(), ready(2))},
		{name: "names that nobody has given", steps: do(
			bind("", "a"), execute("", 0), sync(), ready(1), elsewhere(), describeStatement("a"), sync(), describePortal("p"), sync(), execute("p", 0), sync(), ready(3),
			elsewhere(), closeStatement("a"), closePortal("p"), sync(), ready(1))},
		{name: "a name with quotes, spaces and letters of two bytes", steps: do(
			parse(`a "b" 'ü'`, "select 1"), sync(), bind("", `a "b" 'ü'`), execute("", 0), sync(), bind("", `a "b"`), sync(), ready(3))},
		{name: "a statement is prepared by SQL and used by the protocol", steps: do(
			query("prepare a(int) as select $1"), ready(1), elsewhere(), bind("", "a", "1"), execute("", 0), sync(), ready(1), query("execute a(2)"), ready(1), elsewhere(), query("deallocate a"), query("execute a(3)"), ready(2))},
		{name: "a statement is prepared by the protocol and used by SQL", steps: do(
			parse("a", "select $1::int"), sync(), ready(1), elsewhere(), query("execute a(1)"), query("deallocate all"), bind("", "a", "1"), sync(), ready(3))},
		{name: "DISCARD ALL forgets names", steps: do(
			parse("a", "select 1"), sync(), ready(1), elsewhere(), query("discard all"), ready(1), elsewhere(), bind("", "a"), sync(), ready(1))},
		{name: "DEALLOCATE of what the protocol has prepared", steps: do(
			parse("a", "select 1"), parse("b", "select 2"), sync(), ready(1), elsewhere(), query("deallocate a"), ready(1), elsewhere(),
			bind("", "a"), execute("", 0), sync(), ready(1), elsewhere(), parse("a", "select 3"), bind("", "a"), execute("", 0), bind("", "b"), execute("", 0), sync(), ready(1),
			elsewhere(), query("deallocate prepare \"A\""), query("deallocate prepare \"b\"; "), bind("", "b"), sync(), bind("", "a"), execute("", 0), sync(), ready(4))},
		{name: "DEALLOCATE in a block that has failed", steps: do(
			parse("a", "select 1"), sync(), ready(1), elsewhere(), query("begin"), query("select 1/0"), query("deallocate a"), query("rollback"), ready(4),
			elsewhere(), bind("", "a"), execute("", 0), sync(), ready(1))},
		{name: "DEALLOCATE of a name in a batch", steps: do(
			parse("a", "select 1"), sync(), ready(1), elsewhere(), batchOf("deallocate a"), bind("", "a"), execute("", 0), sync(), ready(2))},
		{name: "names are used in texts of several statements", steps: do(
			parse("a", "select $1::int", int4), sync(), ready(1), elsewhere(), query("select 0; execute a(1); execute a(2)"), ready(1), elsewhere(),
			query("explain (costs off) execute a(3)"), query("prepare a as select 1"), query("deallocate a; select 1"), ready(3))},
		{name: "a Parse of what is known in a block that has failed", steps: do(
			parse("a", "select 1"), sync(), ready(1), elsewhere(), query("begin"), query("select 1/0"), ready(2), parse("b", "select 1"), sync(), ready(1),
			bind("", "a"), sync(), ready(1), query("rollback"), ready(1), elsewhere(), parse("b", "select 1"), bind("", "b"), execute("", 0), bind("", "a"), execute("", 0), sync(), ready(1))},
		{name: "a name that looks like the router's", steps: do(
			parse("pgr1", "select 1"), sync(), ready(1), elsewhere(), bind("", "pgr1"), execute("", 0), bind("", "pgr2"), sync(), describeStatement("pgr3"), sync(),
			closeStatement("pgr4"), sync(), ready(3))},
		{name: "names of more than 63 bytes", steps: do(
			parse(strings.Repeat("n", 64), "select 1"), sync(), ready(1), elsewhere(), bind("", strings.Repeat("n", 63)), execute("", 0), bind("", strings.Repeat("n", 65)), execute("", 0), sync(),
			parse(strings.Repeat("n", 70), "select 2"), sync(), ready(2))},
		{name: "a long statement with a name", large: true, steps: do(
			parse("a", "select '"+strings.Repeat("x", 70_000)+"'"), sync(), ready(1), bind("", "a"), execute("", 0), closeStatement("a"), sync(), ready(1), bind("", "a"), sync(), ready(1))},
		{name: "DEALLOCATE ALL in a batch", steps: do(
			parse("a", "select 1"), batch("deallocate all"), bind("", "a"), execute("", 0), sync(), ready(1))},
		{name: "a statement of the unnamed name by SQL", steps: do(query(`prepare "" as select 1`), ready(1), elsewhere(), query("deallocate nothing"), ready(1))},
		{name: "several statements cannot be parsed as one", steps: do(parse("", "select 1; select 2"), bind("", ""), sync(), ready(1), elsewhere(), query("select 3"), ready(1))},
		{name: "types are found out, or given, or wrong", steps: do(
			parse("", "select $1", text), describeStatement(""), sync(), parse("", "select n from t where n = $1"), describeStatement(""), sync(),
			parse("", "select $1 + $2"), describeStatement(""), sync(), parse("", "select $1", 99999999), sync(), ready(4))},
		{name: "a statement whose result has changed", steps: do(
			parse("a", "select * from t"), sync(), bind("", "a"), execute("", 0), sync(), ready(2), query("begin; alter table t add column x int"), ready(1),
			bind("", "a"), execute("", 0), sync(), query("rollback"), ready(2))},
		{name: "a statement that was described, and its table changed and changed back", steps: do(
			query("create table shape (a int); insert into shape values (1)"), parse("a", "select * from shape where a > $1"), describeStatement("a"), sync(), ready(2), elsewhere(),
			query("alter table shape add column b text"), ready(1), elsewhere(),
			bind("", "a", "0"), execute("", 0), sync(), ready(1), elsewhere(), bind("", "a", "0"), execute("", 0), sync(), ready(1), elsewhere(),
			query("alter table shape drop column b"), ready(1), elsewhere(), bind("", "a", "0"), execute("", 0), sync(), ready(1), query("drop table shape"), ready(1))},
		{name: "a portal that was described, and its table changed", steps: do(
			query("create table shape (a int, b int); insert into shape values (1, 2)"), parse("a", "select * from shape"), bind("", "a"), describePortal(""), execute("", 0), sync(), ready(2),
			elsewhere(), query("alter table shape alter column b type bigint"), ready(1), elsewhere(), bind("", "a"), execute("", 0), sync(), ready(1), elsewhere(),
			&pgproto3.Bind{PreparedStatement: "a", ResultFormatCodes: []int16{inBinary, inBinary}}, execute("", 0), sync(), bind("", "a"), execute("", 0), sync(), ready(2), elsewhere(),
			closeStatement("a"), parse("a", "select * from shape"), bind("", "a"), describePortal(""), execute("", 0), sync(), ready(1), query("drop table shape"), ready(1))},
		{name: "a table changes in a pipeline, and a transaction fails at it", steps: do(
			query("create table shape (a int)"), parse("a", "select * from shape"), describeStatement("a"), sync(), ready(2), elsewhere(), query("alter table shape add column b text"), ready(1),
			elsewhere(), query("begin"), ready(1), bind("", "a"), execute("", 0), bind("nowhere", "nothing"), sync(), query("select 1"), query("rollback"), ready(3), elsewhere(),
			bind("", "a"), execute("", 0), sync(), query("select 2"), ready(2), query("drop table shape"), ready(1))},
		{name: "a statement without rows keeps its shape", steps: do(
			query("create table shape (a int)"), parse("a", "insert into shape values (1)"), describeStatement("a"), sync(), ready(2), elsewhere(), query("alter table shape add column b text"),
			ready(1), elsewhere(), bind("", "a"), execute("", 0), sync(), ready(1), elsewhere(), bind("", "a"), execute("", 0), sync(), ready(1), query("table shape"), query("drop table shape"), ready(2))},
		{name: "hints are in comments of any kind", steps: do(batchOf("/* a */ select /* b /* c */ */ 1 -- d"), ready(1), elsewhere(), query("/*x*/;select 2"), ready(1))},
	}
}

// portalScripts are about portals, and about batches and their errors.
func portalScripts() []script {
	return []script{
		{name: "a portal is read in portions", steps: do(
			parse("", "select * from generate_series(1, 5)"), bind("", ""), execute("", 2), execute("", 2), execute("", 2), execute("", 2), sync(), ready(1))},
		{name: "a portion as large as the rest is a portion", steps: do(
			parse("", "select * from generate_series(1, 4)"), bind("", ""), describePortal(""), execute("", 4), execute("", 1), sync(), ready(1), elsewhere(), batchOf("select 1"), ready(1))},
		{name: "a portal of a transaction is read in many batches", steps: do(
			query("begin"), ready(1), parse("", "select * from generate_series(1, 5)"), bind("p", ""), execute("p", 2), sync(), ready(1), execute("p", 2), sync(), ready(1),
			query("select 'between'"), ready(1), execute("p", 0), closePortal("p"), sync(), ready(1), execute("p", 0), sync(), ready(1), query("rollback"), ready(1))},
		{name: "a portal ends with its batch outside of a transaction", steps: do(
			parse("", "select * from generate_series(1, 5)"), bind("p", ""), execute("p", 2), sync(), ready(1), elsewhere(), execute("p", 2), sync(), ready(1))},
		{name: "the unnamed portal ends with its batch", steps: do(batchOf("select 1"), ready(1), elsewhere(), execute("", 0), sync(), ready(1))},
		{name: "a portal name that is taken", steps: do(
			parse("", "select 1"), bind("p", ""), bind("p", ""), sync(), ready(1), elsewhere(), bind("", ""), bind("", ""), execute("", 0), sync(), ready(1))},
		{name: "a portal that changes the database cannot be read twice", steps: do(
			parse("", "insert into t values (3) returning n"), bind("", ""), execute("", 0), execute("", 0), sync(), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "both kinds of Describe", steps: do(
			parse("", "select n, s as \"S\" from t where n > $1"), describeStatement(""), bind("", "", "1"), describePortal(""), execute("", 0), sync(), ready(1),
			elsewhere(), parse("", "delete from t where n = $1"), describeStatement(""), bind("", "", "9"), describePortal(""), execute("", 0), sync(), ready(1))},
		{name: "values and results in binary", steps: do(
			parse("", "select $1::int, $2::text, 1.5::float8, true, null::int", int4, text), binaryBind("\x00\x00\x01\x02", "x"), describePortal(""), execute("", 0), sync(), ready(1))},
		{name: "formats that do not fit", steps: do(
			parse("", "select $1::int"), &pgproto3.Bind{Parameters: [][]byte{[]byte("\x01")}, ParameterFormatCodes: []int16{inBinary}}, sync(), ready(1),
			elsewhere(), bind("", ""), sync(), &pgproto3.Bind{Parameters: [][]byte{[]byte("1")}, ParameterFormatCodes: []int16{7}}, sync(),
			&pgproto3.Bind{Parameters: [][]byte{[]byte("1")}, ResultFormatCodes: []int16{0, 1, 0}}, execute("", 0), sync(), ready(3))},
		{name: "an empty statement", steps: do(batchOf(""), ready(1), elsewhere(), parse("", ""), describeStatement(""), bind("", ""), describePortal(""), execute("", 0), execute("", 0), sync(), ready(1))},
		{name: "Flush brings what has been answered", steps: do(
			parse("", "select * from generate_series(1, 3)"), flush(), hear('1'), bind("", ""), flush(), hear('2'), describePortal(""), flush(), hear('T'),
			execute("", 1), flush(), hear('s'), execute("", 0), flush(), hear('C'), sync(), ready(1), elsewhere(), query("select 1"), ready(1))},
		{name: "Flush behind an error", steps: do(batch("select 1/0"), flush(), hear('E'), batch("select 1"), flush(), sync(), ready(1), elsewhere(), batchOf("select 2"), ready(1))},
		{name: "Flush alone and Sync alone", steps: do(flush(), sync(), ready(1), elsewhere(), flush(), flush(), sync(), sync(), flush(), sync(), ready(3), elsewhere(), query("select 1"), flush(), ready(1))},
		{name: "after an error a batch is read over up to its Sync", steps: do(
			batch("select 1"), batch("select 1/0"), batch("select 2"), closeStatement(""), describeStatement("x"), sync(), batchOf("select 3"), ready(2))},
		{name: "a query in a batch that has failed is read over", steps: do(batch("select 1/0"), query("select 1"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a query in a batch that has not failed ends it", steps: do(batch("insert into t values (3)"), query("select 1"), batch("select 1/0"), sync(), ready(2), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a query that fails in the middle of a batch", steps: do(batch("insert into t values (3)"), query("select 1/0"), batch("select 1"), sync(), ready(2), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "a FunctionCall in a batch that has failed is read over", steps: do(batch("select 1/0"), call(int4pl, "1", "2"), sync(), ready(1), elsewhere(), query("select 2"), ready(1))},
		{name: "a batch is one transaction", steps: do(
			batch("insert into t values (3)"), batch("insert into t values (4)"), batch("select 1/0"), sync(), ready(1), elsewhere(), batchOf("select count(*) from t"), ready(1))},
		{name: "a batch that commits in the middle", steps: do(
			batch("insert into t values (3)"), batch("commit"), batch("insert into t values (4)"), batch("select 1/0"), sync(), ready(1), elsewhere(), query("select n from t order by n"), ready(1))},
		{name: "a batch that begins a block", steps: do(
			batch("insert into t values (3)"), batch("begin"), batch("insert into t values (4)"), sync(), ready(1), batchOf("rollback"), ready(1), elsewhere(), query("select n from t order by n"), ready(1))},
		{name: "a whole block in one batch", steps: do(
			batch("begin"), batch("insert into t values (3)"), batch("commit"), sync(), batch("begin"), batch("select 1/0"), batch("commit"), sync(), batchOf("rollback"), ready(3), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "batches, some of which fail, in one write", steps: do(
			batchOf("select 1"), batchOf("select 1/0"), batchOf("select 2"), batchOf("selekt"), batchOf("select 3"), bind("", "x"), sync(), batchOf("select 4"), ready(7))},
		{name: "queries and batches in one write", steps: do(
			batchOf("select 1"), query("select 2"), batchOf("select 3"), query("select 1/0"), batchOf("select 4"), query(""), ready(6), elsewhere(), batchOf("select 5"), query("select 6"), ready(2))},
		{name: "what cannot run in a batch of several", steps: do(batch("select 1"), batch("vacuum t"), sync(), ready(1), elsewhere(), batchOf("vacuum t"), ready(1), query("select 1; vacuum t"), ready(1))},
		{name: "an error at the commit of a batch", steps: do(
			query("create table if not exists late(n int unique deferrable initially deferred)"), ready(1), batch("insert into late values (1)"), batch("insert into late values (1)"), sync(), ready(1),
			elsewhere(), query("drop table late"), ready(1))},
		{name: "a row that fails in the middle of a portal", steps: do(
			parse("", "select 6 / (4 - n) from generate_series(1, 5) n"), bind("", ""), execute("", 2), execute("", 0), execute("", 0), sync(), ready(1))},
		{name: "notices in a batch", steps: do(batch("select shout($1)", "a"), batch("select shout($1)", "b"), sync(), ready(1), elsewhere(), batchOf("select 1"), ready(1))},
	}
}

func binaryBind(values ...string) *pgproto3.Bind {
	b := bind("", "", values...)
	b.ParameterFormatCodes, b.ResultFormatCodes = []int16{inBinary}, []int16{inBinary}
	return b
}

// int4pl is the number of the function that adds two integers.
const int4pl = 177

func call(function uint32, arguments ...string) *pgproto3.FunctionCall {
	f := &pgproto3.FunctionCall{Function: function}
	for _, a := range arguments {
		f.Arguments = append(f.Arguments, []byte(a))
	}
	return f
}

// functionScripts call functions by their numbers.
func functionScripts() []script {
	return []script{
		{name: "a function is called", steps: do(call(int4pl, "1", "2"), ready(1), elsewhere(), query("select 1"), ready(1))},
		{name: "a function that does not exist, and arguments that do not fit", steps: do(call(99999999), ready(1), call(int4pl, "1"), ready(1), call(int4pl, "1", "x"), ready(1))},
		{name: "functions are called at once with queries", steps: do(call(int4pl, "1", "2"), query("select 1"), call(int4pl, "3", "x"), batchOf("select 2"), call(int4pl, "3", "4"), ready(5))},
		{name: "a function in a block that has failed", steps: do(query("begin; select 1/0"), ready(1), call(int4pl, "1", "2"), ready(1), query("rollback"), ready(1), elsewhere(), query("select 1"), ready(1))},
		{name: "a large object", steps: do(
			query("begin; select lo_create(4242)"), ready(1), call(952, "4242", "131072"), ready(1), query("rollback"), ready(1), elsewhere(), call(952, "4242", "131072"), ready(1))},
	}
}
