// Package story compares what tests do with what golden files say they did. A
// story is a text file whose commands a test carries out anew, writing the
// answers behind them; the diff of the file is the review of a change.
//
// The package is for tests only and keeps nothing. It has no flag of its own:
// a test package defines -update and passes it on, so that what rewrites files
// stands where the files are.
package story

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Play plays every file that matches pattern as a subtest: play gets the text
// of one and returns what it should read. With update the file is rewritten,
// without it the first line that differs fails the test. A pattern that
// matches nothing fails, too.
func Play(t *testing.T, pattern string, update bool, play func(t *testing.T, text string) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories match %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			Golden(t, file, play(t, string(text)), update)
		})
	}
}

// Golden compares got with the file, or writes it there with update.
func Golden(t testing.TB, file, got string, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	if diff := difference(got, string(want)); diff != "" {
		t.Fatalf("%s:%s\n(-update rewrites it, if it should be so)", file, diff)
	}
}

// difference names the first line in which got and want differ, "" when none
// does.
func difference(got, want string) string {
	if got == want {
		return ""
	}
	const end = "(end)"
	g, w := append(strings.Split(got, "\n"), end), append(strings.Split(want, "\n"), end)
	i := 0
	for g[i] == w[i] && i < min(len(g), len(w))-1 {
		i++
	}
	return fmt.Sprintf("%d\n got: %s\nwant: %s", i+1, g[i], w[i])
}
