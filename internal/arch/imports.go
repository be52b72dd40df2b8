package arch

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// impure are the packages of the standard library, each with all that lies below it, that a pure package does not import. Only
// net/netip, which holds values, is spared.
var impure = []string{
	"net", "os", "syscall", "log", "database", "crypto/rand", "math/rand", "crypto/tls", "io/ioutil",
}

// clock are the functions of package time that read a clock or wait for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// checkImports holds the floors. Tests may use their own floor, all below it, and every annex.
func (c *checker) checkImports(p *sourcePackage, f *sourceFile, where place) {
	for _, spec := range f.Imports {
		target, ours := c.house.inModule(importPath(spec))
		if !ours || target == p.path {
			continue
		}
		there, known := c.house.find(target)
		switch {
		case !known:
			c.report(f, spec.Pos(), RuleUnknownRoom, "import of %s, which is not in the table of floors of internal/arch/floors.go", target)
		case there.annex != nil:
			if !f.test && !there.annex.mayBeUsedBy(p.path) {
				c.report(f, spec.Pos(), RuleAnnex, "%s stands beside the house and is not for %s: only tests and its named users import it", target, p.path)
			}
		case where.annex != nil: // it may use the whole house
		case there.floor > where.floor:
			c.report(f, spec.Pos(), RuleUpward, "%s (floor %d) imports %s (floor %d): imports go down only", p.path, where.floor, target, there.floor)
		case there.floor == where.floor && !f.test:
			c.report(f, spec.Pos(), RuleSideways, "%s imports %s of its own floor %d: pull what both need into a lower package", p.path, target, where.floor)
		}
	}
}

// checkPure holds what the tests of pure packages rely on: the same bytes and the same now give the same answer, always.
func (c *checker) checkPure(f *sourceFile) {
	for _, spec := range f.Imports {
		imported := importPath(spec)
		_, ours := c.house.inModule(imported)
		switch {
		case !ours && isForeign(imported):
			c.report(f, spec.Pos(), RulePure, "pure package imports %s: it stands on the standard library alone", imported)
		case isImpure(imported):
			c.report(f, spec.Pos(), RulePure, "pure package imports %s: take what it would tell as a parameter", imported)
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(f, n.Pos(), RulePure, "pure package starts a goroutine: return what is to be done and let the caller do it")
		case *ast.SelectorExpr:
			if name, ok := f.selects(n, "time"); ok && slices.Contains(clock, name) {
				c.report(f, n.Pos(), RulePure, "pure package uses time.%s: take now as a parameter", name)
			}
		}
		return true
	})
}

// checkSleep reports time.Sleep everywhere but inside the call of synctest.Test, where time is fake and a sleep is exact.
func (c *checker) checkSleep(f *sourceFile) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if bubble, ok := call.Fun.(*ast.SelectorExpr); ok {
				if _, ok := f.selects(bubble, "testing/synctest"); ok {
					return false
				}
			}
		}
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := f.selects(selector, "time"); ok && name == "Sleep" {
				c.report(f, n.Pos(), RuleSleep, "time.Sleep: wait for the condition itself, on a channel or with a deadline")
			}
		}
		return true
	})
}

// selects returns the name that x takes from the package imported under importedPath, if it does.
func (f *sourceFile) selects(x *ast.SelectorExpr, importedPath string) (string, bool) {
	ident, ok := x.X.(*ast.Ident)
	if !ok || ident.Obj != nil || ident.Name != f.nameOf(importedPath) {
		return "", false
	}
	return x.Sel.Name, true
}

// nameOf returns the name under which f knows an imported package, or "".
func (f *sourceFile) nameOf(importedPath string) string {
	for _, spec := range f.Imports {
		switch {
		case importPath(spec) != importedPath:
		case spec.Name != nil:
			return spec.Name.Name
		default:
			return path.Base(importedPath)
		}
	}
	return ""
}

func importPath(spec *ast.ImportSpec) string {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return imported
}

// isForeign tells whether a package outside of this module is of another module: only their first path element has a dot.
func isForeign(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".")
}

func isImpure(imported string) bool {
	if imported == "net/netip" {
		return false
	}
	for _, root := range impure {
		if imported == root || strings.HasPrefix(imported, root+"/") {
			return true
		}
	}
	return false
}
