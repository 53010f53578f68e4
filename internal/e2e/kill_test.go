package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/client"
)

// TestKillLoop kills the server with SIGKILL again and again while messages
// are sent. In the end every acknowledged message is in its conversation once,
// under the id that was acknowledged, in the order of sending, and has been
// received once, in order.
func TestKillLoop(t *testing.T) {
	kills, senders := 12, 4
	if testing.Short() {
		kills = 3
	}
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var acked atomic.Int64
	streams := make([]*stream, senders)
	var running sync.WaitGroup
	sending, stop := context.WithCancel(ctx)
	defer stop()
	for i := range streams {
		st := &stream{t: t, from: s.connect(client.UserID(fmt.Sprintf("sender%d", i))), to: s.connect(client.UserID(fmt.Sprintf("receiver%d", i))), count: &acked}
		streams[i] = st
		running.Go(func() { st.send(sending, ctx) })
		running.Go(func() { st.receive(ctx) })
	}
	for kill := range kills {
		if !waitFor(ctx, func() bool { return acked.Load() >= int64((kill+1)*250) }) {
			t.Fatalf("before kill %d only %d messages were acknowledged", kill+1, acked.Load())
		}
		s.kill()
		s.start()
	}
	stop()
	running.Wait()
	for _, st := range streams {
		st.check(ctx)
	}
	t.Logf("%d kills, %d messages acknowledged", kills, acked.Load())
}

// stream is one sender and one receiver in their own conversation.
type stream struct {
	t        *testing.T
	from, to *client.Client
	count    *atomic.Int64
	acks     []client.Ack     // of message i+1; owned by send
	got      []client.Message // owned by receive
	sent     atomic.Int64     // len(acks)
	seen     atomic.Int64     // len(got)
	final    atomic.Bool      // no more will be sent
}

// send sends numbered messages until sending ends; one that is on its way then
// is brought to its end.
func (st *stream) send(sending, ctx context.Context) {
	defer st.final.Store(true)
	peer, _ := st.to.User()
	for n := 1; sending.Err() == nil; n++ {
		ack, err := st.from.Send(ctx, client.ToUser(peer), fmt.Appendf(nil, "%d", n))
		if err != nil {
			st.t.Errorf("send %d: %v", n, err)
			return
		}
		st.acks = append(st.acks, ack)
		st.sent.Store(int64(n))
		st.count.Add(1)
	}
}

// receive takes messages until everything that was sent has come.
func (st *stream) receive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the last message may come before the sender knows that it was the last
		waitFor(ctx, func() bool { return st.final.Load() && st.seen.Load() >= st.sent.Load() })
		cancel()
	}()
	for ev := range st.to.Events(ctx) {
		if m, ok := ev.(client.Message); ok {
			st.got = append(st.got, m)
			st.seen.Store(int64(len(st.got)))
		}
	}
}

// check compares what was acknowledged with history and with what came.
func (st *stream) check(ctx context.Context) {
	t := st.t
	t.Helper()
	from, _ := st.from.User()
	to, _ := st.to.User()
	var log []client.Message
	q := client.HistoryQuery{Oldest: true, Limit: 200}
	for {
		page, err := st.from.History(ctx, client.DirectChat(from, to), q)
		if err != nil {
			t.Fatalf("%s: history: %v", from, err)
		}
		log = append(log, page.Messages...)
		if q.After = page.Next; page.Next == 0 {
			break
		}
	}
	if len(log) != len(st.acks) || len(st.got) != len(st.acks) {
		t.Fatalf("%s: %d acknowledged, %d in history, %d received", from, len(st.acks), len(log), len(st.got))
	}
	for i, ack := range st.acks {
		want := fmt.Sprint(i + 1)
		if m := log[i]; string(m.Content) != want || m.MessageID != ack.MessageID || m.MessageID != client.Seq(i+1) || m.ClientMsgID != ack.ClientMsgID {
			t.Fatalf("%s: message %d in history is %q with id %d; acknowledged was id %d", from, i+1, m.Content, m.MessageID, ack.MessageID)
		}
		if m := st.got[i]; string(m.Content) != want || m.MessageID != ack.MessageID {
			t.Fatalf("%s: received as number %d: %q with id %d", from, i+1, m.Content, m.MessageID)
		}
	}
}

// waitFor waits until cond holds; false when ctx ends first.
func waitFor(ctx context.Context, cond func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
