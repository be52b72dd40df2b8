package oracle

const copyIn = "copy sink from stdin"

// counted tells what has been copied, and takes it away.
const counted = "select count(*), min(s), max(s) from sink; delete from sink"

// copyScripts are about COPY.
func copyScripts() []script {
	return []script{
		{name: "rows are copied in", steps: do(query(copyIn), hear('G'), data("a\nb\n"), data("c\n"), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "rows are copied in, in pieces that are no rows", steps: do(query(copyIn), hear('G'), data("a"), data(""), data("\nb"), data("b\n"), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "nothing is copied in", steps: do(query(copyIn), hear('G'), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "a client that gives up its COPY", steps: do(query(copyIn), hear('G'), data("a\n"), copyFail("no more"), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "rows that are wrong", steps: do(query("copy t from stdin"), hear('G'), data("3\tx\nx\n"), hear('E'), copyDone(), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "rows that come after the error", steps: do(
			query("copy t from stdin"), hear('G'), data("x\n"), ready(1), data("3\tx\n"), data("4\tx\n"), copyDone(), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "rows that come after the error in a block", steps: do(
			query("begin"), ready(1), query("copy t from stdin"), hear('G'), data("x\n"), ready(1), data("3\tx\n"), copyFail("late"), query("rollback"), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "everything is sent before anything is answered", steps: do(
			query(copyIn), data("a\n"), copyDone(), query(copyIn), data("b\n"), copyFail("no"), query(copyIn), data("c\n"), copyDone(), ready(3), elsewhere(), query(counted), ready(1))},
		{name: "a COPY that is refused, and its rows", steps: do(query("copy nowhere from stdin"), data("a\n"), copyDone(), query("select 1"), ready(2), elsewhere(), query(counted), ready(1))},
		{name: "rows without a COPY are read over", steps: do(data("a\n"), copyDone(), copyFail("x"), query("select 1"), ready(1), elsewhere(), data("b\n"), sync(), ready(1), copyDone(), query("select 2"), ready(1))},
		{name: "COPY of the extended protocol", steps: do(
			batch(copyIn), flush(), hear('G'), data("a\n"), copyDone(), sync(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "COPY of the extended protocol with a Sync before it begins", steps: do(
			batchOf(copyIn), hear('G'), data("a\n"), copyDone(), sync(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "COPY of the extended protocol that is given up", steps: do(
			batch(copyIn), flush(), hear('G'), data("a\n"), copyFail("no"), sync(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "COPY of the extended protocol that fails, and late rows", steps: do(
			batch("copy t from stdin"), flush(), hear('G'), data("x\n"), hear('E'), data("3\ty\n"), copyDone(), sync(), ready(1), elsewhere(), query("select count(*) from t"), ready(1))},
		{name: "COPY of the extended protocol, all sent at once", steps: do(batch(copyIn), data("a\n"), copyDone(), sync(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "Sync and Flush in a COPY are read over", steps: do(
			query(copyIn), hear('G'), data("a\n"), flush(), sync(), data("b\n"), sync(), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "a query in a COPY ends it", steps: do(query(copyIn), hear('G'), data("a\n"), query("select 1"), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "a Parse in a COPY ends it", steps: do(query(copyIn), hear('G'), data("a\n"), parse("", "select 1"), sync(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "a garbage message in a COPY", steps: do(query(copyIn), hear('G'), frame('?', "what"), theEnd())},
		{name: "a client that leaves its COPY", steps: do(query(copyIn), hear('G'), data("a\n"), terminate(), theEnd())},
		{name: "a client that sends no more in its COPY", steps: do(query(copyIn), hear('G'), data("a\n"), writesNoMore(), theEnd())},
		{name: "a COPY among other statements", steps: do(
			query("select 1; "+copyIn+"; select 2; "+copyIn+"; select 3"), hear('G'), data("a\n"), copyDone(), hear('G'), data("b\n"), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "a COPY in a block", steps: do(
			query("begin"), query(copyIn), hear('G'), data("a\n"), copyDone(), ready(1), query("rollback"), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "rows are copied out", steps: do(query("copy (select * from t order by n) to stdout"), ready(1), elsewhere(), query("copy (select n from t where n > 5) to stdout"), ready(1))},
		{name: "rows are copied out by the extended protocol", steps: do(batchOf("copy (select * from t order by n) to stdout (format csv, header)"), ready(1), elsewhere(), batchOf("copy (select * from t order by n) to stdout"), batchOf("select 1"), ready(2))},
		{name: "rows are copied out in binary", steps: do(query("copy (select * from t order by n) to stdout (format binary)"), ready(1))},
		{name: "an error in the middle of the rows that are copied out", steps: do(query("copy (select 6 / (3 - n) from generate_series(1, 5) n) to stdout"), ready(1), elsewhere(), query("select 1"), ready(1))},
		{name: "rows are copied in in binary", steps: do(
			query(copyIn+" (format binary)"), hear('G'), data("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"), data("\x00\x01\x00\x00\x00\x01z\xff\xff"), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
		{name: "a COPY that does not wait for its end mark", steps: do(query(copyIn), hear('G'), data("a\n\\.\nb\n"), copyDone(), ready(1), elsewhere(), query(counted), ready(1))},
	}
}
