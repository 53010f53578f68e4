package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// The rules about what runs and what is remembered: goroutines, the clock,
// package variables.

func goStatements(r *repo) []finding {
	var found []finding
	for _, f := range r.code() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			what := ""
			switch n := n.(type) {
			case *ast.GoStmt:
				what = "a goroutine starts"
			case *ast.CallExpr:
				// sync.WaitGroup.Go and errgroup.Group.Go are go statements too.
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" {
					what = "a goroutine starts by a method Go"
				}
			}
			if what != "" {
				found = append(found, finding{f.dir, r.at(f, n), what})
			}
			return true
		})
	}
	return found
}

// clockFuncs are what reads the clock or waits for it.
var clockFuncs = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

func clockReads(r *repo) []finding {
	var found []finding
	for _, f := range r.code() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if name, ok := f.selector(e, "time", clockFuncs...); ok {
					found = append(found, finding{f.clockKey(), r.at(f, n), "time." + name})
				}
			}
			return true
		})
	}
	return found
}

// clockKey is the file for the client, whose machine and driver share a
// package, and the directory elsewhere.
func (f *file) clockKey() string {
	if f.dir == "client" {
		return f.path
	}
	return f.dir
}

func packageVars(r *repo) []finding {
	var found []finding
	for dir, files := range dirs(r.code()) {
		assigned := assignedVars(r, files)
		for _, f := range files {
			for _, d := range f.ast.Decls {
				g, ok := isVar(d)
				if !ok {
					continue
				}
				for _, s := range g.Specs {
					spec := s.(*ast.ValueSpec)
					for i, id := range spec.Names {
						what := ""
						switch {
						case assigned[id]:
							what = "is assigned to"
						case id.Name != "_" && !embedded(g, spec) && !constant(f, spec, i):
							what = "is not a table, a sentinel error or a pattern"
						}
						if what != "" {
							found = append(found, finding{dir + "." + id.Name, r.at(f, id), "var " + id.Name + " " + what})
						}
					}
				}
			}
		}
	}
	return found
}

func embedded(g *ast.GenDecl, s *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{g.Doc, s.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// constant reports whether the i-th variable of s has a value that nobody
// changes by using it.
func constant(f *file, s *ast.ValueSpec, i int) bool {
	if i >= len(s.Values) {
		return false
	}
	switch v := s.Values[i].(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		for pkg, fn := range map[string]string{"errors": "New", "fmt": "Errorf", "regexp": "MustCompile", "text/template": "Must", "html/template": "Must"} {
			if _, ok := f.selector(v.Fun, pkg, fn); ok {
				return true
			}
		}
	}
	return false
}

// assignedVars returns the declarations of the package's variables that some
// statement assigns to, as a whole or in part.
func assignedVars(r *repo, files []*file) map[*ast.Ident]bool {
	declared := map[types.Object]*ast.Ident{}
	info := types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Error: func(error) {}, Importer: noImports{}}
	var trees []*ast.File
	for _, f := range files {
		trees = append(trees, f.ast)
	}
	// The error says that imports are missing, which is what we asked for:
	// names inside of the package resolve without them.
	pkg, _ := conf.Check(files[0].dir, r.fset, trees, &info)
	if pkg == nil {
		return nil
	}
	for id, obj := range info.Defs {
		if v, ok := obj.(*types.Var); ok && v.Parent() == pkg.Scope() {
			declared[obj] = id
		}
	}
	assigned := map[*ast.Ident]bool{}
	note := func(targets ...ast.Expr) {
		for _, e := range targets {
			if id := base(e); id != nil {
				if def := declared[info.Uses[id]]; def != nil {
					assigned[def] = true
				}
			}
		}
	}
	for _, tree := range trees {
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					note(n.Lhs...)
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					note(n.Key, n.Value)
				}
			}
			return true
		})
	}
	return assigned
}

// base returns the variable that an assignment to e changes.
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// noImports is an importer that has nothing.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not looked at", path)
}
