package session

import (
	"testing"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

func BenchmarkSend(b *testing.B) {
	l := newLoop(b, unlimited())
	s, out := liveSession(b, l, wire.Msgpack)
	h := hotFrames(b)
	window := make([]byte, len(h.send))
	ask := Ask{Op: peer.OpAppend, Chat: storyChat(1), ClientMsgID: []byte("m-1")}
	reply := peer.Item{Op: peer.OpReply, Seq: 9, At: 10}
	b.ReportAllocs()
	for b.Loop() {
		copy(window, h.send)
		s.Receive(l, out, window)
		s.CoreReply(l, out, &ask, &reply)
		s.OutboundBuffered(l, out, 0)
	}
}

func BenchmarkDeliver(b *testing.B) {
	l := newLoop(b, unlimited())
	s, out := liveSession(b, l, wire.Msgpack)
	h := hotFrames(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Deliver(l, out, &h.push)
		s.OutboundBuffered(l, out, 0)
	}
}

func BenchmarkAck(b *testing.B) {
	l := newLoop(b, unlimited())
	s, out := liveSession(b, l, wire.Msgpack)
	h := hotFrames(b)
	window := make([]byte, len(h.ack))
	b.ReportAllocs()
	for b.Loop() {
		copy(window, h.ack)
		s.Receive(l, out, window)
	}
}

func BenchmarkTick(b *testing.B) {
	l := newLoop(b, unlimited())
	s, out := liveSession(b, l, wire.Msgpack)
	b.ReportAllocs()
	for b.Loop() {
		s.Tick(l, out)
	}
}
