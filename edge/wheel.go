package edge

// wheel is the coarse timer of one loop: a ring of seconds, each with the
// handles of the connections to look at then. It holds no pointers, so a
// million entries cost the collector nothing. An entry is a hint: whoever is
// called checks the real deadline and adds the handle again when it is later.
// That makes activity free: it moves a deadline and leaves the wheel alone.
type wheel struct {
	buckets [wheelSize][]handle
	now     uint32 // the second that was handled last
	spare   []handle
}

// wheelSize is how many seconds the ring spans; longer waits come around.
const wheelSize = 128

// add asks for h to be looked at in second at, or in the next one when at has
// passed.
func (w *wheel) add(h handle, at uint32) {
	at = min(max(at, w.now+1), w.now+wheelSize-1)
	b := &w.buckets[at%wheelSize]
	*b = append(*b, h)
}

// advance calls look for every handle whose second has come, up to now. look
// returns the second in which it wants to be called for the handle again, or
// 0 for never.
func (w *wheel) advance(now uint32, look func(handle) uint32) {
	if now-w.now > wheelSize {
		w.now = now - wheelSize // a stalled process: every bucket once is enough
	}
	for w.now != now {
		w.now++
		b := &w.buckets[w.now%wheelSize]
		due := *b
		*b = w.spare[:0] // look may add to any bucket, also to this one
		for _, h := range due {
			if at := look(h); at != 0 {
				w.add(h, at)
			}
		}
		w.spare = due
	}
}
