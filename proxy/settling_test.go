package proxy_test

import (
	"testing"

	"github.com/pgrouter/pgrouter/internal/wiretest"
	"github.com/pgrouter/pgrouter/proxy"
)

// TestAClientThatEndsWhileItIsSettledIsLetGo: it sends no more, and reads on until it hears the end.
func TestAClientThatEndsWhileItIsSettledIsLetGo(t *testing.T) {
	for name, pinned := range map[string]bool{"its server goes back": false, "its server is its own": true} {
		t.Run(name, func(t *testing.T) {
			hostile(t, 1, nil, func(s *stage, n *node, a, n1 *actor) {
				if pinned {
					a.does(n1, "load 'x'", "LOAD", 'I')
				}
				a.asks("set work_mem to '64MB'")
				n1.hears("Q")
				n1.says(wiretest.Done("SET", 'I')...)
				a.hears("C")
				n1.hears("Q")
				a.CloseWrite()
				s.await("it is seen that a sends no more", func() (seen bool) {
					s.proxy.OnSessions(func(a *proxy.Session) { seen = a.Departed() })
					return seen
				})
				n1.says(readBack("64MB", "f", "s")...)
				a.hears("Z")
				a.ends()
				if pinned {
					n1.isReset()
				}
			})
		})
	}
}

// TestAClientThatDoesNotReadKeepsNoServer that has answered it: what the router asks for itself does not wait for the client.
func TestAClientThatDoesNotReadKeepsNoServer(t *testing.T) {
	t.Run("its unit is settled", func(t *testing.T) {
		hostile(t, 1, nil, func(s *stage, _ *node, a, n1 *actor) {
			a.asks("set work_mem to '64MB'")
			n1.hears("Q")
			n1.says(wiretest.Done("SET", 'I')...)
			a.hears("C")
			n1.hears("Q")
			s.proxy.Fill(true)
			n1.says(readBack("64MB", "f", "s")...)
			a.hears("Z")
			b := s.joins("b")
			b.asks("select 1")
			n1.hears("Q")
			n1.says(wiretest.Done("RESET", 'I')...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
			s.proxy.Fill(false)
		})
	})
	t.Run("its server gets its settings", func(t *testing.T) {
		hostile(t, 1, nil, func(s *stage, _ *node, a, n1 *actor) {
			b := s.joins("b")
			a.settled(n1, "set work_mem to '64MB'", "SET", "64MB", "f", "s")
			s.proxy.Fill(true)
			b.asks("select 1")
			n1.hears("Q")
			n1.says(wiretest.Done("RESET", 'I')...)
			n1.hears("Q")
			s.proxy.Fill(false)
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
		})
	})
}
