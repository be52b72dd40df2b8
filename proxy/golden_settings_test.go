package proxy_test

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// readBack answers a postlude about settings: their values, whether logins have roles by default, and how each stands.
func readBack(values ...string) []pgproto3.Message {
	row := &pgproto3.DataRow{}
	for _, v := range values {
		row.Values = append(row.Values, []byte(v))
	}
	return []pgproto3.Message{row, complete("SELECT 1"), ready('I')}
}

// settled plays a statement that touches settings, up to the end of its unit of work.
func (a *actor) settled(server *actor, sql, tag string, answer ...string) {
	a.stage.t.Helper()
	a.asks(sql)
	server.hears("Q")
	server.says(wiretest.Done(tag, 'I')...)
	server.hears("Q")
	server.says(readBack(answer...)...)
	a.hears("CZ")
}

// beginsInBerlin lets a client in that gives the time zone, and a setting, when it connects.
func (s *stage) beginsInBerlin() (a, n1 *actor) {
	n := s.primary("n")
	a = s.client("a")
	a.says(startup("TimeZone", "Europe/Berlin", "work_mem", "64MB"))
	n1 = n.opensFor("for a's login")
	n1.hears("Q")
	n1.says(complete("SET"), complete("SELECT 1"), &pgproto3.ParameterStatus{Name: "TimeZone", Value: "Europe/Berlin"}, ready('I'))
	a.hearsGreeting()
	return a, n1
}

var settingScenarios = []scenario{
	{"settings_move",
		"What a unit has set is read back before the client hears that it is over. Another client's unit waits until it is taken away, " +
			"and the client's next one until it is there again.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.settled(n1, "set work_mem to '64MB'", "SET", "64MB", "f", "s")
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(wiretest.Done("RESET", 'I')...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			a.asks("select 'for a'")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(wiretest.Row("set_config", "64MB")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for a")...)
			a.hears("TDCZ")
		}},
	{"settings_of_a_role",
		"A server that acts as somebody else first goes back to who has logged in.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.settled(n1, "set role other", "SET", "other", "f", "-")
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(complete("RESET"), complete("RESET"), ready('I'))
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			a.asks("select 'for a'")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(wiretest.Row("set_config", "other")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for a")...)
			a.hears("TDCZ")
			s.remark("servers have accepted b's settings before; that is no reason not to wait")
			b.asks("insert into t values (1)")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(complete("RESET"), complete("RESET"), ready('I'))
			n1.hears("Q")
			n1.says(wiretest.Done("INSERT 0 1", 'I')...)
			b.hears("CZ")
		}},
	{"settings_that_need_a_role_pin",
		"A setting that needs a right, set while another role is in force: the next server may refuse it to who logs in.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.settled(n1, "set role other; set log_statement to 'none'", "SET", "none", "other", "f", "p-")
			b.asks("select 1")
			n2 := n.opensFor("a keeps n.1")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
			a.isAnswered(n1, "select 2", "2")
			a.saysGoodbye()
			n1.isReset()
		}},
	{"settings_refused_on_another_server",
		"The server refuses the client's settings: it dies, the client gets its error, and nothing of the unit was sent.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.settled(n1, "set role other", "SET", "other", "f", "-")
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.says(complete("RESET"), complete("RESET"), ready('I'))
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			a.asks("insert into t values (1)")
			n1.hears("Q")
			n1.says(failure("42704", `role "other" does not exist`), ready('I'))
			a.isTold()
			n1.ends()
		}},
	{"settings_interrupted_by_anothers_limit",
		"A limit of time that somebody else has left on the server ends what takes it away: that is not this client's fault, and its " +
			"unit goes to another server.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.settled(n1, "set statement_timeout to '1ms'", "SET", "1ms", "f", "s")
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.says(failure("57014", "canceling statement due to statement timeout"), ready('I'))
			n1.ends()
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
		}},
	{"settings_that_cannot_be_read_back",
		"The server does not say what has become of the settings, asked twice: the client keeps it, and it is nobody else's.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("set statement_timeout to '1ms'")
			n1.hears("Q")
			n1.says(wiretest.Done("SET", 'I')...)
			n1.hears("Q")
			n1.says(failure("57014", "canceling statement due to statement timeout"), ready('I'))
			n1.hears("Q")
			n1.says(failure("57014", "canceling statement due to statement timeout"), ready('I'))
			a.hears("CZ")
			a.isAnswered(n1, "select 1", "1")
			a.saysGoodbye()
			n1.ends()
		}},
	{"settings_back_to_the_start",
		"RESET goes back to what the client began with, where the server's own default is another: the server is given it in the same " +
			"breath as it is asked. Nothing is put behind a text that has more in it than one plain statement.",
		withOneServer, func(s *stage) {
			a, n1 := s.beginsInBerlin()
			a.asks("reset all /* of them */")
			n1.hears("Q")
			n1.says(complete("RESET"), &pgproto3.ParameterStatus{Name: "TimeZone", Value: "Etc/UTC"}, ready('I'))
			n1.hears("Q")
			answer := readBack("Europe/Berlin", "64MB", "f", "s")
			n1.says(answer[0], answer[1], &pgproto3.ParameterStatus{Name: "TimeZone", Value: "Europe/Berlin"}, answer[2])
			a.hears("CSSZ")
			a.isAnswered(n1, "select 1", "1")
		}},
	{"settings_back_at_once",
		"What the client began with is given back behind its RESET, in one text: in a block, too, it never sees the server's default. It is " +
			"answered as if its statement stood alone; when what is behind it fails, its statement has.",
		withOneServer, func(s *stage) {
			a, n1 := s.beginsInBerlin()
			a.does(n1, "begin", "BEGIN", 'T')
			for _, c := range []struct{ sql, tag string }{{"reset work_mem", "RESET"}, {"set time zone default", "SET"}, {"reset all", "RESET"}} {
				a.asks(c.sql)
				n1.hears("Q")
				n1.says(complete(c.tag))
				n1.says(wiretest.Row("set_config", "64MB")[:2]...)
				n1.says(complete("SELECT 1"), ready('T'))
				a.hears("CZ")
			}
			a.asks("reset work_mem")
			n1.hears("Q")
			n1.says(complete("RESET"), failure("57014", "canceling statement due to user request"), ready('E'))
			a.hears("EZ")
			a.asks("rollback")
			n1.hears("Q")
			n1.says(complete("ROLLBACK"), ready('I'))
			n1.hears("Q")
			n1.says(readBack("64MB", "f", "s")...)
			a.hears("CZ")
			a.isAnswered(n1, "select 1", "1")
		}},
	{"login_parameter_too_late",
		"What the server says can only be given at a connection's start is given to another one there. Nobody is asked a second time: the next " +
			"client with the same wish comes to the same queue at once.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, b := s.client("a"), s.client("b")
			a.says(startup("some.thing", "on"))
			n1 := n.opensFor("for a's login")
			n1.hears("Q")
			n1.says(failure("55P02", `parameter "some.thing" cannot be set after connection start`), ready('I'))
			n1.ends()
			n2 := n.accepts()
			n2.hearsStartup()
			n2.admits(n)
			a.hearsGreeting()
			b.says(startup("some.thing", "on"))
			b.hearsGreeting()
		}},
}
