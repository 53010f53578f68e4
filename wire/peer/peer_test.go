package peer

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/godwit-im/godwit/wire"
	"pgregory.net/rapid"
)

// lastField is the last constant of type field.
const lastField = fLimit

// ops lists the ops that have a row.
func ops() []Op {
	var list []Op
	for op := range specs {
		if specs[op].name != "" {
			list = append(list, Op(op))
		}
	}
	return list
}

func genBytes(most int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		b := rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, "bytes")
		if len(b) == 0 {
			return nil
		}
		return b
	})
}

// genNumber draws a number that fits field f, and prefers the greatest.
func genNumber(f field) *rapid.Generator[uint64] {
	most := greatest(f)
	return rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 127, 128, most}), rapid.Uint64Range(0, most)).
		Filter(func(v uint64) bool { return v <= most })
}

// greatest returns the greatest number that setNum takes for f.
func greatest(f field) uint64 {
	for _, most := range []uint64{1<<64 - 1, 1<<32 - 1, 1<<16 - 1, 1<<8 - 1} {
		var it Item
		if it.setNum(f, most) {
			return most
		}
	}
	return 0
}

// genItem draws an item of any op, as Next returns it: empty bytes are nil.
func genItem() *rapid.Generator[Item] {
	return rapid.Custom(func(t *rapid.T) Item {
		it := Item{Op: rapid.SampledFrom(ops()).Draw(t, "op")}
		for _, f := range specs[it.Op].fields {
			switch p := it.view(f); {
			case f == fChat:
				copy(it.Chat[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "chat"))
			case p != nil:
				*p = genBytes(int(min(bound(f), 300))).Draw(t, "field")
			default:
				it.setNum(f, genNumber(f).Draw(t, "field"))
			}
		}
		return it
	})
}

// normal makes empty slices nil, so that DeepEqual compares content.
func normal(it Item) Item {
	for f := fReq; f <= lastField; f++ {
		if p := it.view(f); p != nil && len(*p) == 0 {
			*p = nil
		}
	}
	return it
}

func TestTable(t *testing.T) {
	names := map[string]bool{}
	used := map[field]bool{}
	for _, op := range ops() {
		s := specs[op]
		if names[s.name] {
			t.Errorf("name %q is taken", s.name)
		}
		names[s.name] = true
		if op.String() != s.name {
			t.Errorf("op %d is called %q", op, op)
		}
		inRow := map[field]bool{}
		for _, f := range s.fields {
			if inRow[f] {
				t.Errorf("%s carries field %d twice", s.name, f)
			}
			inRow[f], used[f] = true, true
		}
		if op.IsWrite() && !inRow[fShard] {
			t.Errorf("%s is a command and names no shard", s.name)
		}
	}
	for f := fReq; f <= lastField; f++ {
		if !used[f] {
			t.Errorf("no op carries field %d", f)
		}
		var it Item
		if v := it.view(f); f != fChat && v == nil {
			if most := greatest(f); most == 0 || it.num(f) != 0 {
				t.Errorf("field %d has no place in an Item", f)
			} else if it.setNum(f, most); it.num(f) != most {
				t.Errorf("field %d stored %d and holds %d", f, most, it.num(f))
			}
		}
	}
	if Op(0).String() != "unknown" || Op(200).String() != "unknown" || Op(0).IsWrite() || OpOpen.IsWrite() {
		t.Error("an op without a row is unknown, and a read is no write")
	}
}

// TestCodesStay pins the codes and the fields of rows: they are in Raft logs.
func TestCodesStay(t *testing.T) {
	for op, want := range map[Op]Item{
		OpAppend: {Op: OpAppend, Req: 1, Shard: 2, Session: 3, User: []byte("u"), Device: []byte("d"), Peer: []byte("p"), ClientMsgID: []byte("m"), Kind: []byte("k"), ReplyTo: 4, Body: []byte("b")},
		OpMark:   {Op: OpMark, Req: 1, Shard: 2, User: []byte("u"), Device: []byte("d"), Delivered: 5, Read: 4},
		OpExpire: {Op: OpExpire, Shard: 300, Limit: 7},
	} {
		got := Append(nil, &want)
		if !bytes.Equal(got, golden[op]) {
			t.Errorf("%s is written\n%#v\nand Raft logs hold\n%#v", op, got, golden[op])
		}
	}
}

var golden = map[Op][]byte{
	OpAppend: append(append([]byte{33, 0, 0, 0, 1, 1, 2}, make([]byte, 16)...), 3, 1, 'u', 1, 'd', 1, 'p', 1, 'm', 1, 'k', 4, 1, 'b'),
	OpMark:   append(append([]byte{25, 0, 0, 0, 3, 1, 2, 1, 'u', 1, 'd'}, make([]byte, 16)...), 5, 4),
	OpExpire: {4, 0, 0, 0, 9, 0xac, 2, 7},
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOfN(genItem(), 1, 5).Draw(t, "items")
		var batch []byte
		var ends []int
		for i := range items {
			batch = Append(batch, &items[i])
			ends = append(ends, len(batch))
		}
		rest, start := batch, 0
		for i := range items {
			var got Item
			raw, after, ok := Next(rest, &got)
			if !ok {
				t.Fatalf("item %d of %d is refused", i, len(items))
			}
			if !reflect.DeepEqual(normal(got), items[i]) {
				t.Fatalf("got  %+v\nwant %+v", got, items[i])
			}
			if !bytes.Equal(raw, batch[start:ends[i]]) {
				t.Fatalf("raw is % x, the item was % x", raw, batch[start:ends[i]])
			}
			rest, start = after, ends[i]
		}
		if len(rest) != 0 {
			t.Fatalf("%d bytes are left", len(rest))
		}
	})
}

// TestTruncated cuts a batch at every length: the item that was cut is refused
// and those before it are not.
func TestTruncated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := genItem().Draw(t, "first"), genItem().Draw(t, "second")
		whole := Append(nil, &first)
		n := len(whole)
		whole = Append(whole, &second)
		for cut := range whole {
			var it Item
			_, rest, ok := Next(whole[:cut:cut], &it)
			if ok != (cut >= n) {
				t.Fatalf("first item of %d bytes cut to %d: %t", n, cut, ok)
			}
			if ok {
				if _, _, ok = Next(rest, &it); ok {
					t.Fatalf("second item cut to %d bytes is accepted", len(rest))
				}
			}
		}
	})
}

// TestOlderVersion reads an item whose writer knew fewer fields, and
// TestNewerVersion one whose writer knew more.
func TestOlderVersion(t *testing.T) {
	for _, op := range ops() {
		full := specs[op].fields
		it := filled(op, full)
		for n := range len(full) + 1 {
			var got Item
			raw := encode(op, &it, full[:n])
			_, rest, ok := Next(raw, &got)
			if want := filled(op, full[:n]); !ok || len(rest) != 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("%s of %d fields: %t, got %+v, want %+v", op, n, ok, got, want)
			}
		}
	}
}

func TestNewerVersion(t *testing.T) {
	for _, op := range ops() {
		it := filled(op, specs[op].fields)
		raw := Append(nil, &it)
		raw = append(raw, 0xff, 0xff, 3, 'n', 'e', 'w')
		binary.LittleEndian.PutUint32(raw, uint32(len(raw)-header))
		raw = append(raw, "next item"...)
		var got Item
		own, rest, ok := Next(raw, &got)
		if !ok || !reflect.DeepEqual(got, it) || string(rest) != "next item" {
			t.Errorf("%s: %t, rest %q, got %+v, want %+v", op, ok, rest, got, it)
		}
		if len(own) != len(raw)-len(rest) {
			t.Errorf("%s: a relay would lose %d bytes of the newer fields", op, len(raw)-len(rest)-len(own))
		}
	}
}

// encode writes the item as a version that knew only fields did.
func encode(op Op, it *Item, fields []field) []byte {
	whole := Append(nil, it)
	var scratch Item
	body := whole[header+1:]
	for _, f := range fields {
		body, _ = scratch.read(body, f)
	}
	cut := whole[:len(whole)-len(body)]
	binary.LittleEndian.PutUint32(cut, uint32(len(cut)-header))
	return cut
}

// filled sets each of fields to something that is not zero.
func filled(op Op, fields []field) Item {
	it := Item{Op: op}
	for _, f := range fields {
		if f == fChat {
			it.Chat = wire.DirectChat("alice", "bob")
		} else if p := it.view(f); p != nil {
			*p = []byte{byte(f), 0, 1}
		} else {
			it.setNum(f, 200)
		}
	}
	return it
}

func TestRefused(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 65)
	for name, b := range map[string][]byte{
		"empty":                {},
		"no op":                {0, 0, 0, 0},
		"length 0":             {0, 0, 0, 0, 9},
		"longer than it is":    {5, 0, 0, 0, 9, 1, 1},
		"bomb":                 {0xff, 0xff, 0xff, 0xff, 9, 1, 1},
		"op 0":                 {3, 0, 0, 0, 0, 1, 1},
		"number cut":           {2, 0, 0, 0, 9, 0x80},
		"number over 64 bits":  {12, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"shard over 32 bits":   {6, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0x1f},
		"user of 65 bytes":     Append(nil, &Item{Op: OpClose, User: long}),
		"bytes past the item":  {6, 0, 0, 0, byte(OpResync), 200, 1, 'a', 'b', 'c'},
		"chat cut":             {5, 0, 0, 0, byte(OpDeliver), 1, 2, 3, 4},
		"item over the bound":  Append(nil, &Item{Op: OpHint, Body: make([]byte, MaxItem)}),
		"bytes of 2^63 length": {12, 0, 0, 0, byte(OpResync), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 1},
	} {
		var it Item
		if raw, rest, ok := Next(b, &it); ok || raw != nil || rest != nil {
			t.Errorf("%s is accepted as %+v", name, it)
		}
	}
}

// An op of a later version is stepped over, and its asker can be told; what is
// behind it in the batch is not lost.
func TestLaterOps(t *testing.T) {
	next := Append(nil, &Item{Op: OpExpire, Shard: 1, Limit: 2})
	for op, want := range map[Op]uint64{10: 0, 63: 0, 100: 300, 127: 300, 200: 0, 255: 0} {
		for _, body := range [][]byte{{0xac, 2, 9, 9, 9}, {}, {0x80}} {
			b := append([]byte{byte(1 + len(body)), 0, 0, 0, byte(op)}, body...)
			var it Item
			raw, rest, ok := Next(append(b, next...), &it)
			if len(body) < 2 {
				want = 0
			}
			if !ok || !bytes.Equal(raw, b) || !bytes.Equal(rest, next) || it.Op != op || it.Op.Known() || it.Req != want {
				t.Errorf("op %d with % x: %t, % x left, %+v; want req %d", op, body, ok, rest, it, want)
			}
		}
	}
	for _, op := range ops() {
		if op.Asks() && specs[op].fields[0] != fReq {
			t.Errorf("%s asks, and an older version cannot read whom to answer", op)
		}
	}
}

func TestAppendPanics(t *testing.T) {
	for _, op := range []Op{0, 10, 44, 255} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("op %d has no row: writing it is a bug of the caller and must panic", op)
				}
			}()
			Append(nil, &Item{Op: op})
		}()
	}
}

func TestNoAllocations(t *testing.T) {
	for _, op := range ops() {
		it := filled(op, specs[op].fields)
		b := Append(nil, &it)
		buf := make([]byte, 0, 2*len(b))
		if n := testing.AllocsPerRun(100, func() { buf = Append(buf[:0], &it) }); n != 0 {
			t.Errorf("Append of %s allocates %v times", op, n)
		}
		var got Item
		if n := testing.AllocsPerRun(100, func() {
			if _, _, ok := Next(b, &got); !ok {
				t.Fatal("refused")
			}
		}); n != 0 {
			t.Errorf("Next of %s allocates %v times", op, n)
		}
	}
}

func BenchmarkAppendNext(b *testing.B) {
	for _, op := range []Op{OpAppend, OpBump, OpReceipt, OpReply, OpDeliver} {
		b.Run(op.String(), func(b *testing.B) {
			it := filled(op, specs[op].fields)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = Append(buf[:0], &it)
				if _, _, ok := Next(buf, &it); !ok {
					b.Fatal("refused")
				}
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}
