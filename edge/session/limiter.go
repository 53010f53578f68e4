package session

import "github.com/godwit-im/godwit/wire"

// gcra is a rate limiter of eight bytes (the generic cell rate algorithm): the
// time in microseconds at which a bucket that drains at the rate is empty.
type gcra int64

// allow takes one cell at now. When there is no room it takes none and returns
// how long to wait, at least 1 ms. A rate of zero allows everything.
func (g *gcra) allow(now wire.Millis, rate, burst int) (wait wire.Millis) {
	if rate == 0 {
		return 0
	}
	us := int64(now) * 1000
	cell := max(1_000_000/int64(rate), 1)
	full := max(int64(*g), us) + cell
	if over := full - us - cell*int64(burst); over > 0 {
		return wire.Millis((over + 999) / 1000)
	}
	*g = gcra(full)
	return 0
}

// empty reports whether the bucket has run empty: nobody took anything for as
// long as it was full.
func (g gcra) empty(now wire.Millis) bool { return int64(g) <= int64(now)*1000 }
