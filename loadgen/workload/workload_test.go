package workload_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/loadgen/workload"
	"github.com/godwit-im/godwit/wire"
)

func TestNamesAndContentsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := workload.Plan{Run: "r-1", Pairs: 9, Rate: 10, Size: rapid.IntRange(workload.MinSize, 300).Draw(t, "size")}
		id := workload.ID{Chat: rapid.Uint32().Draw(t, "pair"), K: rapid.Uint32().Draw(t, "k")}
		due := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "due"))
		cmid := w.ClientMsgID(id)
		if !wire.ValidID(cmid) {
			t.Fatalf("%q is not a valid client_msg_id", cmid)
		}
		if got, ok := w.ParseClientMsgID([]byte(cmid)); !ok || got != id {
			t.Fatalf("ParseClientMsgID(%q) = %v, %v", cmid, got, ok)
		}
		c := w.AppendContent(nil, id, due)
		if len(c) != w.Size {
			t.Fatalf("content has %d bytes, want %d", len(c), w.Size)
		}
		if got, d, err := w.ParseContent(c); err != nil || got != id || d != due {
			t.Fatalf("ParseContent = %v, %v, %v", got, d, err)
		}
		c[rapid.IntRange(16, len(c)-1).Draw(t, "at")] ^= 0x40
		if _, _, err := w.ParseContent(c); err == nil {
			t.Fatal("a changed byte went unnoticed")
		}
	})
}

func TestMembersAreToldApart(t *testing.T) {
	w := workload.Plan{Run: "r", Pairs: 2, Groups: 2, GroupSize: 12}
	users := map[wire.UserID]bool{}
	for chat := range uint32(w.Chats()) {
		for side := range w.Members(chat) {
			u := w.User(chat, side)
			users[u] = true
			if got, ok := w.SideOf(chat, []byte(u)); !ok || got != side {
				t.Errorf("%s is member %d, got %d %v", u, side, got, ok)
			}
			if _, ok := w.SideOf((chat+1)%4, []byte(u)); ok {
				t.Errorf("%s is a member of the next conversation", u)
			}
			if got := w.Side(workload.ID{Chat: chat, K: uint32(side + 3*w.Members(chat))}); got != side {
				t.Errorf("%s: member %d is to send, want %d", w.Name(chat), got, side)
			}
		}
	}
	if len(users) != w.Users() || w.Users() != 28 {
		t.Errorf("%d users, Users() is %d, want 28", len(users), w.Users())
	}
}

func TestDueSpreadsPairsEvenly(t *testing.T) {
	w := workload.Plan{Pairs: 4, Rate: 8}
	for i, want := range []time.Duration{0, 125, 250, 375, 500, 625} {
		id := workload.ID{Chat: uint32(i % 4), K: uint32(i / 4)}
		if got := w.Due(id); got != want*time.Millisecond {
			t.Errorf("Due(%v) = %v, want %v ms", id, got, want)
		}
	}
}
