package control_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/godwit-im/godwit/shardmap/control"
)

// testdata/serve_v1.tar.gz is the directory of a group from before there were
// fleets: a snapshot of the map at epoch 2, and the log with epoch 3.
func TestReadsDirectoriesFromBeforeFleets(t *testing.T) {
	dir := t.TempDir()
	unpack(t, filepath.Join("testdata", "serve_v1.tar.gz"), dir)
	want := next(next(firstMap(t, 3)))
	for range 2 { // also what this version makes of it
		c := open(t, control.Config{Dir: dir})
		if err := c.Ready(within(t)); err != nil {
			t.Fatal(err)
		}
		if got := c.Watcher().Current(); got == nil || !got.Equal(want) {
			t.Fatalf("an old directory gives %v, want epoch 3", got)
		}
		want = next(want)
		if err := c.Propose(within(t), want); err != nil {
			t.Fatal(err)
		}
		if err := control.Snapshot(c); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
