package peer

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"pgregory.net/rapid"
)

func genSeq(t *rapid.T, label string) wire.Seq {
	return wire.Seq(rapid.Uint64().Draw(t, label))
}

func genRow(t *rapid.T) Row {
	r := Row{
		Last: genSeq(t, "last"), Read: genSeq(t, "read"), Delivered: genSeq(t, "delivered"),
		Stamp: wire.Cursor(rapid.Uint64().Draw(t, "stamp")), At: wire.Millis(rapid.Uint64().Draw(t, "at")),
		Peer: genBytes(wire.MaxID).Draw(t, "peer"),
	}
	copy(r.Chat[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "chat"))
	return r
}

// TestLists writes lists of each kind, reads them back, and cuts them at every
// length: whole elements before the cut are read, the rest is left over.
func TestLists(t *testing.T) {
	t.Run("bytes", func(t *testing.T) {
		checkList(t, func(t *rapid.T) []byte { return genBytes(200).Draw(t, "element") },
			AppendBytes[[]byte], NextBytes)
	})
	t.Run("sessions", func(t *testing.T) {
		checkList(t, func(t *rapid.T) wire.SessionID { return wire.SessionID(rapid.Uint64().Draw(t, "session")) },
			AppendSession, NextSession)
	})
	t.Run("rows", func(t *testing.T) {
		checkList(t, genRow, func(b []byte, r Row) []byte { return AppendRow(b, &r) }, NextRow)
	})
	t.Run("cursors", func(t *testing.T) {
		checkList(t, func(t *rapid.T) MemberCursor {
			return MemberCursor{User: genBytes(wire.MaxID).Draw(t, "user"), Delivered: genSeq(t, "delivered"), Read: genSeq(t, "read")}
		}, func(b []byte, c MemberCursor) []byte { return AppendCursor(b, &c) }, NextCursor)
	})
}

func checkList[E any](t *testing.T, gen func(*rapid.T) E, add func([]byte, E) []byte, next func([]byte) (E, []byte, bool)) {
	rapid.Check(t, func(t *rapid.T) {
		var want []E
		var list []byte
		var ends []int
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			e := gen(t)
			want, list = append(want, e), add(list, e)
			ends = append(ends, len(list))
		}
		for cut := range len(list) + 1 {
			rest := list[:cut:cut]
			n := 0
			for {
				e, after, ok := next(rest)
				if !ok {
					if !bytes.Equal(after, rest) {
						t.Fatal("a refused element must leave the rest as it was")
					}
					break
				}
				if again := add(nil, e); !bytes.Equal(again, add(nil, want[n])) {
					t.Fatalf("element %d is %+v, want %+v", n, e, want[n])
				}
				rest, n = after, n+1
			}
			whole := 0
			for whole < len(ends) && ends[whole] <= cut {
				whole++
			}
			if n != whole || (len(rest) == 0) != (cut == 0 || whole > 0 && ends[whole-1] == cut) {
				t.Fatalf("cut to %d of %v: %d elements, %d bytes left", cut, ends, n, len(rest))
			}
		}
	})
}

func TestAppendBytesTakesStrings(t *testing.T) {
	if !bytes.Equal(AppendBytes(nil, wire.UserID("alice")), AppendBytes(nil, []byte("alice"))) {
		t.Error("a user id and its bytes are the same element")
	}
}

// TestViewsEndWhereTheyEnd: appending to a decoded slice must not write into
// what follows it in the batch.
func TestViewsEndWhereTheyEnd(t *testing.T) {
	for _, op := range ops() {
		want := filled(op, specs[op].fields)
		raw := Append(nil, &want)
		var it Item
		own, _, _ := Next(raw, &it)
		if cap(own) != len(own) {
			t.Errorf("%s: the item's bytes may be appended to", op)
		}
		for _, f := range specs[op].fields {
			if p := it.view(f); p != nil {
				_ = append(*p, "overwritten"...)
			}
		}
		var again Item
		if Next(raw, &again); !reflect.DeepEqual(again, want) {
			t.Errorf("%s: appending to a view changed the batch", op)
		}
	}
}
