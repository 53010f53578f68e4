package link

import (
	"time"

	"github.com/godwit-im/godwit/wire"
)

// ListenFast is Listen with all times divided by 25: dead after 200 ms.
func ListenFast(cfg Config) (*TCP, error) {
	fast := normal
	for _, d := range []*time.Duration{&fast.beat, &fast.dead, &fast.backoff, &fast.backoffs} {
		*d /= 25
	}
	return listen(cfg, fast)
}

// Hello returns the bytes that node from of a cluster sends to node to.
func Hello(from, to uint32, cluster string) []byte {
	h := hello{from: wire.NodeID(from), to: wire.NodeID(to), boot: 1, cluster: cluster}
	return h.append(nil)
}
