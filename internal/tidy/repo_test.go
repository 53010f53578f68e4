package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/godwit-im/godwit"

// root is the repository, seen from this package's directory.
const root = "../.."

// repo is the parsed repository. It is read-only after load.
type repo struct {
	fset  *token.FileSet
	files []*file           // Go files, ordered by path
	texts map[string]string // Markdown files by path
}

// file is one Go file. Paths are relative to the repository, with slashes.
type file struct {
	path, dir string
	test      bool
	lines     int
	ast       *ast.File
	src       string
}

// notOurs are directories that hold nothing of this repository.
var notOurs = map[string]bool{".git": true, "node_modules": true, "bin": true, "dist": true, "testdata": true,
	"test-results": true, "playwright-report": true, "bench-out": true, "godwit-data": true}

// load parses the repository once.
var load = sync.OnceValues(func() (*repo, error) {
	sources := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && notOurs[d.Name()] {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(p); d.IsDir() || ext != ".go" && ext != ".md" {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		sources[filepath.ToSlash(rel)] = string(src)
		return err
	})
	if err != nil {
		return nil, err
	}
	return parse(sources)
})

// parse makes a repo of sources by path.
func parse(sources map[string]string) (*repo, error) {
	r := &repo{fset: token.NewFileSet(), texts: map[string]string{}}
	for _, p := range slices.Sorted(maps.Keys(sources)) {
		src := sources[p]
		if !strings.HasSuffix(p, ".go") {
			r.texts[p] = src
			continue
		}
		tree, err := parser.ParseFile(r.fset, p, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		r.files = append(r.files, &file{path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"),
			lines: strings.Count(src, "\n"), ast: tree, src: src})
	}
	return r, nil
}

func repository(t *testing.T) *repo {
	t.Helper()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finding is one place that breaks a rule. Key is what an exception names.
type finding struct {
	key, where, what string
}

func (r *repo) at(f *file, n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, r.fset.Position(n.Pos()).Line)
}

// within reports whether dir is tree or below it.
func within(dir, tree string) bool {
	return dir == tree || strings.HasPrefix(dir, tree+"/")
}

// code returns the files that are built into programs.
func (r *repo) code() []*file {
	return slices.DeleteFunc(slices.Clone(r.files), func(f *file) bool { return f.test })
}

// dirs groups files by directory.
func dirs(files []*file) map[string][]*file {
	m := map[string][]*file{}
	for _, f := range files {
		m[f.dir] = append(m[f.dir], f)
	}
	return m
}

// selector reports whether e is pkg.name for one of names, by the file's own
// import of pkg.
func (f *file) selector(e ast.Expr, pkg string, names ...string) (string, bool) {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok || x.Name != f.importName(pkg) {
		return "", false
	}
	return sel.Sel.Name, slices.Contains(names, sel.Sel.Name)
}

// importName returns the name by which f calls the package, "" when it does
// not import it.
func (f *file) importName(pkg string) string {
	for _, i := range f.ast.Imports {
		if importPath(i) != pkg {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(pkg)
	}
	return ""
}

func importPath(i *ast.ImportSpec) string { return strings.Trim(i.Path.Value, "\"`") }
