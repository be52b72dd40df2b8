package proxy_test

import (
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgrouter/pgrouter/event"
	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
	"github.com/pgrouter/pgrouter/topology"
)

func inSessionMode(r *router) { r.policy.Mode = proxy.ModeSession }

// holds makes the answer to the question what a server holds: nothing prepared by SQL, statements of the protocol under a client's own
// name, channels, temporary things, cursors, locks.
func holds(answers ...string) []pgproto3.Message {
	values := [][]byte{nil}
	for _, v := range answers {
		values = append(values, []byte(v))
	}
	return []pgproto3.Message{columns("exists"), &pgproto3.DataRow{Values: values}, complete("SELECT 1"), ready('I')}
}

var pinScenarios = []scenario{
	{"unpinned",
		"A client that listens and has a temporary table keeps its server. Behind what may have ended that the server is asked what " +
			"it holds, before the client hears that its unit of work is over. When that is nothing, the server is anybody's.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "listen news", "LISTEN", 'I')
			a.does(n1, "create temp table x(n int)", "CREATE TABLE", 'I')
			b.asks("select 1")
			s.awaits(1, "b waits")
			a.asks("unlisten news")
			n1.hears("Q")
			n1.says(wiretest.Done("UNLISTEN", 'I')...)
			a.hears("C")
			n1.hears("Q")
			n1.says(holds("f", "f", "t", "f", "f")...)
			a.hears("Z")
			a.isAnswered(n1, "select 2", "2")
			a.asks("drop table x")
			n1.hears("Q")
			n1.says(wiretest.Done("DROP TABLE", 'I')...)
			a.hears("C")
			n1.hears("Q")
			n1.says(holds("f", "f", "f", "f", "f")...)
			a.hears("Z")
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"unpinned_not",
		"A server that refuses to say what it holds, asked twice because it may have been a cancel request, is nobody else's: when the client " +
			"leaves, it is closed.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "listen news", "LISTEN", 'I')
			a.asks("unlisten news")
			n1.hears("Q")
			n1.says(wiretest.Done("UNLISTEN", 'I')...)
			a.hears("C")
			n1.hears("Q")
			n1.says(failure("57014", "canceling statement due to statement timeout"), ready('I'))
			n1.hears("Q")
			n1.says(failure("57014", "canceling statement due to statement timeout"), ready('I'))
			a.hears("Z")
			a.isAnswered(n1, "select 2", "2")
			a.saysGoodbye()
			n1.ends()
		}},
	{"sequence_of_a_stranger",
		"A client asks for a number that it has not drawn on this server, where others were meanwhile: what they have drawn is taken " +
			"away first, so that PostgreSQL says that there is none. Then it keeps the server.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.isAnswered(n1, "select nextval('s')", "1")
			b.isAnswered(n1, "select nextval('s')", "2")
			a.asks("select currval('s')")
			n1.hears("QQ")
			n1.says(wiretest.Done("DISCARD SEQUENCES", 'I')...)
			n1.says(failure("55000", `currval of sequence "s" is not yet defined in this session`), ready('I'))
			a.hears("EZ")
			b.asks("select 1")
			s.awaits(1, "b waits")
			a.isAnswered(n1, "select nextval('s')", "3")
			a.isAnswered(n1, "select currval('s')", "3")
			a.saysGoodbye()
			n1.isReset()
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		}},
	{"session_mode_moves",
		"In pool mode session a client that holds nothing on its server outlives it, as long as nothing runs. Its next unit of work " +
			"goes to another, which gets its parameters first.",
		inSessionMode, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.asks("set datestyle to 'german'")
			n1.hears("Q")
			n1.says(set("DateStyle", "German, DMY")...)
			a.hears("CSZ")
			n1.resets()
			a.asks("select 1")
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(set("DateStyle", "German, DMY")...)
			n2.hears("Q")
			n2.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			a.saysGoodbye()
			n2.isReset()
		}},
	{"session_mode_switchover",
		"A planned switchover in pool mode session: who holds nothing on his server goes to the new primary when nothing of his " +
			"runs, and is told nothing.",
		func(r *router) {
			inSessionMode(r)
			r.policy.Pool.Size = 2
		}, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.isAnswered(n1, "select 1", "1")
			b.asks("begin")
			n2 := n.opensFor("a keeps n.1")
			n2.hears("Q")
			n2.says(wiretest.Done("BEGIN", 'T')...)
			b.hears("CZ")
			s.remark("n is about to be demoted")
			s.pool.Hold(cluster, event.HoldSwitchover)
			s.pool.Cut(cluster, topology.NodeID(n.name), event.CutSwitchover)
			n1.ends()
			b.does(n2, "commit", "COMMIT", 'I')
			n2.hears("X")
			n2.ends()
			if err := s.pool.WaitIdle(s.t.Context(), cluster, topology.NodeID(n.name)); err != nil {
				s.t.Error(err)
			}
			b.asks("select 2")
			s.awaits(1, "b waits")
			m := s.node("m")
			s.turns(m)
			s.pool.Resume(cluster)
			m1 := m.opensFor("it is the primary")
			m1.hears("Q")
			m1.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
			b.saysGoodbye()
			m1.isReset()
		}},
	{"pin_refused",
		"Where nothing may pin (on_pin), what would is replaced by what fails on the server: the error stands in order and fails the " +
			"transaction, in the router's words. The server keeps nothing of it, and is anybody's.",
		func(r *router) {
			withOneServer(r)
			r.policy.RefusePins = true
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.asks("listen news")
			n1.hears("Q")
			n1.says(failure("42601", `syntax error at or near "refused"`), ready('I'))
			a.hears("EZ")
			a.does(n1, "begin", "BEGIN", 'T')
			a.says(parse("lock", "select pg_advisory_lock(1)"), bind("lock"), execute(), &pgproto3.Sync{})
			n1.hears("PBES")
			n1.says(parsed, failure("26000", `prepared statement "pgr?" does not exist`), ready('E'))
			a.hears("1EZ")
			a.does(n1, "rollback", "ROLLBACK", 'I')
			b.isAnswered(n1, "select 1", "1")
		}},
}
