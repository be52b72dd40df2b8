package proxy_test

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
)

var queryScenarios = []scenario{
	{"query",
		"A client has a server from its query to ReadyForQuery. Then the next client has it.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.isAnswered(n1, "select 'for a'", "for a")
			b.isAnswered(n1, "select 'for b'", "for b")
		}},
	{"query_of_several_statements",
		"Several statements in one query have one ReadyForQuery.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select 1; select 2; ")
			n1.hears("Q")
			n1.says(append(wiretest.Row("v", "1")[:3], wiretest.Row("v", "2")...)...)
			a.hears("TDCTDCZ")
		}},
	{"query_transaction",
		"In a transaction the client keeps its server. Another client gets another one.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 1")
			n2 := n.opensFor("a keeps n.1")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
			a.does(n1, "commit", "COMMIT", 'I')
		}},
	{"query_error",
		"An error is the server's own, and the unit of work ends with it.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.asks("select 1/0")
			n1.hears("Q")
			n1.says(failure("22012", "division by zero"), ready('I'))
			a.hears("EZ")
			b.isAnswered(n1, "select 1", "1")
		}},
	{"query_empty",
		"A query of nothing.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks(";")
			n1.hears("Q")
			n1.says(&pgproto3.EmptyQueryResponse{}, ready('I'))
			a.hears("IZ")
		}},
	{"extended_flush",
		"Answers go out when the client asks for them with Flush, not only at Sync. Up to Sync the client keeps its server.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "select $1::text"), bind("", "x"), describe(), execute(), &pgproto3.Flush{})
			n1.hears("PBDEH")
			n1.says(append([]pgproto3.Message{parsed, bound}, wiretest.Row("v", "x")[:3]...)...)
			a.hears("12TDC")
			a.says(&pgproto3.Sync{})
			n1.hears("S")
			n1.says(ready('I'))
			a.hears("Z")
		}},
	{"extended_pipeline",
		"Two batches in one go. The server has them both before it has answered the first; the unit of work ends with the last " +
			"ReadyForQuery.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "select 1"), bind(""), execute(), &pgproto3.Sync{}, parse("", "select 2"), bind(""), execute(), &pgproto3.Sync{})
			n1.hears("PBESPBES")
			n1.says(parsed, bound, row("1"), complete("SELECT 1"), ready('I'))
			a.hears("12DCZ")
			n1.says(parsed, bound, row("2"), complete("SELECT 1"), ready('I'))
			a.hears("12DCZ")
		}},
	{"extended_error",
		"An error in a batch: the server reads over the rest up to Sync, and the next batch is done.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(parse("", "select 1/0"), bind(""), execute(), parse("", "select 1"), bind(""), execute(), &pgproto3.Sync{},
				parse("", "select 2"), bind(""), execute(), &pgproto3.Sync{})
			n1.hears("PBEPBESPBES")
			n1.says(parsed, bound, failure("22012", "division by zero"), ready('I'))
			a.hears("12EZ")
			n1.says(parsed, bound, row("2"), complete("SELECT 1"), ready('I'))
			a.hears("12DCZ")
			b.isAnswered(n1, "select 3", "3")
		}},
	{"extended_error_before_sync",
		"After an error the client sends what it had in mind, and its Sync later. Nothing of it is answered, and the client " +
			"keeps its server until then.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "broken"), &pgproto3.Flush{})
			n1.hears("PH")
			n1.says(failure("42601", `syntax error at or near "broken"`))
			a.hears("E")
			a.says(bind(""), execute())
			n1.hears("BE")
			a.says(&pgproto3.Sync{})
			n1.hears("S")
			n1.says(ready('I'))
			a.hears("Z")
		}},
	{"extended_unnamed_moves",
		"The unnamed statement goes with its client, as lib/pq needs it: Parse and Sync on one server, Bind on another, which " +
			"is given the Parse first. Its answer is not shown.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.says(parse("", "select 'mine'"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
			b.does(n1, "begin", "BEGIN", 'T')
			a.says(bind(""), execute(), &pgproto3.Sync{})
			n2 := n.opensFor("b keeps n.1")
			n2.hears("PBES")
			n2.says(parsed, bound, row("mine"), complete("SELECT 1"), ready('I'))
			a.hears("2DCZ")
			b.does(n1, "commit", "COMMIT", 'I')
		}},
	{"extended_unnamed_of_a_stranger",
		"A client without an unnamed statement does not run the one that another has left: it is closed first, and the client " +
			"has PostgreSQL's error.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(parse("", "delete from t"), &pgproto3.Sync{})
			n1.hears("PS")
			n1.says(parsed, ready('I'))
			a.hears("1Z")
			b.says(bind(""), execute(), &pgproto3.Sync{})
			n1.hears("CBES")
			n1.says(&pgproto3.CloseComplete{}, failure("26000", "unnamed prepared statement does not exist"), ready('I'))
			b.hears("EZ")
		}},
	{"function_call",
		"A call of a function of large objects, as libpq does it. It leaves nothing behind, so that the server is anybody's " +
			"afterwards.",
		withOneServer, func(s *stage) {
			const loOpen = 952
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(&pgproto3.FunctionCall{Function: loOpen, Arguments: [][]byte{[]byte("16400"), []byte("131072")}})
			n1.hears("F")
			n1.says(&pgproto3.FunctionCallResponse{Result: []byte{0, 0, 0, 0}}, ready('I'))
			a.hears("VZ")
			b.isAnswered(n1, "select 1", "1")
		}},
	{"unasked",
		"A server may speak unasked at any time: in front of an answer, in the middle, and to a client that listens, when " +
			"nothing is asked.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("listen news")
			n1.hears("Q")
			n1.says(notice("in front"), complete("LISTEN"), ready('I'))
			a.hears("NCZ")
			n1.says(&pgproto3.NotificationResponse{PID: pidOf(n1), Channel: "news", Payload: "first"})
			a.hears("A")
			a.asks("set timezone to 'utc'; select 1")
			n1.hears("Q")
			n1.says(complete("SET"), columns("v"), notice("in the middle"), row("1"))
			a.hears("CTND")
			n1.says(complete("SELECT 1"), &pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"},
				&pgproto3.NotificationResponse{PID: pidOf(n1), Channel: "news", Payload: "second"}, ready('I'))
			a.hears("CSAZ")
			n1.says(notice("afterwards"))
			a.hears("N")
			n1.says(&pgproto3.ParameterStatus{Name: "is_superuser", Value: "on"})
			a.hears("S")
			a.saysGoodbye()
			n1.isReset()
		}},
	{"protocol_of_a_client",
		"A message that does not exist ends a client.",
		nil, func(s *stage) {
			a, _ := s.enters("a", s.primary("n"))
			a.must(a.SendPart([]byte{'y', 0, 0, 0, 4}, `a message of the kind "y"`))
			a.isTold()
		}},
	{"protocol_of_a_server",
		"A message that answers nothing ends the server connection. What the client had asked may have been done.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("insert into t values (1)")
			n1.hears("Q")
			n1.says(bound)
			a.isTold()
			n1.ends()
		}},
	{"statement_mode",
		"In pool mode statement there are no transaction blocks. The block is rolled back with its server connection.",
		func(r *router) {
			r.policy.Mode = proxy.ModeStatement
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.isAnswered(n1, "select 1", "1")
			a.asks("begin")
			n1.hears("Q")
			n1.says(wiretest.Done("BEGIN", 'T')...)
			a.hears("CZ")
			a.isTold()
			n1.ends()
		}},
}

var copyScenarios = []scenario{
	{"copy_in",
		"COPY FROM STDIN.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.beginsCopy(n1, "copy t from stdin")
			a.says(data("1\n"), data("2\n"), &pgproto3.CopyDone{})
			n1.hears("ddc")
			n1.says(wiretest.Done("COPY 2", 'I')...)
			a.hears("CZ")
			b.isAnswered(n1, "select 1", "1")
		}},
	{"copy_in_extended",
		"COPY FROM STDIN by Execute. Drivers send Sync at once; PostgreSQL reads over it in COPY, so that a second one is " +
			"needed.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "copy t from stdin"), bind(""), execute(), &pgproto3.Sync{})
			n1.hears("PBES")
			n1.says(parsed, bound, &pgproto3.CopyInResponse{ColumnFormatCodes: []uint16{0}})
			a.hears("12G")
			a.says(data("1\n"), &pgproto3.CopyDone{}, &pgproto3.Sync{})
			n1.hears("dcS")
			n1.says(wiretest.Done("COPY 1", 'I')...)
			a.hears("CZ")
		}},
	{"copy_out",
		"COPY TO STDOUT.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("copy t to stdout")
			n1.hears("Q")
			n1.says(&pgproto3.CopyOutResponse{ColumnFormatCodes: []uint16{0}}, data("1\n"), data("2\n"), &pgproto3.CopyDone{})
			n1.says(wiretest.Done("COPY 2", 'I')...)
			a.hears("HddcCZ")
		}},
	{"copy_failed_by_client",
		"The client gives its COPY up, and sends more nevertheless. What comes behind the answer is for nobody.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.beginsCopy(n1, "copy t from stdin")
			a.says(data("1\n"), &pgproto3.CopyFail{Message: "changed my mind"})
			n1.hears("df")
			n1.says(failure("57014", "COPY from stdin failed: changed my mind"), ready('I'))
			a.hears("EZ")
			a.says(data("2\n"), &pgproto3.CopyDone{})
			a.isAnswered(n1, "select 1", "1")
			b.isAnswered(n1, "select 2", "2")
		}},
	{"copy_failed_by_server",
		"The server has given a COPY up that the client still sends.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.beginsCopy(n1, "copy t from stdin")
			a.says(data("broken\n"))
			n1.hears("d")
			n1.says(failure("22P02", `invalid input syntax for type integer: "broken"`), ready('I'))
			a.hears("EZ")
			a.says(data("2\n"), data("3\n"), &pgproto3.CopyDone{})
			b.isAnswered(n1, "select 1", "1")
			a.isAnswered(n1, "select 2", "2")
		}},
	{"copy_left",
		"A client leaves in its COPY: the server would wait for the rest for ever, so that pgrouter ends it.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.beginsCopy(n1, "copy t from stdin")
			a.says(data("1\n"))
			n1.hears("d")
			a.leaves()
			n1.hears("f")
			n1.says(failure("57014", "COPY from stdin failed: the client has gone"), ready('I'))
			b.isAnswered(n1, "select 1", "1")
		}},
}

func withOneServer(r *router) { r.policy.Pool.Size = 1 }

// beginsCopy starts a COPY FROM STDIN.
func (a *actor) beginsCopy(server *actor, sql string) {
	a.stage.t.Helper()
	a.asks(sql)
	server.hears("Q")
	server.says(&pgproto3.CopyInResponse{ColumnFormatCodes: []uint16{0}})
	a.hears("G")
}

// isReset hears the reset query.
func (a *actor) isReset() {
	a.stage.t.Helper()
	a.hears("Q")
	a.says(wiretest.Done("DISCARD ALL", 'I')...)
}

var (
	parsed = &pgproto3.ParseComplete{}
	bound  = &pgproto3.BindComplete{}
)

func parse(name, sql string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: sql} }

func bind(statement string, values ...string) *pgproto3.Bind {
	b := &pgproto3.Bind{PreparedStatement: statement}
	for _, v := range values {
		b.Parameters = append(b.Parameters, []byte(v))
	}
	return b
}

func describe() *pgproto3.Describe { return &pgproto3.Describe{ObjectType: 'P'} }

func execute() *pgproto3.Execute { return &pgproto3.Execute{} }

func data(line string) *pgproto3.CopyData { return &pgproto3.CopyData{Data: []byte(line)} }

func columns(name string) *pgproto3.RowDescription {
	return wiretest.Row(name, "")[0].(*pgproto3.RowDescription)
}

func row(value string) *pgproto3.DataRow { return &pgproto3.DataRow{Values: [][]byte{[]byte(value)}} }

func notice(message string) *pgproto3.NoticeResponse {
	return &pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: message}
}
