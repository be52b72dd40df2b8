package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestLocateFindsTheLineOfEachKey(t *testing.T) {
	doc := "\ufeff# comment = 1\n" +
		"top.a = 1 # b = 2\r\n" +
		"\"quoted \\\" key\" = ''' \n x = 1\n '''''\n" + // 3
		"[[rows]]\n" + // 6
		"a = \"\"\"\\\"\"\"\n[no]\n\"\"\"\n" + // 7
		"list = [ # [\n 1,\n {x = 1, 'y z' = [2]},\n]\n" + // 10
		"[[rows]]\n" + // 14
		"[rows.sub]\n" + // 15
		"b = 1979-05-27 07:32:00\n" + // 16
		"[ a . \"b.c\" ]\n" + // 17
		"d=\"#\"\n" // 18
	var tree map[string]any
	if _, err := toml.Decode(doc, &tree); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"top": 2, "top.a": 2, `"quoted \" key"`: 3, "rows": 6, "rows[0]": 6, "rows[0].a": 7, "rows[0].list": 10, "rows[0].list[0]": 11,
		"rows[0].list[1]": 12, "rows[0].list[1].x": 12, `rows[0].list[1]."y z"`: 12, `rows[0].list[1]."y z"[0]`: 12,
		"rows[1]": 14, "rows[1].sub": 15, "rows[1].sub.b": 16, "a": 17, `a."b.c"`: 17, `a."b.c".d`: 18,
	}
	if diff := cmp.Diff(want, locate([]byte(doc))); diff != "" {
		t.Error(diff)
	}
}

// allLocated checks locate against the tree that the library has read: all that is in it must have a line, and nothing else.
func allLocated(t *testing.T, doc []byte) {
	t.Helper()
	var tree map[string]any
	if _, err := toml.Decode(string(doc), &tree); err != nil {
		return
	}
	want := make(map[string]bool)
	expect(want, "", tree)
	got := locate(doc)
	last := strings.Count(string(doc), "\n") + 1
	for path := range want {
		if line := got[path]; line < 1 || line > last {
			t.Errorf("%s is in line %d of %d", path, line, last)
		}
	}
	for path := range got {
		if !want[path] {
			t.Errorf("%s is not in the document", path)
		}
	}
}

func expect(paths map[string]bool, path string, v any) {
	if path != "" {
		paths[path] = true
	}
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			expect(paths, join(path, key), value)
		}
	case []map[string]any:
		for i := range v {
			expect(paths, element(path, i), v[i])
		}
	case []any:
		for i := range v {
			expect(paths, element(path, i), v[i])
		}
	}
}

// seeds adds the faulty files and the examples to a fuzz corpus.
func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	more, err := filepath.Glob("../examples/*/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(files, more...) {
		doc, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
}

func FuzzLocateAgreesWithTheLibrary(f *testing.F) {
	seeds(f)
	f.Add([]byte("a.b.c = [[1],[2,{x={y=1}}]]\n[a.d]\n[[e.f]]\n[[e.f]]\n[e.f.g]\nh='''\n'''"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !utf8.Valid(doc) {
			return // not TOML; the library replaces what it cannot read in the names that it gives
		}
		allLocated(t, doc)
	})
}

func FuzzParse(f *testing.F) {
	seeds(f)
	const secret = "c4nary-s3cret"
	f.Fuzz(func(t *testing.T, doc []byte) {
		name := "/nowhere/pgrouter.toml"
		cfg, faults := Parse(name, doc, []string{"CANARY=" + secret})
		if (cfg == nil) != Failed(faults) {
			t.Fatalf("config %v, faults %v", cfg, faults)
		}
		last := strings.Count(string(doc), "\n") + 1
		for _, fault := range faults {
			if fault.Line < 0 || fault.Line > last || fault.Problem == "" {
				t.Errorf("line %d of %d: %s", fault.Line, last, fault)
			}
			if strings.Contains(fault.String(), secret) {
				t.Errorf("secret in %s", fault)
			}
		}
		if cfg == nil {
			return
		}
		shown := cfg.Show()
		again, faults := Parse(name, []byte(shown), nil)
		if again == nil {
			t.Fatalf("what Show writes is refused: %v\n%s", faults, shown)
		}
		if diff := cmp.Diff(shown, again.Show()); diff != "" {
			t.Errorf("what Show writes reads otherwise:\n%s", diff)
		}
	})
}
