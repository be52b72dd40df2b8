package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// grammar is what statements are made of. {name} is replaced by one of that name's lines, at random; a line that stands there twice is
// taken twice as often. Every statement is good for something at any time, be it for an error.
var grammar = map[string][]string{
	"statement": {
		"{look}", "{look}", "{look}", "{rows}", "{rows}", "{set}", "{set}", "{set}", "{reset}", "{begin}", "{end}", "{end}", "{savepoint}",
		"{role}", "{prepare}", "{prepare}", "{temp}", "{lock}", "{listen}", "{cursor}", "{cursor}", "{sequence}", "{code}", "{table}", "{wrong}",
	},
	"look": {
		"show {parameter}", "select current_setting('{parameter}')", "select current_user, session_user", "select current_schemas(false)",
		"select current_setting('timezone'), current_setting('datestyle'), current_setting('work_mem'), current_setting('search_path')",
		"select coalesce(current_setting('app.tenant', true), '')", "select '2001-02-03 04:05:06+00'::timestamptz, '1 day'::interval, '\\x41'::bytea",
		"show transaction_isolation", "show transaction_read_only",
	},
	"parameter": {
		"timezone", "datestyle", "intervalstyle", "work_mem", "statement_timeout", "search_path", "bytea_output", "extra_float_digits",
		"application_name", "enable_seqscan", "default_transaction_isolation", "client_encoding", "default_transaction_read_only",
	},
	"set":   {"set {scope}{value}", "set {scope}{value}", "set {scope}{value}", "set {scope}{value}", "set {scope}time zone 'Asia/Seoul'", "{set characteristics}", "set names 'utf8'"},
	"scope": {"", "", "session ", "local "},
	"value": {
		"timezone = '{zone}'", "datestyle to '{style}'", "intervalstyle = {interval}", "work_mem = '{memory}'", "statement_timeout = '{time}'",
		"search_path = {path}", "search_path to {path}, public", "bytea_output = {bytea}", "extra_float_digits = 0", "application_name = '{word}'", "enable_seqscan = off",
		"default_transaction_isolation = 'serializable'", "client_encoding = 'latin1'", "app.tenant = '{word}'", "app.tenant to {word}", "timezone to default",
		"work_mem to default", "default_transaction_read_only = on", "standard_conforming_strings = off",
	},
	"zone": {"UTC", "Asia/Tokyo", "Europe/Vienna", "europe/london"}, "style": {"German", "ISO, DMY", "sql", "ymd"}, "interval": {"iso_8601", "postgres_verbose"},
	"memory": {"1MB", "2MB", "3000kB"}, "time": {"50s", "2min"}, "path": {"other", "pg_catalog", "public", `"$user"`}, "bytea": {"escape", "hex"}, "word": {"one", "two", "three"},
	"set characteristics": {
		"set session characteristics as transaction isolation level {level}", "set session characteristics as transaction read {only}",
		"set transaction isolation level {level}", "set transaction read {only}", "set constraints all {when}",
	},
	"level": {"serializable", "repeatable read", "read committed"}, "only": {"only", "write"}, "when": {"immediate", "deferred"},
	"reset": {"reset {parameter}", "reset {parameter}", "reset time zone", "reset all", "discard all", "discard plans", "discard temp", "discard sequences", "set app.tenant = 'x'; reset app.tenant"},
	"begin": {
		"begin", "begin", "begin", "start transaction", "begin isolation level {level}", "begin read only", "begin transaction read write, isolation level {level}",
	},
	"end":       {"commit", "commit", "commit", "rollback", "rollback", "end", "abort", "commit and chain", "rollback and chain", "prepare transaction 'x'"},
	"savepoint": {"savepoint {point}", "savepoint {point}", "rollback to {point}", "rollback to {point}", "release {point}"}, "point": {"a", "b"},
	"role": {"set {scope}role helper", "set {scope}role none", "reset role", "set {scope}session authorization app", "set {scope}session authorization default", "reset session authorization"},
	"prepare": {
		"prepare {name} as {plan}", "prepare {name}(int) as select $1 + 1", "execute {name}", "execute {name}", "execute {name}(7)", "deallocate {name}", "deallocate prepare {name}",
		"deallocate all", "explain (costs off) execute {name}",
	},
	"name":         {"p", "q", `"P"`},
	"plan":         {"select * from w order by n", "select current_setting('timezone'), current_user", "insert into w values (9, 'nine') returning n", "select count(*) from w", "select 7", "{plan of mine}"},
	"plan of mine": {"select count(*) from mine"},
	"temp": {
		"create temp table mine(n int){on commit}", "create temp table mine as select n from generate_series(1, 3) n", "insert into mine values (4)", "select count(*) from mine",
		"drop table mine", "drop table if exists mine", "select 1 as n into temp mine", "truncate mine",
	},
	"on commit": {"", "", " on commit drop", " on commit delete rows"},
	"lock": {
		"select pg_advisory_lock({key})", "select pg_try_advisory_lock({key})", "select pg_advisory_unlock({key})", "select pg_advisory_unlock_all()", "select pg_advisory_lock_shared({key})",
		"select pg_advisory_xact_lock({key})", "select pg_try_advisory_lock(1, {key})", myLocks, myLocks,
	},
	"key":    {"1", "2"},
	"listen": {"listen {channel}", "listen {channel}", "unlisten {channel}", "unlisten *", "notify {channel}", "notify {channel}, '{word}'", "select pg_notify('{channel}', '{word}')", "select pg_listening_channels() c order by c"}, "channel": {"x", "y"},
	"cursor": {
		"declare {name} cursor for select n + 0 from generate_series(1, 9) n", "declare {name} cursor with hold for select n + 0 from generate_series(1, 9) n",
		"declare {name} scroll cursor with hold for select n, s || '' from w order by n", "fetch {name}", "fetch 2 from {name}", "fetch backward 1 from {name}", "move all in {name}",
		"close {name}", "close all", "select name, is_holdable from pg_cursors order by name",
	},
	"sequence": {"select nextval('numbers')", "select nextval('numbers')", "select setval('numbers', {key}0)", "{currval}", "{currval}"},
	"currval":  {"select currval('numbers')", "select lastval()"},
	"code": {
		"select set_config('search_path', '{path}', {boolean})", "select set_config('timezone', '{zone}', {boolean})", "select set_config('work_mem', '{memory}', {boolean})",
		"select set_config('app.tenant', '{word}', {boolean})", "do $$begin perform set_config('work_mem', '{memory}', false); end$$",
		"do $$begin set search_path = other; end$$", "do $$begin raise notice 'in %', current_setting('timezone'); end$$",
		"do $$begin create temp table mine(n int); end$$", "select shout('{word}')",
	},
	"boolean": {"true", "false"},
	"rows": {
		"select * from w order by n", "select count(*) from w", "insert into w values (4, 'four')", "insert into w values (5, 'five') returning *", "delete from w where n > 3", "update w set s = s || '{word}'",
		"insert into d values (1)", "insert into d values (1), (1)", "select 1; select 2", "", "select n + 0 as n, repeat('x', 300) as x from generate_series(1, 200) n", "values (1), (2)",
	},
	"table": {
		"alter table w add column {column} int", "alter table w drop column {column}", "alter table w alter column s type varchar(100)", "create table extra(n int)", "drop table extra",
		"truncate w", "create index on w(s)", "analyze w", "vacuum w",
	},
	"column": {"x", "y"},
	"wrong": {
		"select 1/0", "selekt", "select nothing from w", "select * from nowhere", "insert into w values (1, 'again')", "set timezone = 'Nowhere'", "set work_mem = 'much'", "set nothing = 1",
		"do $$begin raise 'no' using errcode = '40001'; end$$", "select 'x'::int", "set role nobody_at_all", "insert into w values (6, 'six'), (6, 'six')", "commit prepared 'x'", "lock w", "drop table w",
	},
}

// unserved is what the router does not answer as PostgreSQL does. No program has it, and its own differs: one that differs no more
// fails the test.
type unserved struct {
	why        string // begins with "until", if it is to be repaired
	symbol     string // of the grammar; "": a start-up parameter
	parameters map[string]string
	witness    []act // each gets another server
}

const resetInUnit = "RESET of what was given at the start goes to the server's default until the unit of work ends"

var unservedNow = []unserved{
	{why: "currval and lastval are 55000 on another server", symbol: "currval", witness: []act{simple("select nextval('numbers')"), simple("select lastval()")}},
	{why: "the server's default is reported first", parameters: map[string]string{"timezone": "Asia/Tokyo"}, witness: []act{simple("set timezone = 'UTC'"), extended(batch("reset timezone")...)}},
	{why: "the server's default is reported first", parameters: map[string]string{"application_name": "fuzz"}, witness: []act{simple("discard all")}},
	{why: resetInUnit, parameters: map[string]string{"search_path": "other, public"}, witness: []act{pipelined(extended(batch("reset all")...), simple("show search_path"))}},
	{why: resetInUnit, parameters: map[string]string{"options": "-c work_mem=2MB"}, witness: []act{pipelined(extended(batch("reset work_mem")...), simple("show work_mem"))}},
	{why: "until the Parse of an EXECUTE does not fail for what it is to run", symbol: sharedNames, witness: []act{
		extended(parse("p", "insert into w values (9, 'nine')")), simple("drop table w"), extended(batch("execute p")...),
	}},
	{why: "what could not be prepared again is not tried in a transaction block, where it may fail", symbol: "plan of mine", witness: []act{
		simple("create temp table mine(n int)"), simple("prepare p as select count(*) from mine"), simple("drop table mine"),
		simple("begin"), simple("create temp table mine(n int)"), simple("execute p"),
	}},
	{why: "until errors tell two names of the same text apart", symbol: "forgiven", witness: append( // one of the two by chance
		[]act{extended(parse("p", "select $1::int"), parse("q", "select $1::int"))}, slices.Repeat([]act{extended(bind("", "p")), extended(bind("", "q"))}, 20)...,
	)},
}

// sharedNames are statements that are prepared by the protocol and used by SQL, and the reverse.
const sharedNames = "names of both"

// isUnserved reports whether a symbol is left out.
func isUnserved(symbol string) bool {
	return slices.ContainsFunc(unservedNow, func(u unserved) bool { return u.symbol == symbol })
}

// forgiven is what PostgreSQL says where the router may say something else, on purpose. Behind it the two are not compared.
var forgiven = []struct{ why, direct string }{
	{"A statement that is sent once more to another server fits the table as it is now.", `< ErrorResponse ERROR 0A000 "cached plan must not change result type"`},
	{"Until errors tell two names of the same text apart.", `< ErrorResponse ERROR 08P01 "bind message supplies`},
	{"A Parse of what the server has already is no query there.", `< ErrorResponse ERROR 25001 "SET TRANSACTION ISOLATION LEVEL must be called before any query`},
}

// starts are the start-up parameters with which programs begin.
var starts = []map[string]string{
	{}, {}, {"application_name": "fuzz"}, {"user": "boss"}, {"timezone": "Asia/Tokyo"}, {"search_path": "other, public"}, {"options": "-c work_mem=2MB -c app.tenant=seven"},
}

// author writes programs.
type author struct {
	dice *rand.Rand
}

// write makes a program.
func (a *author) write() program {
	p := program{parameters: one(a.dice, servedStarts())}
	for range 3 + a.dice.IntN(25) {
		p.acts = append(p.acts, a.act())
	}
	return p
}

func servedStarts() []map[string]string {
	return slices.DeleteFunc(slices.Clone(starts), func(parameters map[string]string) bool {
		return slices.ContainsFunc(unservedNow, func(u unserved) bool {
			for name := range u.parameters {
				if _, has := parameters[name]; has {
					return true
				}
			}
			return false
		})
	})
}

func one[T any](dice *rand.Rand, all []T) T { return all[dice.IntN(len(all))] }

// expand replaces each {name} of a text.
func (a *author) expand(text string) string {
	for {
		before, rest, found := strings.Cut(text, "{")
		if !found {
			return text
		}
		name, after, _ := strings.Cut(rest, "}")
		text = before + one(a.dice, served(name)) + after
	}
}

// served are the lines of a name but for those that are not served.
func served(name string) []string {
	return slices.DeleteFunc(slices.Clone(grammar[name]), func(line string) bool {
		symbol, _, _ := strings.Cut(strings.TrimPrefix(line, "{"), "}")
		return strings.HasPrefix(line, "{") && isUnserved(symbol)
	})
}

func (a *author) statement() string { return a.expand("{statement}") }

// act is one of the ways in which a client says something.
func (a *author) act() act {
	switch a.dice.IntN(16) {
	case 0:
		return pipelined(a.part(), a.part())
	case 1:
		return pipelined(a.part(), a.part(), a.part(), a.part())
	default:
		return a.part()
	}
}

// part is something that is answered by one ReadyForQuery.
func (a *author) part() act {
	switch a.dice.IntN(12) {
	case 0:
		return simple(a.statement() + "; " + a.statement())
	case 1:
		return simple(a.statement() + "; " + a.statement() + "; " + a.statement())
	case 2, 3, 4:
		return extended(batch(a.statement())...)
	case 5:
		return extended(slices.Concat(batch(a.statement()), batch(a.statement()), batch(a.statement()))...)
	case 6, 7:
		return extended(a.named()...)
	case 8:
		return a.copy()
	case 9:
		return a.own()
	default:
		return simple(a.statement())
	}
}

// named uses the extended protocol with names, of which SQL knows those of statements too, and the unnamed statement of long ago.
func (a *author) named() []message {
	name, plan, text := strings.Trim(a.expand("{name}"), `"`), a.expand("{plan}"), a.statement()
	if isUnserved(sharedNames) {
		name += " of the protocol"
	}
	switch a.dice.IntN(11) {
	case 9:
		return []message{parse("", plan)}
	case 10:
		return []message{bind("", ""), execute("", 0)}
	case 0, 1:
		return []message{parse(name, plan)}
	case 2:
		return []message{parse(name, "select $1::int + 1"), describeStatement(name)}
	case 3:
		// No SQL knows r: PostgreSQL dies of a statement that explains itself.
		return []message{closeStatement("r"), parse("r", text), bind("", "r"), execute("", 0)}
	case 4:
		return []message{bind("", name, "7"), describePortal(""), execute("", 0)}
	case 5:
		return []message{closeStatement(name)}
	case 6:
		return []message{bind(name, name), execute(name, 2)}
	case 7:
		return []message{execute(name, 0), closePortal(name)}
	default:
		return []message{bind("", name), execute("", 0)}
	}
}

// copy copies rows in or out; those that come in may be wrong. In which order a table's rows lie is no promise: where VACUUM has made room
// a row may come before older ones, and how much it may clear away depends on what others, the thieves, still look at.
func (a *author) copy() act {
	switch a.dice.IntN(4) {
	case 0:
		return simple("copy (select * from w order by n) to stdout")
	case 1:
		return act{messages: []message{query("copy w(n, s) from stdin"), data("1\ttaken\n"), copyDone()}, owed: 1}
	case 2:
		return act{messages: []message{query("copy w(n, s) from stdin"), data("7\tseven\n"), copyFail("enough")}, owed: 1}
	default:
		return act{messages: []message{query("copy w(n, s) from stdin"), data("7\tsev"), data("en\n8\teight\n"), copyDone()}, owed: 1}
	}
}

// own draws a number and asks for it while the session keeps its server, whatever others have drawn there: in one unit of work, or now
// and then, because it pins for long, on a server that is kept for something else. There an earlier number must not be asked for: what is
// drawn is drawn, but for who may not ask either, and lastval is not asked.
func (a *author) own() act {
	draw, rows := simple("select nextval('numbers')"), simple(a.expand("{rows}"))
	if a.dice.IntN(8) > 0 {
		return pipelined(simple("begin"), draw, rows, simple(a.expand("{currval}")), simple(a.expand("{end}")))
	}
	drawn := pipelined(simple("rollback"), simple("listen kept"), simple("begin read write"), draw, simple("commit"))
	return pipelined(drawn, rows, simple("select currval('numbers')"), simple("unlisten kept"))
}

func simple(sql string) act     { return act{messages: []message{query(sql)}, owed: 1} }
func extended(m ...message) act { return act{messages: append(slices.Clone(m), sync()), owed: 1} }
func pipelined(parts ...act) (a act) {
	for _, p := range parts {
		a.messages = append(a.messages, p.messages...)
		a.owed += p.owed
	}
	return a
}

func (p program) String() string {
	return fmt.Sprintf("%d acts, start-up parameters %v", len(p.acts), p.parameters)
}
