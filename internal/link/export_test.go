package link

import (
	"time"

	"github.com/godwit-im/godwit/wire"
)

// ListenFast is Listen with a peer dead after a second and all else as quick.
// It still leaves a machine that is busy 800 ms to send a beat.
func ListenFast(cfg Config) (*TCP, error) {
	return listen(cfg, timing{
		beat: 200 * time.Millisecond, dead: time.Second, greet: time.Second,
		backoff: 2 * time.Millisecond, backoffs: 50 * time.Millisecond,
	})
}

// Hello returns the bytes that node from of a cluster sends to node to.
func Hello(from, to wire.NodeID, cluster string) []byte {
	h := hello{from: from, to: to, boot: 1, cluster: cluster}
	return h.append(nil)
}
