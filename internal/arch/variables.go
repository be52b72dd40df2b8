package arch

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// maxTypeSteps is how many names of a type are followed; valid code needs two or three.
const maxTypeSteps = 8

// constructors build values that do not change afterwards, so that a variable may be made by them: a table in another form.
var constructors = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "template.Must",
	"netip.MustParseAddr", "netip.MustParsePrefix", "crc32.MakeTable", "time.Unix", "time.Date",
}

// writers are the built-in functions that write to their first argument.
var writers = []string{"append", "clear", "copy", "delete"}

// testFlags declare flags of the test binary; packages beside the house may have some.
var testFlags = []string{"flag.Bool", "flag.String", "flag.Int", "flag.Duration"}

// declarations are the types and the variables that the files of a package declare at the top.
type declarations struct {
	types      map[string]ast.Expr
	changeable map[string]bool // types with a method that could change the value it is called on
	vars       map[string]*ast.ValueSpec
	beside     bool // the package stands beside the house
}

// checkVariables holds the rule for package variables outside of tests. Allowed are: the blank one (an interface assertion), an
// embedded file, an error (its name begins with err), a table (an array, slice, map or plain struct literal, or what one of the
// constructors makes), and in a main package a string that the linker fills. Nobody writes to any of them, and a table is not
// exported, because it could be written to from afar.
func (c *checker) checkVariables(p *sourcePackage, where place) {
	known := declarations{
		types: make(map[string]ast.Expr), changeable: make(map[string]bool), vars: make(map[string]*ast.ValueSpec), beside: where.annex != nil,
	}
	for _, f := range p.files {
		if !f.test {
			known.collect(f)
		}
	}
	for _, f := range p.files {
		if !f.test {
			c.checkDeclared(f, known)
			c.checkWrites(f, known)
		}
	}
}

func (d declarations) collect(f *sourceFile) {
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.GenDecl:
			d.collectGroup(decl)
		case *ast.FuncDecl:
			if name, pointer := receiver(decl); pointer {
				d.changeable[name] = true
			}
		}
	}
}

func (d declarations) collectGroup(gen *ast.GenDecl) {
	for _, spec := range gen.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			d.types[spec.Name.Name] = spec.Type
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if gen.Tok == token.VAR && name.Name != "_" {
					d.vars[name.Name] = spec
				}
			}
		}
	}
}

func (c *checker) checkDeclared(f *sourceFile, known declarations) {
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok && !embedded(gen.Doc) && !embedded(value.Doc) {
				c.checkVariable(f, value, known)
			}
		}
	}
}

func (c *checker) checkVariable(f *sourceFile, spec *ast.ValueSpec, known declarations) {
	for i, name := range spec.Names {
		var initial ast.Expr
		if i < len(spec.Values) {
			initial = spec.Values[i]
		}
		switch {
		case name.Name == "_":
		case strings.HasPrefix(strings.ToLower(name.Name), "err") && initial != nil:
		case f.Name.Name == "main" && isString(initial):
		case !known.isTable(initial):
			c.report(f, name.Pos(), RuleVariable, "package variable %s is neither an error, nor an embedded file, nor a table: "+
				"make it a constant, a field or a parameter", name.Name)
		case name.IsExported():
			c.report(f, name.Pos(), RuleVariable, "table %s is exported, so that others can write to it: export a function that reads it", name.Name)
		}
	}
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func isString(x ast.Expr) bool {
	lit, ok := x.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING
}

// isTable tells whether x is an array, slice, map or plain struct literal, a conversion to a slice, or the call of a constructor.
func (d declarations) isTable(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.CompositeLit:
		return d.isList(x.Type) || d.isPlainStruct(x.Type)
	case *ast.CallExpr:
		if d.isList(x.Fun) { // a conversion
			return true
		}
		selector, ok := x.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := selector.X.(*ast.Ident)
		if !ok {
			return false
		}
		called := pkg.Name + "." + selector.Sel.Name
		return slices.Contains(constructors, called) || d.beside && slices.Contains(testFlags, called)
	}
	return false
}

// isList tells whether a type is an array, slice or map, under its own name or another of its package.
func (d declarations) isList(t ast.Expr) bool {
	for range maxTypeSteps {
		switch x := t.(type) {
		case *ast.ArrayType, *ast.MapType:
			return true
		case *ast.Ident:
			t = d.types[x.Name]
		default:
			return false
		}
	}
	return false
}

// isPlainStruct tells whether a type is a struct of this package that nothing but an assignment can change: no method has a pointer
// receiver, and no field is a lock or an atomic.
func (d declarations) isPlainStruct(t ast.Expr) bool {
	name, ok := t.(*ast.Ident)
	if !ok || d.changeable[name.Name] {
		return false
	}
	body, ok := d.types[name.Name].(*ast.StructType)
	if !ok {
		return false
	}
	return !slices.ContainsFunc(body.Fields.List, func(f *ast.Field) bool {
		selector, ok := f.Type.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := selector.X.(*ast.Ident)
		return ok && (pkg.Name == "sync" || pkg.Name == "atomic")
	})
}

// checkWrites reports assignments to package variables and addresses taken of them.
func (c *checker) checkWrites(f *sourceFile, known declarations) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		for _, x := range writtenBy(n) {
			ident := rootOf(x)
			if ident == nil {
				continue
			}
			spec, ok := known.vars[ident.Name]
			shadowed := ident.Obj != nil && ident.Obj.Decl != spec
			if ok && !shadowed {
				c.report(f, ident.Pos(), RuleVariable, "package variable %s is written to, or its address is handed out", ident.Name)
			}
		}
		return true
	})
}

// writtenBy returns the expressions that a node changes, or lets others change.
func writtenBy(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		name, ok := n.Fun.(*ast.Ident)
		if ok && slices.Contains(writers, name.Name) && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// rootOf returns the variable that an assignable expression is part of, or nil.
func rootOf(x ast.Expr) *ast.Ident {
	for {
		switch y := x.(type) {
		case *ast.Ident:
			return y
		case *ast.IndexExpr:
			x = y.X
		case *ast.SelectorExpr:
			x = y.X
		case *ast.StarExpr:
			x = y.X
		case *ast.ParenExpr:
			x = y.X
		case *ast.SliceExpr:
			x = y.X
		default:
			return nil
		}
	}
}
