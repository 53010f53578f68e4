package shardmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/wire"
)

// The encoded form, in which a map lies on disk, in control's log and travels
// to followers:
//
//	"gwmp" | version u8 | epoch
//	| nodes n  | n × (id, zone, link address, raft address)   by ascending id
//	| shards n | n × (replicas k, k × node id; from version 2 on learners k, k × node id;
//	              version 3: founders k, k × node id)
//	| runs n   | n × (slots, shard)                           cover all slots
//	| xxh3 u64le of everything before
//
// Numbers are uvarints, texts a uvarint length and the bytes. A map has one
// encoding only: version 3 when some shard's replicas are not its founders, else
// version 2 when it has learners, else version 1. Decode refuses every other.
const (
	magic       = "gwmp"
	codecV1     = 1
	codecV2     = 2
	codecV3     = 3
	checksumLen = 8
	headLen     = len(magic) + 1

	// MaxEncoded bounds an encoded map. A map at all other bounds takes
	// 2.5 MiB of addresses, which no fleet has; the usual is a few KiB.
	MaxEncoded = 4 << 20
)

// Errors of Decode.
var (
	ErrVersion = errors.New("shardmap: the map was written by a newer version of godwit: upgrade this node")
	ErrCorrupt = errors.New("shardmap: the bytes are not an undamaged map")
)

// Encode returns the encoded form of m.
func (m *Map) Encode() []byte {
	version := byte(codecV1)
	switch {
	case m.founders != nil:
		version = codecV3
	case m.learners != nil:
		version = codecV2
	}
	b := append([]byte(magic), version)
	b = binary.AppendUvarint(b, m.epoch)
	b = binary.AppendUvarint(b, uint64(len(m.nodes)))
	for _, n := range m.nodes {
		b = binary.AppendUvarint(b, uint64(n.ID))
		for _, s := range [...]string{n.Zone, n.LinkAddr, n.RaftAddr} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.replicas)))
	for i, r := range m.replicas {
		b = appendIDs(b, r)
		if version >= codecV2 {
			b = appendIDs(b, m.Learners(wire.ShardID(i+1)))
		}
		if version >= codecV3 {
			b = appendIDs(b, m.founders[i])
		}
	}
	b = m.appendRuns(b)
	return binary.LittleEndian.AppendUint64(b, xxh3.Hash(b))
}

func appendIDs(b []byte, ids []wire.NodeID) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

// appendRuns appends the slot table as runs of slots of one shard.
func (m *Map) appendRuns(b []byte) []byte {
	var runs []byte
	n, start := uint64(0), 0
	for i := 1; i <= len(m.slots); i++ {
		if i < len(m.slots) && m.slots[i] == m.slots[start] {
			continue
		}
		runs = binary.AppendUvarint(runs, uint64(i-start))
		runs = binary.AppendUvarint(runs, uint64(m.slots[start]))
		n, start = n+1, i
	}
	return append(binary.AppendUvarint(b, n), runs...)
}

// Decode reads an encoded map. It keeps nothing of b and allocates in
// proportion to what is there, never to what a length says.
func Decode(b []byte) (*Map, error) {
	if len(b) < headLen+checksumLen || len(b) > MaxEncoded || string(b[:len(magic)]) != magic {
		return nil, ErrCorrupt
	}
	version := b[len(magic)]
	switch {
	case version > codecV3:
		return nil, fmt.Errorf("%w (format %d, this one knows %d)", ErrVersion, version, codecV3)
	case version < codecV1:
		return nil, ErrCorrupt
	}
	body := b[:len(b)-checksumLen]
	if xxh3.Hash(body) != binary.LittleEndian.Uint64(b[len(body):]) {
		return nil, fmt.Errorf("%w: checksum differs", ErrCorrupt)
	}
	r := reader{b: body[headLen:]}
	d := r.draft(version)
	if r.bad || len(r.b) != 0 {
		return nil, ErrCorrupt
	}
	m, err := New(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if !slices.Equal(m.Encode(), b) {
		return nil, fmt.Errorf("%w: not the shortest encoding", ErrCorrupt)
	}
	return m, nil
}

// reader takes fields from the front of b; bad is set for good at the first
// that is not there.
type reader struct {
	b   []byte
	bad bool
}

// num reads a number of at most max.
func (r *reader) num(max uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || v > max {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many elements of at least size bytes follow.
func (r *reader) count(max, size int) int {
	return int(r.num(uint64(min(max, len(r.b)/size))))
}

func (r *reader) text(max int) string {
	n := r.count(max, 1)
	if r.bad || n > len(r.b) {
		r.bad = true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// ids reads node ids.
func (r *reader) ids() (ids []wire.NodeID) {
	for range r.count(MaxReplicas, 1) {
		ids = append(ids, wire.NodeID(r.num(math.MaxUint32)))
	}
	return ids
}

func (r *reader) draft(version byte) Draft {
	d := Draft{Epoch: r.num(math.MaxUint64)}
	for range r.count(MaxNodes, 4) {
		d.Nodes = append(d.Nodes, Node{
			ID:   wire.NodeID(r.num(math.MaxUint32)),
			Zone: r.text(MaxZone), LinkAddr: r.text(MaxAddr), RaftAddr: r.text(MaxAddr),
		})
	}
	for range r.count(MaxShards, 2) {
		d.Replicas = append(d.Replicas, r.ids())
		if version >= codecV2 {
			d.Learners = append(d.Learners, r.ids())
		}
		if version >= codecV3 {
			d.Founders = append(d.Founders, r.ids())
		}
	}
	for range r.count(wire.Slots, 2) {
		n, shard := r.num(wire.Slots), wire.ShardID(r.num(MaxShards))
		if r.bad || len(d.Slots)+int(n) > wire.Slots {
			r.bad = true
			break
		}
		for range n {
			d.Slots = append(d.Slots, shard)
		}
	}
	return d
}
