package link

import "sync/atomic"

// counters is the live form of Stats.
type counters struct {
	sentBatches, sentBytes         atomic.Uint64
	receivedBatches, receivedBytes atomic.Uint64
	dropped                        [Reasons]atomic.Uint64
	connects, refused              atomic.Uint64
}

// drop counts n batches and returns false, for Send to return.
func (c *counters) drop(r Reason, n int) bool {
	c.dropped[r].Add(uint64(n))
	return false
}

func (c *counters) sent(batches, bytes int) {
	c.sentBatches.Add(uint64(batches))
	c.sentBytes.Add(uint64(bytes))
}

func (c *counters) received(bytes int) {
	c.receivedBatches.Add(1)
	c.receivedBytes.Add(uint64(bytes))
}

func (c *counters) stats() Stats {
	s := Stats{
		SentBatches:     c.sentBatches.Load(),
		SentBytes:       c.sentBytes.Load(),
		ReceivedBatches: c.receivedBatches.Load(),
		ReceivedBytes:   c.receivedBytes.Load(),
		Connects:        c.connects.Load(),
		Refused:         c.refused.Load(),
	}
	for r := range s.Dropped {
		s.Dropped[r] = c.dropped[r].Load()
	}
	return s
}
