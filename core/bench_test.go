package core

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// BenchmarkMessages is P5 without the sockets: 200 pairs in a closed loop, each
// message with its bump, push, receipt, touch and mark, fsynced before the
// answer. The edge is a stub on the hub. us-cpu/msg is the whole process.
func BenchmarkMessages(b *testing.B) {
	for _, c := range []struct{ cores, shards int }{{1, 1}, {1, 4}, {1, 16}, {3, 4}} {
		b.Run(fmt.Sprintf("cores=%d/shards=%d", c.cores, c.shards), func(b *testing.B) {
			w := newWorld(b, c.cores, c.shards)
			p := newPairs(w, 200)
			defer p.link.Close()
			p.openAll()
			b.ResetTimer()
			before := cpu()
			start := time.Now()
			p.run(int64(b.N))
			took := time.Since(start)
			b.StopTimer()
			b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "us-cpu/msg")
			b.ReportMetric(float64(b.N)/took.Seconds(), "msg/s")
			b.ReportMetric(0, "ns/op")
			var proposals, items uint64
			for _, n := range w.cores {
				proposals += n.c.proposals.Load()
				items += n.c.items.Load()
			}
			b.ReportMetric(float64(items)/float64(proposals)/float64(c.cores), "items/entry")
		})
	}
}

// cpu is what the process has used, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// pairs is an edge with n pairs of users, a closed loop each: the next message
// leaves when the receiver's mark for the last one was answered.
type pairs struct {
	w    *world
	link link.Link
	pair []pair

	opened, left, done atomic.Int64
	finished           chan struct{}
}

type pair struct {
	from, to        []byte
	chat            wire.ChatID
	chatShard, toSh wire.ShardID
	fromSh          wire.ShardID
	sent            int
	seq             wire.Seq
}

const pairEdge wire.NodeID = 1002

// The low bits of a request say what it is.
const (
	reqOpen = iota
	reqSend
	reqReceipt
	reqMark
)

func newPairs(w *world, n int) *pairs {
	p := &pairs{w: w, finished: make(chan struct{}, 1)}
	for i := range n {
		from, to := fmt.Sprintf("from-%d", i), fmt.Sprintf("to-%d", i)
		c := wire.DirectChat(wire.UserID(from), wire.UserID(to))
		p.pair = append(p.pair, pair{
			from: []byte(from), to: []byte(to), chat: c,
			chatShard: w.chatShard(c), toSh: w.userShard(to), fromSh: w.userShard(from),
		})
	}
	p.link = w.hub.Join(pairEdge, link.Events{Batch: p.batch})
	return p
}

// leader returns a node that leads the shard.
func (p *pairs) leader(id wire.ShardID) wire.NodeID {
	for _, n := range p.w.cores {
		if n.replica(id).leads.Load() {
			return n.cfg.Node
		}
	}
	panic("no leader")
}

func (p *pairs) openAll() {
	for i := range p.pair {
		for side, user := range [][]byte{p.pair[i].from, p.pair[i].to} {
			sh := p.w.userShard(string(user))
			it := peer.Item{
				Op: peer.OpOpen, Shard: sh, Req: reqOpen, Session: wire.SessionID(2*i + side), User: user, Device: []byte("phone"),
			}
			p.link.Send(p.leader(sh), peer.Append(nil, &it))
		}
	}
	for p.opened.Load() < int64(2*len(p.pair)) {
		<-p.finished
	}
}

// run sends n messages and returns when all are through.
func (p *pairs) run(n int64) {
	p.left.Store(n)
	p.done.Store(0)
	t := p.w.cores[1].turn()
	for i := range p.pair {
		p.next(i, t)
	}
	p.flush(t)
	for p.done.Load() < n {
		<-p.finished
	}
}

func (p *pairs) flush(t *turn) {
	for i := range t.out {
		p.link.Send(t.out[i].to, t.out[i].buf)
		t.out[i].buf = t.out[i].buf[:0]
	}
	t.out = t.out[:0]
}

var body = []byte("some hundred bytes of text, as people write it to each other when they have something to say: hello!")

// next sends the next message of pair i.
func (p *pairs) next(i int, t *turn) {
	if p.left.Add(-1) < 0 {
		return
	}
	a := &p.pair[i]
	a.sent++
	var id [20]byte
	t.add(p.leader(a.chatShard), &peer.Item{
		Op: peer.OpAppend, Req: uint64(i)<<2 | reqSend, Shard: a.chatShard, Chat: a.chat, Session: wire.SessionID(2 * i),
		User: a.from, Device: []byte("phone"), Peer: a.to, ClientMsgID: strconv.AppendInt(id[:0], int64(a.sent), 36), Body: body,
	})
}

func (p *pairs) batch(_ wire.NodeID, b []byte) {
	t := p.w.cores[1].turn()
	var it peer.Item
	for len(b) > 0 {
		var ok bool
		if _, b, ok = peer.Next(b, &it); !ok {
			panic("broken batch")
		}
		switch it.Op {
		case peer.OpDeliver:
			p.deliver(&it, t)
		case peer.OpReply:
			p.reply(&it, t)
		case peer.OpResync:
			panic("a resync in a run without faults")
		}
	}
	p.flush(t)
}

func (p *pairs) deliver(it *peer.Item, t *turn) {
	id, _, _ := peer.NextSession(it.List)
	if it.Seq == 0 || id&1 == 0 {
		return // a status_update
	}
	i := int(id / 2)
	a := &p.pair[i]
	a.seq = it.Seq
	t.add(p.leader(a.chatShard), &peer.Item{
		Op: peer.OpReceipt, Req: uint64(i)<<2 | reqReceipt, Shard: a.chatShard, Chat: a.chat, User: a.to, Delivered: it.Seq,
	})
}

func (p *pairs) reply(it *peer.Item, t *turn) {
	i, what := int(it.Req>>2), it.Req&3
	if it.Code != wire.OK {
		panic(fmt.Sprint(what, it.Code))
	}
	a := &p.pair[i]
	switch what {
	case reqOpen:
		p.opened.Add(1)
	case reqReceipt:
		t.add(p.leader(a.toSh), &peer.Item{
			Op: peer.OpMark, Req: uint64(i)<<2 | reqMark, Shard: a.toSh, User: a.to, Device: []byte("phone"), Chat: a.chat, Delivered: a.seq,
		})
		return
	case reqMark:
		p.done.Add(1)
		p.next(i, t)
	default:
		return
	}
	select {
	case p.finished <- struct{}{}:
	default:
	}
}

// BenchmarkRead is one read after the other, as one asker sees it: the page of
// a conversation, from the link to the answer.
func BenchmarkRead(b *testing.B) {
	for _, cores := range []int{1, 3} {
		b.Run(fmt.Sprintf("cores=%d", cores), func(b *testing.B) {
			w := newWorld(b, cores, 1)
			e := w.edge
			e.say("alice", "bob", "hello", 1)
			leader := w.leading(1)
			q := peer.Item{Op: peer.OpRange, Shard: 1, Chat: aliceBob, User: []byte("bob"), Limit: 10}
			b.ReportAllocs()
			for b.Loop() {
				if a := e.tryAt(leader, q); a.Code != wire.OK {
					b.Fatal(a.Code)
				}
			}
		})
	}
}
