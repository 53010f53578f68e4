package tidy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// rule is one rule of the repository.
type rule struct {
	name   string
	why    string
	find   func(*repo) []finding
	except map[string]string // key of a finding: reason to let it be
}

var rules = []rule{
	{"package docs", "a reader starts with what a package promises, who owns its data and what it never does", packageDocs, nil},
	{"exported docs", "shapes, units, bounds, errors and ownership of an exported name are not in its signature", exportedDocs, nil},
	{"sizes", "what fits into a head gets read: files of 800 lines, functions of 70 (tests of 100, with their tables), structs of 24 fields", sizes, largeThings},
	{"go statements", "every goroutine has an owner that ends it; they start in drivers, never in machines, codecs or stores of state", goStatements, goroutines},
	{"clock", "what reads the clock cannot be replayed or simulated; time arrives as a value from the drivers", clockReads, clocks},
	{"init", "what a package does by being imported is found by nobody; wire things together in New", inits, nil},
	{"package variables", "shared state without an owner; tables, sentinels and patterns that nobody assigns to are fine", packageVars, variables},
	{"sleeping tests", "a sleep is too short on a busy machine and too long on an idle one: wait for the condition, or use testing/synctest, where time is virtual", sleeps, nil},
	{"loose ends", "what is left for later goes to an issue, where somebody sees it", looseEnds, nil},
	{"links", "a link that leads nowhere costs the trust in the others", links, nil},
	{"pure packages", "pure packages run in the simulator, the fuzzers and the stories: no network, file, clock, random source or goroutine", purity, nil},
	{"import table", "the table in ARCHITECTURE.md is how the parts stay apart; widen it there, with a reason, or do not import", importTable, imports},
	{"forbidden imports", "the parts meet in wire alone", forbidden, nil},
}

// TestRules holds the repository against every rule.
func TestRules(t *testing.T) {
	r := repository(t)
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			used := map[string]bool{}
			var broken strings.Builder
			found := rule.find(r)
			slices.SortFunc(found, func(a, b finding) int { return cmp.Compare(a.where, b.where) })
			for _, f := range found {
				if _, ok := rule.except[f.key]; ok {
					used[f.key] = true
					continue
				}
				fmt.Fprintf(&broken, "\t%s: %s (key %q)\n", f.where, f.what, f.key)
			}
			if broken.Len() > 0 {
				t.Errorf("the rule: %s.\n%s\tAn exception goes into exceptions_test.go under its key, with its reason.", rule.why, broken.String())
			}
			for _, key := range slices.Sorted(maps.Keys(rule.except)) {
				if !used[key] {
					t.Errorf("the exception %q is not needed any more: remove it", key)
				}
				if rule.except[key] == "" {
					t.Errorf("the exception %q has no reason", key)
				}
			}
		})
	}
}

// TestRulesBite shows each rule something that breaks it, once in a way that
// it must find and once in a way that it must not.
func TestRulesBite(t *testing.T) {
	find := map[string]func(*repo) []finding{}
	for _, r := range rules {
		find[r.name] = r.find
	}
	for _, c := range bites() {
		t.Run(c.rule, func(t *testing.T) {
			r, err := parse(c.sources)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range find[c.rule](r) {
				got = append(got, f.key)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.keys) {
				t.Errorf("found %q, want %q", got, c.keys)
			}
		})
	}
	for name := range find {
		if !slices.ContainsFunc(bites(), func(b bite) bool { return b.rule == name }) {
			t.Errorf("nothing shows that the rule %q finds anything", name)
		}
	}
}
