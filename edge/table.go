package edge

import "github.com/godwit-im/godwit/wire"

// handle names a connection within one loop: the slot it lies in and the
// generation of that slot. A handle outlives its connection harmlessly.
type handle struct {
	slot uint32
	gen  uint32
}

// A SessionID is generation, loop and slot, from the top: any loop finds the
// owner of one without a lookup, and the owner finds the connection in O(1).
const (
	slotBits = 24
	loopBits = 8
)

// sessionID returns the id of the connection h of loop n.
func sessionID(n int, h handle) wire.SessionID {
	return wire.SessionID(uint64(h.gen)<<32 | uint64(n)<<slotBits | uint64(h.slot))
}

// splitID is the inverse of sessionID.
func splitID(id wire.SessionID) (loop int, h handle) {
	return int(id>>slotBits) & (1<<loopBits - 1), handle{slot: uint32(id) & (1<<slotBits - 1), gen: uint32(id >> 32)}
}

// chunkSize is how many connections lie side by side. A chunk is allocated
// when it is first needed and kept: connections do not move. Of this many, the
// allocator rounds nothing away; 128 wasted a tenth.
const chunkSize = 1024

// table holds the connections of one loop. Freed slots are used again, the
// oldest hole last, under a new generation.
type table struct {
	chunks   []*[chunkSize]conn
	free     []uint32
	used     int    // slots that were ever handed out
	live     int    // connections in it
	firstGen uint32 // where a slot's generations start; random per process
}

// add takes a free slot and returns the zeroed connection in it, or nil when
// the table is full.
func (t *table) add() *conn {
	var slot uint32
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
	} else {
		if t.used == 1<<slotBits {
			return nil
		}
		if t.used == len(t.chunks)*chunkSize {
			t.chunks = append(t.chunks, new([chunkSize]conn))
		}
		slot = uint32(t.used)
		t.used++
		t.at(slot).h = handle{slot: slot, gen: t.firstGen}
	}
	c := t.at(slot)
	c.open = true
	t.live++
	return c
}

// remove frees the slot of c and forgets what was in it.
func (t *table) remove(c *conn) {
	h := c.h
	h.gen++
	*c = conn{h: h}
	t.free = append(t.free, h.slot)
	t.live--
}

// get returns the connection h names, or nil when it is gone.
func (t *table) get(h handle) *conn {
	if int(h.slot) >= t.used {
		return nil
	}
	if c := t.at(h.slot); c.open && c.h == h {
		return c
	}
	return nil
}

func (t *table) at(slot uint32) *conn {
	return &t.chunks[slot/chunkSize][slot%chunkSize]
}

// from returns the first live connection in a slot >= slot, or nil.
func (t *table) from(slot uint32) *conn {
	for ; int(slot) < t.used; slot++ {
		if c := t.at(slot); c.open {
			return c
		}
	}
	return nil
}
