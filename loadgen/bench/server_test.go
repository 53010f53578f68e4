package bench

import (
	"errors"
	"strings"
	"testing"
)

// A server that prints without an end costs tailMax, and its last words stay.
func TestTail(t *testing.T) {
	var log tail
	line := strings.Repeat("x", 999) + "\n"
	for range 1000 {
		if n, err := log.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
		if len(log.b) > 2*tailMax {
			t.Fatalf("%d bytes are kept", len(log.b))
		}
	}
	log.Write([]byte("the disk is full"))
	if got := log.String(); len(got) != tailMax || !strings.HasSuffix(got, "x\nthe disk is full") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-20:])
	}
	log.Write([]byte(strings.Repeat("y", 5*tailMax)))
	if got := log.String(); got != strings.Repeat("y", tailMax) {
		t.Errorf("%d bytes after one long write", len(got))
	}
}

// Progress may be left out.
func TestNoProgress(t *testing.T) {
	if _, err := Run(t.Context(), Options{Dir: t.TempDir(), Only: "none"}); !errors.Is(err, ErrNoRow) {
		t.Error(err)
	}
	if rep, err := Run(t.Context(), Options{Dir: t.TempDir(), Only: "machine", Short: true}); err != nil || len(rep.Rows) != 1 {
		t.Error(rep, err)
	}
}
