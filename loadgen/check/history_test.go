package check_test

import (
	"testing"

	"github.com/godwit-im/godwit/loadgen/check"
	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

// TestHistory plants one fault at a time in the log that history shows.
func TestHistory(t *testing.T) {
	entry := func(s story, k uint32, seq wire.Seq) check.Entry {
		id := workload.ID{K: k}
		return check.Entry{Seq: seq, ClientMsgID: []byte(s.w.ClientMsgID(id)), Content: s.w.AppendContent(nil, id, 0)}
	}
	for name, tt := range map[string]struct {
		log  func(s story) []check.Entry
		want check.Kind
	}{
		"clean": {func(s story) []check.Entry { return []check.Entry{entry(s, 0, 1), entry(s, 1, 2)} }, ""},
		"an answer that never came": {func(s story) []check.Entry {
			s.Sent(workload.ID{K: 2})
			return []check.Entry{entry(s, 0, 1), entry(s, 1, 2), entry(s, 2, 3)}
		}, ""},
		"one is gone": {func(s story) []check.Entry { return []check.Entry{entry(s, 0, 1)} }, check.Lost},
		"a hole": {func(s story) []check.Entry {
			s.Sent(workload.ID{K: 2})
			return []check.Entry{entry(s, 0, 1), entry(s, 1, 2), entry(s, 2, 4)}
		}, check.Gap},
		"one twice": {func(s story) []check.Entry {
			return []check.Entry{entry(s, 0, 1), entry(s, 1, 2), entry(s, 1, 3)}
		}, check.Duplicated},
		"nobody sent it": {func(s story) []check.Entry {
			return []check.Entry{entry(s, 0, 1), entry(s, 1, 2), entry(s, 9, 3)}
		}, check.Phantom},
		"another content": {func(s story) []check.Entry {
			strange := entry(s, 2, 3)
			s.Sent(workload.ID{K: 2})
			strange.Content[30] ^= 1
			return []check.Entry{entry(s, 0, 1), entry(s, 1, 2), strange}
		}, check.Phantom},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			s.acked(0, 1)
			s.seen(0, 1)
			s.acked(1, 2)
			s.seen(1, 2)
			s.History(0, tt.log(s))
			v := s.Finish()
			if tt.want == "" && !v.OK() || tt.want != "" && (v.Broken() != 1 || v.Violations[0].Kind != tt.want) {
				t.Fatalf("want %q, got %+v", tt.want, v)
			}
		})
	}
	s := newStory()
	s.acked(0, 1)
	s.acked(1, 2)
	s.seen(0, 1)
	s.seen(1, 2)
	s.History(0, []check.Entry{entry(s, 1, 1), entry(s, 0, 2)})
	if v := s.Finish(); v.Duplicated != 2 {
		t.Errorf("two messages changed places in history: %+v", v)
	}
}
