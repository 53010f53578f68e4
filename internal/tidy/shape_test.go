package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// The rules about how code looks: documents, sizes, words.

func packageDocs(r *repo) []finding {
	var found []finding
	for dir, files := range dirs(r.code()) {
		name := files[0].ast.Name.Name
		start := "Package " + name + " "
		if name == "main" {
			start = "Command "
		}
		documented := false
		for _, f := range files {
			documented = documented || strings.HasPrefix(f.ast.Doc.Text(), start)
		}
		if !documented {
			found = append(found, finding{dir, dir, fmt.Sprintf("no file has a package doc that starts with %q", start)})
		}
	}
	return found
}

func exportedDocs(r *repo) []finding {
	var found []finding
	for _, f := range r.code() {
		if f.ast.Name.Name == "main" {
			continue
		}
		for _, d := range f.ast.Decls {
			for _, id := range undocumented(r, d) {
				found = append(found, finding{f.dir + "." + id.Name, r.at(f, id), id.Name + " is exported and not documented"})
			}
		}
	}
	return found
}

// plainMethods mean what their interfaces say.
var plainMethods = map[string]bool{"Error": true, "Unwrap": true, "String": true}

// undocumented returns the exported names that d declares without a comment.
func undocumented(r *repo, d ast.Decl) (names []*ast.Ident) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		hidden := d.Recv != nil && (!ast.IsExported(receiver(d)) || plainMethods[d.Name.Name])
		if d.Doc == nil && d.Name.IsExported() && !hidden {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		// One comment may be about a name and those in the lines right below.
		covered := 0
		for _, s := range d.Specs {
			doc, ids := specNames(s)
			start, end := r.fset.Position(s.Pos()).Line, r.fset.Position(s.End()).Line
			if d.Doc != nil || doc || covered == start {
				covered = end + 1
				continue
			}
			for _, id := range ids {
				if id.IsExported() {
					names = append(names, id)
				}
			}
		}
	}
	return names
}

// specNames returns what s declares and whether it has a comment of its own.
func specNames(s ast.Spec) (documented bool, names []*ast.Ident) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return s.Doc != nil || s.Comment != nil, []*ast.Ident{s.Name}
	case *ast.ValueSpec:
		return s.Doc != nil || s.Comment != nil, s.Names
	}
	return true, nil
}

// receiver returns the name of the type that d is a method of.
func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

const (
	maxFileLines     = 800
	maxFuncLines     = 70
	maxTestFuncLines = 100
	maxFields        = 24
)

func sizes(r *repo) []finding {
	var found []finding
	for _, f := range r.files {
		if f.lines > maxFileLines {
			found = append(found, finding{f.path, f.path, fmt.Sprintf("%d lines, at most %d", f.lines, maxFileLines)})
		}
		most := maxFuncLines
		if f.test {
			most = maxTestFuncLines
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if lines := r.fset.Position(n.End()).Line - r.fset.Position(n.Pos()).Line + 1; lines > most {
					found = append(found, finding{f.dir + "." + n.Name.Name, r.at(f, n), fmt.Sprintf("%s has %d lines, at most %d", n.Name.Name, lines, most)})
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok && fields(s) > maxFields {
					found = append(found, finding{f.dir + "." + n.Name.Name, r.at(f, n), fmt.Sprintf("%s has %d fields, at most %d", n.Name.Name, fields(s), maxFields)})
				}
			}
			return true
		})
	}
	return found
}

func fields(s *ast.StructType) (n int) {
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names))
	}
	return n
}

// looseEnds looks for marks of unfinished work in comments.
func looseEnds(r *repo) []finding {
	marks := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}
	var found []finding
	for _, f := range r.files {
		for _, g := range f.ast.Comments {
			for _, c := range g.List {
				for _, word := range strings.FieldsFunc(c.Text, func(r rune) bool { return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z') }) {
					for _, m := range marks {
						if word == m {
							found = append(found, finding{f.path, r.at(f, c), "a comment says " + m})
						}
					}
				}
			}
		}
	}
	return found
}

func inits(r *repo) []finding {
	var found []finding
	for _, f := range r.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, finding{f.path, r.at(f, fn), "an init function"})
			}
		}
	}
	return found
}

func sleeps(r *repo) []finding {
	var found []finding
	for _, f := range r.files {
		if !f.test || f.importName("testing/synctest") != "" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok {
				if _, ok := f.selector(e, "time", "Sleep"); ok {
					found = append(found, finding{f.path, r.at(f, n), "time.Sleep in a test outside of testing/synctest"})
				}
			}
			return true
		})
	}
	return found
}

// isVar reports whether d declares variables.
func isVar(d ast.Decl) (*ast.GenDecl, bool) {
	g, ok := d.(*ast.GenDecl)
	return g, ok && g.Tok == token.VAR
}
