package config

import (
	"strings"
	"testing"
	"time"
)

func TestEveryTagIsComplete(t *testing.T) {
	for _, s := range sections() {
		if s.doc == "" || len(s.fields) == 0 {
			t.Errorf("%s is not described", s.title())
		}
		for i := range s.fields {
			f := &s.fields[i]
			name := s.title() + " " + f.key
			if f.doc == "" || !strings.HasSuffix(f.doc, ".") || strings.Contains(f.doc, "|") {
				t.Errorf("%s is not described in whole sentences that fit a table", name)
			}
			if f.unitText() == "" {
				t.Errorf("%s has no unit", name)
			}
			for _, limit := range []string{f.def, f.min, f.max} {
				if limit == "" {
					continue
				}
				if v, err := parse(f, text(limit)); err != nil || f.check(v) != nil {
					t.Errorf("%s: %q in its tag: %v, %v", name, limit, err, f.check(v))
				}
			}
		}
	}
}

func TestDurationsAndSizesAreWrittenShortAndReadBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 8 * time.Second: "8s", 2 * time.Minute: "2m", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s",
		time.Hour + 30*time.Second: "1h0m30s", 50 * time.Millisecond: "50ms", 10 * time.Minute: "10m", 100 * time.Hour: "100h",
	} {
		got := formatDuration(d)
		if back, err := parseDuration(got); got != want || err != nil || back != d {
			t.Errorf("%v: %q, read back as %v, %v", int64(d), got, back, err)
		}
	}
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "16MB": 16 << 20, "16 MB": 16 << 20, "16MiB": 16 << 20, "1kb": 1024, "1KB": 1024, "3GB": 3 << 30, "1TB": 1 << 40, "7B": 7,
	} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if back, err := parseSize(got.String()); err != nil || back != want {
			t.Errorf("%s: written %s, read back %d, %v", text, got, back, err)
		}
	}
	for _, wrong := range []string{"", "MB", "-1MB", "1.5GB", "16 mega", "9999999999TB", "1 2", "1 B B"} {
		if n, err := parseSize(wrong); err == nil {
			t.Errorf("%q is read as %d", wrong, n)
		}
	}
}

func TestNearestForgivesTwoLettersOfLongWordsAndNoneOfShortOnes(t *testing.T) {
	known := []string{"hold_timeout", "wait_timeout", "size", "mode"}
	for word, want := range map[string]string{
		"hold_timeuot": "hold_timeout", "holdtimeout": "hold_timeout", "hold_timout": "hold_timeout", "Size": "size", "sizee": "size",
		"xx": "", "timeout": "", "": "", "holt_timeot": "hold_timeout",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
