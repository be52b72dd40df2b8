package proxy_test

import (
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/routing"
	"github.com/pgrouter/pgrouter/topology"
)

var lostScenarios = []scenario{
	{"lost_while_idle",
		"unaffected: the server says good-bye while nobody has it. No client hears of it; the next unit of work gets another " +
			"server.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.isAnswered(n1, "select 1", "1")
			n1.says(adminFatal)
			n1.ends()
			a.asks("select 2")
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "2")...)
			a.hears("TDCZ")
		}},
	{"lost_after_configuration_change",
		"unaffected: the server tells another value of a parameter while nobody has it, because its configuration was reloaded. " +
			"It is replaced.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			n1.says(&pgproto3.ParameterStatus{Name: "TimeZone", Value: "Europe/Berlin"})
			n1.ends()
			a.asks("select 1")
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
		}},
	{"lost_with_its_own_words",
		"The server's own FATAL is passed on as it is, whatever the outcome.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select 1")
			n1.hears("Q")
			n1.says(adminFatal)
			n1.leaves()
			a.isTold()
		}},
	{"lost_behind_a_failed_copy",
		"The server gives a COPY up and ends, in one breath, while the client is in the middle of a long CopyData: it is told of the COPY.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.beginsCopy(n1, "copy t from stdin")
			long, err := data(strings.Repeat("x", 40_000)).Encode(nil)
			a.must(err)
			a.must(a.SendPart(long[:30_000], "30000 bytes of a CopyData"))
			n1.hearsBytes(30_000, "30000 bytes of a CopyData")
			n1.says(failure("22P02", "invalid input syntax"), ready('I'), adminFatal)
			n1.leaves()
			a.hears("EZ")
			a.must(a.SendPart(long[30_000:], "the rest of the CopyData"))
			a.says(&pgproto3.CopyDone{})
			a.asks("select 1")
			n2 := n.opensFor("a has to have another server")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
		}},
	{"lost_write",
		"outcome_unknown: the server is lost with a statement outside of a transaction. It may have been committed.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("insert into t values (1)")
			n1.hears("Q")
			n1.resets()
			a.isTold()
		}},
	{"lost_commit",
		"outcome_unknown: the server is lost with a COMMIT.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.does(n1, "insert into t values (1)", "INSERT 0 1", 'T')
			a.asks("commit")
			n1.hears("Q")
			n1.resets()
			a.isTold()
		}},
	{"lost_hidden_commit",
		"outcome_unknown: a COMMIT may stand anywhere in a query of several statements.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.asks("select 1; commit")
			n1.hears("Q")
			n1.resets()
			a.isTold()
		}},
	{"lost_batch_at_sync",
		"outcome_unknown: the batch was done, and its Sync may have committed it.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "insert into t values (1)"), bind(""), execute(), &pgproto3.Sync{})
			n1.hears("PBES")
			n1.says(parsed, bound, complete("INSERT 0 1"))
			a.hears("12C")
			n1.resets()
			a.isTold()
		}},
	{"lost_in_batch",
		"outcome_unknown: what the batch has done so far is answered, and its Sync has not been sent.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "insert into t values (1)"), bind(""), execute(), &pgproto3.Flush{})
			n1.hears("PBEH")
			n1.says(parsed, bound, complete("INSERT 0 1"))
			a.hears("12C")
			n1.resets()
			a.isTold()
		}},
	{"lost_in_copy",
		"outcome_unknown: a COPY outside of a transaction may have been committed, whatever the client has sent.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.beginsCopy(n1, "copy t from stdin")
			a.says(data("1\n"))
			n1.hears("d")
			n1.resets()
			a.isTold()
		}},
	{"lost_in_copy_in_transaction",
		"transaction_lost: a COPY in a transaction.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.beginsCopy(n1, "copy t from stdin")
			a.says(data("1\n"), &pgproto3.CopyDone{})
			n1.hears("dc")
			n1.resets()
			a.isTold()
		}},
	{"lost_in_transaction",
		"transaction_lost: a statement runs in a transaction, and cannot have ended it.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			a.asks("insert into t values (1)")
			n1.hears("Q")
			n1.resets()
			a.isTold()
		}},
	{"lost_between_statements",
		"transaction_lost: nothing runs, but there is a transaction. The client is told at once.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "begin", "BEGIN", 'T')
			n1.resets()
			a.isTold()
		}},
	{"lost_while_preparing",
		"transaction_lost: something was parsed, nothing was run.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.says(parse("", "insert into t values (1)"), &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Sync{})
			n1.hears("PDS")
			n1.resets()
			a.isTold()
		}},
	{"lost_pinned",
		"pinned_lost: nothing runs, but the server held what cannot be moved.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "load 'auto_explain'", "LOAD", 'I')
			n1.resets()
			a.isTold()
		}},
	{"lost_in_a_message",
		"closed_silently: a part of a message has reached the client. Nothing can be put behind it.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select long from t")
			n1.hears("Q")
			n1.says(columns("long"))
			a.hears("T")
			long, err := row(string(make([]byte, 100000))).Encode(nil)
			n1.must(err)
			n1.must(n1.SendPart(long[:50000], "50000 bytes of a DataRow"))
			a.hearsBytes(50000, "50000 bytes of a DataRow")
			n1.resets()
			a.ends()
		}},
	{"lost_before_the_query",
		"requeued: the server is lost before anything of the client's was sent to it. Another is asked.",
		withOneServer, func(s *stage) {
			n := s.primary("n")
			_, b, n1 := s.differ(n)
			b.asks("insert into t values (1)")
			n1.hears("Q")
			n1.hearsNoMore()
			n1.resets()
			n2 := n.opensFor("nothing was sent to n.1")
			n2.hears("Q")
			n2.says(wiretest.Done("INSERT 0 1", 'I')...)
			b.hears("CZ")
		}},
	{"lost_to_another_primary",
		"Another primary is proven while the old one says nothing: what hangs on that is cut. Who is idle goes on at the new " +
			"one.",
		nil, func(s *stage) {
			n, m := s.node("n"), s.node("m")
			s.publishes(n)
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			s.turns(m)
			s.remark("what hangs on n is cut")
			s.pool.Cut(cluster, topology.NodeID(n.name), event.CutNodeGone)
			a.isTold()
			n1.ends()
			b.asks("select 1")
			m1 := m.opensFor("it is the primary")
			m1.hears("Q")
			m1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"lost_to_demotion",
		"A node that is not the primary any more refuses to write. The client does not see that: it would go on with what " +
			"cannot write.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.asks("insert into t values (1)")
			n1.hears("Q")
			s.turns(nil)
			n1.says(failure("25006", "cannot execute INSERT in a read-only transaction"), ready('I'))
			a.isTold()
			n1.ends()
		}},
	{"lost_to_read_only",
		"The primary refuses to write: that is the client's own affair. The server is looked at, and replaced.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.asks("begin read only; insert into t values (1)")
			n1.hears("Q")
			n1.says(complete("BEGIN"), failure("25006", "cannot execute INSERT in a read-only transaction"), ready('E'))
			a.hears("CEZ")
			a.does(n1, "rollback", "ROLLBACK", 'I')
			n1.hears("X")
			n1.ends()
		}},
	{"lost_to_switchover",
		"A planned switchover: what runs may end, nothing new begins. Who is pinned is told when nothing of his runs; the " +
			"others wait.",
		func(r *router) {
			r.policy.Pool.Size = 3
		}, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b, c := s.joins("b"), s.joins("c")
			a.does(n1, "load 'auto_explain'", "LOAD", 'I')
			b.asks("load 'auto_explain'; begin")
			n2 := n.opensFor("a keeps n.1")
			n2.hears("Q")
			n2.says(complete("LOAD"), complete("BEGIN"), ready('T'))
			b.hears("CCZ")
			c.asks("begin")
			n3 := n.opensFor("b keeps n.2")
			n3.hears("Q")
			n3.says(wiretest.Done("BEGIN", 'T')...)
			c.hears("CZ")
			s.remark("n is about to be demoted")
			s.pool.Hold(cluster, event.HoldSwitchover)
			s.pool.Cut(cluster, topology.NodeID(n.name), event.CutSwitchover)
			a.isTold()
			n1.ends()
			b.does(n2, "commit", "COMMIT", 'I')
			b.isTold()
			n2.ends()
			c.does(n3, "commit", "COMMIT", 'I')
			n3.hears("X")
			n3.ends()
			if err := s.pool.WaitIdle(s.t.Context(), cluster, topology.NodeID(n.name)); err != nil {
				s.t.Error(err)
			}
			c.asks("select 1")
			s.awaits(1, "c waits")
			m := s.node("m")
			s.turns(m)
			s.pool.Resume(cluster)
			m1 := m.opensFor("it is the primary")
			m1.hears("Q")
			m1.says(wiretest.Row("v", "1")...)
			c.hears("TDCZ")
		}},
}

// standbyScenarios have two standbys, and a listener with the route replica. The first server connection is one to s.
var standbyScenarios = []scenario{
	{"standby_lost",
		"replayed: a read on a standby, of which the client has seen nothing, is done again on another.",
		nil, func(s *stage) {
			nodes, a, s1 := s.reads()
			a.asks("select 1")
			s1.hears("Q")
			s1.falls(nodes[0])
			t1 := nodes[1].opensFor("s refuses connections")
			t1.hears("Q")
			t1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
		}},
	{"standby_lost_extended",
		"replayed: a batch of one statement is done again as well.",
		nil, func(s *stage) {
			nodes, a, s1 := s.reads()
			a.says(parse("", "select $1::text"), bind("", "x"), describe(), execute(), &pgproto3.Sync{})
			s1.hears("PBDES")
			s1.falls(nodes[0])
			t1 := nodes[1].opensFor("s refuses connections")
			t1.hears("PBDES")
			t1.says(append([]pgproto3.Message{parsed, bound}, wiretest.Row("v", "x")...)...)
			a.hears("12TDCZ")
		}},
	{"standby_lost_with_warning",
		"replayed: a server beside has crashed. What the standby says in one piece with its warning, be it an answer, is not " +
			"shown.",
		nil, func(s *stage) {
			nodes, a, s1 := s.reads()
			a.asks("select 1")
			s1.hears("Q")
			if err := nodes[0].Refuse(); err != nil {
				s.t.Fatal(err)
			}
			s1.says(columns("v"), row("1"), crashWarning)
			s1.ends()
			t1 := nodes[1].opensFor("s refuses connections")
			t1.hears("Q")
			t1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
		}},
	{"standby_lost_twice",
		"transaction_lost: a read is replayed once. Nothing was committed, because nothing can be on a standby.",
		nil, func(s *stage) {
			nodes, a, s1 := s.reads()
			a.asks("select 1")
			s1.hears("Q")
			s1.falls(nodes[0])
			t1 := nodes[1].opensFor("s refuses connections")
			t1.hears("Q")
			t1.resets()
			a.isTold()
		}},
	{"standby_lost_in_answer",
		"transaction_lost: the client has seen the beginning of the answer, so that it is not asked for again.",
		nil, func(s *stage) {
			_, a, s1 := s.reads()
			a.asks("select 1")
			s1.hears("Q")
			s1.says(columns("v"), row("1"))
			a.hears("TD")
			s1.says(crashWarning)
			a.hears("N")
			s1.leaves()
			a.isTold()
		}},
	{"standby_lost_in_call",
		"outcome_unknown: what may write is not asked for twice, and the standby may have been promoted a moment ago.",
		nil, func(s *stage) {
			_, a, s1 := s.reads()
			a.asks("call report()")
			s1.hears("Q")
			s1.resets()
			a.isTold()
		}},
	{"standby_promoted",
		"outcome_unknown: the standby has said that it is none any more. What it is asked afterwards may be committed.",
		nil, func(s *stage) {
			nodes, a, s1 := s.reads()
			a.asks("select 1")
			s1.hears("Q")
			s1.says(columns("v"), row("1"), complete("SELECT 1"), &pgproto3.ParameterStatus{Name: "in_hot_standby", Value: "off"}, ready('I'))
			a.hears("TDCSZ")
			a.asks("insert into t values (1)")
			s1.hears("Q")
			nodes[1].opensFor("it would have been t's turn, and will be the next time")
			s.await("t.1 is at hand", func() bool { return s.idle() == 1 })
			s1.resets()
			a.isTold()
		}},
}

// reads logs in a client at a listener for reads, in front of the standbys s and t.
func (s *stage) reads() (nodes []*node, client, server *actor) {
	s.t.Helper()
	s.address = s.listen(routing.Replica)
	nodes = s.standbys("s", "t")
	client, server = s.enters("a", nodes[0])
	return nodes, client, server
}

// idle counts the server connections that nobody has.
func (s *stage) idle() (n int) {
	for _, q := range s.pool.Stats() {
		for _, node := range q.Nodes {
			n += node.Idle
		}
	}
	return n
}

// falls resets a server connection whose node lets nobody in any more.
func (a *actor) falls(n *node) {
	a.stage.t.Helper()
	a.must(n.Refuse())
	a.resets()
}

var shutdownScenarios = []scenario{
	{"shutdown",
		"pgrouter ends: idle and waiting clients are told at once, others when their unit of work is over.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b, c := s.joins("b"), s.joins("c")
			a.asks("select 1")
			n1.hears("Q")
			b.asks("select 2")
			s.awaits(1, "b waits")
			done := s.shutsDown()
			b.isTold()
			c.isTold()
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			a.isTold()
			done()
		}},
	{"shutdown_in_transaction",
		"A transaction may go on to its end.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			done := s.shutsDown()
			b.isTold()
			a.does(n1, "insert into t values (1)", "INSERT 0 1", 'T')
			a.does(n1, "commit", "COMMIT", 'I')
			a.isTold()
			done()
		}},
	{"shutdown_with_a_pinned_client",
		"A client that keeps its server between its units of work is told at once. The server is reset all the same.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "load 'auto_explain'", "LOAD", 'I')
			done := s.shutsDown()
			a.isTold()
			n1.isReset()
			done()
		}},
	{"shutdown_of_a_server_too",
		"The server ends with the unit of work, in one piece with its answer: the client is told by pgrouter.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.asks("select 1")
			n1.hears("Q")
			done := s.shutsDown()
			b.isTold()
			n1.says(append(wiretest.Row("v", "1"), goingDown)...)
			n1.ends()
			a.hears("TDCZ")
			a.isTold()
			done()
		}},
	{"shutdown_of_a_login",
		"A login that waits for a node is told as PostgreSQL tells it while it shuts down.",
		nil, func(s *stage) {
			s.node("n")
			a := s.client("a")
			a.says(startup())
			s.awaits(1, "a waits")
			done := s.shutsDown()
			a.isTold()
			done()
		}},
}

// shutsDown begins to end the router, and returns when all clients that are at work know. done waits for its end.
func (s *stage) shutsDown() (done func()) {
	s.t.Helper()
	s.remark("pgrouter shuts down")
	over := make(chan error, 1)
	go func() { over <- s.proxy.Shutdown(s.t.Context()) }()
	s.await("all know", func() bool {
		all := true
		s.proxy.OnSessions(func(c *proxy.Session) { all = all && c.Draining() })
		return all
	})
	return func() {
		s.t.Helper()
		if err := <-over; err != nil {
			s.t.Error(err)
		}
	}
}
