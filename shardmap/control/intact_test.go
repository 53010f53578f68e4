package control_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godwit-im/godwit/shardmap/control"
)

// A log that lost its end, or whose pages hold something else, is an error that
// names the file: no panic, and no member that forgot its map.
func TestDamagedLog(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"shortened":    func(b []byte) []byte { return b[:len(b)/4] },
		"pages zeroed": func(b []byte) []byte { clear(b[8192:]); return b },
		"pages filled": func(b []byte) []byte {
			for i := range b[8192:] {
				b[8192+i] = 0xff
			}
			return b
		},
		"a free page in use": func(b []byte) []byte { b[3*4096+12] ^= 0xff; return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c, err := control.Open(control.Config{Dir: dir, ID: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			log := filepath.Join(dir, "raft.db")
			b, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(log, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err = control.Open(control.Config{Dir: dir, ID: 1})
			if err == nil {
				_ = c.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), log) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%v does not say what is damaged", err)
			}
		})
	}
}
