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
