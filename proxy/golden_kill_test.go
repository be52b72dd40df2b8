package proxy_test

import (
	"context"
	"errors"
	"time"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
)

// kills closes every client, behind a closed door as KILL does.
func (s *stage) kills(want int) {
	s.t.Helper()
	s.pool.Pause("app", time.Hour)
	s.remark("an operator kills all clients")
	if got := s.proxy.Kill(func(database string) bool { return database == "app" }); got != want {
		s.t.Errorf("%d clients are killed, want %d", got, want)
	}
}

// breaksOff ends the router although clients are at work.
func (s *stage) breaksOff(busy int) {
	s.t.Helper()
	s.remark("pgrouter shuts down, and waits for nobody")
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	err := s.proxy.Shutdown(ctx)
	if left, ok := errors.AsType[*proxy.BusyError](err); busy > 0 && (!ok || left.Left != busy) || busy == 0 && err != nil {
		s.t.Errorf("%d clients are at work: %v", busy, err)
	}
}

var killScenarios = []scenario{
	{"kill",
		"An operator closes clients: idle, in a transaction, waiting. None of their work is in doubt.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b, c := s.joins("b"), s.joins("c")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 2")
			s.awaits(1, "b waits")
			s.kills(3)
			c.isTold()
			b.isTold()
			a.isTold()
			n1.ends()
		}},
	{"kill_commit",
		"A COMMIT is under way, and a write outside a transaction block: what became of them is not known.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			a.asks("commit")
			n1.hears("Q")
			b.asks("insert into t values (1)")
			n2 := n.opensFor("b")
			n2.hears("Q")
			s.kills(2)
			a.isTold()
			n1.ends()
			b.isTold()
			n2.ends()
		}},
	{"kill_in_a_message",
		"A part of the answer has been forwarded: nothing can be put behind it.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.asks("select 1")
			n1.hears("Q")
			n1.says(columns("long"))
			a.hears("T")
			long, err := row(string(make([]byte, 100000))).Encode(nil)
			n1.must(err)
			n1.must(n1.SendPart(long[:50000], "50000 bytes of a DataRow"))
			a.hearsBytes(50000, "50000 bytes of a DataRow")
			s.kills(1)
			a.ends()
			n1.ends()
		}},
	{"kill_pinned",
		"A client that keeps its server between its units of work. The server is closed, as all are while the database is paused.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			a.does(n1, "load 'auto_explain'", "LOAD", 'I')
			s.kills(1)
			a.isTold()
			n1.hears("X")
			n1.ends()
		}},
	{"kill_login",
		"A login that waits for a node is a client, too.",
		nil, func(s *stage) {
			s.node("n")
			a := s.client("a")
			a.says(startup())
			s.awaits(1, "a waits")
			s.kills(1)
			a.isTold()
		}},
	{"disable",
		"A database is disabled: who is in goes on, who waits to be let in and who comes is refused.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			s.turns(nil)
			b := s.client("b")
			b.says(startup())
			s.awaits(1, "b waits to be let in")
			s.proxy.Disable("app")
			s.remark("app is disabled")
			c := s.client("c")
			c.says(startup())
			c.isTold()
			s.turns(s.nodes[0])
			b.isTold()
			a.isAnswered(n1, "select 1", "1")
			s.proxy.Enable("app")
			s.remark("app is not disabled any more")
			d := s.client("d")
			d.says(startup())
			d.hearsGreeting()
		}},
	{"shutdown_broken_off",
		"pgrouter ends and waits for nobody: a COMMIT is in doubt, a transaction is certainly not committed.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b, c := s.joins("b"), s.joins("c")
			a.does(n1, "begin", "BEGIN", 'T')
			a.asks("commit")
			n1.hears("Q")
			b.asks("begin")
			n2 := n.opensFor("b")
			n2.hears("Q")
			n2.says(wiretest.Done("BEGIN", 'T')...)
			b.hears("CZ")
			s.breaksOff(2)
			c.isTold()
			a.isTold()
			n1.ends()
			b.isTold()
			n2.ends()
		}},
}
