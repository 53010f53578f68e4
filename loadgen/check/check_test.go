package check_test

import (
	"testing"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// story drives a checker by hand.
type story struct {
	*check.Checker
	w *workload.Plan
}

func newStory() story {
	w := &workload.Plan{Run: "run", Pairs: 2, Rate: 100, Size: 100}
	return story{check.New(w), w}
}

func (s story) acked(k uint32, seq wire.Seq) { s.Acked(workload.ID{K: k}, seq) }

func (s story) seen(k uint32, seq wire.Seq) bool {
	id := workload.ID{K: k}
	_, first := s.Received(0, 1-s.w.Side(id), seq, []byte(s.w.ClientMsgID(id)), s.w.AppendContent(nil, id, s.w.Due(id)))
	return first
}

// TestVerdict plants one fault at a time and expects exactly its name.
func TestVerdict(t *testing.T) {
	tests := []struct {
		name string
		tell func(s story)
		want check.Kind // "" for a clean run
	}{
		{"clean", func(s story) { s.acked(0, 1); s.seen(0, 1); s.seen(1, 2); s.acked(1, 2) }, ""},
		{"a redelivery is allowed", func(s story) { s.acked(0, 1); s.seen(0, 1); s.seen(0, 1) }, ""},
		{"an unanswered send may have a number", func(s story) { s.acked(0, 1); s.seen(0, 1); s.Sent(workload.ID{K: 3}); s.seen(1, 3); s.seen(2, 4) }, ""},
		{"lost", func(s story) { s.acked(0, 1) }, check.Lost},
		{"two acks differ", func(s story) { s.acked(0, 1); s.seen(0, 1); s.acked(0, 2) }, check.Duplicated},
		{"seen twice under two numbers", func(s story) { s.acked(0, 1); s.seen(0, 1); s.seen(0, 2) }, check.Duplicated},
		{"two messages with one number", func(s story) { s.acked(0, 1); s.seen(0, 1); s.acked(1, 1); s.seen(1, 1) }, check.Duplicated},
		{"late", func(s story) { s.acked(0, 1); s.acked(2, 2); s.seen(2, 2); s.seen(0, 1) }, check.OutOfOrder},
		{"gap", func(s story) { s.acked(0, 2); s.seen(0, 2) }, check.Gap},
		{"nobody sent it", func(s story) { s.Received(0, 1, 1, []byte("run-0-x"), nil) }, check.Phantom},
		{"another pair's message", func(s story) {
			id := workload.ID{Chat: 1}
			s.Received(0, 1, 1, []byte(s.w.ClientMsgID(id)), s.w.AppendContent(nil, id, 0))
		}, check.Phantom},
		{"content changed", func(s story) {
			c := s.w.AppendContent(nil, workload.ID{}, 0)
			c[90] ^= 1
			s.Received(0, 1, 1, []byte(s.w.ClientMsgID(workload.ID{})), c)
		}, check.Phantom},
		{"receipt back", func(s story) {
			s.Status(0, 0, 1, 2, wire.StatusDelivered)
			s.Status(0, 0, 1, 1, wire.StatusDelivered)
		}, check.Backwards},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			tt.tell(s)
			v := s.Finish()
			if tt.want == "" {
				if !v.OK() {
					t.Fatalf("want a clean verdict, got %+v", v)
				}
				return
			}
			if v.Broken() != 1 || len(v.Violations) != 1 || v.Violations[0].Kind != tt.want {
				t.Fatalf("want one %q, got %+v", tt.want, v)
			}
			if v.Violations[0].User == "" || v.Violations[0].Detail == "" {
				t.Errorf("a violation names a user and a reason: %+v", v.Violations[0])
			}
		})
	}
}

// A group of three: every member counts, and the first entry is the server's.
func TestVerdictOnAGroup(t *testing.T) {
	const group = 1
	w := &workload.Plan{Run: "run", Pairs: 1, Groups: 1, GroupSize: 3, Rate: 100, Size: 100}
	seen := func(c *check.Checker, k uint32, side int, seq wire.Seq) {
		id := workload.ID{Chat: group, K: k}
		c.Received(group, side, seq, []byte(w.ClientMsgID(id)), w.AppendContent(nil, id, 0))
	}
	for name, tt := range map[string]struct {
		tell func(c *check.Checker)
		want check.Kind
		user wire.UserID
	}{
		"clean":               {func(c *check.Checker) { seen(c, 0, 1, 2); seen(c, 0, 2, 2) }, "", ""},
		"again":               {func(c *check.Checker) { seen(c, 0, 1, 2); seen(c, 0, 2, 2); seen(c, 0, 2, 2) }, "", ""},
		"one never saw it":    {func(c *check.Checker) { seen(c, 0, 1, 2) }, check.Lost, "run-1m2"},
		"two numbers":         {func(c *check.Checker) { seen(c, 0, 1, 2); seen(c, 0, 2, 3) }, check.Duplicated, "run-1m2"},
		"late for one of two": {func(c *check.Checker) { late(c, seen) }, check.OutOfOrder, "run-1m2"},
		"receipts of two are apart": {func(c *check.Checker) {
			seen(c, 0, 1, 2)
			seen(c, 0, 2, 2)
			c.Status(group, 0, 1, 2, wire.StatusRead)
			c.Status(group, 0, 2, 1, wire.StatusRead)
		}, "", ""},
		"receipt back": {func(c *check.Checker) {
			seen(c, 0, 1, 2)
			seen(c, 0, 2, 2)
			c.Status(group, 0, 2, 2, wire.StatusRead)
			c.Status(group, 0, 2, 1, wire.StatusRead)
		}, check.Backwards, "run-1m0"},
	} {
		t.Run(name, func(t *testing.T) {
			c := check.New(w)
			c.Acked(workload.ID{Chat: group, K: 0}, 2)
			tt.tell(c)
			v := c.Finish()
			if tt.want == "" {
				if !v.OK() || v.GroupAcked == 0 || v.GroupSeen != v.GroupAcked || v.Seen != v.Acked {
					t.Fatalf("want a clean verdict, got %+v", v)
				}
				return
			}
			if v.Broken() != 1 || v.Violations[0].Kind != tt.want || v.Violations[0].User != tt.user || v.Violations[0].Chat != "group 0" {
				t.Fatalf("want one %q of %s, got %+v", tt.want, tt.user, v)
			}
		})
	}
}

// late shows member 2 the second message before the first.
func late(c *check.Checker, seen func(*check.Checker, uint32, int, wire.Seq)) {
	c.Acked(workload.ID{Chat: 1, K: 3}, 3) // of member 0, as message 0 is
	seen(c, 0, 1, 2)
	seen(c, 3, 1, 3)
	seen(c, 3, 2, 3)
	seen(c, 0, 2, 2)
}

func TestPending(t *testing.T) {
	s := newStory()
	s.acked(0, 1)
	if n := s.Pending(); n != 1 {
		t.Fatalf("Pending() = %d before the message was seen, want 1", n)
	}
	if !s.seen(0, 1) || s.seen(0, 1) {
		t.Fatal("the first sight of a message is first, the second is not")
	}
	if n := s.Pending(); n != 0 {
		t.Fatalf("Pending() = %d after the message was seen, want 0", n)
	}
}
