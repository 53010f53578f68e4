package chaos

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/edge/auth"
	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/swarm"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// The load of a trial: enough conversations for every shard to have some, and
// small contents, because what counts is how many.
const (
	pairs     = 24
	groups    = 4
	groupSize = 5
	content   = 64
	// longest bounds how long users of one trial write.
	longest = 10 * time.Minute
	// settle is the default of Config.Settle.
	settle = 60 * time.Second
	// connecting bounds how long the users of a trial take to connect.
	connecting = 60 * time.Second
	// tokens are good for longer than a trial takes.
	tokenLife = time.Hour
)

// load is the users of one trial.
type load struct {
	f     *Fleet
	swarm *swarm.Swarm
	work  workload.Plan
	waits waits
	sent  chan struct{} // closed when all is sent and settled
	stop  context.CancelFunc

	over atomic.Bool // what is found from now on is found by the verdict
	mu   struct {
		sync.Mutex
		found map[check.Violation]time.Duration // when, after the fault
	}
}

// maxFound bounds how many moments are kept.
const maxFound = 200

// found notes when a promise broke, while it can be seen.
func (l *load) found(v check.Violation) {
	at := l.swarm.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mu.found) < maxFound && !l.over.Load() {
		l.mu.found[v] = at - l.waits.began()
	}
}

// when says in words when a promise broke, "" when the verdict found it.
func (l *load) when(v check.Violation) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, known := l.mu.found[v]; known {
		return fmt.Sprintf(", %.2f s after the fault", at.Seconds())
	}
	return ""
}

// newLoad connects users, whose names begin with run, over all edges, and lets
// them write.
func newLoad(ctx context.Context, f *Fleet, run string, cfg *Config) (*load, error) {
	l := &load{f: f, sent: make(chan struct{}), work: workload.Plan{
		Run: run, Pairs: pairs, Groups: groups, GroupSize: groupSize, Rate: cfg.Rate, Size: content}}
	var urls []string
	for _, e := range f.Procs("edge") {
		urls = append(urls, "ws://"+e.addr(portPublic)+"/ws")
	}
	l.swarm = swarm.New(swarm.Options{
		URL: urls[0], More: urls[1:], Work: l.work, For: longest, Settle: cmp.Or(cfg.Settle, settle), Heartbeat: heartbeat, Acked: l.waits.acked,
		Token: func(_ context.Context, u wire.UserID) (string, error) { return f.token(u) },
	})
	l.mu.found = make(map[check.Violation]time.Duration)
	l.swarm.Check.OnBroken = l.found
	start, cancel := context.WithTimeout(ctx, connecting)
	defer cancel()
	if err := l.swarm.Connect(start); err != nil {
		l.swarm.Close()
		return nil, fmt.Errorf("chaos: connecting the users: %w; the users met: %s", err, l.errors())
	}
	sending, stop := context.WithCancel(ctx)
	l.stop = stop
	go func() {
		defer close(l.sent)
		l.swarm.Send(sending)
	}()
	return l, nil
}

// finish ends the writing and waits until all was answered and seen.
func (l *load) finish() {
	l.stop()
	<-l.sent
}

// errorText is how much of an error's text is shown: its number and what it is.
const errorText = 60

// errors says in words what the users met, and how often.
func (l *load) errors() string {
	var list []string
	for text, n := range l.swarm.Errs.Counts() {
		list = append(list, fmt.Sprintf("%d x %.*s", n, errorText, text))
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}

// close ends the connections too.
func (l *load) close() {
	l.finish()
	l.swarm.Close()
}

// token signs a user in.
func (f *Fleet) token(u wire.UserID) (string, error) {
	return auth.Mint([]byte(f.secret), u, "", time.Now(), tokenLife)
}

// waits measures how long conversations waited for an answer because of a
// fault. It is safe for concurrent use.
type waits struct {
	mu    sync.Mutex
	fault time.Duration // on the load's clock
	from  time.Duration // likewise; 0: nothing is measured
	worst map[uint32]time.Duration
}

// injected notes when the fault began, and measures from now on.
func (w *waits) injected(now time.Duration) {
	w.begin(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = now
}

// began returns when the fault began.
func (w *waits) began() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault
}

// begin measures from now on: whatever is answered later has waited since it
// was due, or since now.
func (w *waits) begin(now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from, w.worst = now, make(map[uint32]time.Duration)
}

func (w *waits) acked(id workload.ID, due, latency time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answered := due + latency; w.from != 0 && answered > w.from {
		w.worst[id.Chat] = max(w.worst[id.Chat], answered-max(due, w.from))
	}
}

// stalledFrom is how long the longest wait of a conversation is that counts as
// stalled by a fault; on a busy machine a garbage collection may take as much.
const stalledFrom = 200 * time.Millisecond

// recovery is how long the conversations that a fault stalled waited.
type recovery struct {
	Stalled       int
	P50, P99, Max time.Duration
}

func (w *waits) recovery() (r recovery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []time.Duration
	for _, d := range w.worst {
		if d >= stalledFrom {
			list = append(list, d)
		}
	}
	return summary(list)
}

// summary sorts list.
func summary(list []time.Duration) (r recovery) {
	slices.Sort(list)
	if n := len(list); n > 0 {
		r = recovery{n, list[n/2], list[min(n-1, n*99/100)], list[n-1]}
	}
	return r
}

// history reads the whole log of a conversation as one of its members.
func (l *load) history(ctx context.Context, chat uint32, side int) (log []check.Entry, last wire.Seq, err error) {
	var page struct {
		Messages []struct {
			MessageID   wire.Seq `json:"message_id"`
			ClientMsgID string   `json:"client_msg_id"`
			Content     string   `json:"content"`
			ContentB64  []byte   `json:"content_b64"`
			Kind        string   `json:"kind"`
		} `json:"messages"`
		Next wire.Seq `json:"next_cursor"`
	}
	for after := wire.Seq(0); ; after = page.Next {
		page.Next, page.Messages = 0, nil
		path := fmt.Sprintf("/v1/chats/%s/messages?after=%d&limit=200", l.swarm.Chat(chat), after)
		if err := l.ask(ctx, l.work.User(chat, side), path, &page); err != nil {
			return nil, 0, err
		}
		for _, m := range page.Messages {
			last = m.MessageID
			if m.Kind == wire.KindGroupCreated {
				continue
			}
			e := check.Entry{Seq: m.MessageID, ClientMsgID: []byte(m.ClientMsgID), Content: m.ContentB64}
			if m.ContentB64 == nil {
				e.Content = []byte(m.Content)
			}
			log = append(log, e)
		}
		if page.Next == 0 {
			return log, last, nil
		}
	}
}

// inbox returns where the user's list of conversations says that chat ends.
func (l *load) inbox(ctx context.Context, chat uint32, side int) (last wire.Seq, err error) {
	var list struct {
		Chats []struct {
			ChatID string   `json:"chat_id"`
			LastID wire.Seq `json:"last_message_id"`
		} `json:"chats"`
	}
	if err := l.ask(ctx, l.work.User(chat, side), "/v1/chats", &list); err != nil {
		return 0, err
	}
	for _, c := range list.Chats {
		if c.ChatID == l.swarm.Chat(chat).String() {
			return c.LastID, nil
		}
	}
	return 0, nil
}

// ask asks the edges for a path as a user, one after the other, until one
// answers.
func (l *load) ask(ctx context.Context, u wire.UserID, path string, out any) error {
	token, err := l.f.token(u)
	if err != nil {
		return err
	}
	poll(ctx, func() bool {
		for _, e := range l.f.Procs("edge") {
			if err = get(ctx, "http://"+e.addr(portPublic)+path, token, out); err == nil {
				return true
			}
		}
		return false
	})
	return err
}
