package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// rig drives a Machine by hand.
type rig struct {
	testing.TB
	*Machine
	now time.Time
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newRig(t testing.TB, cfg MachineConfig) *rig {
	return &rig{t, NewMachine(cfg), epoch}
}

// online connects, and drains what that brings.
func (r *rig) online() *rig {
	r.Helper()
	r.open()
	r.get(wire.Frame{Op: wire.OpWelcome, User: []byte("alice"), Device: []byte("phone"), HeartbeatS: 30, HasCursor: true})
	r.get(wire.Frame{Op: wire.OpSynced, Cursor: 7, HasCursor: true})
	r.events()
	return r
}

func (r *rig) open() {
	r.Helper()
	if w := r.Wish(r.now); w != WishDial {
		r.Fatalf("wish is %d, want a dial", w)
	}
	r.Dialing()
	r.Opened("", r.now)
	if f := r.next(); f.Op != wire.OpHello {
		r.Fatalf("first frame is %v, want hello", f.Op)
	}
}

func (r *rig) get(f wire.Frame) { r.Received(wire.AppendMsgpack(nil, &f), r.now) }

func (r *rig) next() wire.Frame {
	var f wire.Frame
	r.Next(&f, r.now)
	return f
}

// wait moves the clock and ticks.
func (r *rig) wait(d time.Duration) {
	r.now = r.now.Add(d)
	r.Tick(r.now)
}

// events takes everything queued, as short text.
func (r *rig) events() (list []string) {
	for {
		ev, ok := r.Event()
		if !ok {
			return list
		}
		switch e := ev.(type) {
		case Message:
			list = append(list, fmt.Sprintf("%c%d", e.ChatID[1], e.MessageID))
		case Synced:
			list = append(list, fmt.Sprintf("synced %d", e.Cursor))
		case StateChange:
			list = append(list, e.State.String())
		default:
			list = append(list, fmt.Sprintf("%T", e))
		}
		r.Taken(ev)
	}
}

func chatID(name byte) ChatID { return ChatID{byte(wire.Direct), name} }

func msg(chat byte, seq Seq) wire.Frame {
	return wire.Frame{Op: wire.OpNewMessage, Chat: chatID(chat), Seq: seq, User: []byte("bob"), Content: []byte("x"), At: 1}
}

func want[T any](t testing.TB, what string, got, wanted T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Fatalf("%s: got %v, want %v", what, got, wanted)
	}
}

func TestSendIsRepeatedAcrossConnectionsWithTheSameID(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	for _, id := range []string{"a", "b"} {
		want(t, "send", r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: id}), nil)
	}
	want(t, "first", string(append(r.next().ClientMsgID, r.next().ClientMsgID...)), "ab")
	want(t, "one that has not left yet", r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "c"}), nil)
	r.Lost(errors.New("cut"), r.now)
	r.wait(time.Minute)
	r.online()
	want(t, "again, in order", string(r.next().ClientMsgID)+string(r.next().ClientMsgID)+string(r.next().ClientMsgID), "abc")
	r.get(wire.Frame{Op: wire.OpAckSent, ClientMsgID: []byte("b"), Chat: chatID('c'), Seq: 2, At: 1})
	res, ok := r.Result()
	if !ok || res.ID != "b" || res.Ack.MessageID != 2 || res.Err != nil {
		t.Fatalf("result %+v", res)
	}
	want(t, "resent", r.Stats().Resent, 2)
}

func TestLostAckIsLearnedFromTheOwnMessage(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"})
	r.next()
	r.Lost(errors.New("cut"), r.now)
	r.wait(time.Minute)
	r.online()
	f := msg('c', 5)
	f.User, f.ClientMsgID = []byte("alice"), []byte("a")
	r.get(f)
	res, ok := r.Result()
	if !ok || res.Ack.MessageID != 5 {
		t.Fatalf("result %+v %v", res, ok)
	}
	if f := r.next(); f.Op == wire.OpSendMessage {
		t.Error("sent again although it is stored")
	}
}

func TestRetryableErrorWaitsAndKeepsOrder(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	for _, id := range []string{"a", "b", "c"} {
		_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: id})
	}
	r.next()
	r.get(wire.Frame{Op: wire.OpError, Code: wire.CodeTooFast, Message: []byte("slow down"), Retryable: true, RetryAfter: 2000, ClientMsgID: []byte("a")})
	if f := r.next(); f.Op != 0 {
		t.Fatalf("sent %s during the pause", f.ClientMsgID)
	}
	due := r.Deadline()
	if due.Before(r.now.Add(2 * time.Second)) {
		t.Fatalf("deadline %v ignores retry_after", due.Sub(r.now))
	}
	r.wait(due.Sub(r.now))
	want(t, "order", string(r.next().ClientMsgID)+string(r.next().ClientMsgID)+string(r.next().ClientMsgID), "abc")
}

func TestFinalErrorEndsTheSend(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"})
	r.next()
	r.get(wire.Frame{Op: wire.OpError, Code: wire.CodeNotMember, Message: []byte("no"), ClientMsgID: []byte("a")})
	res, _ := r.Result()
	if !errors.Is(res.Err, wire.CodeNotMember) {
		t.Fatalf("error %v", res.Err)
	}
}

func TestSilentServerGetsTheSendAgain(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"})
	r.next()
	r.wait(ackTimeout)
	want(t, "repeated", string(r.next().ClientMsgID), "a")
}

func TestLimitOfSendsInFlight(t *testing.T) {
	r := newRig(t, MachineConfig{})
	r.open()
	r.get(wire.Frame{Op: wire.OpWelcome, User: []byte("alice"), Device: []byte("d"), HeartbeatS: 30, Limits: wire.Limits{Content: 10, InFlight: 2}})
	for _, id := range []string{"a", "b", "c"} {
		_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: id})
	}
	r.next()
	r.next()
	want(t, "third", r.next().Op, wire.Op(0))
	r.get(wire.Frame{Op: wire.OpAckSent, ClientMsgID: []byte("a"), Chat: chatID('c'), Seq: 1, At: 1})
	want(t, "third after an ack", string(r.next().ClientMsgID), "c")
	err := r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("much too long"), ID: "d"})
	if !errors.Is(err, wire.CodeContentTooBig) || !strings.Contains(err.Error(), "has 13 bytes, the server takes 10") {
		t.Errorf("content over the server's limit: %v", err)
	}
}

func TestSendRefusesWhatNoServerTakes(t *testing.T) {
	r := newRig(t, MachineConfig{Outbox: 1}).online()
	ok := Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"}
	for name, c := range map[string]struct {
		change func(*Outgoing)
		want   error
	}{
		"nobody":    {func(o *Outgoing) { o.Target = Target{} }, wire.CodeNoRecipient},
		"self":      {func(o *Outgoing) { o.Target = ToUser("alice") }, wire.CodeSelfChat},
		"bad user":  {func(o *Outgoing) { o.Target = ToUser("a\nb") }, wire.CodeBadField},
		"empty":     {func(o *Outgoing) { o.Content = nil }, wire.CodeBadField},
		"no id":     {func(o *Outgoing) { o.ID = "" }, wire.CodeBadField},
		"long kind": {func(o *Outgoing) { o.Kind = string(make([]byte, 33)) }, wire.CodeBadField},
	} {
		o := ok
		c.change(&o)
		if err := r.Send(o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	_ = r.Send(ok)
	want(t, "same id", r.Send(ok), ErrDuplicateID)
	ok.ID = "b"
	want(t, "full", r.Send(ok), ErrOutboxFull)
}

func TestMessagesOnceInOrderWithoutGaps(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	for _, seq := range []Seq{3, 4, 4, 3, 5} {
		r.get(msg('c', seq))
	}
	want(t, "events", r.events(), []string{"c3", "c4", "c5"})
	want(t, "duplicates", r.Stats().Duplicates, 2)

	r.get(msg('c', 8)) // 6 and 7 are missing
	r.get(msg('c', 9))
	r.get(msg('d', 1)) // another conversation goes on
	want(t, "events before the gap closes", r.events(), []string{"d1"})
	req, ok := r.Fetch(r.now)
	if !ok || req.Chat != chatID('c') || req.After != 5 {
		t.Fatalf("fetch %+v %v", req, ok)
	}
	if _, again := r.Fetch(r.now); again {
		t.Fatal("two fetches at a time")
	}
	r.Fetched(req, page('c', 6, 9), nil, r.now)
	want(t, "events", r.events(), []string{"c6", "c7", "c8", "c9"})
	r.get(msg('c', 10))
	want(t, "and live again", r.events(), []string{"c10"})
}

func page(chat byte, from, to Seq) (list []Message) {
	for s := from; s <= to; s++ {
		list = append(list, Message{ChatID: chatID(chat), MessageID: s})
	}
	return list
}

func TestOwnSendsAreNoGap(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(msg('c', 1))
	_ = r.Send(Outgoing{Target: ToChat(chatID('c')), Content: []byte("hi"), ID: "a"})
	r.next()
	r.get(wire.Frame{Op: wire.OpAckSent, ClientMsgID: []byte("a"), Chat: chatID('c'), Seq: 3, At: 1})
	r.get(msg('c', 2)) // pushed by another shard, later than the ack
	r.get(msg('c', 4))
	want(t, "events", r.events(), []string{"c1", "c2", "c4"})
	want(t, "gaps", r.Stats().Gaps, 0)
}

func TestSlowApplicationLosesNothing(t *testing.T) {
	r := newRig(t, MachineConfig{Inbox: fetchPage}).online()
	const n = 4 * fetchPage
	for s := Seq(1); s <= n; s++ {
		r.get(msg('c', s))
	}
	if got := len(r.in.queue); got > fetchPage {
		t.Fatalf("%d events wait, over the capacity of %d", got, fetchPage)
	}
	var got []string
	for range 2 * n / fetchPage {
		got = append(got, r.events()...)
		if req, ok := r.Fetch(r.now); ok {
			r.Fetched(req, page('c', req.After+1, min(n, req.After+fetchPage)), nil, r.now)
		}
	}
	want(t, "messages", len(got), n)
	for i, ev := range got {
		want(t, "order", ev, fmt.Sprintf("c%d", i+1))
	}
}

func TestSyncedWaitsForTheGap(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(msg('c', 1))
	r.get(msg('c', 3))
	r.get(wire.Frame{Op: wire.OpSynced, Cursor: 9, HasCursor: true})
	want(t, "events", r.events(), []string{"c1"})
	req, _ := r.Fetch(r.now)
	r.Fetched(req, page('c', 2, 3), nil, r.now)
	want(t, "events", r.events(), []string{"c2", "c3", "synced 9"})
}

func TestGapThatRetentionRemovedIsGivenUp(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(msg('c', 1))
	r.get(msg('c', 3))
	req, _ := r.Fetch(r.now)
	r.Fetched(req, nil, wire.CodeNotMember, r.now)
	want(t, "given up", r.Stats().Unavailable, 1)
	r.get(msg('c', 4))
	want(t, "goes on", r.events(), []string{"c1", "c4"})
}

func TestFetchThatFailsIsRepeatedLater(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(msg('c', 1))
	r.get(msg('c', 3))
	req, _ := r.Fetch(r.now)
	r.Fetched(req, nil, errors.New("network"), r.now)
	if _, ok := r.Fetch(r.now); ok {
		t.Fatal("fetched again at once")
	}
	r.wait(r.Deadline().Sub(r.now))
	if _, ok := r.Fetch(r.now); !ok {
		t.Fatal("not fetched again")
	}
}

func TestDeliveredIsAckedOnceTakenAndCoalesced(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	for s := Seq(1); s <= 5; s++ {
		r.get(msg('c', s))
	}
	want(t, "before it is taken", r.next().Op, wire.Op(0))
	r.events()
	f := r.next()
	if f.Op != wire.OpAckDelivered || f.Seq != 5 {
		t.Fatalf("ack %v %d", f.Op, f.Seq)
	}
	want(t, "once", r.next().Op, wire.Op(0))
	r.get(msg('c', 5)) // the server has not seen the ack
	want(t, "again", r.next().Op, wire.OpAckDelivered)
}

func TestReadIsRepeatedAfterALoss(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.Read(chatID('c'), 4)
	want(t, "read", r.next().Op, wire.OpAckRead)
	r.Lost(errors.New("cut"), r.now)
	r.wait(time.Minute)
	r.online()
	f := r.next()
	want(t, "read again", fmt.Sprint(f.Op, f.Seq), "ack_read 4")
}

func TestHeartbeat(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.wait(29 * time.Second)
	want(t, "early", r.next().Op, wire.Op(0))
	r.wait(time.Second)
	want(t, "at 30 s", r.next().Op, wire.OpPing)
	r.get(wire.Frame{Op: wire.OpPong})
	r.wait(30 * time.Second)
	want(t, "at 60 s", r.next().Op, wire.OpPing)
	want(t, "alive", r.Wish(r.now), WishNothing)
	r.wait(30 * time.Second)
	want(t, "60 s after the pong", r.Wish(r.now), WishHangup)
	r.Lost(errors.New("closed"), r.now)
	want(t, "state", r.State(), StateWaiting)
	r.get(wire.Frame{Op: wire.OpPing}) // a late byte changes nothing
}

func TestServerPingIsAnswered(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(wire.Frame{Op: wire.OpPing})
	want(t, "answer", r.next().Op, wire.OpPong)
}

func TestBackoffDoublesWithFullJitter(t *testing.T) {
	const lo, hi = 100 * time.Millisecond, time.Second
	var longest [6]time.Duration
	shortest := [6]time.Duration{hi, hi, hi, hi, hi, hi}
	for seed := range uint64(200) {
		r := newRig(t, MachineConfig{BackoffLo: lo, BackoffHi: hi, Seed: seed})
		for i := range longest {
			r.Dialing()
			r.Lost(errors.New("refused"), r.now)
			wait := r.Deadline().Sub(r.now)
			bound := min(hi, lo<<i)
			if wait < 0 || wait > bound {
				t.Fatalf("attempt %d waits %v, bound is %v", i, wait, bound)
			}
			longest[i], shortest[i] = max(longest[i], wait), min(shortest[i], wait)
			r.wait(wait)
		}
	}
	for i, l := range longest {
		if bound := min(hi, lo<<i); l < bound*9/10 || shortest[i] > bound/10 {
			t.Errorf("attempt %d waits %v to %v, want from 0 to %v", i, shortest[i], l, bound)
		}
	}
}

func TestGoingAwayReconnectsNotBefore(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(wire.Frame{Op: wire.OpGoingAway, RetryAfter: 5000})
	_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"})
	want(t, "no new sends", r.next().Op, wire.Op(0))
	r.wait(time.Second)
	r.Lost(errors.New("cut"), r.now)
	if wait := r.Deadline().Sub(r.now); wait < 4*time.Second {
		t.Errorf("dials after %v, want not before 4 s", wait)
	}
	r2 := newRig(t, MachineConfig{}).online()
	r2.get(wire.Frame{Op: wire.OpGoingAway, RetryAfter: 5000})
	r2.wait(5 * time.Second)
	want(t, "leaves by itself", r2.Wish(r2.now), WishHangup)
}

func TestRetryAfterOfARefusalIsHonoured(t *testing.T) {
	r := newRig(t, MachineConfig{})
	r.Dialing()
	r.Lost(&Error{Code: wire.CodeServerFull, Retryable: true, RetryAfter: 7 * time.Second}, r.now)
	if wait := r.Deadline().Sub(r.now); wait < 7*time.Second {
		t.Errorf("dials after %v", wait)
	}
}

func TestRefusalsThatEndTheClient(t *testing.T) {
	r := newRig(t, MachineConfig{})
	_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"})
	r.Dialing()
	r.Lost(&Error{Code: wire.CodeTokenExpired}, r.now)
	want(t, "wish", r.Wish(r.now), WishStop)
	res, _ := r.Result()
	if !errors.Is(res.Err, wire.CodeTokenExpired) {
		t.Errorf("the waiting send ends with %v", res.Err)
	}
	if err := r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "b"}); !errors.Is(err, wire.CodeTokenExpired) {
		t.Errorf("a later send ends with %v", err)
	}
}

func TestANewTokenIsTriedOnce(t *testing.T) {
	r := newRig(t, MachineConfig{NewToken: true})
	r.Dialing()
	r.Lost(&Error{Code: wire.CodeTokenExpired}, r.now)
	want(t, "goes on", r.State(), StateWaiting)
	r.wait(time.Minute)
	r.Dialing()
	r.Lost(&Error{Code: wire.CodeTokenExpired}, r.now)
	want(t, "ends", r.State(), StateClosed)
}

func TestFatalErrorFrameExplainsTheLoss(t *testing.T) {
	r := newRig(t, MachineConfig{}).online()
	r.get(wire.Frame{Op: wire.OpError, Code: wire.CodeSlowReader, Message: []byte("slow"), Retryable: true})
	r.Lost(errors.New("EOF"), r.now)
	ev, _ := r.Event()
	if sc, ok := ev.(StateChange); !ok || !errors.Is(sc.Err, wire.CodeSlowReader) {
		t.Errorf("event %+v", ev)
	}
}

func TestHelloCarriesTheNewestCursor(t *testing.T) {
	r := newRig(t, MachineConfig{Cursor: 3, HasCursor: true, Device: "phone"})
	r.Dialing()
	r.Opened("tok", r.now)
	f := r.next()
	want(t, "hello", fmt.Sprintf("%d %s %s", f.Cursor, f.Token, f.Device), "3 tok phone")
	r.get(wire.Frame{Op: wire.OpWelcome, User: []byte("alice"), Device: []byte("phone"), HeartbeatS: 30})
	r.get(wire.Frame{Op: wire.OpSynced, Cursor: 12, HasCursor: true})
	r.Lost(errors.New("cut"), r.now)
	r.Dialing()
	r.Opened("", r.now)
	want(t, "later hello", r.next().Cursor, 12)
}

func TestWelcomeThatNeverComes(t *testing.T) {
	r := newRig(t, MachineConfig{})
	r.open()
	r.wait(r.Deadline().Sub(r.now))
	want(t, "wish", r.Wish(r.now), WishHangup)
}

func TestHintsAreShedAndStatusesRaised(t *testing.T) {
	r := newRig(t, MachineConfig{Inbox: fetchPage}).online()
	for s := Seq(1); s <= 3*fetchPage; s++ {
		r.get(wire.Frame{Op: wire.OpStatusUpdate, Chat: chatID('c'), Seq: s, User: []byte("bob"), Status: wire.StatusRead})
		r.get(wire.Frame{Op: wire.OpTyping, Chat: chatID('c'), Typing: wire.TypingStart, User: []byte("bob")})
	}
	newest := Seq(0)
	for {
		ev, ok := r.Event()
		if !ok {
			break
		}
		if s, ok := ev.(Status); ok {
			newest = max(newest, s.MessageID)
		}
	}
	want(t, "newest status", newest, 3*fetchPage)
	if r.Stats().HintsShed == 0 {
		t.Error("shed hints are not counted")
	}
}

func TestHostileFramesEndTheConnectionOnly(t *testing.T) {
	for _, b := range [][]byte{nil, {0xff}, {0x90}, {0x91, 0x05}, []byte("hello")} {
		r := newRig(t, MachineConfig{}).online()
		r.Received(b, r.now)
		if r.Wish(r.now) != WishHangup || r.Stats().BadFrames != 1 {
			t.Errorf("%x: wish %v, stats %+v", b, r.Wish(r.now), r.Stats())
		}
	}
	r := newRig(t, MachineConfig{}).online()
	r.Received([]byte{0x91, 0x7f}, r.now)
	want(t, "an op of a later version", r.Wish(r.now), WishNothing)
}

func FuzzMachineReceived(f *testing.F) {
	for _, fr := range []wire.Frame{msg('c', 1), {Op: wire.OpSynced, Cursor: 1, HasCursor: true}, {Op: wire.OpError, Code: 1301, Message: []byte("x"), ClientMsgID: []byte("a")}} {
		f.Add(wire.AppendMsgpack(nil, &fr))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRig(t, MachineConfig{Inbox: fetchPage}).online()
		_ = r.Send(Outgoing{Target: ToUser("bob"), Content: []byte("hi"), ID: "a"})
		r.next()
		r.Received(b, r.now)
		r.events()
		r.wait(time.Minute)
		r.Lost(errors.New("cut"), r.now)
	})
}
