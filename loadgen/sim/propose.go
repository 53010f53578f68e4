package sim

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// commandHead is the run and the number in front of an entry; see core.
const commandHead = 16

// proposer is the entry that fills, the one that is on its way, and who waits.
type proposer struct {
	filling *entry
	flight  *entry // proposed and not applied
	carried *entry // proposed and not over
	number  uint64
	over    uint64
	hurry   bool
	lingers bool
	waits   []overWait
}

// overWait waits until entry number is over.
type overWait struct {
	number uint64
	done   func(ok bool)
}

// entry is a Raft entry in the making, and who asked for its items.
type entry struct {
	number uint64
	buf    []byte
	asked  []asked
}

type asked struct {
	node wire.NodeID
	op   peer.Op
	req  uint64
}

// enqueue puts a write into the entry that is being filled.
func (r *replica) enqueue(from wire.NodeID, it *peer.Item, raw []byte, t *turn) bool {
	if code := r.absence(); code != wire.OK {
		t.refuse(from, it.Op, it.Req, code, r.leader)
		return false
	}
	e := r.prop.filling
	if len(e.asked) >= entryItems {
		t.refuse(from, it.Op, it.Req, wire.CodeUnavailable, r.leader)
		return false
	}
	if len(e.buf) == 0 {
		e.buf = append(e.buf, make([]byte, commandHead)...)
		e.buf = shard.BeginEntry(e.buf, r.c.p.wall())
	}
	if raw != nil {
		e.buf = append(e.buf, raw...)
	} else {
		e.buf = peer.Append(e.buf, it)
	}
	e.asked = append(e.asked, asked{node: from, op: it.Op, req: it.Req})
	if urgent(it.Op) || len(e.asked) >= entryItems/2 {
		r.prop.hurry = true
		t.kick(r)
	} else if !r.prop.lingers {
		r.prop.lingers = true
		r.c.p.after(lingerFor, r.hurry)
	}
	return true
}

func urgent(op peer.Op) bool {
	switch op {
	case peer.OpBump, peer.OpTouch, peer.OpReceipt, peer.OpMark, peer.OpFanoutDone, peer.OpExpire:
		return false
	}
	return true
}

// hurry sends off what waits.
func (r *replica) hurry() {
	r.prop.hurry, r.prop.lingers = true, false
	r.wake()
}

func (r *replica) wake() { r.c.p.after(r.c.w.e.between(5*us, 50*us), r.pump) }

// pump is the proposer: one entry is on its way at a time.
func (r *replica) pump() {
	p := &r.prop
	if p.carried != nil || !p.hurry {
		return
	}
	if r.leads {
		r.addDone()
	}
	e := r.take()
	p.flight, p.carried = e, e
	if e == nil {
		return
	}
	if !r.raft.propose(rent{cmd: e.buf}) {
		r.c.p.after(0, func() { r.carried(e) })
		return
	}
	r.c.p.after(proposeTimeout, func() { r.carried(e) })
}

// take takes the entry that is being filled, nil when it is empty.
func (r *replica) take() *entry {
	p := &r.prop
	e := p.filling
	p.hurry = false
	if len(e.asked) == 0 {
		return nil
	}
	p.filling = new(entry)
	p.number++
	e.number = p.number
	binary.LittleEndian.PutUint64(e.buf, r.run)
	binary.LittleEndian.PutUint64(e.buf[8:], e.number)
	return e
}

// addDone puts into the entry what the outbox no longer needs to keep.
func (r *replica) addDone() {
	room := min(doneLimit, entryItems-len(r.prop.filling.asked))
	if !r.fan.HasDone() || room <= 0 {
		return
	}
	t := r.c.turn()
	r.fan.TakeDone(room, func(id wire.ChatID, seq wire.Seq) {
		if !r.enqueue(0, &peer.Item{Op: peer.OpFanoutDone, Shard: r.id, Chat: id, Seq: seq}, nil, t) {
			r.lostDone(1)
		}
	})
}

func (r *replica) lostDone(n int) {
	if n > 0 {
		r.fan.LookFailed()
	}
}

func (e *entry) dones() (n int) {
	for i := range e.asked {
		if e.asked[i].op == peer.OpFanoutDone {
			n++
		}
	}
	return n
}

// carried ends the wait for e: it was applied, or nobody answers for it.
func (r *replica) carried(e *entry) {
	p := &r.prop
	if p.carried != e {
		return
	}
	unanswered := p.flight == e
	p.flight, p.carried = nil, nil
	if unanswered {
		r.lostDone(e.dones())
	}
	r.isOver(e.number)
	if unanswered {
		code := r.absence()
		if code == wire.OK {
			code = wire.CodeUnavailable
		}
		t := r.c.turn()
		r.refuseAll(e, code, t)
		t.flush()
	}
	r.pump()
}

// lastTaken returns the number of the entry that carries the newest item.
func (r *replica) lastTaken() uint64 {
	if len(r.prop.filling.asked) > 0 {
		return r.prop.number + 1
	}
	return r.prop.number
}

func (r *replica) isOver(number uint64) {
	p := &r.prop
	p.over = max(p.over, number)
	var left []overWait
	for _, w := range p.waits {
		if w.number > p.over {
			left = append(left, w)
			continue
		}
		r.c.p.after(0, func() { w.done(true) })
	}
	p.waits = left
}

// awaitOver calls done once entry number is over, or was not for too long.
func (r *replica) awaitOver(number uint64, done func(ok bool)) {
	if r.prop.over >= number {
		done(true)
		return
	}
	once := false
	end := func(ok bool) {
		if !once {
			once = true
			done(ok)
		}
	}
	r.prop.waits = append(r.prop.waits, overWait{number, end})
	r.c.p.after(2*proposeTimeout, func() { end(false) })
}

func (r *replica) refuseAll(e *entry, code wire.Code, t *turn) {
	for _, a := range e.asked {
		t.refuse(a.node, a.op, a.req, code, r.leader)
	}
}

// applied answers for an entry that was applied here and acts on its effects.
func (r *replica) applied(run, number uint64, out *shard.Outcome, t *turn) {
	e := r.prop.flight
	if e == nil || run != r.run || e.number != number || len(e.asked) != len(out.Results) {
		e = nil
	} else {
		r.prop.flight = nil
		r.c.p.after(5*us, func() { r.carried(e) })
	}
	if e != nil {
		for i := range out.Results {
			a, res := &e.asked[i], &out.Results[i]
			if a.node != 0 {
				t.reply(a.node, &peer.Item{
					Op: peer.OpReply, Req: a.req, Code: res.Code, Flags: res.Flags, Chat: res.Chat,
					Seq: res.Seq, At: res.At, Stamp: res.Stamp, After: uint64(res.After),
				})
			} else if a.op == peer.OpExpire && res.Flags&peer.FlagMore != 0 {
				r.expireAt = r.c.p.mono()
			}
		}
	}
	if r.leads {
		r.act(out.Effects, t)
	}
}

// expire proposes to forget what is older than the dedupe window.
func (r *replica) expire() {
	if now := r.c.p.mono(); r.expireAt != 0 && now >= r.expireAt {
		r.expireAt = now + expireEvery
		t := r.c.turn()
		r.enqueue(0, &peer.Item{Op: peer.OpExpire, Shard: r.id, Limit: expireRows}, nil, t)
		t.flush()
	}
}

// machine is core's state machine: the shard machine over a store. What was
// applied is committed a little later.
type machine struct {
	r     *replica
	shard *shard.Machine
	store *store
	tape  tape
	index uint64
	dirty bool

	settled  time.Duration
	applying bool
	outs     []shard.Outcome
	lastRun  uint64 // of the last entry; for a planted fault
	waits    []appliedWait
}

// appliedWait waits until entry index is applied.
type appliedWait struct {
	index uint64
	done  func()
}

// committed implements raftDriver.
func (r *replica) committed(uint64) {
	if r.sm.applying {
		return
	}
	r.sm.applying = true
	r.c.p.after(r.c.w.e.between(5*us, 300*us), r.update)
}

// appliedIndex implements raftDriver.
func (r *replica) appliedIndex() uint64 { return r.sm.index }

// update applies what is committed: all of it first, then the answers.
func (r *replica) update() {
	m := r.sm
	m.applying = false
	from, to := m.index+1, min(r.raft.commit, m.index+pageEntries)
	if to < from {
		return
	}
	for len(m.outs) < int(to-from)+1 {
		m.outs = append(m.outs, shard.Outcome{})
	}
	for i := from; i <= to; i++ {
		m.apply(i, r.raft.log.at(i).cmd, &m.outs[i-from])
	}
	t := r.c.turn()
	for i := from; i <= to; i++ {
		cmd := r.raft.log.at(i).cmd
		r.raft.applied(i)
		if cmd != nil {
			r.applied(binary.LittleEndian.Uint64(cmd), binary.LittleEndian.Uint64(cmd[8:]), &m.outs[i-from], t)
		}
	}
	r.sinceCut += to - from + 1
	t.flush()
	r.sendLanes()
	m.wakeWaits(r)
	if m.index < r.raft.commit {
		r.committed(r.raft.commit)
	}
}

// apply applies one entry.
func (m *machine) apply(i uint64, cmd []byte, out *shard.Outcome) {
	w := m.r.c.w
	if cmd != nil {
		if run := binary.LittleEndian.Uint64(cmd); w.plant == dedupeForgotten && run != m.lastRun {
			m.lastRun = run
			m.forgetDedupe()
		}
		if err := m.shard.Apply(m.store.rows, &m.tape, cmd[commandHead:], out); err != nil {
			w.fault("shard %d on node %d cannot apply entry %d: %v", m.r.id, m.r.c.p.id, i, err)
			return
		}
		w.audit.entry(m.r.id, m.r.c.p.id, i, m.tape.digest, out)
	}
	m.index, m.dirty = i, true
	if w.e.now-m.settled >= unsettledFor {
		m.commit()
	}
}

func (m *machine) settle() {
	if m.dirty {
		m.commit()
	}
}

func (m *machine) commit() {
	m.store.commit(&m.tape.Batch, m.index, m.tape.digest)
	m.shard.Committed()
	m.dirty, m.settled = false, m.r.c.w.e.now
}

// forgetDedupe is a planted fault: a new leader's entries find no dedupe rows.
func (m *machine) forgetDedupe() {
	m.settle()
	var keys [][]byte
	_ = m.store.rows.Scan([]byte{'d'}, []byte{'e'}, false, func(key, _ []byte) bool {
		keys = append(keys, slices.Clone(key))
		return true
	})
	for _, k := range keys {
		m.tape.Batch.Delete(k) // not in the digest
	}
	m.dirty = true
	m.commit()
	m.shard.Reset()
}

func (m *machine) wakeWaits(r *replica) {
	var left []appliedWait
	for _, w := range m.waits {
		if w.index > m.index {
			left = append(left, w)
			continue
		}
		r.c.p.after(0, w.done)
	}
	m.waits = left
}

// snapshot implements raftDriver.
func (r *replica) snapshot() (image, uint64, members) {
	r.sm.settle()
	term, _ := r.raft.log.termOf(r.sm.index)
	return r.sm.store.image(), term, r.raft.log.conf
}

// install implements raftDriver.
func (r *replica) install(s *rsnap) {
	m := r.sm
	m.shard.Reset()
	m.tape.Writes = nil
	m.store.install(s.image)
	m.index, m.tape.digest, m.dirty = s.image.applied, s.image.digest, false
	m.wakeWaits(r)
}
