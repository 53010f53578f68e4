package tidy

import "strings"

// bite is a small repository that breaks a rule in the places that keys name.
type bite struct {
	rule    string
	sources map[string]string
	keys    []string
}

const table = "| `wire` | the contract. Pure | - |\n| `edge` | the driver | all of edge, link |\n| `edge/session` | the machine. Pure | wire |\n| `core` | the other | - |\n"

func bites() []bite {
	return append(shapeBites(), stateBites()...)
}

func shapeBites() []bite {
	lines := func(n int) string { return strings.Repeat("\n", n) }
	return []bite{
		{"package docs", map[string]string{
			"a/a.go": "package a\n", "b/doc.go": "// Package b is.\npackage b\n", "b/b.go": "package b\n",
			"c/c.go": "// Package other is.\npackage c\n", "cmd/m/main.go": "// Command m runs.\npackage main\n",
		}, []string{"a", "c"}},
		{"exported docs", map[string]string{
			"a/a.go": "package a\ntype T struct{}\nfunc (T) M() {}\ntype t int\nfunc (t) M() {}\nfunc F() {}\n// G is.\nfunc G() {}\nconst C = 1\nconst D = 2 // is\nconst (\n// E and F2 are.\nE = 1\nF2 = 2\n\nG2 = 3\n)\nfunc (T) String() string\n",
		}, []string{"a.C", "a.F", "a.G2", "a.M", "a.T"}},
		{"sizes", map[string]string{
			"a/a.go":      "package a\nfunc F() {" + lines(71) + "}\nfunc G() {" + lines(69) + "}\n",
			"a/a_test.go": "package a\nfunc TestF() {" + lines(71) + "}\nfunc TestG() {" + lines(101) + "}\n",
			"a/long.go":   "package a\n" + lines(800),
			"a/s.go":      "package a\ntype S struct{ " + strings.Repeat("a, ", 24) + "z int }\ntype T struct{ " + strings.Repeat("a, ", 23) + "z int }\n",
		}, []string{"a.F", "a.S", "a.TestG", "a/long.go"}},
		{"loose ends", map[string]string{"a/a.go": "package a\n// TO" + "DO: more\n// FIX" + "ME\n// A todo list is fine.\n"}, []string{"a/a.go", "a/a.go"}},
		{"init", map[string]string{"a/a.go": "package a\nfunc init() {}\ntype T int\nfunc (T) init() {}\n"}, []string{"a/a.go"}},
		{"sleeping tests", map[string]string{
			"a/a.go":      "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n",
			"a/a_test.go": "package a\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }\n",
			"a/b_test.go": "package a\nimport (\"time\"; \"testing/synctest\")\nfunc f() { time.Sleep(1); synctest.Wait() }\n",
		}, []string{"a/a_test.go"}},
		{"links", map[string]string{
			"docs/a.md": "# One two: `three`\n[x](b.md) [x](../README.md#top) [x](#one-two-three) [x](https://example.org/) [x](c.md) [x](#one) [x](../README.md#no)\n```\n[x](d.md)\n```\nand `[x](e.md)`\n",
			"docs/b.md": "b", "README.md": "# Top\n",
		}, []string{"docs/a.md #one", "docs/a.md ../README.md#no", "docs/a.md c.md"}},
	}
}

func stateBites() []bite {
	return []bite{
		{"go statements", map[string]string{
			"a/a.go": "package a\nfunc f() { go f() }\n", "b/b.go": "package b\nfunc f() { wg.Go(f) }\n", "c/c_test.go": "package c\nfunc f() { go f() }\n",
		}, []string{"a", "b"}},
		{"clock", map[string]string{
			"a/a.go": "package a\nimport \"time\"\nvar d time.Duration = time.Second\nvar now = time.Now\n",
			"b/b.go": "package b\nimport \"time\"\nvar d = time.Second\n", "c/c.go": "package c\nvar x = time.Now()\n",
			"client/machine.go": "package client\nimport \"time\"\nvar x = time.Since(y)\n",
		}, []string{"a", "client/machine.go"}},
		{"package variables", map[string]string{
			"a/a.go": "package a\nimport (\"errors\"; \"sync\"; \"regexp\")\nvar ErrA = errors.New(\"a\")\nvar table = [...]int{1}\nvar m = map[int]int{}\nvar n int\nvar once sync.Once\nvar re = regexp.MustCompile(`a`)\nvar _ error = x\n//go:embed f\nvar page []byte\nvar list = []T{}\n",
			"a/b.go": "package a\nfunc f() { m[1] = 2; table := 1; table = 2; list[0].x.y++; _ = table }\n",
		}, []string{"a.list", "a.m", "a.n", "a.once"}},
		{"pure packages", map[string]string{
			"ARCHITECTURE.md": table,
			"wire/a.go":       "package wire\nimport (\"net/http\"; \"time\"; \"fmt\"; \"github.com/zeebo/xxh3\"; \"github.com/else/where\")\nvar x = time.Second\n",
			"edge/session/a.go": "package session\nimport (\"time\"; \"os\"; \"github.com/godwit-im/godwit/wire\"; \"github.com/godwit-im/godwit/edge/auth\")\n" +
				"func f() { go f(); time.Now() }\n",
			"edge/a.go": "package edge\nimport \"net\"\nfunc f() { go f() }\n",
		}, []string{"edge/session", "edge/session", "edge/session edge/auth", "edge/session os", "wire github.com/else/where", "wire net/http"}},
		{"import table", map[string]string{
			"ARCHITECTURE.md": table,
			"edge/a.go": "package edge\nimport (\"github.com/godwit-im/godwit/edge/session\"; \"github.com/godwit-im/godwit/internal/link\"; \"github.com/godwit-im/godwit/core\";" +
				" \"github.com/godwit-im/godwit/wire/peer\"; \"github.com/godwit-im/godwit/internal/fault\")\n",
			"edge/session/a.go": "package session\nimport (\"github.com/godwit-im/godwit/wire/peer\"; \"github.com/godwit-im/godwit/edge\")\n",
			"core/a.go":         "package core\nimport (\"github.com/godwit-im/godwit/wire\"; \"github.com/godwit-im/godwit/core/store\"; \"github.com/godwit-im/godwit/wire/peer\")\n",
			"internal/x/x.go":   "package x\nimport (\"github.com/godwit-im/godwit/internal/y\"; \"github.com/godwit-im/godwit/core\")\n",
			"nowhere/x.go":      "package nowhere\n",
		}, []string{"core wire/peer", "edge core", "edge/session edge", "internal/x", "nowhere"}},
		{"forbidden imports", map[string]string{
			"edge/a.go":   "package edge\nimport (\"github.com/cockroachdb/pebble/v2\"; \"github.com/panjf2000/gnet/v2\"; \"github.com/godwit-im/godwit/core/shard\")\n",
			"core/a.go":   "package core\nimport (\"github.com/panjf2000/gnet/v2\"; \"github.com/lni/dragonboat/v4\")\n",
			"client/a.go": "package client\nimport \"github.com/vmihailenco/msgpack/v5\"\n",
		}, []string{"client github.com/vmihailenco/msgpack/v5", "core github.com/panjf2000/gnet/v2", "edge github.com/cockroachdb/pebble/v2", "edge github.com/godwit-im/godwit/core/shard"}},
	}
}
