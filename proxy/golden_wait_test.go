package proxy_test

import (
	"strings"
	"time"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
)

var waitScenarios = []scenario{
	{"wait",
		"Every server is taken: who waits is served in turn.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b, c := s.joins("b"), s.joins("c")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 'for b'")
			s.awaits(1, "b waits")
			c.asks("select 'for c'")
			s.awaits(2, "c waits")
			a.does(n1, "commit", "COMMIT", 'I')
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for c")...)
			c.hears("TDCZ")
		}},
	{"wait_notice",
		"Every server is taken: who has waited for 5 seconds is told so, once.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 'for b'")
			s.awaits(1, "b waits")
			s.pass(5 * time.Second)
			b.hears("N")
			s.pass(5 * time.Second)
			a.does(n1, "commit", "COMMIT", 'I')
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
		}},
	{"wait_timeout",
		"Every server is taken for longer than wait_timeout.",
		withOneServer, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			s.fromNowOn(func(p *proxy.Policy) { p.WaitTimeout = brief })
			b.asks("select 1")
			b.isTold()
			a.does(n1, "commit", "COMMIT", 'I')
		}},
	{"wait_limit",
		"The database may have one server connection: who waits for another is told which limit it was, after wait_timeout.",
		func(r *router) { r.policy.Pool.MaxDatabase = 1 }, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b := s.joins("b")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 1")
			s.awaitsRoom("b waits, and the limit leaves no room")
			s.pass(defaultPolicy().WaitTimeout)
			b.isTold()
			a.does(n1, "commit", "COMMIT", 'I')
		}},
	{"wait_too_many",
		"hold_max_clients is 1: the newest is refused at once, who waits goes on waiting.",
		func(r *router) {
			r.policy.Pool.Size, r.policy.Pool.MaxWaiters = 1, 1
		}, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			b, c := s.joins("b"), s.joins("c")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 'for b'")
			s.awaits(1, "b waits")
			c.asks("select 'for c'")
			c.isTold()
			a.does(n1, "commit", "COMMIT", 'I')
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
		}},
	{"wait_too_much",
		"hold_max_bytes is 100: whoever brings the work that is too much is refused.",
		withOneServer, func(s *stage) {
			s.reconfigure(func(c *proxy.Config) { c.HoldMaxBytes = 100 })
			a, n1 := s.enters("a", s.primary("n"))
			b, c := s.joins("b"), s.joins("c")
			a.does(n1, "begin", "BEGIN", 'T')
			b.asks("select 'for b'")
			s.awaits(1, "b waits")
			c.asks("select 'for c, with a comment that is quite long' -- " + strings.Repeat("x", 50))
			c.isTold()
			a.does(n1, "commit", "COMMIT", 'I')
			n1.hears("Q")
			n1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
		}},
	{"hold",
		"The primary is lost, and another node takes its place. Clients that were idle see latency.",
		withOneServer, func(s *stage) {
			n, m := s.node("n"), s.node("m")
			s.publishes(n)
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.isAnswered(n1, "select 'from n'", "from n")
			n1.resets()
			s.turns(nil)
			a.asks("select 'for a'")
			s.awaits(1, "a waits")
			b.asks("select 'for b'")
			s.awaits(2, "b waits")
			s.turns(m)
			m1 := m.opensFor("there is a primary again")
			m1.hears("Q")
			m1.says(wiretest.Row("v", "for a")...)
			a.hears("TDCZ")
			m1.hears("Q")
			m1.says(wiretest.Row("v", "for b")...)
			b.hears("TDCZ")
		}},
	{"hold_timeout",
		"There is no primary for longer than hold_timeout.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			a.isAnswered(n1, "select 1", "1")
			s.fromNowOn(func(p *proxy.Policy) { p.HoldTimeout = brief })
			s.turns(nil)
			a.asks("select 2")
			a.isTold()
		}},
	{"hold_pause",
		"A database is paused: what runs goes on, what begins waits, and no server connection is kept.",
		nil, func(s *stage) {
			n := s.primary("n")
			a, n1 := s.enters("a", n)
			b := s.joins("b")
			a.asks("select 1")
			n1.hears("Q")
			s.pool.Pause("app", time.Hour)
			s.remark("app is paused")
			b.asks("select 2")
			s.awaits(1, "b waits")
			n1.says(wiretest.Row("v", "1")...)
			a.hears("TDCZ")
			n1.hears("X")
			n1.ends()
			s.pool.Unpause("app")
			s.remark("app is not paused any more")
			n2 := n.opensFor("n.1 is gone")
			n2.hears("Q")
			n2.says(wiretest.Row("v", "2")...)
			b.hears("TDCZ")
		}},
	{"hold_pause_timeout",
		"A pause that is longer than wait_timeout.",
		nil, func(s *stage) {
			a, n1 := s.enters("a", s.primary("n"))
			s.fromNowOn(func(p *proxy.Policy) { p.WaitTimeout = brief })
			s.pool.Pause("app", time.Hour)
			s.remark("app is paused")
			n1.hears("X")
			n1.ends()
			a.asks("select 1")
			a.isTold()
		}},
}
