package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Outgoing is a message on its way out. The Machine reads Content until its
// Result arrives or Cancel returns; do not change it meanwhile.
type Outgoing struct {
	Target  Target
	Content []byte
	Kind    string
	ReplyTo Seq
	ID      string // client_msg_id
}

// Result ends an Outgoing: Ack when Err is nil.
type Result struct {
	ID  string
	Ack Ack
	Err error
}

// outbox holds the sends that have no answer yet, oldest first: those waiting
// for their turn and those in flight. After a lost connection, those in flight
// go back to their places among the waiting, so order holds across it.
type outbox struct {
	byID     map[string]*entry
	waiting  []*entry // by number
	inflight []*entry // by number
	results  []Result
	typing   []typingHint
	last     uint64    // number of the newest entry
	resumeAt time.Time // the server asked to wait
}

type entry struct {
	Outgoing
	no       uint64
	sentAt   time.Time
	attempts int
	refusal  *Error // the last answer, which was not the end
}

type typingHint struct {
	chat  ChatID
	state wire.TypingState
}

// maxTyping bounds the typing hints that wait for a turn; beyond it the oldest
// is shed.
const maxTyping = 16

func (o *outbox) init() { o.byID = map[string]*entry{} }

// Send puts a message into the outbox. A Result with the same ID follows,
// unless Cancel comes first. Errors: an *Error for what the server would
// refuse in any case, ErrOutboxFull, ErrDuplicateID, or why the Machine ended.
func (m *Machine) Send(o Outgoing) error {
	if err := m.Err(); err != nil {
		return err
	}
	if err := m.check(&o); err != nil {
		return err
	}
	if _, dup := m.out.byID[o.ID]; dup {
		return ErrDuplicateID
	}
	if len(m.out.byID) >= m.cfg.Outbox {
		return ErrOutboxFull
	}
	m.out.last++
	e := &entry{Outgoing: o, no: m.out.last}
	m.out.byID[o.ID] = e
	m.out.waiting = append(m.out.waiting, e)
	return nil
}

// check refuses what no server accepts, so that it does not cost the
// connection.
func (m *Machine) check(o *Outgoing) error {
	bad := func(field string) error {
		return &Error{Code: wire.CodeBadField, Message: field}
	}
	limit := int(m.limits.Content)
	if limit == 0 {
		limit = wire.MaxContentCeiling
	}
	switch {
	case (o.Target.user == "") == o.Target.chat.IsZero():
		return &Error{Code: wire.CodeNoRecipient}
	case o.Target.user != "" && !wire.ValidID(o.Target.user):
		return bad("the recipient is not a user id: 1 to 64 bytes without control characters")
	case m.user != "" && o.Target.user == m.user:
		return &Error{Code: wire.CodeSelfChat}
	case !wire.ValidID(o.ID):
		return bad("the client_msg_id must have 1 to 64 bytes without control characters")
	case len(o.Content) == 0:
		return bad("the content is empty")
	case len(o.Content) > limit:
		return &Error{Code: wire.CodeContentTooBig, Message: fmt.Sprintf("the content has %d bytes, the server takes %d", len(o.Content), limit),
			Advice: "shorten it, or send media by reference"}
	case len(o.Kind) > wire.MaxKind:
		return bad("the kind is longer than 32 bytes")
	case o.ReplyTo > wire.MaxSeq:
		return bad("reply_to is not a message_id")
	}
	return nil
}

// Cancel forgets a send. The server may have stored it. It returns the last
// answer, when there was one, which asked to try again.
func (m *Machine) Cancel(id string) *Error {
	e := m.out.byID[id]
	if e == nil {
		return nil
	}
	m.out.remove(e)
	return e.refusal
}

// Typing queues a typing hint, replacing an older one for the same chat. Hints
// do not survive the connection.
func (m *Machine) Typing(chat ChatID, start bool) {
	if m.phase != phaseLive {
		return
	}
	state := wire.TypingStop
	if start {
		state = wire.TypingStart
	}
	o := &m.out
	o.typing = slices.DeleteFunc(o.typing, func(t typingHint) bool { return t.chat == chat })
	if len(o.typing) == maxTyping {
		o.typing = o.typing[1:]
	}
	o.typing = append(o.typing, typingHint{chat, state})
}

// Result returns the next finished send.
func (m *Machine) Result() (Result, bool) {
	if len(m.out.results) == 0 {
		return Result{}, false
	}
	r := m.out.results[0]
	m.out.results = m.out.results[1:]
	return r, true
}

// next fills f with the next send when fewer than limit are in flight.
func (o *outbox) next(f *wire.Frame, limit int, now time.Time) bool {
	if len(o.waiting) == 0 || len(o.inflight) >= limit || now.Before(o.resumeAt) {
		return false
	}
	e := o.waiting[0]
	o.waiting = o.waiting[1:]
	o.inflight = insert(o.inflight, e)
	e.sentAt = now
	e.attempts++
	f.Op, f.Chat, f.To = wire.OpSendMessage, e.Target.chat, []byte(e.Target.user)
	f.Content, f.Kind, f.ReplyTo, f.ClientMsgID = e.Content, []byte(e.Kind), e.ReplyTo, []byte(e.ID)
	return true
}

func (o *outbox) nextTyping(f *wire.Frame) bool {
	if len(o.typing) == 0 {
		return false
	}
	f.Op, f.Chat, f.Typing = wire.OpTyping, o.typing[0].chat, o.typing[0].state
	o.typing = o.typing[1:]
	return true
}

// acked finishes the send that f answers: ack_sent, or its own new_message.
func (o *outbox) acked(f *wire.Frame) bool {
	e := o.byID[string(f.ClientMsgID)]
	if e == nil {
		return false
	}
	o.finish(e, Result{ID: e.ID, Ack: Ack{ChatID: f.Chat, MessageID: f.Seq, CreatedAt: timeOf(f.At), ClientMsgID: e.ID}})
	return true
}

// refused handles an error about the send id: a retryable one waits in its
// old place, and everything behind it too, so order holds.
func (o *outbox) refused(id string, e *Error, now time.Time, backoff func(int) time.Duration) bool {
	en := o.byID[id]
	if en == nil {
		return false
	}
	if !e.Retryable {
		o.finish(en, Result{ID: id, Err: e})
		return true
	}
	en.refusal = e
	at := now.Add(e.RetryAfter + backoff(en.attempts))
	if at.After(o.resumeAt) {
		o.resumeAt = at
	}
	o.wait(en)
	return true
}

// requeue moves every send in flight back and returns how many.
func (o *outbox) requeue() int {
	n := len(o.inflight)
	o.waiting = append(o.inflight, o.waiting...)
	slices.SortFunc(o.waiting, byNumber)
	o.inflight, o.typing = nil, nil
	o.resumeAt = time.Time{}
	return n
}

// tick ends a pause and moves back the sends that got no answer for too long;
// it returns how many.
func (o *outbox) tick(now time.Time) int {
	if !now.Before(o.resumeAt) {
		o.resumeAt = time.Time{}
	}
	return o.repeatSilent(now)
}

// repeatSilent moves back the sends that got no answer for too long.
func (o *outbox) repeatSilent(now time.Time) (n int) {
	for _, e := range slices.Clone(o.inflight) {
		if now.Sub(e.sentAt) >= ackTimeout {
			o.wait(e)
			n++
		}
	}
	return n
}

// deadline returns when something in the outbox is due.
func (o *outbox) deadline() (d time.Time) {
	if len(o.waiting) > 0 && !o.resumeAt.IsZero() {
		d = o.resumeAt
	}
	for _, e := range o.inflight {
		if t := e.sentAt.Add(ackTimeout); d.IsZero() || t.Before(d) {
			d = t
		}
	}
	return d
}

func (o *outbox) failAll(err error) {
	for _, e := range append(slices.Clone(o.inflight), o.waiting...) {
		o.finish(e, Result{ID: e.ID, Err: err})
	}
}

func (o *outbox) finish(e *entry, r Result) {
	o.remove(e)
	o.results = append(o.results, r)
}

func (o *outbox) remove(e *entry) {
	delete(o.byID, e.ID)
	o.waiting, o.inflight = without(o.waiting, e), without(o.inflight, e)
}

func (o *outbox) wait(e *entry) {
	o.inflight = without(o.inflight, e)
	if _, found := slices.BinarySearchFunc(o.waiting, e, byNumber); !found {
		o.waiting = insert(o.waiting, e)
	}
}

func byNumber(a, b *entry) int { return int(int64(a.no - b.no)) }

func insert(list []*entry, e *entry) []*entry {
	i, _ := slices.BinarySearchFunc(list, e, byNumber)
	return slices.Insert(list, i, e)
}

func without(list []*entry, e *entry) []*entry {
	if i, found := slices.BinarySearchFunc(list, e, byNumber); found {
		return slices.Delete(list, i, i+1)
	}
	return list
}
