package proxy_test

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
)

var stateScenarios = []scenario{
	{"prelude",
		"A server with other parameters than the client's gets a SET first. Nothing of the client's is sent before it is known " +
			"that such servers accept it.",
		withOneServer, func(s *stage) {
			a, b, n1 := s.differ(s.primary("n"))
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			a.asks("select 'for a'")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.says(set("DateStyle", "German, DMY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for a")...)
			a.hears("TDCZ")
		}},
	{"prelude_pipelined",
		"Once servers have accepted these parameters, SET and query are sent together: no round trip more.",
		withOneServer, func(s *stage) {
			a, b, n1 := s.differ(s.primary("n"))
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			a.asks("set datestyle to 'sql'")
			n1.hears("Q")
			n1.says(set("DateStyle", "German, DMY")...)
			n1.hears("Q")
			n1.says(set("DateStyle", "SQL, DMY")...)
			a.hears("CSZ")
			b.asks("select 'again'")
			n1.hears("QQ")
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.says(wiretest.Row("v", "again")...)
			b.hears("TDCZ")
		}},
	{"prelude_refused",
		"The server refuses a client's parameters: nothing of its query was sent.",
		withOneServer, func(s *stage) {
			_, b, n1 := s.differ(s.primary("n"))
			b.asks("insert into t values (1)")
			n1.hears("Q")
			n1.says(failure("22023", `invalid value for parameter "DateStyle": "ISO, MDY"`), ready('I'))
			b.isTold()
			n1.ends()
		}},
	{"prelude_refused_late",
		"The server refuses what others had accepted before, with the query sent behind it: it may have been done, under " +
			"parameters of somebody else's.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, b, n1 := s.differ(n)
			b.asks("select 'for b'")
			n1.hears("Q")
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			a.asks("select 'for a'")
			n1.hears("Q")
			n1.says(set("DateStyle", "German, DMY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for a")...)
			a.hears("TDCZ")
			b.asks("insert into t values (1)")
			n1.hears("QQ")
			n1.says(failure("22023", `invalid value for parameter "DateStyle": "ISO, MDY"`), ready('I'))
			b.isTold()
			n1.ends()
		}},
	{"pinned",
		"What a library leaves behind cannot be moved: the client keeps its server, which is reset when it leaves.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.does(n1, "load 'auto_explain'", "LOAD", 'I')
			b.asks("select 1")
			n2 := n.opensFor("a keeps n.1")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
			a.isAnswered(n1, "select 2", "2")
			a.saysGoodbye()
			n1.isReset()
		}},
	{"session_mode",
		"In pool mode session the client has its server until it leaves. The reset query makes it anybody's.",
		func(r *router) {
			r.policy.Mode, r.policy.Pool.Size = proxy.ModeSession, 1
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.isAnswered(n1, "select 1", "1")
			b.asks("select 2")
			s.awaits(1, "b waits")
			a.saysGoodbye()
			n1.isReset()
			n1.hears("Q")
			n1.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
			b.saysGoodbye()
			n1.isReset()
		}},
	{"session_mode_reset_fails",
		"A server that cannot be reset is nobody's.",
		func(r *router) {
			r.policy.Mode, r.policy.Pool.Size = proxy.ModeSession, 1
		}, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.isAnswered(n1, "select 1", "1")
			a.saysGoodbye()
			n1.hears("Q")
			n1.says(failure("42501", "permission denied"), ready('I'))
			n1.ends()
			b.asks("select 2")
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
			b.saysGoodbye()
			n2.isReset()
		}},
}

// differ makes two clients with different parameters: a has set its DateStyle. The one server has a's.
func (s *stage) differ(n *node) (a, b, server *actor) {
	s.t.Helper()
	a, server = s.enters("a", n)
	b = s.joins("b")
	a.asks("set datestyle to 'german'")
	server.hears("Q")
	server.says(set("DateStyle", "German, DMY")...)
	a.hears("CSZ")
	return a, b, server
}

var leaveScenarios = []scenario{
	{"leave",
		"A client leaves between its units of work. The server hears nothing of it.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.isAnswered(n1, "select 1", "1")
			a.saysGoodbye()
			b.isAnswered(n1, "select 2", "2")
		}},
	{"leave_with_a_query",
		"A query and Terminate in one packet: the query is done, and answered. The CopyFail is for a COPY that might wait for " +
			"its rest; PostgreSQL reads over it.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.says(&pgproto3.Query{String: "insert into t values (1)"}, &pgproto3.Terminate{})
			n1.hears("Qf")
			n1.says(wiretest.Done("INSERT 0 1", 'I')...)
			a.hears("CZ")
			a.ends()
			b.isAnswered(n1, "select 1", "1")
		}},
	{"leave_half",
		"A client shuts down its writing side: as in PostgreSQL what it has asked for is done and delivered first.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.asks("select 1")
			n1.hears("Q")
			a.CloseWrite()
			n1.hears("f")
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			a.ends()
			b.isAnswered(n1, "select 2", "2")
		}},
	{"leave_half_while_waiting",
		"A client shuts down its writing side while its unit of work waits for a server: it is done as well.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			b.does(n1, "begin", "BEGIN", 'T')
			a.asks("select 1")
			a.CloseWrite()
			s.awaits(1, "a waits")
			b.does(n1, "commit", "COMMIT", 'I')
			n1.hears("Qf")
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			a.ends()
		}},
	{"leave_in_transaction",
		"A client is gone in a transaction: PostgreSQL rolls back when its connection ends.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			a.leaves()
			n1.ends()
			b.asks("select 1")
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"leave_in_batch",
		"A client is gone in a batch, before its Sync. The server sees the end of its input, as it would without a router, and " +
			"rolls back. Until it has ended it is nobody else's.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.says(parse("", "insert into t values (1)"), bind(""), execute())
			n1.hears("PBE")
			a.leaves()
			n1.ends()
			b.asks("select 1")
			s.awaits(1, "b waits")
			n1.leaves()
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"leave_by_reset",
		"A client is reset while its query runs. Nobody will read the answer; the server connection ends, and PostgreSQL finds " +
			"out.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select pg_sleep(60)")
			n1.hears("Q")
			a.resets()
			n1.ends()
		}},
	{"cancel",
		"A cancel request reaches the server that works for this client, with that server's key. Until the request's connection " +
			"has ended the server is nobody else's.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.asks("select pg_sleep(60)")
			n1.hears("Q")
			c := s.cancels(a)
			request := n.hearsCancel(n1)
			n1.says(failure("57014", "canceling statement due to user request"), ready('I'))
			a.hears("EZ")
			b.asks("select 1")
			s.awaits(1, "b waits")
			request.leaves()
			c.ends()
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"cancel_of_unknown_fate",
		"The request's connection breaks: it may arrive at any later time, so that the server is nobody's any more.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.asks("select 1")
			n1.hears("Q")
			c := s.cancels(a)
			n.hearsCancel(n1).resets()
			c.ends()
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			n1.hears("X")
			n1.ends()
			a.asks("select 2")
			n3 := n.opensFor("n.1 is gone")
			n3.hears("Q")
			n3.says(wiretest.Row("v", "2")...)
			a.hears("TDCZ")
		}},
	{"cancel_of_nothing",
		"A client that runs nothing, and a key that nobody has: no server hears of it.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			s.cancels(a).ends()
			a.isAnswered(n1, "select 1", "1")
			a.key.SecretKey = []byte("????")
			a.asks("select 2")
			n1.hears("Q")
			stranger := s.client("stranger")
			request, err := (&pgproto3.CancelRequest{ProcessID: a.key.ProcessID, SecretKey: a.key.SecretKey}).Encode(nil)
			stranger.must(err)
			stranger.must(stranger.SendPart(request, "CancelRequest with a key that nobody has"))
			stranger.ends()
			n1.says(wiretest.Row("v", "2")...)
			a.hears("TDCZ")
		}},
	{"cancel_while_waiting",
		"Work that waits is cancelled here: no server has heard of it. Each request that was sent ahead is told so, lest it look as if " +
			"it had been done.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			b.says(parse("", "select 1"), bind(""), execute(), &pgproto3.Sync{}, parse("", "select 2"), bind(""), execute(), &pgproto3.Sync{})
			s.awaits(1, "b waits")
			c := s.cancels(b)
			b.hears("EZEZ")
			c.ends()
			a.does(n1, "commit", "COMMIT", 'I')
			b.isAnswered(n1, "select 3", "3")
		}},
	{"cancel_of_half_a_statement",
		"A long statement waits, of which only the beginning is here. It is cancelled: what comes of it later is thrown away.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			long, err := (&pgproto3.Query{String: "insert into t values ('" + strings.Repeat("x", 40_000) + "')"}).Encode(nil)
			b.must(err)
			b.must(b.SendPart(long[:30_000], "30000 bytes of a Query"))
			s.awaits(1, "b waits")
			c := s.cancels(b)
			b.hears("EZ")
			c.ends()
			a.does(n1, "commit", "COMMIT", 'I')
			b.must(b.SendPart(long[30_000:], "the rest of the Query"))
			b.isAnswered(n1, "select 1", "1")
		}},
}
