package peer

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/godwit-im/godwit/wire"
)

func FuzzNext(f *testing.F) {
	var all []byte
	for _, op := range ops() {
		it := filled(op, specs[op].fields)
		f.Add(Append(nil, &it))
		all = Append(all, &it)
	}
	f.Add(all)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 9, 1, 1})
	f.Fuzz(func(t *testing.T, batch []byte) {
		for rest := batch; len(rest) > 0; {
			var it Item
			raw, after, ok := Next(rest, &it)
			if !ok {
				return
			}
			if len(raw)+len(after) != len(rest) || &raw[0] != &rest[0] {
				t.Fatal("raw and rest are the batch in two parts")
			}
			rest = after
			if !it.Op.Known() {
				continue
			}
			var again Item
			if _, left, ok := Next(Append(nil, &it), &again); !ok || len(left) != 0 || !reflect.DeepEqual(normal(again), normal(it)) {
				t.Fatalf("%+v\ncomes back as\n%+v, %t", it, again, ok)
			}
		}
	})
}

// fuzzList reads list to its end; every element must survive being written.
func fuzzList[E any](t *testing.T, list []byte, add func([]byte, E) []byte, next func([]byte) (E, []byte, bool)) {
	for {
		e, rest, ok := next(list)
		if !ok {
			if !bytes.Equal(rest, list) {
				t.Fatal("a refused element must leave the rest as it was")
			}
			return
		}
		if len(rest) >= len(list) {
			t.Fatal("an element takes at least one byte")
		}
		again, left, ok := next(add(nil, e))
		if !ok || len(left) != 0 || !reflect.DeepEqual(again, e) {
			t.Fatalf("%+v comes back as %+v, %t", e, again, ok)
		}
		list = rest
	}
}

func FuzzNextBytes(f *testing.F) {
	f.Add(AppendBytes(AppendBytes(nil, "alice"), ""))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, list []byte) { fuzzList(t, list, AppendBytes[[]byte], NextBytes) })
}

func FuzzNextSession(f *testing.F) {
	f.Add(AppendSession(AppendSession(nil, 1), 1<<63))
	f.Fuzz(func(t *testing.T, list []byte) { fuzzList(t, list, AppendSession, NextSession) })
}

func FuzzNextRow(f *testing.F) {
	r := Row{Chat: wire.DirectChat("alice", "bob"), Last: 300, Read: 200, Delivered: 250, Stamp: 9, At: 1_790_000_000_123, Peer: []byte("bob")}
	f.Add(AppendRow(AppendRow(nil, &r), &Row{}))
	f.Fuzz(func(t *testing.T, list []byte) {
		fuzzList(t, list, func(b []byte, r Row) []byte { return AppendRow(b, &r) }, NextRow)
	})
}

func FuzzNextCursor(f *testing.F) {
	c := MemberCursor{User: []byte("alice"), Delivered: 300, Read: 200}
	f.Add(AppendCursor(AppendCursor(nil, &c), &MemberCursor{}))
	f.Fuzz(func(t *testing.T, list []byte) {
		fuzzList(t, list, func(b []byte, c MemberCursor) []byte { return AppendCursor(b, &c) }, NextCursor)
	})
}
