package serve_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/internal/fault"
)

// A directory that somebody else uses is left as it is.
func TestForeignDirectoryIsLeftAlone(t *testing.T) {
	for name, files := range map[string][]string{
		"photos":          {"cat.jpg"},
		"only hidden":     {".bashrc"},
		"a source tree":   {"VERSION", "Makefile"}, // whose VERSION is no number of a format
		"names like ours": {"core/keep", "VERSION", "README"},
	} {
		dir := t.TempDir()
		for _, f := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f), []byte("1.4.2\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := os.ReadDir(dir)
		refused(t, settings(dir), fault.DataForeign)
		if after, _ := os.ReadDir(dir); len(after) != len(before) {
			t.Errorf("%s: the refused directory was written to: %v", name, after)
		}
	}
}

// What a crash at the first start leaves, and a new file system, are no
// strangers.
func TestDirectoryThatMayBeOurs(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"LOCK", "VERSION.new"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, settings(dir))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, settings(dir)) // it is ours, whatever lies beside
}
