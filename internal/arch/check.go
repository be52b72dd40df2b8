package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Rule names what is broken.
type Rule string

// The rules, each with its one sentence.
const (
	RuleUnknownRoom Rule = "unknown-room" // each package has its line in the table of floors
	RuleUpward      Rule = "upward"       // imports go to a lower floor only
	RuleSideways    Rule = "sideways"     // packages of one floor are strangers to each other
	RuleAnnex       Rule = "annex"        // packages beside the house serve tests and their named users only
	RulePure        Rule = "pure"         // a pure package has no socket, file, log, clock, chance, goroutine or foreign module
	RuleInit        Rule = "init"         // no init functions: what runs is called by somebody
	RuleVariable    Rule = "variable"     // a package variable is an error, an embedded file or a table that nobody writes to
	RuleDoc         Rule = "doc"          // each package has its charter in doc.go, each exported name its promise
	RuleLong        Rule = "long"         // functions and files stay readable in one sitting
	RuleParameters  Rule = "parameters"   // whoever needs more parameters has found a missing type
	RuleNest        Rule = "nest"         // no nest of five
	RuleSleep       Rule = "sleep"        // nobody sleeps to synchronise, tests neither; fake time in a synctest bubble is fine
)

// The limits. They cut the tail; most functions are ten lines long.
const (
	maxFunctionLines = 80
	maxFileLines     = 600
	maxParameters    = 5
	maxNest          = 4
)

// Finding is one place where the sources break a rule.
type Finding struct {
	File string // path below the root of the module
	Line int
	Rule Rule
	Text string // what is wrong and what to do, in one sentence
}

// String returns the finding in the form of a compiler's message.
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", f.File, f.Line, f.Text, f.Rule)
}

// Check parses every Go file of the module whose root is fsys and returns what breaks the rules, sorted by place. Folders named
// testdata, folders that begin with a dot or an underscore, and folders with a go.mod of their own are not of the module. The
// error says that a file could not be read or parsed, or that there was nothing to check.
func Check(fsys fs.FS, house House) ([]Finding, error) {
	packages, err := load(fsys)
	if err != nil {
		return nil, err
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("module %s: no Go package found", house.Module)
	}
	c := &checker{house: house}
	for _, p := range packages {
		c.checkPackage(p)
	}
	slices.SortFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text))
	})
	return c.findings, nil
}

// checker collects the findings of one run.
type checker struct {
	house    House
	findings []Finding
}

// sourceFile is one parsed file.
type sourceFile struct {
	*ast.File
	set       *token.FileSet
	path      string // below the root
	test      bool   // name ends in _test.go
	generated bool   // says so itself: its lengths are nobody's fault
}

// sourcePackage is what one folder holds.
type sourcePackage struct {
	path  string // folder below the root, "." for the root itself
	files []*sourceFile
}

func (c *checker) report(f *sourceFile, pos token.Pos, rule Rule, format string, args ...any) {
	c.findings = append(c.findings, Finding{
		File: f.path, Line: f.set.Position(pos).Line, Rule: rule, Text: fmt.Sprintf(format, args...),
	})
}

func (c *checker) checkPackage(p *sourcePackage) {
	where, known := c.house.find(p.path)
	if !known {
		c.report(p.files[0], p.files[0].Package, RuleUnknownRoom,
			"package %s is not in the table of floors: decide where it stands and add its line to internal/arch/floors.go", p.path)
	}
	c.checkCharter(p)
	c.checkVariables(p, where)
	for _, f := range p.files {
		if known {
			c.checkImports(p, f, where)
		}
		if where.room.Pure && !f.test {
			c.checkPure(f)
		}
		c.checkSleep(f)
		if !f.test {
			c.checkShape(f)
			c.checkNames(f)
		}
	}
}

// load parses all packages below the root, in the order of their paths.
func load(fsys fs.FS) ([]*sourcePackage, error) {
	byPath := make(map[string]*sourcePackage)
	set := token.NewFileSet()
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && outsideModule(fsys, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		f, err := parse(fsys, set, name)
		if err != nil {
			return err
		}
		folder := path.Dir(name)
		if byPath[folder] == nil {
			byPath[folder] = &sourcePackage{path: folder}
		}
		byPath[folder].files = append(byPath[folder].files, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	packages := make([]*sourcePackage, 0, len(byPath))
	for _, p := range byPath {
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b *sourcePackage) int { return strings.Compare(a.path, b.path) })
	return packages, nil
}

func outsideModule(fsys fs.FS, folder string) bool {
	if folder == "." {
		return false
	}
	base := path.Base(folder)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(folder, "go.mod"))
	return err == nil
}

func parse(fsys fs.FS, set *token.FileSet, name string) (*sourceFile, error) {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(set, name, source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return &sourceFile{
		File: file, set: set, path: name,
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(file),
	}, nil
}
