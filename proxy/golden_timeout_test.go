package proxy_test

import (
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
)

// limit is a time limit in scenarios in which time passes without anybody waiting for it: far longer than they take.
const limit = 10 * time.Minute

// rest is what is left of a limit when it is nearly over.
const rest = time.Second

func withQueryTimeout(r *router) { r.policy.Limits.Query = limit }

func withIdleTransactionTimeout(r *router) { r.policy.Limits.IdleTransaction = limit }

func withClientIdleTimeout(r *router) { r.policy.Limits.ClientIdle = limit }

func withAllTimeouts(r *router) {
	r.policy.Limits = proxy.TimeLimits{Query: limit, IdleTransaction: limit, ClientIdle: limit}
}

// pass lets time go by for all clients that are logged in.
func (s *stage) pass(d time.Duration) {
	s.t.Helper()
	s.remark("%s pass", d)
	s.proxy.Pass(d)
}

// nearly lets a limit go by but for its rest: nobody is ended by that.
func (s *stage) nearly() {
	s.t.Helper()
	before := len(s.proxy.Clients())
	s.pass(limit - rest)
	if len(s.proxy.Clients()) != before {
		s.t.Error("somebody was ended before the limit")
	}
}

var queryTimeoutScenarios = []scenario{
	{"timeout_query",
		"query_timeout is 10 minutes: a statement outside of a transaction may have been committed. The server is not asked to " +
			"cancel it, its connection is closed.",
		withQueryTimeout, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			s.pass(limit)
			a.asks("insert into t values (1)")
			n1.hears("Q")
			s.nearly()
			s.pass(rest)
			a.isTold()
			n1.ends()
			b.asks("select 1")
			n2 := n.opensFor("n.1 is closed")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"timeout_query_in_transaction",
		"query_timeout is 10 minutes: in a transaction that the statement cannot have ended nothing is committed.",
		withQueryTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			s.pass(limit)
			a.asks("insert into t values (1)")
			n1.hears("Q")
			s.pass(limit)
			a.isTold()
			n1.ends()
		}},
	{"timeout_query_at_commit",
		"query_timeout is 10 minutes: a COMMIT may have been done.",
		withQueryTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.does(n1, "insert into t values (1)", "INSERT 0 1", 'T')
			a.asks("commit")
			n1.hears("Q")
			s.pass(limit)
			a.isTold()
			n1.ends()
		}},
	{"timeout_query_on_a_standby",
		"query_timeout is 10 minutes: a read on a standby. It is not done again elsewhere.",
		withQueryTimeout, func(s *stage) {
			_, a, s1 := s.reads()
			a.asks("select 1")
			s1.hears("Q")
			s.pass(limit)
			a.isTold()
			s1.ends()
		}},
	{"timeout_query_in_a_message",
		"query_timeout is 10 minutes: a part of a message has reached the client. Nothing can be put behind it.",
		withQueryTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select long from t")
			n1.hears("Q")
			n1.says(columns("long"))
			a.hears("T")
			long, err := row(string(make([]byte, 100000))).Encode(nil)
			n1.must(err)
			n1.must(n1.SendPart(long[:50000], "50000 bytes of a DataRow"))
			a.hearsBytes(50000, "50000 bytes of a DataRow")
			s.pass(limit)
			a.ends()
			n1.ends()
		}},
	{"timeout_query_pipeline",
		"query_timeout is 10 minutes: each query of a pipeline has its full time, from the answer to the one before.",
		withQueryTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select 1")
			a.asks("select 2")
			n1.hears("QQ")
			s.nearly()
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			s.nearly()
			n1.says(columns("v"), row("2"))
			a.hears("TD")
			s.pass(rest)
			a.isTold()
			n1.ends()
		}},
	{"timeout_query_copy",
		"query_timeout is 10 minutes: a COPY may take longer, as long as the client goes on sending.",
		withQueryTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.beginsCopy(n1, "copy t from stdin")
			for _, line := range []string{"1\n", "2\n"} {
				s.nearly()
				a.says(data(line))
				n1.hears("d")
			}
			s.pass(limit)
			a.isTold()
			n1.ends()
		}},
	{"timeout_query_not_in_line",
		"query_timeout and client_idle_timeout are 10 minutes: waiting for a server is neither. There wait_timeout holds.",
		func(r *router) {
			r.policy.Limits = proxy.TimeLimits{Query: limit, ClientIdle: limit}
			r.policy.Pool.Size, r.policy.WaitTimeout = 1, time.Hour
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 'for b'")
			s.awaits(1, "b waits")
			s.pass(limit)
			b.hears("N")
			a.does(n1, "commit", "COMMIT", 'I')
			n1.hears("Q")
			s.nearly()
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			b.asks("select 'for b again'")
			n1.hears("Q")
			s.pass(limit)
			b.isTold()
			n1.ends()
		}},
	{"timeout_query_of_who_left",
		"query_timeout is 10 minutes: a client that sends no more, but listens, is told as any other.",
		withQueryTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select 1")
			a.CloseWrite()
			n1.hears("Qf")
			s.pass(limit)
			a.isTold()
			n1.ends()
		}},
}

// modeTimeoutScenarios have all three limits; the others are in transaction mode.
var modeTimeoutScenarios = []scenario{
	{"timeout_session_mode",
		"All three are 10 minutes, in session mode: a waits for an answer, b is in a transaction, c is silent. The server of who is " +
			"silent is reset, those of the others are closed.",
		func(r *router) {
			withAllTimeouts(r)
			r.policy.Mode, r.policy.Pool.Size = proxy.ModeSession, 3
		}, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b, c := s.joins("b"), s.joins("c")
			a.asks("select 1")
			n1.hears("Q")
			b.asks("begin")
			n2 := n.opensFor("a keeps n.1")
			n2.hears("Q")
			n2.says(wiretest.Done("BEGIN", 'T')...)
			b.hears("CZ")
			c.asks("select 1")
			n3 := n.opensFor("b keeps n.2")
			n3.hears("Q")
			n3.says(wiretest.Row("v", "1")...)
			c.hears("TDCZ")
			s.nearly()
			s.pass(rest)
			a.isTold()
			n1.ends()
			b.isTold()
			n2.ends()
			c.isTold()
			n3.isReset()
		}},
	{"timeout_statement_mode",
		"All three are 10 minutes, in statement mode: a waits for an answer, b is silent. Nobody is in a transaction.",
		func(r *router) {
			withAllTimeouts(r)
			r.policy.Mode = proxy.ModeStatement
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			b.isAnswered(n1, "select 1", "1")
			a.asks("select 2")
			n1.hears("Q")
			s.nearly()
			s.pass(rest)
			a.isTold()
			n1.ends()
			b.isTold()
		}},
}

var idleTimeoutScenarios = []scenario{
	{"timeout_by_the_clock",
		"query_timeout is short, client_idle_timeout longer: the limit of who does nothing is found behind that of who does.",
		func(r *router) {
			r.policy.Limits = proxy.TimeLimits{Query: brief, ClientIdle: 3 * brief}
		}, func(s *stage) {
			a, _ := s.enters("a", s.primary("n"))
			a.isTold()
		}},
	{"timeout_idle_client_in_a_message",
		"client_idle_timeout is short: the beginning of a message is a word, and then there comes no other.",
		func(r *router) {
			r.policy.Limits.ClientIdle = brief
		}, func(s *stage) {
			a, _ := s.enters("a", s.primary("n"))
			a.must(a.SendPart([]byte{'Q', 0, 0}, "3 bytes of a Query"))
			a.isTold()
		}},
	{"timeout_query_by_the_clock",
		"query_timeout is short: nothing is looked at while the client is silent, and its query is cut all the same.",
		func(r *router) {
			r.policy.Limits.Query = brief
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			s.await("no timer runs", func() (still bool) {
				still = true
				s.proxy.OnSessions(func(c *proxy.Session) { still = still && !c.TimerRuns() })
				return still
			})
			a.asks("select 1")
			n1.hears("Q")
			a.isTold()
			n1.ends()
		}},
	{"timeout_idle_transaction",
		"idle_transaction_timeout is 10 minutes: who sits in a transaction longer than that loses it, and whoever waits gets a server.",
		func(r *router) {
			withIdleTransactionTimeout(r)
			r.policy.Pool.Size, r.policy.WaitTimeout = 1, time.Hour
		}, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			s.pass(limit)
			a.does(n1, "begin", "BEGIN", 'T')
			s.nearly()
			a.does(n1, "insert into t values (1)", "INSERT 0 1", 'T')
			b.asks("select 1")
			s.awaits(1, "b waits")
			s.nearly()
			b.hears("N")
			s.pass(rest)
			a.isTold()
			n1.ends()
			n2 := n.opensFor("n.1 is closed")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"timeout_idle_transaction_failed",
		"idle_transaction_timeout is 10 minutes: a failed transaction keeps a server too. What takes longer is no idleness.",
		withIdleTransactionTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.asks("select 1/0")
			n1.hears("Q")
			s.pass(limit)
			n1.says(failure("22012", "division by zero"), ready('E'))
			a.hears("EZ")
			s.pass(limit)
			a.isTold()
			n1.ends()
		}},
	{"timeout_idle_transaction_in_batch",
		"idle_transaction_timeout is 10 minutes: a batch whose Sync does not come keeps a server. What it did may be committed.",
		withIdleTransactionTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "insert into t values (1)"), bind(""), execute(), &pgproto3.Flush{})
			n1.hears("PBEH")
			n1.says(parsed, bound, complete("INSERT 0 1"))
			a.hears("12C")
			s.pass(limit)
			a.isTold()
			n1.ends()
		}},
	{"timeout_idle_transaction_while_draining",
		"idle_transaction_timeout is 10 minutes: it holds while pgrouter shuts down, too.",
		withIdleTransactionTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			done := s.shutsDown()
			s.pass(limit)
			a.isTold()
			n1.ends()
			done()
		}},
	{"timeout_idle_client",
		"client_idle_timeout is 10 minutes, from the last that the client sent or was answered. Its transactions may be longer.",
		withClientIdleTimeout, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			s.nearly()
			a.does(n1, "begin", "BEGIN", 'T')
			s.pass(rest)
			b.isTold()
			s.pass(limit)
			a.asks("commit")
			n1.hears("Q")
			s.pass(limit)
			n1.says(wiretest.Done("COMMIT", 'I')...)
			a.hears("CZ")
			s.nearly()
			s.pass(rest)
			a.isTold()
		}},
	{"timeout_idle_client_that_listens",
		"All three are 10 minutes: a client that listens is cut by client_idle_timeout only. What it is told unasked is no word of " +
			"its own.",
		withAllTimeouts, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "listen news", "LISTEN", 'I')
			s.nearly()
			n1.says(&pgproto3.NotificationResponse{PID: 1, Channel: "news", Payload: "rain"})
			a.hears("A")
			s.pass(rest)
			a.isTold()
			n1.isReset()
		}},
	{"timeout_not_of_who_listens",
		"query_timeout and idle_transaction_timeout are 10 minutes: they do not cut a client that listens.",
		func(r *router) {
			r.policy.Limits = proxy.TimeLimits{Query: limit, IdleTransaction: limit}
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "listen news", "LISTEN", 'I')
			s.pass(10 * limit)
			n1.says(&pgproto3.NotificationResponse{PID: 1, Channel: "news", Payload: "rain"})
			a.hears("A")
			a.saysGoodbye()
			n1.isReset()
		}},
	{"timeout_idle_client_that_was_held",
		"client_idle_timeout is 10 minutes: who waits for a primary is not idle, and begins to be so when it gives up.",
		func(r *router) {
			withClientIdleTimeout(r)
			r.policy.HoldTimeout = time.Hour
		}, func(s *stage) {
			a, _ := s.enters("a", s.primary("n"))
			s.turns(nil)
			a.asks("select 1")
			s.awaits(1, "a waits")
			s.pass(limit)
			a.hears("N")
			s.cancels(a).ends()
			a.hears("EZ")
			s.nearly()
			s.pass(rest)
			a.isTold()
		}},
}
