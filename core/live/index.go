package live

import "encoding/binary"

// places is where sessions lie: they stay where they are, and the table grows
// by a piece at a time, never by a copy of all that is there.
type places struct {
	chunks []*[chunkSize]Session
	free   int32 // the first free place, none when there is none
}

// chunkSize is how many sessions lie side by side: 6 KiB, which the allocator
// gives out without waste.
const chunkSize = 128

func (p *places) at(i int32) *Session { return &p.chunks[i/chunkSize][i%chunkSize] }

// take returns a free place, growing the table when there is none.
func (p *places) take() int32 {
	if p.free == none {
		first := int32(len(p.chunks)) * chunkSize
		c := new([chunkSize]Session)
		for i := range c {
			c[i].next = first + int32(i) + 1
		}
		c[chunkSize-1].next = none
		p.chunks = append(p.chunks, c)
		p.free = first
	}
	i := p.free
	p.free = p.at(i).next
	return i
}

// give returns a place whose session has ended.
func (p *places) give(i int32) {
	s := p.at(i)
	*s = Session{gen: s.gen + 1, next: p.free}
	p.free = i
}

// index finds the sessions of a user: a chained hash table whose chains run
// through the sessions themselves. It grows by one bucket at a time (linear
// hashing, Litwin 1980), so that no session waits while a million others are
// hashed again, and half of a doubled table is never paid for. It does not
// shrink: 4 bytes for each session that there ever was at once.
type index struct {
	pieces [][]int32 // first session of each bucket, or none
	n      int32     // buckets
	half   int32     // a power of two, half < n <= 2*half once n > 1: n-half of its buckets are split
}

// pieceSize is how many buckets lie side by side: 4 KiB, which is what the
// first session of a shard costs beside its chunk.
const pieceSize = 1024

func (x *index) bucket(b int32) *int32 { return &x.pieces[b/pieceSize][b%pieceSize] }

// of returns the bucket of a user; n is not 0.
func (x *index) of(k key) int32 {
	h := int64(binary.LittleEndian.Uint64(k[:]) >> 1)
	if b := h & (int64(x.half)*2 - 1); b < int64(x.n) {
		return int32(b)
	}
	return int32(h & (int64(x.half) - 1))
}

// grow adds a bucket and moves to it what belongs there.
func (x *index) grow(p *places) {
	if int(x.n) == len(x.pieces)*pieceSize {
		x.pieces = append(x.pieces, make([]int32, pieceSize))
	}
	*x.bucket(x.n) = none
	x.n++
	if x.n == 1 {
		x.half = 1
		return
	}
	if x.n > 2*x.half {
		x.half *= 2
	}
	from, to := x.bucket(x.n-1-x.half), x.bucket(x.n-1)
	for at := from; *at != none; {
		i := *at
		s := p.at(i)
		if x.of(s.user) != x.n-1 {
			at = &s.next
			continue
		}
		*at, s.next, *to = s.next, *to, i
	}
}
