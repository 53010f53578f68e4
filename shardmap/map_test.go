package shardmap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/internal/story"
	"github.com/godwit-im/godwit/shardmap"
	"github.com/godwit-im/godwit/wire"
)

var update = flag.Bool("update", false, "rewrite testdata")

// small is a valid draft: two shards, two nodes.
func small() shardmap.Draft {
	return shardmap.Draft{
		Epoch:    3,
		Slots:    shardmap.SpreadSlots(2),
		Replicas: [][]wire.NodeID{{2, 1}, {1}},
		Nodes:    []shardmap.Node{{ID: 2, Zone: "b", LinkAddr: "10.0.0.2:7000"}, {ID: 1, Zone: "a", RaftAddr: "10.0.0.1:7001"}},
	}
}

func mustNew(t testing.TB, d shardmap.Draft) *shardmap.Map {
	t.Helper()
	m, err := shardmap.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLookups(t *testing.T) {
	m := mustNew(t, small())
	if m.Epoch() != 3 || !slices.Equal(m.Shards(), []wire.ShardID{1, 2}) {
		t.Errorf("epoch %d shards %v", m.Epoch(), m.Shards())
	}
	if m.ShardOf(0) != 1 || m.ShardOf(wire.Slots/2-1) != 1 || m.ShardOf(wire.Slots/2) != 2 || m.ShardOf(wire.Slots-1) != 2 {
		t.Error("slots are not two equal runs")
	}
	if !slices.Equal(m.Replicas(1), []wire.NodeID{2, 1}) || m.Replicas(0) != nil || m.Replicas(3) != nil {
		t.Errorf("replicas %v %v %v", m.Replicas(1), m.Replicas(0), m.Replicas(3))
	}
	if !slices.Equal(m.ShardsOn(1), []wire.ShardID{1, 2}) || !slices.Equal(m.ShardsOn(2), []wire.ShardID{1}) || m.ShardsOn(9) != nil {
		t.Errorf("shards on 1: %v, on 2: %v, on 9: %v", m.ShardsOn(1), m.ShardsOn(2), m.ShardsOn(9))
	}
	if n, ok := m.Node(2); !ok || n.Zone != "b" {
		t.Errorf("node 2: %v %v", n, ok)
	}
	if _, ok := m.Node(3); ok {
		t.Error("node 3 exists")
	}
	if n := m.Nodes(); n[0].ID != 1 || n[1].ID != 2 {
		t.Errorf("nodes are not by id: %v", n)
	}
}

func TestMapKeepsItsOwnSlices(t *testing.T) {
	d := small()
	m := mustNew(t, d)
	want := m.Encode()
	d.Slots[0], d.Replicas[0][0], d.Nodes[0].ID = 2, 7, 7
	next := m.Draft()
	next.Slots[0], next.Replicas[0][0], next.Nodes[0].ID = 2, 7, 7
	if !bytes.Equal(m.Encode(), want) {
		t.Fatal("changing a draft changes a map")
	}
}

func TestInvalidDrafts(t *testing.T) {
	for name, tc := range map[string]struct {
		breakIt func(*shardmap.Draft)
		says    string
	}{
		"epoch 0":          {func(d *shardmap.Draft) { d.Epoch = 0 }, "epoch is 0"},
		"no nodes":         {func(d *shardmap.Draft) { d.Nodes = nil }, "0 nodes"},
		"node 0":           {func(d *shardmap.Draft) { d.Nodes[0].ID = 0 }, "id 0"},
		"node twice":       {func(d *shardmap.Draft) { d.Nodes[0].ID = 1 }, "listed twice"},
		"long zone":        {func(d *shardmap.Draft) { d.Nodes[0].Zone = strings.Repeat("z", 65) }, "zone of node 2"},
		"control in addr":  {func(d *shardmap.Draft) { d.Nodes[0].LinkAddr = "a\nb" }, "address of node 2"},
		"not UTF-8":        {func(d *shardmap.Draft) { d.Nodes[0].RaftAddr = "\xff" }, "address of node 2"},
		"no shards":        {func(d *shardmap.Draft) { d.Replicas = nil }, "0 shards"},
		"no replicas":      {func(d *shardmap.Draft) { d.Replicas[1] = nil }, "shard 2 has 0 replicas"},
		"unknown replica":  {func(d *shardmap.Draft) { d.Replicas[1] = []wire.NodeID{5} }, "node 5, which is not listed"},
		"replica twice":    {func(d *shardmap.Draft) { d.Replicas[1] = []wire.NodeID{1, 1} }, "two replicas on node 1"},
		"eight replicas":   {func(d *shardmap.Draft) { d.Replicas[1] = make([]wire.NodeID, 8) }, "8 replicas"},
		"slots missing":    {func(d *shardmap.Draft) { d.Slots = d.Slots[1:] }, "16383 slots"},
		"slot of shard 0":  {func(d *shardmap.Draft) { d.Slots[5] = 0 }, "slot 5 belongs to shard 0"},
		"slot of shard 3":  {func(d *shardmap.Draft) { d.Slots[5] = 3 }, "slot 5 belongs to shard 3"},
		"shard of no slot": {func(d *shardmap.Draft) { d.Slots = shardmap.SpreadSlots(1) }, "shard 2 owns no slot"},
	} {
		t.Run(name, func(t *testing.T) {
			d := small()
			tc.breakIt(&d)
			_, err := shardmap.New(d)
			if !errors.Is(err, shardmap.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

func TestSpreadSlots(t *testing.T) {
	for _, shards := range []int{1, 3, 16, 1000, shardmap.MaxShards} {
		counts := make(map[wire.ShardID]int)
		slots := shardmap.SpreadSlots(shards)
		for _, s := range slots {
			counts[s]++
		}
		if len(counts) != shards || !slices.IsSorted(slots) {
			t.Fatalf("%d shards: %d own slots, sorted %v", shards, len(counts), slices.IsSorted(slots))
		}
		for s, n := range counts {
			if n != wire.Slots/shards && n != wire.Slots/shards+1 {
				t.Errorf("%d shards: shard %d owns %d slots", shards, s, n)
			}
		}
	}
}

// drawMap draws any valid map.
func drawMap(t *rapid.T) *shardmap.Map {
	ids := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 1<<32-1), 1, 9, rapid.ID[uint32]).Draw(t, "ids")
	text := rapid.StringMatching(`[a-zß0-9.:-]{0,20}`)
	d := shardmap.Draft{Epoch: rapid.Uint64Min(1).Draw(t, "epoch")}
	for _, id := range ids {
		d.Nodes = append(d.Nodes, shardmap.Node{ID: wire.NodeID(id), Zone: text.Draw(t, "zone"), LinkAddr: text.Draw(t, "link"), RaftAddr: text.Draw(t, "raft")})
	}
	shards := rapid.IntRange(1, 20).Draw(t, "shards")
	for range shards {
		some := rapid.Permutation(ids).Draw(t, "replicas")[:rapid.IntRange(1, min(len(ids), shardmap.MaxReplicas)).Draw(t, "n")]
		var r []wire.NodeID
		for _, id := range some {
			r = append(r, wire.NodeID(id))
		}
		d.Replicas = append(d.Replicas, r)
		var learners []wire.NodeID
		for _, id := range ids {
			if n := wire.NodeID(id); len(learners) < shardmap.MaxReplicas && !slices.Contains(r, n) && rapid.Bool().Draw(t, "learns") {
				learners = append(learners, n)
			}
		}
		d.Learners = append(d.Learners, learners)
	}
	if rapid.Bool().Draw(t, "moved") {
		for _, r := range d.Replicas {
			f := slices.Sorted(slices.Values(r))
			d.Founders = append(d.Founders, f[:rapid.IntRange(0, len(f)).Draw(t, "founders")])
		}
	}
	d.Slots = shardmap.SpreadSlots(shards)
	even := shardmap.SpreadSlots(shards)
	for range rapid.IntRange(0, 30).Draw(t, "moved") {
		// Never the first slot of a run, so that each shard keeps one.
		if i := rapid.IntRange(1, wire.Slots-1).Draw(t, "slot"); even[i] == even[i-1] {
			d.Slots[i] = wire.ShardID(rapid.IntRange(1, shards).Draw(t, "to"))
		}
	}
	m, err := shardmap.New(d)
	if err != nil {
		t.Fatal("the drawn map is not valid: ", err)
	}
	return m
}

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMap(t)
		b := m.Encode()
		got, err := shardmap.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(m) || !bytes.Equal(got.Encode(), b) || got.String() != m.String() {
			t.Fatalf("%v came back as %v", m, got)
		}
		for i := range b {
			if _, err := shardmap.Decode(b[:i]); err == nil {
				t.Fatalf("decodes when cut at %d of %d", i, len(b))
			}
		}
		i := rapid.IntRange(0, len(b)-1).Draw(t, "flip")
		b[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := shardmap.Decode(b); err == nil {
			t.Fatalf("decodes with a bit of byte %d flipped", i)
		}
	})
}

func TestCodecIsStable(t *testing.T) {
	filling := small()
	filling.Learners = [][]wire.NodeID{nil, {2}}
	moved := small()
	moved.Founders = [][]wire.NodeID{{1, 9}, {}}
	for golden, d := range map[string]shardmap.Draft{
		"testdata/map_v1.bin": small(), "testdata/map_v2.bin": filling, "testdata/map_v3.bin": moved,
	} {
		b := mustNew(t, d).Encode()
		if *update {
			if err := os.WriteFile(golden, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(b, want) {
			t.Errorf("the encoding in %s has changed, data directories hold it: %v\n got %x\nwant %x", golden, err, b, want)
		}
	}
}

// sealed appends the checksum, so that what is tested is behind it.
func sealed(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, xxh3.Hash(b)) }

func TestDecodeHostile(t *testing.T) {
	head := []byte("gwmp\x01\x03")
	huge := binary.AppendUvarint(nil, 1<<62)
	for name, b := range map[string][]byte{
		"empty":          {},
		"other magic":    sealed([]byte("gwmq\x01\x03")),
		"node count":     sealed(append(head[:len(head):len(head)], huge...)),
		"text length":    sealed(append(append(head[:len(head):len(head)], 1, 1), huge...)),
		"only nodes":     sealed(append(head[:len(head):len(head)], 1, 1, 0, 0, 0)),
		"run too long":   sealed(append(head[:len(head):len(head)], 1, 1, 0, 0, 0, 1, 1, 1, 2, 0xff, 0x7f, 1, 0xff, 0x7f, 1)),
		"empty runs":     sealed(append(head[:len(head):len(head)], 1, 1, 0, 0, 0, 1, 1, 1, 2, 0, 1, 0x80, 0x80, 1, 1)),
		"long uvarint":   sealed(append(head[:len(head):len(head)], 0x81, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0x80, 0x80, 1, 1)),
		"bytes too many": sealed(append(head[:len(head):len(head)], 1, 1, 0, 0, 0, 1, 1, 1, 1, 0x80, 0x80, 1, 1, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			n := testing.AllocsPerRun(1, func() { _, err = shardmap.Decode(b) })
			if !errors.Is(err, shardmap.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			if n > 200 {
				t.Errorf("%v allocations for %d bytes", n, len(b))
			}
		})
	}
	if _, err := shardmap.Decode(sealed(append(head[:len(head):len(head)], 1, 1, 0, 0, 0, 1, 1, 1, 1, 0x80, 0x80, 1, 1))); err != nil {
		t.Errorf("the cases above differ from a good map in more than their fault: %v", err)
	}
	newer := mustNew(t, small()).Encode()
	newer[4] = 4
	if _, err := shardmap.Decode(newer); !errors.Is(err, shardmap.ErrVersion) {
		t.Errorf("a newer format: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(mustNew(f, small()).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(b)} {
			m, err := shardmap.Decode(b)
			if err == nil && !bytes.Equal(m.Encode(), b) {
				t.Fatalf("%x is a second encoding of %v", b, m)
			}
		}
	})
}

func TestDiff(t *testing.T) {
	a := mustNew(t, small())
	if c := shardmap.Diff(a, a); !c.Empty() {
		t.Errorf("a map differs from itself: %v", c)
	}
	d := a.Draft()
	d.Nodes = append(d.Nodes[1:], shardmap.Node{ID: 3})
	d.Nodes[0].Zone = "c"
	d.Replicas = [][]wire.NodeID{{3, 2}, {2}}
	d.Slots[0] = 2
	c := shardmap.Diff(a, mustNew(t, d))
	if got, want := c.String(), "nodes +1 -1 ~1, replicas +2 -2, leaders 2, slots 1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(c.Shards) != 2 || c.Shards[0].Leader != 3 || !slices.Equal(c.Shards[0].Lost, []wire.NodeID{1}) {
		t.Errorf("shards %+v", c.Shards)
	}
}

func TestStringIsATable(t *testing.T) {
	story.Golden(t, "testdata/map.txt", mustNew(t, small()).String(), *update)
}

// A map keeps where its groups began when replicas move; a map whose replicas
// never moved is written as it always was.
func TestFoundersOutliveMoves(t *testing.T) {
	m := mustNew(t, small())
	if got := m.Founders(1); !slices.Equal(got, []wire.NodeID{1, 2}) {
		t.Fatalf("the founders of a first map are %v", got)
	}
	if next := mustNew(t, m.Draft()); next.Encode()[4] != 1 {
		t.Errorf("a map without moves is written in format %d", next.Encode()[4])
	}
	d := m.Draft()
	d.Nodes = append(d.Nodes, shardmap.Node{ID: 3})
	d.Replicas[0] = []wire.NodeID{3, 2}
	m = mustNew(t, d)
	d = m.Draft()
	d.Nodes = d.Nodes[1:] // without node 1
	d.Replicas[1] = []wire.NodeID{2}
	m = mustNew(t, d)
	if got := m.Founders(1); !slices.Equal(got, []wire.NodeID{1, 2}) {
		t.Errorf("after two moves the founders are %v", got)
	}
	for _, bad := range [][]wire.NodeID{{2, 1}, {1, 1}, {0}, {1, 2, 3, 4, 5, 6, 7, 8}} {
		d := small()
		d.Founders = [][]wire.NodeID{bad, nil}
		if _, err := shardmap.New(d); err == nil {
			t.Errorf("founders %v are taken", bad)
		}
	}
}
