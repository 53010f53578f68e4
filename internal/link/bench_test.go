package link_test

import (
	"sync/atomic"
	"testing"

	"github.com/godwit-im/godwit/internal/link"
	"github.com/godwit-im/godwit/wire"
)

func BenchmarkHubSend(b *testing.B) {
	h := link.NewHub()
	h.Join(2, link.Events{Batch: func(wire.NodeID, []byte) {}})
	l := h.Join(1, link.Events{})
	batch := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		l.Send(2, batch)
	}
}

// BenchmarkTCPSend sends batches of 1 KiB over loopback as fast as they are
// taken; ns/op is per batch that arrived.
func BenchmarkTCPSend(b *testing.B) {
	w := newTown(nil)
	var arrived atomic.Int64
	up, done := make(chan struct{}), make(chan struct{})
	l := mustListen(b)
	w.set(2, l.Addr().String())
	open := func(cfg link.Config) *link.TCP {
		tcp, err := link.Listen(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { tcp.Close() })
		return tcp
	}
	open(link.Config{ID: 2, Cluster: "test", Listener: l, Events: link.Events{Batch: func(wire.NodeID, []byte) {
		if arrived.Add(1) == int64(b.N) {
			close(done)
		}
	}}})
	from := open(link.Config{ID: 1, Cluster: "test", Resolve: w.resolve, Events: link.Events{Up: func(wire.NodeID) { close(up) }}})
	from.Connect(2)
	<-up
	batch := make([]byte, 1024)
	b.ReportAllocs()
	b.SetBytes(int64(len(batch)))
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		if from.Send(2, batch) {
			sent++
		}
	}
	<-done
}
