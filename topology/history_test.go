package topology

import (
	"io/fs"
	"os"
	"testing"
)

func dir(t *testing.T) fs.FS {
	t.Helper()
	return os.DirFS(".")
}

func TestAHistoryFileIsReadAsPostgreSQLWritesIt(t *testing.T) {
	h, err := ParseHistory(3, "# a comment\n1\t0/5000000\tno recovery target specified\n\n2\t16/B374D848\tbefore 2000-01-01 05:00:00+00\n")
	if err != nil {
		t.Fatal(err)
	}
	for timeline, want := range map[uint32]LSN{1: 0x5000000, 2: 0x16B374D848, 3: 0} {
		if at, ok := h.LeftAt(timeline); !ok || at != want {
			t.Errorf("timeline %d: left at %s, %v", timeline, at, ok)
		}
	}
	if _, ok := h.LeftAt(4); ok {
		t.Error("timeline 3 descends from timeline 4")
	}
	if _, ok := (History{}).LeftAt(0); ok {
		t.Error("an unknown history descends from something")
	}
}

func TestTimelineOneHasNoAncestors(t *testing.T) {
	h, err := ParseHistory(1, "")
	if err != nil || !h.Known() {
		t.Fatalf("%+v, %v", h, err)
	}
}

func TestADamagedHistoryProvesNothing(t *testing.T) {
	for _, text := range []string{"", "1", "x 0/0", "1 0", "1 0/zz", "1 100000000/0", "2 0/0\n1 0/0", "1 0/0\n1 0/0", "3 0/0", "0 0/0", "4294967296 0/0"} {
		if h, err := ParseHistory(3, text); err == nil || h.Known() {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
	}
	if _, err := ParseHistory(0, "1 0/0"); err == nil {
		t.Error("timeline 0 has a history")
	}
	if _, err := ParseHistory(3, string(make([]byte, MaxHistoryBytes+1))); err == nil {
		t.Error("a history without end is read")
	}
}

func TestPositionsAreReadAndPrintedAsPostgreSQLDoes(t *testing.T) {
	for _, text := range []string{"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"} {
		lsn, err := ParseLSN(text)
		if err != nil || lsn.String() != text {
			t.Errorf("%s: %s, %v", text, lsn, err)
		}
	}
	for _, text := range []string{"", "0", "0/", "/0", "100000000/0", "-1/0", "0/0/0"} {
		if lsn, err := ParseLSN(text); err == nil {
			t.Errorf("%q was read as %s", text, lsn)
		}
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add(uint32(2), "1\t0/5000000\tno recovery target specified\n")
	f.Add(uint32(3), "1 0/1\n2 FFFFFFFF/FFFFFFFF x")
	f.Add(uint32(1), "")
	f.Add(uint32(7), "# nothing\n")
	f.Fuzz(func(t *testing.T, timeline uint32, text string) {
		h, err := ParseHistory(timeline, text)
		if err != nil {
			if h.Known() {
				t.Fatalf("an error and a history: %+v, %v", h, err)
			}
			return
		}
		last := uint32(0)
		for _, b := range h.Branches {
			if b.Parent <= last || b.Parent >= timeline {
				t.Fatalf("branches out of order: %+v", h)
			}
			last = b.Parent
			if at, ok := h.LeftAt(b.Parent); !ok || at != b.At {
				t.Fatalf("timeline %d: %s %v", b.Parent, at, ok)
			}
		}
	})
}
