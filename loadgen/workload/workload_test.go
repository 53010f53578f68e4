package workload_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

func TestNamesAndContentsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := workload.Direct{Run: "r-1", Pairs: 9, Rate: 10, Size: rapid.IntRange(workload.MinSize, 300).Draw(t, "size")}
		id := workload.ID{Pair: rapid.Uint32().Draw(t, "pair"), K: rapid.Uint32().Draw(t, "k")}
		due := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "due"))
		cmid := w.ClientMsgID(id)
		if !wire.ValidID(cmid) {
			t.Fatalf("%q is not a valid client_msg_id", cmid)
		}
		if got, ok := w.ParseClientMsgID([]byte(cmid)); !ok || got != id {
			t.Fatalf("ParseClientMsgID(%q) = %v, %v", cmid, got, ok)
		}
		c := w.AppendContent(nil, id, due)
		if len(c) != w.Size {
			t.Fatalf("content has %d bytes, want %d", len(c), w.Size)
		}
		if got, d, err := w.ParseContent(c); err != nil || got != id || d != due {
			t.Fatalf("ParseContent = %v, %v, %v", got, d, err)
		}
		c[rapid.IntRange(16, len(c)-1).Draw(t, "at")] ^= 0x40
		if _, _, err := w.ParseContent(c); err == nil {
			t.Fatal("a changed byte went unnoticed")
		}
	})
}

func TestDueSpreadsPairsEvenly(t *testing.T) {
	w := workload.Direct{Pairs: 4, Rate: 8}
	for i, want := range []time.Duration{0, 125, 250, 375, 500, 625} {
		id := workload.ID{Pair: uint32(i % 4), K: uint32(i / 4)}
		if got := w.Due(id); got != want*time.Millisecond {
			t.Errorf("Due(%v) = %v, want %v ms", id, got, want)
		}
	}
}
