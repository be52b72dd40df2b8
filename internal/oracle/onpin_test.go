package oracle

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// whatPins are statements that each leave something on the server that cannot be moved.
var whatPins = map[string]string{
	"temp_table":    "create temp table secret(n int)",
	"listen":        "listen secret",
	"advisory_lock": "select pg_advisory_lock(4711)",
	"cursor":        "declare secret cursor with hold for select 1",
}

// leftBehind counts what a session holds of it.
const leftBehind = "select (select count(*) from pg_prepared_statements where from_sql) + (select count(*) from pg_listening_channels())" +
	" + (select count(*) from pg_locks where locktype = 'advisory') + (select count(*) from pg_cursors)" +
	" + (select count(*) from pg_class where relpersistence = 't') as n"

// waysToSay are the ways in which a client may say it. Each is refused once.
func waysToSay(sql string) map[string][]pgproto3.Message {
	return map[string][]pgproto3.Message{
		"alone":   {&pgproto3.Query{String: sql}},
		"several": {&pgproto3.Query{String: "insert into t values (77, 'x'); " + sql}},
		"unnamed": {&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}},
		"named": {&pgproto3.Parse{Name: "mine", Query: sql}, &pgproto3.Bind{PreparedStatement: "mine"}, &pgproto3.Execute{}, &pgproto3.Sync{},
			&pgproto3.Close{ObjectType: 'S', Name: "mine"}},
	}
}

// TestWhereNothingMayPinTheStatementIsRefused, in and outside of transactions, by both protocols: the error has the reason, the
// transaction is as PostgreSQL leaves it at an error, the session goes on, and the servers hold nothing.
func TestWhereNothingMayPinTheStatementIsRefused(t *testing.T) {
	w := newWorld(t)
	ask(t, login(t, w.router, "pgrouter", nil), "set pool.on_pin = 'error'")
	refusals := 0.0
	for why, sql := range whatPins {
		for way, said := range waysToSay(sql) {
			t.Run(why+" "+way, func(t *testing.T) {
				p := login(t, w.router, transaction, nil)
				isRefused(t, p, why, 'I', said)
				ask(t, p, "begin")
				ask(t, p, "insert into t values (78, 'x')")
				isRefused(t, p, why, 'E', said)
				ask(t, p, "commit")
				if got := ask(t, p, "select count(*) as n from t where n > 70")[0]["n"]; got != "0" {
					t.Errorf("%s rows were written", got)
				}
				leave(t, p)
			})
			refusals += 2
		}
	}
	for name, want := range map[string]float64{"pgrouter_session_pins_refused_total": refusals, "pgrouter_session_pins_total": 0} {
		if got := w.process.Metrics()[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	holdNothing(t, w)
	w.sound(t)
}

// isRefused says what is to be refused, and looks how it is, and how the transaction stands.
func isRefused(t *testing.T, p *wiretest.Peer, why string, status byte, said []pgproto3.Message) {
	t.Helper()
	if err := p.Send(said...); err != nil {
		t.Fatal(err)
	}
	all, err := p.Until('Z')
	if err != nil {
		t.Fatal(err)
	}
	errors := 0
	for _, m := range all {
		switch v := m.Value.(type) {
		case *pgproto3.ErrorResponse:
			errors++
			if v.Code != "0A000" || !strings.Contains(v.Message, why) || !strings.Contains(v.Hint, "on_pin") {
				t.Errorf("told %s", m.Text)
			}
		case *pgproto3.CommandComplete:
			t.Errorf("done: %s", m.Text)
		case *pgproto3.ReadyForQuery:
			if v.TxStatus != status {
				t.Errorf("the transaction is at %c, want %c", v.TxStatus, status)
			}
		}
	}
	if errors != 1 {
		t.Errorf("%d errors", errors)
	}
}

// holdNothing looks at both servers of the pool at once.
func holdNothing(t *testing.T, w *world) {
	t.Helper()
	for range 2 {
		p := login(t, w.router, transaction, nil)
		ask(t, p, "begin")
		if got := ask(t, p, leftBehind)[0]["n"]; got != "0" {
			t.Errorf("a server holds %s things of its clients", got)
		}
	}
}
