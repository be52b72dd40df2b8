package arch

import (
	"go/ast"
	"path"
	"strings"
)

// checkCharter holds that a package says in doc.go what it is for. A folder of tests alone needs none.
func (c *checker) checkCharter(p *sourcePackage) {
	var first *sourceFile
	for _, f := range p.files {
		if f.test {
			continue
		}
		if first == nil {
			first = f
		}
		if path.Base(f.path) == "doc.go" && f.Doc != nil {
			c.checkOpening(f)
			return
		}
	}
	if first != nil {
		c.report(first, first.Package, RuleDoc, "package %s has no doc.go with a package comment: charter in one sentence, what it owns, "+
			"what it never does, its goroutines, its locks", p.path)
	}
}

func (c *checker) checkOpening(f *sourceFile) {
	opening := "Package " + f.Name.Name + " "
	if f.Name.Name == "main" {
		opening = "Command "
	}
	if !strings.HasPrefix(f.Doc.Text(), opening) {
		c.report(f, f.Doc.Pos(), RuleDoc, "the package comment does not begin with %q", opening)
	}
}

// checkNames holds that each exported function, method, type, constant and variable is documented. A group of constants may share
// the comment of the group, and a comment at the end of the line will do. Nobody imports a main package: it exports nothing.
func (c *checker) checkNames(f *sourceFile) {
	if f.Name.Name == "main" || f.generated {
		return
	}
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Doc == nil && decl.Name.IsExported() && exportedReceiver(decl) {
				c.undocumented(f, decl.Name)
			}
		case *ast.GenDecl:
			c.checkGroup(f, decl)
		}
	}
}

func (c *checker) checkGroup(f *sourceFile, gen *ast.GenDecl) {
	for _, spec := range gen.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if gen.Doc == nil && spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
				c.undocumented(f, spec.Name)
			}
		case *ast.ValueSpec:
			if gen.Doc != nil || spec.Doc != nil || spec.Comment != nil {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					c.undocumented(f, name)
				}
			}
		}
	}
}

func (c *checker) undocumented(f *sourceFile, name *ast.Ident) {
	c.report(f, name.Pos(), RuleDoc, "exported %s says nothing: what does it promise, in which unit, who owns the result, which errors?", name.Name)
}

// exportedReceiver tells whether a function is seen from outside: it has no receiver, or one of an exported type.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	name, _ := receiver(f)
	return ast.IsExported(name)
}

// receiver returns the name of the type that f is a method of, and whether f gets a pointer to it; "" for a function.
func receiver(f *ast.FuncDecl) (name string, pointer bool) {
	if f.Recv == nil {
		return "", false
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t, pointer = x.X, true
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name, pointer
		default:
			return "", pointer
		}
	}
}
