package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godwit-im/godwit/client"
)

// TestKillLoop kills the server with SIGKILL again and again while messages
// are sent, in direct conversations and in groups of three and five. In the
// end every acknowledged message is in its conversation once, under the id that
// was acknowledged, in the order of sending, and has been received once, in
// order, by every other member.
func TestKillLoop(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 3
	}
	s := newServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var acked atomic.Int64
	streams := []*stream{newStream(s, "a", 2), newStream(s, "b", 2), newStream(s, "c", 2), newStream(s, "d", 3), newStream(s, "e", 5)}
	var running sync.WaitGroup
	sending, stop := context.WithCancel(ctx)
	defer stop()
	for _, st := range streams {
		for i, m := range st.members {
			if i < st.senders {
				running.Go(func() { st.send(sending, ctx, m, &acked) })
			}
			running.Go(func() { st.receive(ctx, m) })
		}
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

// stream is one conversation. All members receive, the first ones also send.
type stream struct {
	t       *testing.T
	chat    client.ChatID
	target  client.Target
	members []*member
	senders int
	running atomic.Int64 // senders that may still send
}

// member is one member's view of a stream.
type member struct {
	*client.Client
	user client.UserID
	acks []client.Ack     // of message i+1; owned by send
	got  []client.Message // owned by receive
	sent atomic.Int64     // len(acks)
	seen atomic.Int64     // messages of others in got
}

// newStream connects the members of a direct conversation, in which one of two
// sends, or of a group, in which two send at a time.
func newStream(s *server, name string, members int) *stream {
	st := &stream{t: s.t}
	var users []client.UserID
	for i := range members {
		user := client.UserID(fmt.Sprintf("%s%d", name, i))
		users = append(users, user)
		st.members = append(st.members, &member{Client: s.connect(user), user: user})
	}
	if st.senders = 2; members == 2 {
		st.senders = 1
		st.chat, st.target = client.DirectChat(users[0], users[1]), client.ToUser(users[1])
	} else {
		id, err := st.members[0].CreateGroup(s.t.Context(), name, users[1:]...)
		if err != nil {
			s.t.Fatal(err)
		}
		st.chat, st.target = id, client.ToChat(id)
	}
	st.running.Store(int64(st.senders))
	return st
}

// send sends numbered messages until sending ends; one that is on its way then
// is brought to its end.
func (st *stream) send(sending, ctx context.Context, m *member, acked *atomic.Int64) {
	defer st.running.Add(-1)
	for n := 1; sending.Err() == nil; n++ {
		ack, err := m.Send(ctx, st.target, fmt.Appendf(nil, "%d", n))
		if err != nil {
			st.t.Errorf("%s: send %d: %v", m.user, n, err)
			return
		}
		m.acks = append(m.acks, ack)
		m.sent.Store(int64(n))
		acked.Add(1)
	}
}

// receive takes messages until everything that the others sent has come.
func (st *stream) receive(ctx context.Context, m *member) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the last message may come before its sender knows that it was the last
		waitFor(ctx, func() bool { return st.running.Load() == 0 && m.seen.Load() >= st.sentTo(m) })
		cancel()
	}()
	for ev := range m.Events(ctx) {
		if msg, ok := ev.(client.Message); ok {
			m.got = append(m.got, msg)
			if msg.SenderID != m.user && msg.Kind != client.KindGroupCreated {
				m.seen.Add(1)
			}
		}
	}
}

// sentTo is how many messages the members other than m have sent.
func (st *stream) sentTo(m *member) (n int64) {
	for _, other := range st.members {
		if other != m {
			n += other.sent.Load()
		}
	}
	return n
}

// check compares the log with what was acknowledged and with what came.
func (st *stream) check(ctx context.Context) {
	st.t.Helper()
	log := st.history(ctx)
	sent := 0
	for _, m := range st.members {
		sent += len(m.acks)
		st.checkAcks(log, m)
		st.checkInbox(ctx, log, m)
	}
	if st.senders > 1 {
		sent++ // that the group was created is its first entry
	}
	if len(log) != sent {
		st.t.Errorf("%s: %d messages in history, %d were sent", st.chat, len(log), sent)
	}
}

// history reads the log, whose ids must be gapless.
func (st *stream) history(ctx context.Context) (log []client.Message) {
	st.t.Helper()
	q := client.HistoryQuery{Oldest: true, Limit: 200}
	for {
		page, err := st.members[0].History(ctx, st.chat, q)
		if err != nil {
			st.t.Fatalf("%s: history: %v", st.chat, err)
		}
		log = append(log, page.Messages...)
		if q.After = page.Next; page.Next == 0 {
			break
		}
	}
	for i := range log {
		if log[i].MessageID != client.Seq(i+1) {
			st.t.Fatalf("%s: entry %d of history has id %d", st.chat, i+1, log[i].MessageID)
		}
	}
	return log
}

// checkAcks wants what m was promised in the log, in the order of sending.
func (st *stream) checkAcks(log []client.Message, m *member) {
	st.t.Helper()
	var last client.Seq
	for i, ack := range m.acks {
		if ack.MessageID <= last || int(ack.MessageID) > len(log) {
			st.t.Fatalf("%s: message %d has id %d, the one before has %d, the log ends at %d", m.user, i+1, ack.MessageID, last, len(log))
		}
		last = ack.MessageID
		if e := log[last-1]; string(e.Content) != fmt.Sprint(i+1) || e.SenderID != m.user || e.ClientMsgID != ack.ClientMsgID {
			st.t.Fatalf("%s: message %d was acknowledged as %d, which is %q of %s", m.user, i+1, last, e.Content, e.SenderID)
		}
	}
}

// checkInbox wants what others wrote into the log received by m, each once and
// in order, and the end of the log in m's list of conversations.
func (st *stream) checkInbox(ctx context.Context, log []client.Message, m *member) {
	st.t.Helper()
	var want, got []client.Seq
	for i := range log {
		if log[i].SenderID != m.user {
			want = append(want, log[i].MessageID)
		}
	}
	last := client.Seq(0)
	for _, msg := range m.got {
		if msg.MessageID <= last || int(msg.MessageID) > len(log) {
			st.t.Fatalf("%s: received %d after %d, the log ends at %d", m.user, msg.MessageID, last, len(log))
		}
		last = msg.MessageID
		if e := log[last-1]; e.SenderID != msg.SenderID || string(e.Content) != string(msg.Content) {
			st.t.Fatalf("%s: received %q of %s as %d, the log has %q of %s", m.user, msg.Content, msg.SenderID, last, e.Content, e.SenderID)
		}
		if msg.SenderID != m.user { // an own one may come again after a reconnect
			got = append(got, last)
		}
	}
	if !slices.Equal(got, want) {
		st.t.Errorf("%s: received %d messages of others, the log has %d: %v", m.user, len(got), len(want), missing(want, got))
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var list []client.Conversation
	var err error
	if !waitFor(ctx, func() bool { // a push may come before the row is written
		list, _, err = m.Conversations(ctx, "", 0)
		return err == nil && len(list) == 1 && list[0].ChatID == st.chat && list[0].LastID == client.Seq(len(log))
	}) {
		st.t.Errorf("%s: the list of conversations is %+v %v, the log ends at %d", m.user, list, err, len(log))
	}
}

// missing returns what is in want and not in got.
func missing(want, got []client.Seq) (list []client.Seq) {
	for _, id := range want {
		if _, found := slices.BinarySearch(got, id); !found {
			list = append(list, id)
		}
	}
	return list
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
