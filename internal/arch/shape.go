package arch

import (
	"go/ast"
	"go/token"
)

// checkShape holds the limits on length, parameters and nesting, and refuses init functions.
func (c *checker) checkShape(f *sourceFile) {
	if lines := f.set.Position(f.FileEnd).Line; lines > maxFileLines && !f.generated {
		c.report(f, f.Package, RuleLong, "file has %d lines, more than %d: split it by what it is about", lines, maxFileLines)
	}
	for _, decl := range f.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if function.Recv == nil && function.Name.Name == "init" {
			c.report(f, function.Pos(), RuleInit, "init function: let the caller call a function with a name")
		}
		if lines := f.lines(function); lines > maxFunctionLines && !f.generated {
			c.report(f, function.Pos(), RuleLong, "%s has %d lines, more than %d: give its parts names", function.Name.Name, lines, maxFunctionLines)
		}
		if function.Body != nil {
			if deepest, depth := deepestNest(function.Body); depth > maxNest {
				c.report(f, deepest, RuleNest, "%s nests %d deep here, more than %d: return early or give the inside a name",
					function.Name.Name, depth, maxNest)
			}
		}
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if t, ok := n.(*ast.FuncType); ok && t.Params.NumFields() > maxParameters {
			c.report(f, t.Pos(), RuleParameters, "%d parameters, more than %d: which of them belong together in a type?",
				t.Params.NumFields(), maxParameters)
		}
		return true
	})
}

func (f *sourceFile) lines(n ast.Node) int {
	return f.set.Position(n.End()).Line - f.set.Position(n.Pos()).Line + 1
}

// deepestNest returns the deepest control statement of a function and how many of them lie in one another there. An else-if
// chain is one level, and so are a switch or select together with its cases. A function literal starts again at nothing.
func deepestNest(body *ast.BlockStmt) (at token.Pos, depth int) {
	visitor := &nestVisitor{}
	ast.Walk(nestLevel{visitor, 0}, body)
	return visitor.at, visitor.deepest
}

// nestVisitor keeps the deepest place of a walk.
type nestVisitor struct {
	at      token.Pos
	deepest int
}

// nestLevel visits what lies depth control statements deep.
type nestLevel struct {
	*nestVisitor
	depth int
}

// Visit implements ast.Visitor.
func (v nestLevel) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.IfStmt:
		v.walkIf(n)
		return nil
	case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
		return v.deeper(n)
	case *ast.FuncLit:
		return nestLevel{v.nestVisitor, 0}
	}
	return v
}

func (v nestLevel) deeper(n ast.Node) nestLevel {
	inside := nestLevel{v.nestVisitor, v.depth + 1}
	if inside.depth > v.deepest {
		v.deepest, v.at = inside.depth, n.Pos()
	}
	return inside
}

// walkIf walks an if and the else-ifs that follow it as one level.
func (v nestLevel) walkIf(n *ast.IfStmt) {
	inside := v.deeper(n)
	for {
		if n.Init != nil {
			ast.Walk(inside, n.Init)
		}
		ast.Walk(inside, n.Cond)
		ast.Walk(inside, n.Body)
		next, chained := n.Else.(*ast.IfStmt)
		if !chained {
			break
		}
		n = next
	}
	if n.Else != nil {
		ast.Walk(inside, n.Else)
	}
}
