package tidy

import (
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// row is one row of the table of packages in ARCHITECTURE.md.
type row struct {
	pkg     string // or a tree, when it ended in /...
	pure    bool
	imports []string
}

const architecture = "ARCHITECTURE.md"

var tableRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/.]+)` \\| (.*) \\| (.*) \\|$")

// packageTable reads the rows of ARCHITECTURE.md.
func packageTable(r *repo) []row {
	var rows []row
	for _, m := range tableRow.FindAllStringSubmatch(r.texts[architecture], -1) {
		row := row{pkg: strings.TrimSuffix(m[1], "/..."), pure: strings.HasSuffix(m[2], "Pure")}
		if m[3] != "-" {
			row.imports = strings.Split(strings.ReplaceAll(m[3], "`", ""), ", ")
		}
		rows = append(rows, row)
	}
	return rows
}

// rowOf returns the row of dir: its own, or that of the nearest tree above.
func rowOf(rows []row, dir string) *row {
	for ; dir != "."; dir = path.Dir(dir) {
		for i := range rows {
			if rows[i].pkg == dir {
				return &rows[i]
			}
		}
	}
	return nil
}

// allows reports whether code in dir, which the row is about, may import
// other. Everything may import wire; in a row `wire` stands for wire/peer as
// well; a package may import what is below it.
func (row *row) allows(dir, other string) bool {
	if other == "wire" || within(other, dir) || within(dir, row.pkg) && dir != row.pkg && within(other, row.pkg) {
		return true
	}
	for _, name := range row.imports {
		tree, all := strings.CutPrefix(name, "all of ")
		switch {
		case name == "everything",
			all && (within(other, tree) || other == "wire/peer"),
			name == "wire" && within(other, "wire"),
			other == name, path.Base(other) == name:
			return true
		}
	}
	return false
}

func importTable(r *repo) []finding {
	rows := packageTable(r)
	var found []finding
	for _, f := range r.code() {
		row := rowOf(rows, f.dir)
		if row == nil && !within(f.dir, "internal") {
			found = append(found, finding{f.dir, f.path, "the package has no row in " + architecture})
			continue
		}
		for _, i := range f.ast.Imports {
			other, ours := strings.CutPrefix(importPath(i), module+"/")
			switch {
			case !ours:
			case row != nil && row.allows(f.dir, other):
			case row == nil && (within(other, "internal") || other == "wire"):
				// Leaves without a row know the contract and each other.
			case within(other, "internal/fault"):
				// How errors are numbered, like wire's codes.
			case row == nil:
				found = append(found, finding{f.dir, r.at(f, i), f.dir + " imports " + other + " and has no row"})
			default:
				found = append(found, finding{f.dir + " " + other, r.at(f, i), f.dir + " imports " + other})
			}
		}
	}
	return found
}

// impure are the packages of the standard library that a pure package may not
// import. `time` is there for durations; its functions are the clock rule's.
var impure = []string{"net", "os", "syscall", "math/rand", "crypto/rand", "runtime", "log", "embed"}

func purity(r *repo) []finding {
	rows := packageTable(r)
	var found []finding
	for _, f := range r.code() {
		row := rowOf(rows, f.dir)
		if row == nil || !row.pure || row.pkg != f.dir {
			continue
		}
		for _, i := range f.ast.Imports {
			p := importPath(i)
			first, _, _ := strings.Cut(p, "/")
			other, ours := strings.CutPrefix(p, module+"/")
			to := rowOf(rows, other)
			switch {
			case ours && (to == nil || !to.pure):
				found = append(found, finding{f.dir + " " + other, r.at(f, i), f.dir + " is pure and imports " + other + ", which is not"})
			case !ours && strings.Contains(first, ".") && pureHelpers[p] == "",
				slices.ContainsFunc(impure, func(tree string) bool { return within(p, tree) }):
				found = append(found, finding{f.dir + " " + p, r.at(f, i), f.dir + " is pure and imports " + p})
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt:
				found = append(found, finding{f.dir, r.at(f, n), f.dir + " is pure and starts or waits for a goroutine"})
			case ast.Expr:
				if name, ok := f.selector(n, "time", clockFuncs...); ok {
					found = append(found, finding{f.dir, r.at(f, n), f.dir + " is pure and calls time." + name})
				}
			}
			return true
		})
	}
	return found
}

// apart are trees that must not link others, directly or through anything.
var apart = []struct {
	tree, not, why string
}{
	{"edge", module + "/core", "an edge holds no truth; it speaks wire/peer to whatever core leads"},
	{"core", module + "/edge", "a core knows sessions by number only"},
	{"edge", "github.com/cockroachdb/pebble", "an edge keeps nothing on disk"},
	{"edge", "github.com/lni/dragonboat", "an edge is no replica"},
	{"core", "github.com/panjf2000/gnet", "clients connect to edges"},
	{"client", module + "/wire/peer", "clients speak the client protocol"},
	{"client", module + "/edge", "an app that imports the SDK must not link a server"},
	{"client", module + "/core", "an app that imports the SDK must not link a server"},
	{"client", "github.com/panjf2000/gnet", "an app that imports the SDK must not link a server"},
	{"client", "github.com/prometheus", "an app brings its own metrics"},
	{"wire", "net", "the contract is pure"},
	// loadgen/sim is made of the machines of both sides.
	{"loadgen/swarm", module + "/edge", "the load generator sees what a client sees"},
	{"loadgen/swarm", module + "/core", "the load generator sees what a client sees"},
	{"loadgen/bench", module + "/edge", "the servers that are measured are processes"},
	{"loadgen/bench", module + "/core", "the servers that are measured are processes"},
	{"", "github.com/vmihailenco/msgpack", "five hostile bytes make it allocate 256 MiB; tests use it as a second opinion"},
}

// forbidden looks at what is imported directly; TestLinked does at the rest.
func forbidden(r *repo) []finding {
	var found []finding
	for _, f := range r.code() {
		for _, i := range f.ast.Imports {
			for _, a := range apart {
				if (a.tree == "" || within(f.dir, a.tree)) && within(importPath(i), a.not) {
					found = append(found, finding{f.dir + " " + importPath(i), r.at(f, i), f.dir + " imports " + importPath(i) + ": " + a.why})
				}
			}
		}
	}
	return found
}

// TestLinked asks the go command what each package links.
func TestLinked(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal("the go command is needed: ", err)
	}
	cmd := exec.Command(goTool, "list", "-e", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 {
			imports[words[0]] = words[1:]
		}
	}
	for pkg := range imports {
		dir, ours := strings.CutPrefix(pkg, module+"/")
		if !ours {
			continue
		}
		for _, a := range apart {
			if a.tree != "" && !within(dir, a.tree) {
				continue
			}
			if way := wayTo(imports, pkg, a.not); way != nil {
				t.Errorf("%s links %s: %s\n\tby %s", dir, a.not, a.why, strings.Join(way, " → "))
			}
		}
	}
}

// wayTo returns the shortest chain of imports from pkg to a package within
// tree, nil when there is none.
func wayTo(imports map[string][]string, pkg, tree string) []string {
	from := map[string]string{pkg: ""}
	for queue := []string{pkg}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != pkg && within(at, tree) {
			var way []string
			for ; at != ""; at = from[at] {
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range imports[at] {
			if _, seen := from[next]; !seen {
				from[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func TestWayTo(t *testing.T) {
	imports := map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d/v2", "e"}, "d/v2": {"a"}}
	if way := wayTo(imports, "a", "d"); strings.Join(way, " ") != "a b d" {
		t.Errorf("the way from a to d is %q", way)
	}
	if way := wayTo(imports, "c", "d"); strings.Join(way, " ") != "c d/v2" {
		t.Errorf("the way from c to d is %q", way)
	}
	if way := wayTo(imports, "b", "e"); way != nil {
		t.Errorf("there is no way from b to e, and it found %q", way)
	}
}

// TestTableIsRead: a table that nobody can parse allows nothing and forbids
// nothing.
func TestTableIsRead(t *testing.T) {
	rows := packageTable(repository(t))
	if len(rows) < 10 {
		t.Fatalf("%d rows in the table of %s", len(rows), architecture)
	}
	pure := 0
	for _, r := range rows {
		if r.pure {
			pure++
		}
		if _, err := os.Stat(path.Join(root, r.pkg)); err != nil {
			t.Logf("%s has a row and is not written yet", r.pkg)
		}
	}
	if pure < 6 {
		t.Errorf("%d rows are marked Pure, want wire, wire/peer, shardmap, shardmap/place, edge/session and core/shard: %s", pure, fmt.Sprint(rows))
	}
}
