package system

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/testcluster"
	"github.com/pgrouter/pgrouter/internal/testcluster/clustertest"
	"github.com/pgrouter/pgrouter/state"
)

// sessionState asks a server for all that belongs to the session and not to a transaction, but for the parameters that
// pgrouter carries from server to server.
const sessionState = `select concat_ws(' ',
	(select string_agg('lock ' || classid || '/' || objid, ' ') from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
	(select string_agg('relation ' || relname, ' ') from pg_class where relnamespace = pg_my_temp_schema()),
	(select string_agg('function ' || proname, ' ') from pg_proc where pronamespace = pg_my_temp_schema()),
	(select string_agg('type ' || typname, ' ') from pg_type where typnamespace = pg_my_temp_schema()),
	(select string_agg('statement ' || name, ' ') from pg_prepared_statements),
	(select string_agg('cursor ' || name, ' ') from pg_cursors where is_holdable),
	(select string_agg('channel ' || c, ' ') from pg_listening_channels() c),
	(select string_agg('setting ' || name, ' ') from pg_settings where source = 'session' and name not like 'transaction%' and name not in
		('application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone', 'standard_conforming_strings')),
	(select 'library' from pg_settings where name = 'auto_explain.log_analyze'),
	(select 'role ' || session_user || ' ' || current_user where current_user <> 'postgres'),
	nullif(concat_ws(',', nullif(current_setting('local.x', true), ''), nullif(current_setting('transaction.x', true), ''),
		nullif(current_setting('timezone.x', true), '')), ''))`

// sessionCase is a statement and whether a real server keeps something of it for the session. What stands in before is run
// first, on the same connection.
type sessionCase struct {
	sql    string
	leaves bool
	before string
	moves  bool // what it leaves goes with its client
}

// leaving are statements after which a server holds something.
func leaving() []sessionCase {
	var all []sessionCase
	for _, sql := range []string{
		"select PG_ADVISORY_LOCK(1)", `select "pg_advisory_lock"(1)`, "select pg_catalog . pg_advisory_lock /* why */ (1)",
		"select pg_try_advisory_lock(1)", "select pg_try_advisory_lock_shared(1, 2)", "select pg_advisory_lock_shared(1)",
		`select U&"pg\005fadvisory_lock"(1)`, `select U&"pg!005fadvisory_lock" uescape '!' (1)`,
		"(select pg_advisory_lock(1))", "explain analyze select pg_advisory_lock(1)", "explain (analyze) (select pg_advisory_lock(1))",
		"values (pg_try_advisory_lock(1))", "with l as materialized (select pg_try_advisory_lock(1)) select * from l",
		"insert into t select 1 where pg_try_advisory_lock(1)", "insert into t values (1) returning pg_try_advisory_lock(1)",
		"update t set n = 1 where pg_try_advisory_lock(1)", "delete from t where n = 7 or pg_try_advisory_lock(1)",
		"merge into t using (select pg_try_advisory_lock(1) as got offset 0) u on u.got when matched then update set n = 1 when not matched then do nothing",
		"copy (select pg_try_advisory_lock(1)) to stdout", "create temp table x on commit drop as select pg_try_advisory_lock(1)",
		"do $$begin perform pg_advisory_lock(1); end$$", "do 'begin execute ''select pg_advisory_lock(1)''; end'", "call p(pg_try_advisory_lock(1))",

		"select 1 as n into temp x", "select 1 as n into local temporary table x", "select 1 as n into pg_temp.x", `select 1 as n into table "pg_temp".x`,
		"with a as (select 1 as n) select * into temp x from a", "(select 1 as n into temp x)", "explain analyze select 1 as n into temp x",
		"create table pg_temp.x(n int)", "create table pg_temp.x as select 1", "create temp table x as select 1", "create global temporary table x(n int)",
		"create temp table x(n int) on commit delete rows", "create temp view x as select 1", "create or replace temp recursive view x(n) as select 1",
		"create temp sequence x", "create sequence pg_temp.x", "create function pg_temp.f() returns int language sql as 'select 1'",
		"create type pg_temp.x as (n int)", "explain analyze create temp table x as select 1", "explain analyze verbose create temp table x as select 1", "explain (analyze) create table pg_temp.x as select 1",
		"do $$begin create temp table x(n int); end$$", "do $$begin if true then execute 'create table pg_temp.x(n int)'; end if; end$$",

		"select set_config('work_mem', '1MB', false)", `SELECT pg_catalog."set_config"('work_mem', '1MB', FALSE)`,
		"select set_config('work_mem', '1MB', not true)", "select set_config('work_mem', '1MB', false and true)",
		"select set_config('work_mem', set_config('work_mem', '2MB', false), true)", "values (set_config('work_mem', '1MB', false))",
		"do $$begin set work_mem = '1MB'; end$$", "do $$begin execute 'set work_mem = ' || 1024; end$$", "do $$begin execute 'set ' || 'work_mem = 1024'; end$$",
		"do $a$begin execute $b$set work_mem = 1024$b$; end$a$", "set work_mem = '1MB'", "set session work_mem = '1MB'",
		"set local.x = 'y'", "set session local . x = 'y'", "set transaction.x = 'y'", "set timezone.x = 'y'", `set "work_mem" = '1MB'`, "set xml option document",
		"set session characteristics as transaction read only", "set role app", "set session authorization app", "set session_authorization = 'app'", `set "role" = app`,

		"declare c cursor with hold for select 1", `declare "c d" no scroll cursor with hold for select 1`, "declare declare cursor with hold for select 1",
		"listen x", "/* why */listen\"x\"", "do $$begin listen x; end$$", "load 'auto_explain'",
		"select 1; listen x", "begin; select 1 as n into temp x; commit",

		`select '\'; listen x; --'`, "select 'a'\n'--'; listen x", "select a$$b$ from (select 1) as x(a$$b$); listen x", "select 1 /*/ ' */; listen x; --'",
		"select E'a'\n'\\''; listen x; --'", "select 'x\\' as \"'\", E'a'\n'\\''; listen x; --'", "select 'x\\' as \"'\", E'a' -- b\n'\\''; listen x; --'",
		"select E'a''\\''; listen x; --'", `select 1 as "a""'"; listen x; --'`, "select $a$ $b$ $a$; listen x",
	} {
		all = append(all, sessionCase{sql: sql, leaves: true})
	}
	for _, sql := range []string{"prepare p as select 1", "prepare transaction as select 1", "prepare transaction(int) as select $1"} {
		all = append(all, sessionCase{sql: sql, leaves: true, moves: true})
	}
	return append(all,
		sessionCase{sql: "execute p(pg_try_advisory_lock(1))", leaves: true, before: "prepare p(bool) as select $1"},
		sessionCase{sql: "create table y as execute p", leaves: false, before: "prepare p as select 1 as n"},
		sessionCase{sql: "create temp table x as execute p", leaves: true, before: "prepare p as select 1 as n"},
		sessionCase{sql: `select '\''; listen x; --'`, leaves: true, before: "set standard_conforming_strings = off"},
		sessionCase{sql: "select E'\x83\\'; listen x; --'", leaves: true, before: "set client_encoding = 'SJIS'"},
	)
}

// staying are statements after which a server holds nothing, so that they need not pin.
func staying() []sessionCase {
	var all []sessionCase
	for _, sql := range []string{
		"select pg_advisory_xact_lock(1)", "select pg_try_advisory_xact_lock_shared(1)", "select 'pg_advisory_lock(1)'", "select $a$pg_advisory_lock(1)$a$",
		"select 1 /* pg_advisory_lock(1) /* */ ; listen x */", "select 1 -- ; listen x", "select set_config('work_mem', '1MB', true)",
		"select set_config('work_mem', concat('1', 'MB'), TRUE)", "set local work_mem = '1MB'", "set time zone local",
		"set transaction read only", "set constraints all deferred", "create temp table x(n int) on commit drop",
		"create temp table x on commit drop as select 1", "explain analyze create temp table x on commit drop as select 1",
		"do $$begin create temp table x(n int) on commit drop; end$$", "do $$begin set local work_mem = '1MB'; perform set_config('work_mem', '1MB', true); end$$",
		"declare c cursor for select 1", "declare c cursor without hold for select 'with hold'", "unlisten x", "unlisten *", "notify x, 'listen x'",
		"insert into temp values (1)", "select n into y2 from temp", "create table temp2 as select n as temp from temp", "select '; listen x'",
	} {
		all = append(all, sessionCase{sql: sql})
	}
	return all
}

// TestWhatAServerKeepsPins runs statements on a real server, outside of a transaction and inside of one, and asks what it
// keeps for the session: whenever that is anything, the reading of the statement says that it pins or touches settings.
func TestWhatAServerKeepsPins(t *testing.T) {
	ctx := context.Background()
	node := clustertest.Start(t, testcluster.Options{}).Primary()
	err := node.Exec(ctx, "create table t as select 1 as n", "create table temp as select 1 as n", "create procedure p(bool) language sql as 'select 1'")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range append(leaving(), staying()...) {
		outside, refused := keptBy(t, node, tc, false)
		inside, failed := keptBy(t, node, tc, true)
		if refused != nil && failed != nil {
			t.Errorf("%s: does not run: %v", tc.sql, failed)
		}
		left := outside + inside
		if (left != "") != tc.leaves {
			t.Errorf("%s: the server keeps %q", tc.sql, left)
		}
		if class := state.Classify([]byte(tc.sql)); !judgedRight(class, tc.leaves && !tc.moves) {
			t.Errorf("%s: %+v, and the server keeps %q", tc.sql, class, left)
		}
		if long := longClass(tc.sql); !judgedRight(long, tc.leaves && !tc.moves) {
			t.Errorf("%s: behind a long literal it is %+v, and the server keeps %q", tc.sql, long, left)
		}
	}
}

// judgedRight reports whether a text that leaves something is seen to pin, or to touch settings, and one that does not is not seen to
// pin. Who asks for a setting that has not changed does no harm.
func judgedRight(c state.Class, leaves bool) bool {
	if leaves {
		return c.Pin != event.PinNone || c.Touches
	}
	return c.Pin == event.PinNone
}

// longClass reads a statement behind one that is long, in pieces of all lengths.
func longClass(sql string) state.Class {
	text := "insert into t values ('" + strings.Repeat("''; listen x; set role y; ", 1000) + "'); " + sql
	var s state.Stream
	for n := 1; len(text) > 0; n++ {
		cut := min(n, len(text))
		s.Read([]byte(text[:cut]))
		text = text[cut:]
	}
	return s.End()
}

// keptBy runs a statement on a connection of its own and returns the session's state when it is another one afterwards, and
// why the statement failed.
func keptBy(t *testing.T, node *testcluster.Node, tc sessionCase, inBlock bool) (string, error) {
	t.Helper()
	ctx := context.Background()
	session, err := node.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close(ctx) }()
	conn := session.PgConn()
	if tc.before != "" {
		ask(t, conn, tc.before)
	}
	before := ask(t, conn, sessionState)
	if inBlock {
		ask(t, conn, "begin")
	}
	_, failure := conn.Exec(ctx, tc.sql).ReadAll()
	if inBlock {
		ask(t, conn, "commit")
	}
	after := ask(t, conn, sessionState)
	ask(t, conn, "select pg_advisory_unlock_all()") // the next statement does not wait for the end of this session
	if after == before {
		after = ""
	}
	return after, failure
}

func ask(t *testing.T, conn *pgconn.PgConn, sql string) string {
	t.Helper()
	answer, err := query(conn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// texts makes random texts in which statements, quotes and comments stand inside of one another.
type texts struct{ *rand.Rand }

func (r texts) junk() string {
	pieces := []string{
		"'", `\`, "''", `\'`, `"`, "$$", "$a$", "--", "\n", "/*", "*/", ";", "listen x;", "commit;", "a", " ", "E'", "e", "u&", "||", "1", "$", "\r",
	}
	var all strings.Builder
	for range r.IntN(6) {
		all.WriteString(pieces[r.IntN(len(pieces))])
	}
	return all.String()
}

// value returns an expression with junk in it, which most often is valid by one of the readings that a backslash has.
func (r texts) value() string {
	junk := r.junk()
	doubled := strings.ReplaceAll(junk, "'", "''")
	escaped := strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(junk)
	all := []string{
		"'" + junk + "'", "'" + doubled + "'", "'" + escaped + "'", "E'" + escaped + "'",
		"e'" + strings.ReplaceAll(doubled, `\`, `\\`) + "'\n'" + escaped + "'",
		"$$" + strings.ReplaceAll(junk, "$", "") + "$$", "$a$" + junk + "$a$",
		"/*" + strings.NewReplacer("/*", "", "*/", "").Replace(junk) + "*/ 'x'",
		"'x' --" + strings.NewReplacer("\n", "", "\r", "").Replace(junk) + "\n",
		`'x' as "q` + strings.ReplaceAll(junk, `"`, `""`) + `", 'y'`,
		"(select a$$b$ from (select 'x') as q(a$$b$))",
	}
	return all[r.IntN(len(all))]
}

func (r texts) text() string {
	values := []string{r.value(), r.value(), r.value()}
	ends := []string{"", "; listen x", "; commit", "; select " + r.value() + "; listen x; --'"}
	return "select " + strings.Join(values[r.IntN(len(values)):], "||") + ends[r.IntN(len(ends))]
}

// TestQuotedTextIsReadAsTheServerReadsIt runs random texts in a transaction. Whenever the server then listens, or the
// transaction is over, or there were several statements, the reading of the text has said so.
func TestQuotedTextIsReadAsTheServerReadsIt(t *testing.T) {
	const batches, batch = 20, 200
	node := sharedCluster(t).Primary()
	for seed, setting := range []string{"on", "off"} {
		session, err := node.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn := session.PgConn()
		ask(t, conn, "set standard_conforming_strings = "+setting+"; set backslash_quote = on; set escape_string_warning = off")
		ask(t, conn, "begin")
		if err := conn.Conn().SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		valid, r := 0, texts{rand.New(rand.NewPCG(uint64(seed), 0))}
		for range batches {
			all := make([]string, batch)
			for i := range all {
				all[i] = r.text()
			}
			for i, o := range runAll(t, conn.Frontend(), all) {
				o.compare(t, all[i])
				if !o.failed {
					valid++
				}
			}
		}
		if valid < 1000 {
			t.Errorf("only %d texts were valid", valid)
		}
		_ = session.Close(context.Background())
	}
}

// outcome is what a server made of a text.
type outcome struct {
	results                int // of statements
	failed, ended, listens bool
}

// whatCame ends the transaction in which a text has run, says whether the session listens, ends that, and begins another one.
const whatCame = "commit; begin; select count(*) from pg_listening_channels(); unlisten *; commit; begin"

// runAll runs each text in a transaction. All are sent before the first answer is read, because there are thousands, and a round
// trip of its own for each would be most of the test.
func runAll(t *testing.T, f *pgproto3.Frontend, all []string) []outcome {
	t.Helper()
	for _, text := range all {
		f.SendQuery(&pgproto3.Query{String: text})
		f.SendQuery(&pgproto3.Query{String: whatCame})
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	outcomes := make([]outcome, len(all))
	for i := range outcomes {
		text, after := hearAnswer(t, f), hearAnswer(t, f)
		if after.failed || after.results != 6 {
			t.Fatalf("after %q: %+v", all[i], after)
		}
		outcomes[i] = outcome{results: text.results, failed: text.failed, ended: text.status == 'I', listens: after.row != "0"}
	}
	return outcomes
}

// answer is what a server says to one query string.
type answer struct {
	results int
	row     string // the first column of the last row
	failed  bool
	status  byte
}

func hearAnswer(t *testing.T, f *pgproto3.Frontend) (a answer) {
	t.Helper()
	rows := false
	for {
		msg, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := msg.(type) {
		case *pgproto3.RowDescription:
			rows = true
			a.results++
		case *pgproto3.DataRow:
			a.row = string(m.Values[0])
		case *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse:
			if !rows {
				a.results++
			}
			rows = false
		case *pgproto3.ErrorResponse:
			a.failed = true
		case *pgproto3.ReadyForQuery:
			a.status = m.TxStatus
			return a
		}
	}
}

// compare holds the reading of a text to what came of it.
func (o outcome) compare(t *testing.T, text string) {
	t.Helper()
	class := state.Classify([]byte(text))
	if o.listens && class.Pin == event.PinNone || o.ended && !class.MayEnd || o.results > 1 && !class.Multi {
		t.Errorf("%q: %+v; read as %+v", text, o, class)
	}
	if class.Pin != event.PinNone && !o.listens && !o.failed && !strings.Contains(text, `\'`) {
		t.Errorf("%q: pins for nothing", text)
	}
}
