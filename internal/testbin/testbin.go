// Package testbin is for tests that run the program as a process: it builds the
// binary once and keeps what processes print.
//
// It owns the directory of the binary and removes it when the tests have run.
// Nothing but tests imports it.
package testbin

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Run builds the program, sets *binary to its path and runs the tests. It
// returns what the process should exit with; 1 when the build fails.
func Run(m *testing.M, binary *string) int {
	dir, err := os.MkdirTemp("", "godwit-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "godwit")
	build := exec.Command("go", "build", "-o", *binary, "github.com/godwit-im/godwit/cmd/godwit")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Buffer is a bytes.Buffer that a process writes while a test reads. The zero
// value is empty and ready; it is safe for concurrent use.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
