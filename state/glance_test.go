package state

import (
	"strings"
	"testing"
)

// TestAGlanceFindsEachName wherever it stands in the pieces in which it looks, in either case.
func TestAGlanceFindsEachName(t *testing.T) {
	names := []string{`&"`, "temp", "currval", "lastval"}
	for _, s := range suspects {
		names = append(names, s.before+"_"+s.behind)
	}
	for _, name := range names {
		for _, name := range []string{name, strings.ToUpper(name)} {
			for before := range 17 {
				text := strings.Repeat("x", before) + name
				for _, text := range []string{text, text + "x", text + strings.Repeat("x", 17)} {
					if !GlanceAt([]byte(text)).suspect {
						t.Errorf("%q is not suspect", text)
					}
					if shorter := strings.Replace(text, name, name[1:], 1); GlanceAt([]byte(shorter)).suspect && !strings.Contains(strings.ToLower(shorter), "temp") {
						t.Errorf("%q is suspect", shorter)
					}
				}
			}
		}
	}
}

// TestAGlanceKnowsWhereATextEnds and where its first semicolon stands.
func TestAGlanceKnowsWhereATextEnds(t *testing.T) {
	for _, tc := range []struct {
		b, text   string
		semicolon int
	}{
		{"", "", -1}, {"\x00", "", -1}, {"select 1\x00", "select 1", -1}, {"select 1; select 2;\x00", "select 1; select 2;", 8},
		{"select\x00;\x00", "select", 7}, {"select currval('x');\x00\x00\x01;", "select currval('x');", 19},
	} {
		g := GlanceAt([]byte(tc.b))
		if got := string(g.Text([]byte(tc.b))); got != tc.text || g.semicolon != tc.semicolon {
			t.Errorf("%q: %q, semicolon at %d", tc.b, got, g.semicolon)
		}
		if g.Recalls != strings.Contains(tc.text, "currval") {
			t.Errorf("%q: recalls: %t", tc.b, g.Recalls)
		}
		if got, want := g.Classify(g.Text([]byte(tc.b))), Classify([]byte(tc.text)); got != want {
			t.Errorf("%q: %+v, want %+v", tc.b, got, want)
		}
	}
}
