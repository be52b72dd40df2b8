package proxy_test

import (
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/pool"
	"github.com/pgrouter/pgrouter/proxy"
)

// dateStyles gives the one server, and the router, both of the vectors that the two clients of differ have.
func (s *stage) dateStyles(a, b, server *actor) {
	s.t.Helper()
	for _, c := range []struct {
		*actor
		style string
	}{{b, "ISO, MDY"}, {a, "German, DMY"}} {
		c.asks("select 1")
		server.hears("Q")
		server.says(set("DateStyle", c.style)...)
		server.hears("Q")
		server.says(wiretest.Row("v", "1")...)
		c.hears("TDCZ")
	}
}

// cancelsLate lets a cancel request be on its way when its unit is done, and waits until the unit is not settled because of that.
func (s *stage) cancelsLate() (client, server, cancel, request *actor) {
	s.t.Helper()
	n := s.primary("n")
	client, server = s.enters("a", n)
	client.asks("set work_mem to '64MB'")
	server.hears("Q")
	cancel = s.cancels(client)
	request = n.hearsCancel(server)
	server.says(wiretest.Done("SET", 'I')...)
	client.hears("C")
	s.await("the server is not asked yet", func() (waits bool) {
		s.proxy.OnSessions(func(a *proxy.Session) { waits = waits || a.PostludeWaits() })
		return waits
	})
	s.remark("the server is not asked yet")
	return client, server, cancel, request
}

var cancelScenarios = []scenario{
	{"cancel_while_preparing",
		"The server gets the client's parameters first, and nothing else before it has them. No cancel request goes to it meanwhile.",
		withOneServer, func(s *stage) {
			_, b, n1 := s.differ(s.primary("n"))
			b.asks("select 2")
			n1.hears("Q")
			s.cancels(b).ends()
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
		}},
	{"cancel_of_a_prelude",
		"The parameters go in front of the client's query, together with it. A cancel request would end them, and with them the client: one " +
			"that comes before the query's turn is ignored, as by PostgreSQL.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, b, n1 := s.differ(n)
			s.dateStyles(a, b, n1)
			b.asks("select pg_sleep(60)")
			n1.hears("QQ")
			s.cancels(b).ends()
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.says(columns("v"))
			b.hears("T")
			c := s.cancels(b)
			n.hearsCancel(n1).leaves()
			c.ends()
			n1.says(failure("57014", "canceling statement due to user request"), ready('I'))
			b.hears("EZ")
		}},
	{"cancel_of_the_first",
		"Of several units in one pipeline the one that runs is cancelled. Those behind it are done, as by PostgreSQL.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.says(parse("", "select pg_sleep(60)"), bind(""), execute(), &pgproto3.Sync{}, parse("", "select 2"), bind(""), execute(), &pgproto3.Sync{})
			n1.hears("PBESPBES")
			c := s.cancels(a)
			n.hearsCancel(n1).leaves()
			c.ends()
			answer := []pgproto3.Message{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}}
			n1.says(slices.Concat(answer, []pgproto3.Message{failure("57014", "canceling statement due to user request"), ready('I')})...)
			a.hears("12EZ")
			n1.says(slices.Concat(answer, wiretest.Row("v", "2")[1:])...)
			a.hears("12DCZ")
			a.isAnswered(n1, "select 3", "3")
		}},
	{"cancel_at_the_end",
		"The unit is over when its cancel request arrives at the server: whoever comes next gets the server when that is sure.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.asks("select 1")
			n1.hears("Q")
			c := s.cancels(a)
			request := n.hearsCancel(n1)
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			b.asks("select 2")
			s.awaits(1, "b waits")
			a.asks("select 3")
			s.awaits(2, "a waits")
			request.leaves()
			c.ends()
			n1.hears("Q")
			n1.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
			n1.hears("Q")
			n1.says(wiretest.Row("v", "3")...)
			a.hears("TDCZ")
		}},
	{"cancel_while_settling",
		"The client's statement is done, and the server is asked what it has left: a cancel request that comes now is ignored, as PostgreSQL " +
			"ignores one for what is over. Something has hit the question all the same: it is asked once more, and nobody is pinned.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.asks("set work_mem to '64MB'")
			n1.hears("Q")
			c := s.cancels(a)
			n.hearsCancel(n1).leaves()
			c.ends()
			n1.says(wiretest.Done("SET", 'I')...)
			a.hears("C")
			n1.hears("Q")
			s.cancels(a).ends()
			n1.says(failure("57014", "canceling statement due to user request"), ready('I'))
			n1.hears("Q")
			n1.says(readBack("64MB", "f", "s")...)
			a.hears("Z")
			b.asks("select 1")
			n1.hears("Q")
			n1.says(wiretest.Done("RESET", 'I')...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"cancel_before_settling",
		"The client's statement is done while its cancel request is on its way: the question of what it has left waits until that is over, " +
			"because a server interrupts twice for one request, and both could hit the question.",
		withOneServer, func(s *stage) {
			a, n1, c, request := s.cancelsLate()
			request.leaves()
			c.ends()
			n1.hears("Q")
			n1.says(readBack("64MB", "f", "s")...)
			a.hears("Z")
		}},
	{"cancel_hangs",
		"Nobody knows what has become of a cancel request: the question of what the unit has left is asked when a server would have had time to " +
			"answer it.",
		withOneServer, func(s *stage) {
			a, n1, c, request := s.cancelsLate()
			s.pass(pool.Defaults().AnswerTimeout)
			n1.hears("Q")
			n1.says(readBack("64MB", "f", "s")...)
			a.hears("Z")
			request.leaves()
			c.ends()
		}},
}
