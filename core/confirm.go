package core

import (
	"errors"
	"time"

	"github.com/lni/dragonboat/v4"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// A read is answered with everything that was acknowledged before it was asked
// for, by whichever leader. A replica that believes it leads may have been cut
// off, and another may lead: so a quorum confirms it first. One question to the
// quorum is under way at a time, and answers all reads that had come when it
// was put. No lease is used instead: dragonboat's followers wait for an
// election timeout before they vote, but a follower that restarts within it
// votes at once.
//
// Changes of a user are read behind every bump that was taken before. A bump
// whose message cannot be pushed is taken at the moment at which its sessions
// are told to sync: the sync that they begin has to find it, for nobody tells
// them again.
//
// A replica that is alone asks once in its life, for the entries of an earlier
// life that are still to be applied. After that nobody else can acknowledge
// anything, and whatever it acknowledges it has applied. This rests on nobody
// joining it while it lives: what adds replicas to a shard must first clear
// whole.

// read hands a read to the readers, at once or behind a read index.
func (n *Node) read(r *replica, from wire.NodeID, it *peer.Item, raw []byte, t *turn) {
	switch {
	case !r.leads.Load():
		if it.Req == 0 {
			n.c.hintsLost.Add(1)
			return
		}
		t.refuse(from, it.Op, it.Req, r.unreadable(), r.leaderNode())
	case it.Op == peer.OpTyping || it.Op != peer.OpChanges && r.whole.Load():
		select {
		case n.jobs <- job{r: r, from: from, raw: append([]byte(nil), raw...)}:
		default:
			n.c.readsFull.Add(1)
			if it.Req != 0 {
				t.refuse(from, it.Op, it.Req, wire.CodeUnavailable, 0)
			}
		}
	default:
		r.ask(from, it, raw, t)
	}
}

// ask has a read wait for the next read index.
func (r *replica) ask(from wire.NodeID, it *peer.Item, raw []byte, t *turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.leads.Load(): // end has been here, or comes
		t.refuse(from, it.Op, it.Req, r.unreadable(), r.leaderNode())
		return
	case len(r.mu.reads) >= readsWaiting:
		r.node.c.readsFull.Add(1)
		t.refuse(from, it.Op, it.Req, wire.CodeUnavailable, 0)
		return
	}
	r.mu.reads = append(r.mu.reads, job{r: r, from: from, raw: append([]byte(nil), raw...)})
	r.mu.behind = r.mu.behind || it.Op == peer.OpChanges
	select {
	case r.asks <- struct{}{}:
	default:
	}
}

// absence says why the replica serves nobody, or OK. One that failed and is not
// alone says that it does not lead, so that the asker goes to the others.
func (r *replica) absence() wire.Code {
	switch failed := r.failed.Load(); {
	case failed && r.single():
		return wire.CodeStorage
	case failed || !r.leads.Load():
		return wire.CodeNotLeader
	}
	return wire.OK
}

// single reports whether the map has no other replica of the shard.
func (r *replica) single() bool { return len(r.node.cfg.Watcher.Current().Replicas(r.id)) == 1 }

// unreadable says why a read is refused.
func (r *replica) unreadable() wire.Code {
	if code := r.absence(); code != wire.OK {
		return code
	}
	return wire.CodeUnavailable
}

// confirmReads is the goroutine that asks the quorum before reads. It is the
// replica's own, because it waits.
func (r *replica) confirmReads() {
	for {
		select {
		case <-r.asks:
			r.confirmRounds()
		case <-r.gone:
			return
		case <-r.node.stop:
			return
		}
	}
}

// confirmRounds hands the reads that wait to the readers, all of them after one
// read index, and again those that came meanwhile. When one of them is to be
// behind what was taken, all are: that is one entry or two.
func (r *replica) confirmRounds() {
	for {
		r.mu.Lock()
		reads, behind, ended := r.mu.reads, r.mu.behind, r.mu.ended
		last := r.lastTaken()
		r.mu.reads, r.mu.behind = nil, false
		r.mu.Unlock()
		if len(reads) == 0 {
			return
		}
		var err error
		if behind {
			r.hurry() // a bump in that entry may linger
			err = r.awaitOver(last)
		}
		if err == nil && !r.whole.Load() {
			err = r.node.readIndex(r, ended)
		}
		if err != nil {
			t := r.node.turn()
			r.refuseReads(reads, t)
			r.node.flush(t)
			continue
		}
		for _, j := range reads {
			select {
			case r.node.jobs <- j: // readers wait for the disk at most
			case <-r.node.stop:
				return
			}
		}
	}
}

// refuseReads answers reads that no quorum has confirmed.
func (r *replica) refuseReads(reads []job, t *turn) {
	var it peer.Item
	for i := range reads {
		if _, _, ok := peer.Next(reads[i].raw, &it); ok {
			r.node.c.readsUnconfirmed.Add(1)
			t.refuse(reads[i].from, it.Op, it.Req, r.unreadable(), r.leaderNode())
		}
	}
}

// A leader that is cut off steps down within two elections, before the question
// gives up: then the asker is told to go elsewhere, not to try again here.
const _ = uint(readIndexTimeout/time.Millisecond - 2*election*rttMillis)

var errNoQuorum = errors.New("core: the shard's replicas do not answer")

// readIndex returns once this node has applied everything that was committed in
// the shard when it was called. It gives up when ended is closed, or after
// readIndexTimeout.
func (n *Node) readIndex(r *replica, ended <-chan struct{}) error {
	timeout := time.NewTimer(readIndexTimeout)
	defer timeout.Stop()
	for {
		rs, err := n.host.ReadIndex(uint64(r.id), readIndexTimeout)
		if err != nil {
			return err
		}
		var res dragonboat.RequestResult
		select {
		case res = <-rs.ResultC():
			rs.Release()
		case <-ended: // dragonboat keeps rs
			return errNoQuorum
		case <-timeout.C:
			return errNoQuorum
		}
		switch {
		case res.Completed():
			if r.solo && !r.whole.Load() {
				r.whole.Store(n.alone(r.id))
			}
			return nil
		case !res.Dropped():
			return errNoQuorum
		}
		select {
		case <-time.After(readIndexAgain):
		case <-ended:
			return errNoQuorum
		case <-n.stop:
			return errNoQuorum
		}
	}
}

// alone reports whether Raft knows of no other replica. The shard map says so
// first; a map that forgot replicas must not make reads stale.
func (n *Node) alone(id wire.ShardID) bool {
	info := n.host.GetNodeHostInfo(dragonboat.NodeHostInfoOption{SkipLogInfo: true})
	for i := range info.ShardInfoList {
		if s := &info.ShardInfoList[i]; s.ShardID == uint64(id) {
			return len(s.Replicas) == 1
		}
	}
	return false
}
