package arch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// root is the module's root, seen from this package's folder, in which go test runs.
const root = "../.."

func TestTheSourcesKeepTheRulesOfTheHouse(t *testing.T) {
	findings, err := Check(os.DirFS(root), PGRouter())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

func TestEveryAnnexUserStandsInTheTable(t *testing.T) {
	house := PGRouter()
	for _, annex := range house.Annex {
		for _, user := range annex.UsedBy {
			if _, known := house.find(strings.TrimSuffix(user, "/...")); !known {
				t.Errorf("%s is said to be used by %s, which is nowhere in the table", annex.Path, user)
			}
		}
	}
}

func TestNoPackageStandsTwiceInTheTable(t *testing.T) {
	seen := make(map[string]bool)
	house := PGRouter()
	for _, rooms := range house.Floors {
		for _, room := range rooms {
			if seen[room.Path] {
				t.Errorf("%s stands twice in the table", room.Path)
			}
			seen[room.Path] = true
			for _, annex := range house.Annex {
				if matches(annex.Path, room.Path) {
					t.Errorf("%s stands on a floor and beside the house", room.Path)
				}
			}
		}
	}
}

// small is a house of two floors with a pure room and an annex.
func small() House {
	return House{
		Module: "example.org/m",
		Floors: [][]Room{
			0: {{Path: "bytes", Pure: true}, {Path: "loop"}},
			1: {{Path: "serve"}, {Path: "serve/deep"}},
			2: {{Path: "cmd/m"}},
		},
		Annex: []Annex{
			{Path: "internal/cluster", UsedBy: []string{"bench/..."}},
			{Path: "bench/...", UsedBy: []string{"bench/..."}},
		},
	}
}

// tree is a set of files, path to text. Check sees them with a doc.go in each folder that has a file.
type tree map[string]string

func (tr tree) check(t *testing.T) []Finding {
	t.Helper()
	fsys := make(fstest.MapFS)
	for name, text := range tr {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name := range tr {
		folder := name[:strings.LastIndex(name, "/")]
		pkg := folder[strings.LastIndex(folder, "/")+1:]
		doc := fmt.Sprintf("// Package %s does one thing.\npackage %s\n", pkg, pkg)
		if pkg == "m" {
			doc = "// Command m runs.\npackage main\n"
		}
		if _, has := tr[folder+"/doc.go"]; !has && !strings.HasSuffix(name, ".mod") {
			fsys[folder+"/doc.go"] = &fstest.MapFile{Data: []byte(doc)}
		}
	}
	findings, err := Check(fsys, small())
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

// at says in short where a finding is expected.
func at(file string, line int, rule Rule) string { return fmt.Sprintf("%s:%d %s", file, line, rule) }

func places(findings []Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, at(f.File, f.Line, f.Rule))
	}
	slices.Sort(list)
	return list
}

// lines returns n copies of a line.
func lines(n int, line string) string { return strings.Repeat(line+"\n", n) }

func TestEachRuleFiresWhereItIsBrokenAndNowhereElse(t *testing.T) {
	tests := []struct {
		name string
		tree tree
		want []string
	}{
		{
			"an import of a lower floor is fine",
			tree{"serve/a.go": "package serve\nimport _ \"example.org/m/loop\"\n", "loop/a.go": "package loop\n"},
			nil,
		},
		{
			"an import goes up",
			tree{"loop/a.go": "package loop\nimport _ \"example.org/m/serve\"\n", "serve/a.go": "package serve\n"},
			[]string{at("loop/a.go", 2, RuleUpward)},
		},
		{
			"an import goes sideways, also between a package and the one below its folder",
			tree{
				"loop/a.go":       "package loop\n\nimport _ \"example.org/m/bytes\"\n",
				"serve/deep/a.go": "package deep\nimport _ \"example.org/m/serve\"\n",
			},
			[]string{at("loop/a.go", 3, RuleSideways), at("serve/deep/a.go", 2, RuleSideways)},
		},
		{
			"a test may use its own floor but none above",
			tree{"loop/a_test.go": "package loop_test\nimport (\n_ \"example.org/m/bytes\"\n_ \"example.org/m/loop\"\n_ \"example.org/m/serve\"\n)\n"},
			[]string{at("loop/a_test.go", 5, RuleUpward)},
		},
		{
			"a package beside the house is used by a test and its named users only",
			tree{
				"serve/a.go":      "package serve\nimport _ \"example.org/m/internal/cluster\"\n",
				"serve/a_test.go": "package serve\nimport _ \"example.org/m/internal/cluster\"\n",
				"bench/sub/a.go":  "package sub\nimport _ \"example.org/m/internal/cluster\"\n",
				"cmd/m/a.go":      "package main\nimport _ \"example.org/m/bench\"\n",
			},
			[]string{at("serve/a.go", 2, RuleAnnex), at("cmd/m/a.go", 2, RuleAnnex)},
		},
		{
			"a package has no line in the table",
			tree{
				"attic/a.go": "package attic\n",
				"serve/a.go": "package serve\nimport _ \"example.org/m/cellar\"\n",
			},
			[]string{at("attic/a.go", 1, RuleUnknownRoom), at("serve/a.go", 2, RuleUnknownRoom)},
		},
		{
			"a pure package imports sockets, logs, chance or another module",
			tree{
				"bytes/a.go":      "package bytes\nimport (\n_ \"net\"\n_ \"log/slog\"\n_ \"math/rand/v2\"\n_ \"golang.org/x/sys/unix\"\n_ \"net/netip\"\n_ \"strings\"\n)\n",
				"bytes/a_test.go": "package bytes\nimport _ \"net\"\n",
				"loop/a.go":       "package loop\nimport _ \"net\"\n",
			},
			[]string{at("bytes/a.go", 3, RulePure), at("bytes/a.go", 4, RulePure), at("bytes/a.go", 5, RulePure), at("bytes/a.go", 6, RulePure)},
		},
		{
			"a pure package reads the clock, under whatever name, or starts a goroutine",
			tree{
				"bytes/a.go": "package bytes\nimport watch \"time\"\nfunc f() {\n_ = watch.Now()\n_ = watch.Second\ngo f()\n}\n",
				"bytes/b.go": "package bytes\nimport \"time\"\nfunc g(time clock) {\n_ = time.Now()\n}\nconst tick = time.Second\n",
			},
			[]string{at("bytes/a.go", 4, RulePure), at("bytes/a.go", 6, RulePure)},
		},
		{
			"a function is called init",
			tree{"loop/a.go": "package loop\nfunc init() {}\ntype t int\nfunc (t) init() {}\n"},
			[]string{at("loop/a.go", 2, RuleInit)},
		},
		{
			"a package variable can change",
			tree{"loop/a.go": "package loop\nvar counter int\nvar now = time.Now\nvar lock sync.Mutex\nvar registry = struct{ n int }{}\nvar name = \"loop\"\nvar p = &t{}\n"},
			[]string{
				at("loop/a.go", 2, RuleVariable), at("loop/a.go", 3, RuleVariable), at("loop/a.go", 4, RuleVariable),
				at("loop/a.go", 5, RuleVariable), at("loop/a.go", 6, RuleVariable), at("loop/a.go", 7, RuleVariable),
			},
		},
		{
			"errors, tables, embedded files, assertions and the linker's strings are fine",
			tree{
				"loop/a.go": "package loop\n// ErrGone is final.\nvar ErrGone = errors.New(\"gone\")\nvar errHere = &myError{}\n" +
					"var names = [...]string{\"a\"}\nvar byName = map[string]int{}\nvar magic = []byte(\"x\")\nvar word = regexp.MustCompile(`a`)\n" +
					"type table []int\nvar steps = table{1}\ntype window struct{ min, max int }\nfunc (w window) size() int { return w.max }\nvar one = window{1, 1}\nvar _ io.Reader = (*t)(nil)\n//go:embed page.html\nvar page string\n",
				"cmd/m/a.go":     "package main\nvar version = \"dev\"\n",
				"loop/a_test.go": "package loop\nvar update = flag.Bool(\"update\", false, \"\")\n",
				"bench/a.go":     "package bench\nvar update = flag.Bool(\"update\", false, \"\")\n",
				"serve/a.go":     "package serve\nvar update = flag.Bool(\"update\", false, \"\")\nvar longAgo = time.Unix(1, 0)\n",
			},
			[]string{at("serve/a.go", 2, RuleVariable)},
		},
		{
			"a struct has a method that could change it, or a lock",
			tree{"loop/a.go": "package loop\ntype a struct{ n int }\nfunc (x *a) inc() { x.n++ }\nvar one = a{}\ntype b struct{ sync.Mutex }\nvar two = b{}\n"},
			[]string{at("loop/a.go", 4, RuleVariable), at("loop/a.go", 6, RuleVariable)},
		},
		{
			"a table is exported",
			tree{"loop/a.go": "package loop\n// Names are read by all.\nvar Names = []string{}\n"},
			[]string{at("loop/a.go", 3, RuleVariable)},
		},
		{
			"a table is written to, in whatever way, in whatever file; a local variable of the same name is not it",
			tree{
				"loop/a.go": "package loop\nvar names = []string{}\nvar ages = map[string]int{}\nvar errGone = errors.New(\"\")\n",
				"loop/b.go": "package loop\nfunc f() {\nnames = nil\nnames[0] = \"\"\nages[\"a\"]++\ndelete(ages, \"a\")\nerrGone = nil\n_ = &names[0]\n_ = append(names, \"\")\nfor names[0] = range m {\n}\n}\n" +
					"func g(names []string) {\nnames[0] = \"\"\nages := map[string]int{}\nages[\"b\"] = 1\n}\n",
			},
			[]string{
				at("loop/b.go", 3, RuleVariable), at("loop/b.go", 4, RuleVariable), at("loop/b.go", 5, RuleVariable),
				at("loop/b.go", 6, RuleVariable), at("loop/b.go", 7, RuleVariable), at("loop/b.go", 8, RuleVariable),
				at("loop/b.go", 9, RuleVariable), at("loop/b.go", 10, RuleVariable),
			},
		},
		{
			"a package has no charter, or one that does not open as Go expects",
			tree{
				"loop/doc.go":       "package loop\n",
				"serve/doc.go":      "// Serves well.\npackage serve\n",
				"bench/a_test.go":   "package bench\n",
				"bytes/generate.go": "package bytes\n",
			},
			[]string{at("loop/doc.go", 1, RuleDoc), at("serve/doc.go", 1, RuleDoc)},
		},
		{
			"an exported name says nothing",
			tree{
				"loop/a.go": "package loop\ntype T[K any] int\nfunc (t *T[K]) M() {}\nfunc F() {}\nconst C = 1\nconst (\nD = 1\nE = 2 // counts\n)\n" +
					"type hidden int\nfunc (hidden) M() {}\nfunc small() {}\n// Group of two.\nconst (\nG = 1\nH = 2\n)\n",
				"loop/a_test.go": "package loop\nfunc Helper() {}\n",
				"cmd/m/a.go":     "package main\ntype Options struct{}\n",
			},
			[]string{
				at("loop/a.go", 2, RuleDoc), at("loop/a.go", 3, RuleDoc), at("loop/a.go", 4, RuleDoc), at("loop/a.go", 5, RuleDoc),
				at("loop/a.go", 7, RuleDoc),
			},
		},
		{
			"a function has one line too many, its neighbour has not, a test may",
			tree{
				"loop/a.go":      "package loop\nfunc f() {\n" + lines(79, "_ = 1") + "}\nfunc g() {\n" + lines(78, "_ = 1") + "}\n",
				"loop/a_test.go": "package loop\nfunc h() {\n" + lines(300, "_ = 1") + "}\n",
			},
			[]string{at("loop/a.go", 2, RuleLong)},
		},
		{
			"a file has one line too many, unless a generator wrote it",
			tree{
				"loop/a.go": "package loop\n" + lines(600, "//"),
				"loop/b.go": "package loop\n" + lines(599, "//"),
				"loop/c.go": "// Code generated by hand. DO NOT EDIT.\n\npackage loop\n" + lines(700, "//"),
			},
			[]string{at("loop/a.go", 1, RuleLong)},
		},
		{
			"six parameters, in a function, a literal or an interface; the receiver is none",
			tree{"loop/a.go": "package loop\nfunc f(a, b, c int, d, e, f string) {}\nfunc (t t) g(a, b, c, d, e int) {}\nvar _ = func(a, b, c, d, e, f int) {}\ntype i interface{ m(a, b, c, d, e, f int) }\n"},
			[]string{at("loop/a.go", 2, RuleParameters), at("loop/a.go", 4, RuleParameters), at("loop/a.go", 5, RuleParameters)},
		},
		{
			"a nest of five; an else-if chain and the cases of a switch add no level",
			tree{
				"loop/a.go": "package loop\nfunc f() {\nfor {\nif x {\nswitch {\ncase y:\nfor range z {\nif w {\n}\n}\n}\n}\n}\n}\n",
				"loop/b.go": "package loop\nfunc f() {\nif a {\n} else if b {\n} else if c {\n} else if d {\n} else if e {\n} else if f {\n} else {\n}\n}\n",
			},
			[]string{at("loop/a.go", 8, RuleNest)},
		},
		{
			"somebody sleeps, in code or in a test; fake time is fine",
			tree{
				"loop/a.go": "package loop\nimport \"time\"\nfunc f() {\ntime.Sleep(1)\n}\n",
				"loop/a_test.go": "package loop\nimport (\n\"time\"\n\"testing/synctest\"\n)\nfunc f() {\ntime.Sleep(1)\n" +
					"synctest.Test(t, func(t *testing.T) {\ntime.Sleep(1)\n})\n}\n",
			},
			[]string{at("loop/a.go", 4, RuleSleep), at("loop/a_test.go", 7, RuleSleep)},
		},
		{
			"folders of other modules, test data and hidden folders are not looked at",
			tree{
				"tools/go.mod":            "module x\n",
				"tools/a.go":              "package tools\nfunc init() {}\n",
				"loop/testdata/a/a.go":    "package a\nfunc init() {}\n",
				".cache/a.go":             "package a\nfunc init() {}\n",
				"serve/a.go":              "package serve\n",
				"serve/_old/forgotten.go": "package old\nfunc init() {}\n",
			},
			nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			findings := test.tree.check(t)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, places(findings)); diff != "" {
				t.Errorf("findings differ (-want +got):\n%s\n%v", diff, findings)
			}
		})
	}
}

func TestAFileThatDoesNotParseIsAnErrorThatNamesIt(t *testing.T) {
	_, err := Check(fstest.MapFS{"loop/a.go": {Data: []byte("package")}}, small())
	if err == nil || !strings.Contains(err.Error(), "loop/a.go") {
		t.Errorf("got %v, want an error with the file's name", err)
	}
}

func TestAnEmptyTreeIsAnErrorAndNotAClean(t *testing.T) {
	if _, err := Check(fstest.MapFS{}, small()); err == nil {
		t.Error("an empty tree passed")
	}
}

func TestAFindingReadsLikeACompilerMessage(t *testing.T) {
	f := Finding{File: "loop/a.go", Line: 3, Rule: RuleInit, Text: "init function"}
	if got, want := f.String(), "loop/a.go:3: init function (init)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
