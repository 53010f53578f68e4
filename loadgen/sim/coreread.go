package sim

import (
	"slices"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// readQueue is the sessions that wait to be opened and the reads that wait for
// a quorum.
type readQueue struct {
	opens      []open
	reads      []readJob
	opening    bool
	confirming bool
}

type readJob struct {
	from wire.NodeID
	raw  []byte
}

type open struct {
	from      wire.NodeID
	req       uint64
	session   wire.SessionID
	led       uint64
	user      []byte
	device    []byte
	after     wire.Cursor
	hasCursor bool
}

// readIndex calls done once this replica has applied everything that was
// committed when it was called, or with false when that cannot be known.
func (r *replica) readIndex(done func(ok bool)) {
	ends, over := r.ends, false
	end := func(ok bool) {
		if !over {
			over = true
			done(ok && r.ends == ends)
		}
	}
	r.c.p.after(readIndexTimeout, func() { end(false) })
	var try func()
	try = func() {
		switch {
		case over:
		case r.ends != ends:
			end(false)
		case !r.raft.readIndex(func(ok bool, index uint64) {
			if !ok {
				end(false)
				return
			}
			if r.sm.index >= index {
				r.c.p.after(0, func() { end(true) })
				return
			}
			r.sm.waits = append(r.sm.waits, appliedWait{index, func() { end(true) }})
		}):
			r.c.p.after(readIndexAgain, try)
		}
	}
	try()
}

// read has a read wait for the next read index.
func (r *replica) read(from wire.NodeID, it *peer.Item, raw []byte, t *turn) {
	if !r.leads && r.c.w.plant != staleReads {
		t.refuse(from, it.Op, it.Req, r.unreadable(), r.leader)
		return
	}
	job := readJob{from, slices.Clone(raw)}
	if r.c.w.plant == staleReads {
		r.c.p.after(r.c.w.e.between(20*us, 200*us), func() { r.answer(job) })
		return
	}
	r.reading.reads = append(r.reading.reads, job)
	if !r.reading.confirming {
		r.reading.confirming = true
		r.c.p.after(5*us, r.confirmRound)
	}
}

// confirmRound answers the reads that wait, all of them after one read index,
// and again those that came meanwhile.
func (r *replica) confirmRound() {
	reads := r.reading.reads
	r.reading.reads = nil
	if len(reads) == 0 {
		r.reading.confirming = false
		return
	}
	finish := func(ok bool) {
		if !ok {
			t := r.c.turn()
			r.refuseReads(reads, t)
			t.flush()
		} else {
			for _, j := range reads {
				r.c.p.after(r.c.w.e.between(20*us, 200*us), func() { r.answer(j) })
			}
		}
		r.confirmRound()
	}
	if !slices.ContainsFunc(reads, readJob.ofChanges) || r.c.w.plant == resyncEarly {
		r.readIndex(finish)
		return
	}
	// A session that was told to sync because of a bump has to read behind it.
	last := r.lastTaken()
	r.hurry()
	r.awaitOver(last, func(ok bool) {
		if !ok {
			finish(false)
			return
		}
		r.readIndex(finish)
	})
}

// ofChanges reports whether a read asks for a user's changes.
func (j readJob) ofChanges() bool {
	var it peer.Item
	_, _, ok := peer.Next(j.raw, &it)
	return ok && it.Op == peer.OpChanges
}

func (r *replica) refuseReads(reads []readJob, t *turn) {
	var it peer.Item
	for i := range reads {
		if _, _, ok := peer.Next(reads[i].raw, &it); ok {
			t.refuse(reads[i].from, it.Op, it.Req, r.unreadable(), r.leader)
		}
	}
}

// answer answers one read from the store, after what was applied is in it.
func (r *replica) answer(j readJob) {
	var it peer.Item
	if _, _, ok := peer.Next(j.raw, &it); !ok {
		return
	}
	r.sm.settle()
	v := r.sm.store.rows
	reply := peer.Item{Op: answerTo(it.Op), Req: it.Req}
	var err error
	switch it.Op {
	case peer.OpRange:
		var p shard.RangePage
		err = shard.Range(v, &shard.RangeQuery{
			Chat: it.Chat, User: it.User, After: wire.Seq(it.After), Upto: it.Seq,
			Limit: pageLimit(it.Limit, wire.MaxHistoryPage), Desc: it.Flags&peer.FlagDesc != 0,
		}, &p)
		reply.Code, reply.Name, reply.Seq, reply.Cursors, reply.List = p.Code, p.Name, p.Last, p.Cursors, p.List
		if p.More {
			reply.Flags = peer.FlagMore
		}
		if r.c.w.plant == receiptBack {
			reply.Cursors = halved(p.Cursors)
		}
	case peer.OpChanges:
		var p shard.Page
		p, err = shard.Changes(v, it.User, it.Device, wire.Cursor(it.After), pageLimit(it.Limit, changesPage), nil)
		reply.List, reply.Stamp = p.List, p.Stamp
		if p.More {
			reply.Flags = peer.FlagMore
		}
	}
	if err != nil {
		r.c.w.fault("node %d reads shard %d: %v", r.c.p.id, r.id, err)
		return
	}
	t := r.c.turn()
	t.reply(j.from, &reply)
	t.flush()
}

// halved is a planted fault: cursors that tell half of what they are.
func halved(list []byte) (half []byte) {
	for {
		c, rest, ok := peer.NextCursor(list)
		if !ok {
			return half
		}
		list = rest
		c.Delivered /= 2
		half = peer.AppendCursor(half, &c)
	}
}

func pageLimit(limit uint32, most int) int {
	if limit == 0 {
		return wire.HistoryPage
	}
	return min(int(limit), most)
}

// open registers a session; the answer follows.
func (r *replica) open(from wire.NodeID, it *peer.Item, t *turn) {
	code := r.absence()
	if code == wire.OK {
		code = r.live.Open(from, it.Session, it.User, it.Device)
	}
	if code != wire.OK {
		t.refuse(from, it.Op, it.Req, code, r.leader)
		return
	}
	r.reading.opens = append(r.reading.opens, open{
		from: from, req: it.Req, session: it.Session, led: r.led, after: wire.Cursor(it.After),
		hasCursor: it.Flags&peer.FlagCursor != 0, user: slices.Clone(it.User), device: slices.Clone(it.Device),
	})
	if !r.reading.opening {
		r.reading.opening = true
		r.c.p.after(5*us, r.openRound)
	}
}

// openRound answers the sessions that wait once every bump that was taken
// before them is applied and a quorum has confirmed the leader.
func (r *replica) openRound() {
	opens := r.reading.opens
	r.reading.opens = nil
	if len(opens) == 0 {
		r.reading.opening = false
		return
	}
	last := r.lastTaken()
	r.hurry()
	finish := func(ok bool) {
		if ok {
			r.sm.settle()
		}
		t := r.c.turn()
		for i := range opens {
			r.opened(&opens[i], ok, t)
		}
		t.flush()
		r.openRound()
	}
	if r.c.w.plant == openEarly {
		r.readIndex(finish)
		return
	}
	r.awaitOver(last, func(ok bool) {
		if !ok {
			finish(false)
			return
		}
		r.readIndex(finish)
	})
}

// opened answers one session.
func (r *replica) opened(o *open, ok bool, t *turn) {
	if r.led != o.led || !r.leads {
		t.refuse(o.from, peer.OpOpen, o.req, wire.CodeNotLeader, r.leader)
		return
	}
	if !ok {
		r.live.Close(o.from, o.session, o.user)
		t.refuse(o.from, peer.OpOpen, o.req, r.unreadable(), 0)
		return
	}
	info, err := shard.Device(r.sm.store.rows, o.user, o.device)
	if err != nil {
		r.c.w.fault("node %d reads a device of shard %d: %v", r.c.p.id, r.id, err)
		return
	}
	after := info.Cursor
	if o.hasCursor && o.after <= info.Head {
		after = o.after
	}
	switch r.c.w.plant {
	case cursorBack:
		after /= 2
	case cursorAhead:
		after = info.Head
	}
	reply := peer.Item{Op: peer.OpReply, Req: o.req, Stamp: info.Head, After: uint64(after)}
	if !info.Known {
		reply.Flags = peer.FlagNew
	}
	t.reply(o.from, &reply)
	if !info.Known || after > info.Cursor {
		r.enqueue(0, &peer.Item{Op: peer.OpDevice, Shard: r.id, User: o.user, Device: o.device, Stamp: after}, nil, t)
	}
}
