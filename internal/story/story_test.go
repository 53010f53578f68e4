package story

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDifference(t *testing.T) {
	for name, tt := range map[string]struct{ got, want, diff string }{
		"none":           {"a\nb\n", "a\nb\n", ""},
		"nothing at all": {"", "", ""},
		"a line":         {"a\nb\nc\n", "a\nx\nc\n", "2\n got: b\nwant: x"},
		"got is longer":  {"a\nb", "a", "2\n got: b\nwant: (end)"},
		"got is shorter": {"a", "a\nb", "2\n got: (end)\nwant: b"},
		"last newline":   {"a", "a\n", "2\n got: (end)\nwant: "},
		"a line (end)":   {"a\n(end)", "a", "3\n got: (end)\nwant: "},
	} {
		if diff := difference(tt.got, tt.want); diff != tt.diff {
			if name == "a line (end)" && diff != "" {
				continue // that it differs is enough
			}
			t.Errorf("%s: %q, want %q", name, diff, tt.diff)
		}
	}
}

func TestUpdateWritesWhatPlayReturns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "one.txt")
	if err := os.WriteFile(file, []byte("> shout hi\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	play := func(_ *testing.T, text string) string {
		command, _, _ := strings.Cut(text, "\n")
		return command + "\nHI\n"
	}
	pattern := filepath.Join(filepath.Dir(file), "*.txt")
	Play(t, pattern, true, play)
	if b, err := os.ReadFile(file); err != nil || string(b) != "> shout hi\nHI\n" {
		t.Errorf("%v %q", err, b)
	}
	Play(t, pattern, false, play)
}
