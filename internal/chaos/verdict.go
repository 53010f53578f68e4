package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/wire"
)

// judging bounds what a verdict waits for after everything was seen: inbox
// rows that follow their pushes, and replicas that catch up.
const judging = 30 * time.Second

// maxFindings bounds how many broken promises of a trial are told in words.
const maxFindings = 16

// The checks of a trial: the columns of the table.
const (
	checkLost     = "lost"     // acknowledged, and a member or history lacks it
	checkTwice    = "twice"    // two numbers for a message, or two messages for a number
	checkOrder    = "order"    // shown after a later one
	checkPhantom  = "phantom"  // shown, and nobody sent it
	checkGap      = "gap"      // a number that no message has
	checkReceipt  = "receipt"  // a cursor went back
	checkWaiting  = "waiting"  // sent, and never answered
	checkInbox    = "inbox"    // an inbox ends elsewhere than its log
	checkReplicas = "replicas" // rows differ at the same index, or an index stays behind
	checkDied     = "died"     // a process ended that nobody had asked to
	checkSlow     = "slow"     // a majority was there and answers came too late
	checkHarness  = "harness"  // the harness could not do or see what it wanted
)

// Checks returns the names of the checks, in the order of the table's columns.
func Checks() []string {
	return []string{checkLost, checkTwice, checkOrder, checkPhantom, checkGap, checkReceipt, checkWaiting,
		checkInbox, checkReplicas, checkDied, checkSlow, checkHarness}
}

// Trial is the outcome of one fault.
type Trial struct {
	Number   int
	Fault    string
	What     string // what was done to whom
	Acked    uint64
	Broken   map[string]uint64 // by check; what is absent held
	Findings []string          // the first broken promises, in words
	Recovery recovery
	Took     time.Duration

	bounded bool // answers had to go on all the while
}

// OK reports whether every check held.
func (t *Trial) OK() bool { return len(t.Broken) == 0 }

// broke notes that a check failed n times, and why.
func (t *Trial) broke(check string, n uint64, format string, args ...any) {
	if n == 0 {
		return
	}
	if t.Broken == nil {
		t.Broken = make(map[string]uint64)
	}
	t.Broken[check] += n
	if len(t.Findings) < maxFindings {
		t.Findings = append(t.Findings, check+": "+fmt.Sprintf(format, args...))
	}
}

// judge asks everything that can be asked of a fleet that is whole again and
// whose users have stopped writing.
func (t *Trial) judge(ctx context.Context, l *load) {
	ctx, cancel := context.WithTimeout(ctx, 2*judging)
	defer cancel()
	t.judgeLogs(ctx, l)
	l.over.Store(true)
	v := l.swarm.Check.Finish()
	t.Acked = v.Acked
	t.take(&v, l)
	t.broke(checkWaiting, v.Unanswered, "%d messages were sent and never answered; the users met: %s", v.Unanswered, l.errors())
	t.judgeReplicas(ctx, l.f)
	for _, p := range l.f.Procs("") {
		if p.Died() {
			t.broke(checkDied, 1, "%s ended by itself; the end of its log:\n%s", p.Name, p.Tail())
		}
	}
}

// perCheck bounds how many broken promises of one check are told in words.
const perCheck = 3

// take adds what the checker found, what weighs most first.
func (t *Trial) take(v *check.Verdict, l *load) {
	for _, c := range []struct {
		kind   check.Kind
		column string
		n      uint64
	}{{check.Lost, checkLost, v.Lost}, {check.Duplicated, checkTwice, v.Duplicated}, {check.OutOfOrder, checkOrder, v.OutOfOrder},
		{check.Phantom, checkPhantom, v.Phantom}, {check.Gap, checkGap, v.Gap}, {check.Backwards, checkReceipt, v.Backwards}} {
		told := uint64(0)
		for _, b := range v.Violations {
			if b.Kind == c.kind && told < min(perCheck, c.n) {
				told++
				t.broke(c.column, 1, "%s, message %d (message_id %d), %s: %s%s", b.Chat, b.K, b.Seq, b.User, b.Detail, l.when(b))
			}
		}
		if c.n > told {
			t.broke(c.column, c.n-told, "%d more", c.n-told)
		}
	}
}

// judgeLogs compares history, what was told and every member's inbox.
func (t *Trial) judgeLogs(ctx context.Context, l *load) {
	for chat := range uint32(l.work.Chats()) {
		log, last, err := l.history(ctx, chat, int(chat)%l.work.Members(chat))
		if err != nil {
			t.broke(checkHarness, 1, "history of %s: %v", l.work.Name(chat), err)
			continue
		}
		l.swarm.Check.History(chat, log)
		t.judgeInboxes(ctx, l, chat, last)
	}
}

// judgeInboxes wants the end of the log in the inbox of each member, where it
// may come a moment later than the push.
func (t *Trial) judgeInboxes(ctx context.Context, l *load, chat uint32, last wire.Seq) {
	ctx, cancel := context.WithTimeout(ctx, judging)
	defer cancel()
	for side := range l.work.Members(chat) {
		var have wire.Seq
		var err error
		if !poll(ctx, func() bool {
			have, err = l.inbox(ctx, chat, side)
			return err == nil && have == last
		}) {
			t.broke(checkInbox, 1, "%s, %s: the log ends at %d, the inbox at %d (%v)", l.work.Name(chat), l.work.User(chat, side), last, have, err)
		}
	}
}

// judgeReplicas wants all replicas of a shard at the same index, and there the
// same rows.
func (t *Trial) judgeReplicas(ctx context.Context, f *Fleet) {
	ctx, cancel := context.WithTimeout(ctx, judging)
	defer cancel()
	var state string
	if poll(ctx, func() bool { state = t.compare(ctx, f); return state == "" }) {
		return
	}
	t.broke(checkReplicas, 1, "%s", state)
}

// compare returns what is not yet equal, "" when everything is.
func (t *Trial) compare(ctx context.Context, f *Fleet) string {
	byShard := map[wire.ShardID]map[string]digest{}
	for _, p := range f.Procs("core") {
		if !p.Running() {
			continue
		}
		list, err := p.replicas(ctx)
		if err != nil {
			return fmt.Sprintf("%s does not list its replicas: %v", p.Name, err)
		}
		for _, r := range list {
			d, err := p.digest(ctx, r.Shard)
			if err != nil {
				return fmt.Sprintf("%s, shard %d: %v", p.Name, r.Shard, err)
			}
			if byShard[r.Shard] == nil {
				byShard[r.Shard] = map[string]digest{}
			}
			byShard[r.Shard][p.Name] = d
		}
	}
	for shard, digests := range byShard {
		if text := different(digests); text != "" {
			return fmt.Sprintf("shard %d: %s", shard, text)
		}
	}
	return ""
}

// different returns "" when all digests are the same.
func different(digests map[string]digest) string {
	var texts []string
	same := true
	var first *digest
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		d := digests[name]
		if first == nil {
			first = &d
		}
		same = same && d == *first
		texts = append(texts, fmt.Sprintf("%s has %d bytes %.12s at %d", name, d.Bytes, d.Sum, d.Applied))
	}
	if same {
		return ""
	}
	return strings.Join(texts, ", ")
}
