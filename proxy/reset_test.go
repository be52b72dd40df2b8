package proxy_test

import (
	"strings"
	"testing"

	"github.com/pgrouter/pgrouter/internal/wiretest"
)

// TestAResetThatLeavesSettingsGivesThemToNobody: what the reset query does not take away is known to be there.
func TestAResetThatLeavesSettingsGivesThemToNobody(t *testing.T) {
	always := func(query string) func(*router) {
		return func(r *router) { r.policy.Pool.ResetAlways, r.policy.Pool.ResetQuery = true, query }
	}
	german := func(a, n1 *actor) {
		n1.isReset() // the greeting came from it
		a.asks("set datestyle to 'german'")
		n1.hears("Q")
		n1.says(set("DateStyle", "German, DMY")...)
		a.hears("CSZ")
		n1.hears("Q")
	}
	t.Run("parameters", func(t *testing.T) {
		hostile(t, 1, always("DISCARD TEMP"), func(s *stage, _ *node, a, n1 *actor) {
			b := s.joins("b")
			german(a, n1)
			n1.says(wiretest.Done("DISCARD TEMP", 'I')...)
			b.asks("select 1")
			if m := n1.hears("Q"); !strings.Contains(m.Text, "SET DateStyle") {
				t.Fatalf("b gets the server as a has left it: %s", m.Text)
			}
			n1.says(set("DateStyle", "ISO, MDY")...)
			n1.hears("Q")
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
			n1.hears("Q")
			n1.says(wiretest.Done("DISCARD TEMP", 'I')...)
		})
	})
	t.Run("parameters that are taken away", func(t *testing.T) {
		hostile(t, 1, always("RESET ALL"), func(s *stage, _ *node, a, n1 *actor) {
			b := s.joins("b")
			german(a, n1)
			n1.says(set("DateStyle", "ISO, MDY")...)
			b.asks("select 1")
			if m := n1.hears("Q"); !strings.Contains(m.Text, "select 1") {
				t.Fatalf("b's server is given what it has: %s", m.Text)
			}
			n1.says(wiretest.Row("v", "1")...)
			b.hears("TDCZ")
			n1.hears("Q")
			n1.says(wiretest.Done("RESET", 'I')...)
		})
	})
	t.Run("a role", func(t *testing.T) {
		hostile(t, 1, always("RESET ALL"), func(_ *stage, _ *node, a, n1 *actor) {
			n1.isReset()
			a.settled(n1, "set role other", "SET", "other", "f", "-")
			n1.ends()
		})
	})
}
