package shard

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// filter knows of most keys that there is no dedupe row for them, which is the
// answer for every message that is not a retry. Without it each append seeks
// through the store's memtables to find nothing, half of what Apply costs.
//
// It is a split block Bloom filter (Putze, Sanders, Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", 2007): one cache line per key, one bit in
// each of its eight words. It is memory only and decides no write. It answers
// once it has seen the whole table: a machine that starts reads a part of it
// with each entry, and asks the store until it is through.
type filter struct {
	blocks []block
	shift  uint8 // of a hash, to the number of a block
	state  state
	next   dedupeID // where the scan of the table goes on
	added  int      // keys in it, repeats and forgotten ones included
	gone   int      // of those, rows that were forgotten since
}

type block [8]uint64

type state uint8

const (
	scanning state = iota // does not know the whole table
	complete
	tooLarge // the table has more rows than the filter may hold
)

// Numbers of the filter. At keysPerBlock (10.7 bits a key) one answer in a
// hundred is a needless read. The smallest filter is 64 KiB; the largest is 16
// MiB and knows 12 million messages of the last 30 days.
const (
	keysPerBlock  = 48
	filterMinBits = 10
	filterMaxBits = 18
	// filterStep is how many rows are read with each entry: some 0.3 ms.
	filterStep = 1024
)

// filterBits returns the size of a filter for that many rows, which may double
// before it is full. The largest must do for up to three quarters of what it
// holds; false when there are more.
func filterBits(rows int) (log2 int, ok bool) {
	log2 = max(filterMinBits, bits.Len(uint(2*rows/keysPerBlock)))
	return min(log2, filterMaxBits), rows <= keysPerBlock<<filterMaxBits/4*3
}

func newFilter() filter { return sizedFilter(filterMinBits) }

func sizedFilter(log2 int) filter {
	return filter{blocks: make([]block, 1<<log2), shift: uint8(64 - log2)}
}

// place returns the block of id and the bits that it sets there.
func (f *filter) place(id *dedupeID) (b *block, h uint64) {
	h = xxh3.Hash(id[:])
	return &f.blocks[(h*0x9e3779b97f4a7c15)>>f.shift], h
}

func (f *filter) add(id *dedupeID) {
	if f.state == tooLarge {
		return
	}
	b, h := f.place(id)
	for i := range b {
		b[i] |= 1 << (h & 63)
		h >>= 6
	}
	f.added++
}

// absent reports that the table has no row for id. False means nothing.
func (f *filter) absent(id *dedupeID) bool {
	if f.state != complete {
		return false
	}
	b, h := f.place(id)
	for i := range b {
		if b[i]&(1<<(h&63)) == 0 {
			return true
		}
		h >>= 6
	}
	return false
}

// buildFilter brings the filter a step further: it reads the next rows of the
// table, or begins another when it is full.
func (m *Machine) buildFilter() error {
	f := &m.seen
	if f.state == tooLarge {
		return nil
	}
	if f.added > len(f.blocks)*keysPerBlock {
		m.growFilter()
	}
	if f.state != scanning {
		return nil
	}
	rows := 0
	m.key = f.next.appendKey(m.key[:0])
	err := m.v.Scan(m.key, []byte{tableDedupe + 1}, false, func(key, _ []byte) bool {
		id := dedupeID(key[1:])
		if rows++; rows > filterStep {
			f.next = id
			return false
		}
		f.add(&id)
		return true
	})
	if err == nil && rows <= filterStep {
		f.state = complete
	}
	return err
}

// growFilter begins a filter with room for twice the rows that the table has
// now that the one there is is full. The scan finds what is committed; what is
// not is in the overlay.
func (m *Machine) growFilter() {
	log2, ok := filterBits(max(m.seen.added-m.seen.gone, 0))
	if !ok {
		m.seen = filter{state: tooLarge}
		return
	}
	m.seen = sizedFilter(log2)
	for id := range m.recent.dedupe {
		m.seen.add(&id)
	}
}
