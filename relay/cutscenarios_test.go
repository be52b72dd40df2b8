package relay

import "github.com/pgrouter/pgrouter/pgwire"

// cutScenario is a client's stream. It waits for the answers between two turns.
type cutScenario struct {
	name  string
	turns [][]byte
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func query(sql string) []byte                  { return pgwire.AppendQuery(nil, sql) }
func parse(name, sql string) []byte            { return pgwire.AppendParse(nil, name, sql, nil) }
func bindTo(portal, statement string) []byte   { return pgwire.AppendBind(nil, portal, statement, nil) }
func describe(target byte, name string) []byte { return pgwire.AppendDescribe(nil, target, name) }
func execute(portal string, limit uint32) []byte {
	return pgwire.AppendExecute(nil, portal, limit)
}
func closeOf(target byte, name string) []byte { return pgwire.AppendClose(nil, target, name) }
func syncMsg() []byte                         { return pgwire.AppendSync(nil) }
func flush() []byte                           { return pgwire.AppendFlush(nil) }

var (
	copyData     = []byte{'d', 0, 0, 0, 6, 'x', '\n'}
	copyDone     = []byte{'c', 0, 0, 0, 4}
	copyFail     = pgwire.AppendCopyFail(nil, "no")
	functionCall = []byte{'F', 0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}
)

// unnamedRun is the way of most drivers: the unnamed statement, once.
func unnamedRun(sql string) []byte {
	return join(parse("", sql), bindTo("", ""), describe('P', ""), execute("", 0))
}

const insert = "insert into t values (1)"

// cutScenarios is every kind of unit of work.
func cutScenarios() []cutScenario {
	return append(simpleScenarios(), append(extendedScenarios(), append(blockScenarios(), oddScenarios()...)...)...)
}

func simpleScenarios() (list []cutScenario) {
	for _, sql := range []string{
		"select 1", "select ';commit'", "", insert, "/* commit */ insert into t values (1);", longInsert, "select 1/0",
		"select 1; select 2", "insert into t values (1); commit; select 1", "commit prepared 'x'", "call p()",
		"do $$begin insert into t values (1); commit; end$$", "copy t to stdout", "/* out */ COPY t to program 'x'", "vacuum t", "commit", "rollback", "commit and chain",
		"listen x",
	} {
		name := sql
		if len(name) > 60 {
			name = "a long insert"
		}
		list = append(list, cutScenario{"simple " + name, [][]byte{query(sql)}}, cutScenario{"simple, twice " + name, [][]byte{query(sql), query("select 1")}})
	}
	return append(list,
		cutScenario{"two pipelined writes", [][]byte{join(query(insert), query(insert))}},
		cutScenario{"a transaction in one go, and a write", [][]byte{join(query("begin"), query("select 1"), query("commit"), query(insert))}},
		cutScenario{"a read and a write pipelined", [][]byte{join(query("select 1"), query(insert))}},
		cutScenario{"a function call", [][]byte{functionCall, functionCall}},
		cutScenario{"copy from", [][]byte{query("copy t from stdin"), join(copyData, copyData), copyDone, query("select 1")}},
		cutScenario{"copy from, failed", [][]byte{query("copy t from stdin"), copyData, copyFail, query("select 1")}},
		cutScenario{"copy from, all ahead", [][]byte{join(query("copy t from stdin"), copyData, copyDone), query("select 1")}},
		cutScenario{"copy from, in a block", [][]byte{query("begin"), query("copy t from stdin"), join(copyData, copyDone), query("commit")}},
		cutScenario{"copy from, given up by the server", [][]byte{query("copy t from stdin"), join(longBad, copyDone), query("select 1")}},
		cutScenario{"long copy data behind an error", [][]byte{join(query("select 1/0"), longData), query("select 1")}},
		cutScenario{"late copy data", [][]byte{query("select 1/0"), join(copyData, longData, copyDone), query("select 1")}},
		cutScenario{"copy data behind an error", [][]byte{join(query("select 1/0"), copyData, copyDone), query("select 1")}},
	)
}

func blockScenarios() (list []cutScenario) {
	for _, end := range []string{"commit", "/* nothing */ End;", "rollback", "abort", "commit and chain", "prepare transaction 'x'"} {
		list = append(list,
			cutScenario{"block, " + end, [][]byte{query("begin"), query(insert), query(end), query("select 1")}},
			cutScenario{"block pipelined, " + end, [][]byte{join(query("begin"), query(insert), query(end))}},
			cutScenario{"block extended, " + end, [][]byte{
				join(unnamedRun("begin"), syncMsg()), join(unnamedRun(insert), syncMsg()), join(unnamedRun(end), syncMsg()),
			}})
	}
	return append(list,
		cutScenario{"block in one string", [][]byte{query("begin; insert into t values (1)"), query("select 1"), query("commit")}},
		cutScenario{"block, failed", [][]byte{query("begin"), query(insert), query("select 1/0"), query("select 1"), query("commit")}},
		cutScenario{"block, chained", [][]byte{query("begin"), query(insert), query("commit and chain"), query(insert), query("rollback")}},
		cutScenario{"block, savepoint", [][]byte{
			query("start transaction"), query("savepoint a"), query("select 1/0"), query("rollback to a"), query(insert), query("commit"),
		}},
		cutScenario{"block, call", [][]byte{query("begin"), query("call p()"), query("vacuum t"), query("rollback")}},
		cutScenario{"block, commit and more", [][]byte{query("begin"), join(query(insert), query("commit"), query("select 1"))}},
		cutScenario{"block, long insert", [][]byte{query("begin"), query(longInsert), query("commit")}},
		cutScenario{"block, function call", [][]byte{query("begin"), functionCall, query("commit")}},
		cutScenario{"block, flushed commit", [][]byte{query("begin"), query(insert), join(unnamedRun("commit"), flush()), syncMsg()}},
		cutScenario{"block, prepared commit", [][]byte{
			query("begin"), join(parse("", "commit"), flush()), join(bindTo("", ""), flush()), join(execute("", 0), flush()), syncMsg(),
		}},
		cutScenario{"block, portal of a commit kept over Sync", [][]byte{
			query("begin"), query(insert), join(parse("", "commit"), bindTo("", ""), syncMsg()), join(execute("", 0), syncMsg()),
		}},
		cutScenario{"block, named portal of a commit kept over Sync", [][]byte{
			query("begin"), query(insert), join(parse("", "commit"), bindTo("c", ""), syncMsg()), query("select 1"), join(execute("c", 0), syncMsg()),
		}},
		cutScenario{"block, named portal of a commit beside another", [][]byte{
			query("begin"), query(insert), join(parse("", "commit"), bindTo("c", ""), syncMsg()),
			join(parse("", "select 1"), bindTo("", ""), execute("", 0), execute("c", 0), syncMsg()),
		}},
		cutScenario{"block, named commit", [][]byte{
			join(parse("c", "commit"), syncMsg()), query("begin"), query(insert), join(bindTo("", "c"), execute("", 0), syncMsg()),
		}},
	)
}

func extendedScenarios() (list []cutScenario) {
	for _, sql := range []string{"select 1", insert, "select 1/0", "call p()", "copy t to stdout", "copy t to program 'x'", "vacuum t", "begin", ""} {
		list = append(list,
			cutScenario{"extended " + sql, [][]byte{join(unnamedRun(sql), syncMsg()), query("select 1")}},
			cutScenario{"extended, flushed " + sql, [][]byte{join(unnamedRun(sql), flush()), syncMsg(), query("select 1")}},
			cutScenario{"extended, carried " + sql, [][]byte{
				join(parse("", sql), describe('S', ""), syncMsg()), join(bindTo("", ""), execute("", 0), syncMsg()),
				join(bindTo("", ""), execute("", 0), syncMsg()),
			}},
			cutScenario{"extended, named " + sql, [][]byte{
				join(parse("s", sql), describe('S', "s"), syncMsg()), join(bindTo("", "s"), execute("", 0), syncMsg()), join(closeOf('S', "s"), syncMsg()),
			}})
	}
	return append(list,
		cutScenario{"only Sync", [][]byte{syncMsg(), join(syncMsg(), syncMsg())}},
		cutScenario{"Parse and Flush", [][]byte{join(parse("", insert), flush()), join(bindTo("", ""), execute("", 0), syncMsg())}},
		cutScenario{"pipelined Syncs", [][]byte{join(unnamedRun("select 1"), syncMsg(), unnamedRun(insert), syncMsg())}},
		cutScenario{"two writes, one Sync", [][]byte{join(unnamedRun(insert), unnamedRun(insert), syncMsg())}},
		cutScenario{"an error, then a write", [][]byte{join(unnamedRun("select 1/0"), flush()), join(unnamedRun(insert), syncMsg()), query("select 1")}},
		cutScenario{"a write, then an error", [][]byte{join(unnamedRun(insert), unnamedRun("select 1/0"), unnamedRun(insert), syncMsg())}},
		cutScenario{"a statement that does not exist", [][]byte{join(bindTo("", ""), execute("", 0), syncMsg()), join(unnamedRun(insert), syncMsg())}},
		cutScenario{"Describe and Close of nothing", [][]byte{join(closeOf('S', ""), syncMsg()), join(describe('S', ""), syncMsg())}},
		cutScenario{"a portal, row by row", [][]byte{
			join(parse("", "select 1"), bindTo("", ""), execute("", 1), flush()), join(execute("", 1), flush()), join(execute("", 1), flush()), syncMsg(),
		}},
		cutScenario{"a portal in a block, row by row", [][]byte{
			query("begin"), join(parse("", "select 1"), bindTo("p", ""), execute("p", 1), syncMsg()), join(execute("p", 1), syncMsg()),
			join(closeOf('P', "p"), syncMsg()), query("commit"),
		}},
		cutScenario{"a Query inside a batch", [][]byte{join(unnamedRun(insert), query("select 1")), query("select 1")}},
		cutScenario{"extended copy from", [][]byte{
			join(unnamedRun("copy t from stdin"), syncMsg()), join(copyData, copyDone, syncMsg()), query("select 1"),
		}},
		cutScenario{"extended copy from, refused by a trigger", [][]byte{join(unnamedRun("copy guarded from stdin"), syncMsg()), query("select 1")}},
		cutScenario{"extended copy from, flushed", [][]byte{
			join(unnamedRun("copy t from stdin"), flush()), copyData, join(copyDone, syncMsg()), query("select 1"),
		}},
		cutScenario{"extended copy from, failed", [][]byte{
			join(unnamedRun("copy t from stdin"), syncMsg()), join(copyData, copyFail, syncMsg()), query("select 1"),
		}},
	)
}

// oddScenarios are streams that no driver sends, and that a client may send all the same.
func oddScenarios() []cutScenario {
	begin := [][]byte{join(parse("b", "begin"), syncMsg())}
	toSavepoint := join(parse("s", "savepoint a"), bindTo("", "s"), execute("", 0), syncMsg())
	return []cutScenario{
		{"a failed batch does not change the unnamed statement", append(begin,
			join(parse("", "commit"), syncMsg()), join(bindTo("", "nothing"), parse("", "select 1"), syncMsg()),
			join(bindTo("b", "b"), execute("b", 0), syncMsg()), join(bindTo("", ""), execute("", 0), syncMsg()))},
		{"a failed Parse does not change a named statement", append(begin,
			join(parse("c", "commit"), syncMsg()), join(parse("c", "select 1"), syncMsg()),
			query("begin"), query(insert), join(bindTo("", "c"), execute("", 0), syncMsg()))},
		{"a Close that is read over does not change a named statement", append(begin,
			join(parse("c", "commit"), syncMsg()), join(bindTo("", "nothing"), closeOf('S', "c"), syncMsg()),
			query("begin"), query(insert), join(bindTo("", "c"), execute("", 0), syncMsg()))},
		{"a savepoint brings a named commit back", append(begin,
			join(parse("c", "commit"), syncMsg()), query("begin"), query(insert), toSavepoint,
			join(bindTo("", "nothing"), closeOf('S', "c"), syncMsg()), query("rollback to a"), join(bindTo("", "c"), execute("", 0), syncMsg()))},
	}
}
