package e2e_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Whatever file of the data directory is damaged, the server ends in one line
// with E3020 and exit code 5: no panic, and no server that refuses every write.
func TestDamagedDirectoryEndsInOneLine(t *testing.T) {
	s := newServer(t)
	store := filepath.Join(s.data, "core", "store")
	if code := s.terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	s.start()
	if _, errs, code := s.run("", "send", "--as", "alice", "--to", "bob", "--count", "20", "hello"); code != 0 {
		t.Fatal(errs)
	}
	resp, err := http.Post(s.admin+"/debug/compact", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if code := s.terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.start() // flushes the Raft log to a table
	if code := s.terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for name, damage := range map[string]func(dir string){
		"what names the store's files is removed": func(dir string) { each(t, dir, "core/store/marker.manifest.*", os.Remove) },
		"a table of the Raft log is flipped":      func(dir string) { each(t, dir, "core/raft/*/*/*/*.sst", flip) },
		"the map's log is cut": func(dir string) {
			each(t, dir, "control/raft.db", func(name string) error { return os.Truncate(name, 8192) })
		},
		"the store is older than its snapshot": func(dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "core/store")); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(dir, "core/store"), os.DirFS(old)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(s.data)); err != nil {
				t.Fatal(err)
			}
			damage(dir)
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
			cmd.Env = environment()
			out, err := cmd.CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			last := lines[len(lines)-1]
			if code := exitCode(err); code != 5 || !strings.HasPrefix(last, "godwit: E3020: ") || strings.Contains(string(out), "goroutine ") {
				t.Errorf("exit code %d:\n%s", code, out)
			}
		})
	}
}

// each does something to the files that match a pattern.
func each(t *testing.T, dir, pattern string, do func(name string) error) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	for _, name := range found {
		if err := do(name); err != nil {
			t.Fatal(err)
		}
	}
}

// flip changes every byte of a file.
func flip(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for i := range b {
		b[i] ^= 0xff
	}
	return os.WriteFile(name, b, 0o600)
}
