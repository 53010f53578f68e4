package client

import (
	"bytes"
	"slices"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// inbox turns what arrives into events: each message once, in the order of its
// conversation, without gaps.
//
// Per conversation it knows how far it has come. The next message is queued. A
// message further ahead is not kept: the conversation is behind, and what lies
// between is fetched from history, page by page, while newer arrivals only
// raise the target. A full queue is the same case: nothing is lost, it is
// fetched once the application has caught up.
type inbox struct {
	cap     int
	queue   []Event
	chats   map[ChatID]*chatState
	behind  []ChatID // in the order in which they fell behind
	dirty   []ChatID // have acknowledgements to write, each once
	reads   []ChatID // had an ack_read on this connection, newest last
	busy    bool     // a Fetch is out
	failed  int      // fetches in a row
	retryAt time.Time
	held    Cursor // a Synced that waits for behind to empty
	holds   bool
	stats   *Stats
}

// chatState is kept for every conversation seen. Invariants: high < target
// when target is set; delivered <= taken <= high, or what the application
// acknowledged by hand; own is sorted and above high.
type chatState struct {
	high      Seq   // queued up to here; 0 until the first message
	target    Seq   // behind: exists up to here
	own       []Seq // acknowledged sends of this client above high
	taken     Seq   // the application has these
	delivered Seq   // ack_delivered written on this connection
	read      Seq   // the application has read up to here
	readSent  Seq
	dirty     bool
}

// maxOwn bounds chatState.own. What falls out is fetched like any gap.
const maxOwn = 64

// maxReads bounds inbox.reads.
const maxReads = 64

// fetchPage is how many messages a Fetch asks for.
const fetchPage = wire.HistoryPage

// maxFetchFailures is after how many fetches in a row that bring nothing a gap
// is taken for what retention removed.
const maxFetchFailures = 8

func (in *inbox) init(capacity int, stats *Stats) {
	in.cap, in.chats, in.stats = max(capacity, fetchPage), map[ChatID]*chatState{}, stats
}

func (in *inbox) chat(id ChatID) *chatState {
	st := in.chats[id]
	if st == nil {
		st = &chatState{}
		in.chats[id] = st
	}
	return st
}

// live takes a new_message frame.
func (in *inbox) live(f *wire.Frame) {
	st := in.chat(f.Chat)
	switch {
	case f.Seq <= st.high:
		in.stats.Duplicates++
		if f.Seq <= st.taken && st.delivered > 0 {
			// The server repeats it, so it missed the acknowledgement.
			st.delivered = 0
			in.touch(f.Chat, st)
		}
	case st.target != 0:
		st.target = max(st.target, f.Seq)
	case st.high != 0 && f.Seq != st.high+1:
		in.stats.Gaps++
		in.fallBehind(f.Chat, st, f.Seq)
	case len(in.queue) >= in.cap:
		in.stats.Overflow++
		st.high = f.Seq - 1
		in.fallBehind(f.Chat, st, f.Seq)
	default:
		in.push(st, messageOf(f))
	}
}

func (in *inbox) fallBehind(id ChatID, st *chatState, target Seq) {
	st.target = target
	in.behind = append(in.behind, id)
}

// push queues a message and moves high over it and over own sends behind it.
func (in *inbox) push(st *chatState, msg Message) {
	in.queue = append(in.queue, msg)
	st.high = msg.MessageID
	st.absorb()
}

func (st *chatState) absorb() {
	for len(st.own) > 0 && st.own[0] <= st.high+1 {
		st.high = max(st.high, st.own[0])
		st.own = st.own[1:]
	}
}

// own notes that this client's own message has number seq: it is not pushed to
// the connection that sent it, so its absence is no gap.
func (in *inbox) own(id ChatID, seq Seq) {
	st := in.chat(id)
	i, found := slices.BinarySearch(st.own, seq)
	if seq <= st.high || found {
		return
	}
	st.own = slices.Insert(st.own, i, seq)
	if st.high != 0 {
		st.absorb()
	}
	if len(st.own) > maxOwn {
		st.own = st.own[1:]
	}
}

// hint queues an event that may be shed. When the queue is full a Status
// raises one of the same kind that waits.
func (in *inbox) hint(ev Event) {
	if len(in.queue) < in.cap {
		in.queue = append(in.queue, ev)
		return
	}
	if s, ok := ev.(Status); ok {
		for i, q := range in.queue {
			if w, ok := q.(Status); ok && w.ChatID == s.ChatID && w.UserID == s.UserID && w.Status == s.Status {
				w.MessageID = max(w.MessageID, s.MessageID)
				in.queue[i] = w
				return
			}
		}
	}
	in.stats.HintsShed++
}

// control queues a StateChange or Synced. They replace one another at the end
// of the queue once it is full, so they never grow it by more than a few.
func (in *inbox) control(ev Event) {
	if n := len(in.queue); n > in.cap {
		if _, message := in.queue[n-1].(Message); !message {
			in.queue[n-1] = ev
			return
		}
	}
	in.queue = append(in.queue, ev)
}

// release queues the Synced that is held, once nothing before it is missing.
func (m *Machine) release() {
	if in := &m.in; in.holds && len(in.behind) == 0 {
		in.holds = false
		in.control(Synced{Cursor: in.held})
		m.setState(StateChange{State: StateLive})
	}
}

// disconnected repeats the newest ack_reads, which may have been lost with the
// connection. A lost ack_delivered needs no care: the server sends the message
// again, and live answers.
func (in *inbox) disconnected() {
	in.holds = false
	for _, id := range in.reads {
		in.chats[id].readSent = 0
		in.touch(id, in.chats[id])
	}
	in.reads = nil
}

// touch notes that chat has something to acknowledge.
func (in *inbox) touch(id ChatID, st *chatState) {
	if !st.dirty {
		st.dirty = true
		in.dirty = append(in.dirty, id)
	}
}

// nextAck fills f with the next acknowledgement.
func (in *inbox) nextAck(f *wire.Frame) bool {
	for len(in.dirty) > 0 {
		id := in.dirty[0]
		st := in.chats[id]
		f.Chat = id
		if st.taken > st.delivered {
			f.Op, f.Seq = wire.OpAckDelivered, st.taken
			st.delivered = st.taken
			return true
		}
		if st.read > st.readSent {
			f.Op, f.Seq = wire.OpAckRead, st.read
			st.readSent = st.read
			in.noteRead(id)
			return true
		}
		st.dirty = false
		in.dirty = in.dirty[1:]
	}
	return false
}

func (in *inbox) noteRead(id ChatID) {
	if slices.Contains(in.reads, id) {
		return
	}
	if len(in.reads) == maxReads {
		in.reads = in.reads[1:]
	}
	in.reads = append(in.reads, id)
}

// Event returns the next event, in order. Give it to Taken when it has been
// handled.
func (m *Machine) Event() (Event, bool) {
	if len(m.in.queue) == 0 {
		return nil, false
	}
	ev := m.in.queue[0]
	m.in.queue[0] = nil
	m.in.queue = m.in.queue[1:]
	return ev, true
}

// Taken tells that the application has handled an event. A Message is
// acknowledged as delivered, unless MachineConfig.ManualAck says otherwise.
func (m *Machine) Taken(ev Event) {
	if msg, ok := ev.(Message); ok && !m.cfg.ManualAck {
		m.Delivered(msg.ChatID, msg.MessageID)
	}
}

// Delivered acknowledges that this device has a conversation up to and
// including seq.
func (m *Machine) Delivered(chat ChatID, seq Seq) {
	if st := m.in.chat(chat); seq > st.taken {
		st.taken = seq
		m.in.touch(chat, st)
	}
}

// Read tells that the user has read a conversation up to and including seq.
func (m *Machine) Read(chat ChatID, seq Seq) {
	if st := m.in.chat(chat); seq > st.read {
		st.read = seq
		m.in.touch(chat, st)
	}
}

// FetchRequest asks the driver for messages of Chat after a message, oldest
// first, at most Limit.
type FetchRequest struct {
	Chat  ChatID
	After Seq
	Limit int
}

// Fetch returns the next wish for history, at most one at a time; answer it
// with Fetched.
func (m *Machine) Fetch(now time.Time) (FetchRequest, bool) {
	in := &m.in
	if m.phase != phaseLive || in.busy || len(in.behind) == 0 || now.Before(in.retryAt) || in.cap-len(in.queue) < fetchPage/2 {
		return FetchRequest{}, false
	}
	in.busy, in.retryAt = true, time.Time{}
	id := in.behind[0]
	return FetchRequest{Chat: id, After: in.chats[id].high, Limit: fetchPage}, true
}

// Fetched answers Fetch: messages in ascending order, or why there are none.
func (m *Machine) Fetched(req FetchRequest, page []Message, err error, now time.Time) {
	in := &m.in
	in.busy = false
	st := in.chats[req.Chat]
	before := st.high
	for _, msg := range page {
		if len(in.queue) >= in.cap {
			break
		}
		if msg.MessageID > st.high && msg.ChatID == req.Chat {
			in.pushFetched(st, msg)
		}
	}
	if st.high > before {
		in.failed = 0
	} else {
		in.failed++
		in.retryAt = now.Add(m.backoffOf(in.failed))
		if e := asError(err); in.failed >= maxFetchFailures || e != nil && !e.Retryable {
			m.stats.Unavailable++
			in.failed, in.retryAt = 0, time.Time{}
			st.high = st.target
			st.absorb()
		}
	}
	if st.high >= st.target {
		st.target = 0
		in.behind = in.behind[1:]
		m.release()
	}
}

// pushFetched queues a message from history; own sends that were acknowledged
// are known to the application already.
func (in *inbox) pushFetched(st *chatState, msg Message) {
	if len(st.own) > 0 && slices.Contains(st.own, msg.MessageID) {
		st.high = msg.MessageID
		st.absorb()
		return
	}
	in.push(st, msg)
}

// messageOf copies a new_message frame.
func messageOf(f *wire.Frame) Message {
	return Message{ChatID: f.Chat, MessageID: f.Seq, SenderID: UserID(f.User), Content: bytes.Clone(f.Content),
		Kind: string(f.Kind), ReplyTo: f.ReplyTo, CreatedAt: timeOf(f.At), ClientMsgID: string(f.ClientMsgID)}
}

func timeOf(ms wire.Millis) time.Time { return time.UnixMilli(int64(ms)) }
