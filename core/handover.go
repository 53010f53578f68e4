package core

import (
	"time"
)

// handOver hands the leadership to the preferred replica, or to any when this
// one must go: the map has no place for it, or its disk is full. A node hands
// over one shard at a time, and after a try that failed waits longer and longer,
// because each costs the shard a moment without a leader.
func (r *replica) handOver(g *roster, w *wish) {
	v := &r.gov
	heir, must, ok := g.heir(w, r.node.full.Load())
	switch {
	case !ok, w.now.Before(v.retryAt), !must && w.now.Sub(v.since) < r.node.leadAtLeast():
		return
	case !r.node.handing.CompareAndSwap(false, true):
		return
	}
	defer r.node.handing.Store(false)
	r.mu.Lock()
	ended := r.mu.ended
	r.mu.Unlock()
	if ended == nil {
		return
	}
	r.node.log.Info("core: hands a shard over", "shard", r.id, "to", heir.node(), "must", must)
	err := r.node.host.RequestLeaderTransfer(uint64(r.id), heir.number)
	if err == nil {
		timeout := time.NewTimer(handOverTimeout)
		defer timeout.Stop()
		select {
		case <-ended:
			r.node.c.handedOver.Add(1)
			return
		case <-r.node.stop:
			return
		case <-timeout.C:
		}
	}
	r.node.c.handOversFailed.Add(1)
	v.backoff = min(max(2*v.backoff, handOverAgain), handOverAgainMost)
	v.retryAt = time.Now().Add(v.backoff)
	r.node.log.Debug("core: a shard was not taken over", "shard", r.id, "by", heir.node(), "again_in", v.backoff, "err", err)
}

// leadAtLeast is for how long a leader stays before it makes room for the
// preferred one.
func (n *Node) leadAtLeast() time.Duration {
	if n.cfg.leadAtLeast != 0 {
		return n.cfg.leadAtLeast
	}
	return leadAtLeast
}
