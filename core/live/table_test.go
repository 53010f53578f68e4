package live

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
)

var chat = wire.DirectChat("alice", "bob")

// sessions lists the user's sessions as "edge/id".
func sessions(t *Table, user string) (out []string) {
	for p, ok := t.First([]byte(user)); ok; p, ok = t.Next(p) {
		out = append(out, fmt.Sprintf("%d/%d", t.At(p).Edge, t.At(p).ID))
	}
	slices.Sort(out)
	return out
}

func TestOpenCloseAndEdgeDown(t *testing.T) {
	tab := New()
	open := func(edge wire.NodeID, id wire.SessionID, user string) {
		if code := tab.Open(edge, id, []byte(user), []byte("phone")); code != wire.OK {
			t.Fatalf("Open = %v", code)
		}
	}
	open(1001, 1, "alice")
	open(1001, 2, "alice")
	open(1002, 1, "alice")
	open(1002, 1, "alice") // again: renewed, not doubled
	open(1001, 3, "bob")
	if got := sessions(tab, "alice"); !slices.Equal(got, []string{"1001/1", "1001/2", "1002/1"}) {
		t.Fatalf("alice has %v", got)
	}
	tab.Close(1001, 2, []byte("alice"))
	tab.Close(1001, 99, []byte("alice"))
	tab.Close(1001, 3, []byte("alice")) // bob's: not alice's to close
	if got := sessions(tab, "alice"); !slices.Equal(got, []string{"1001/1", "1002/1"}) {
		t.Fatalf("after Close alice has %v", got)
	}
	tab.CloseEdge(1001)
	if got := sessions(tab, "alice"); !slices.Equal(got, []string{"1002/1"}) {
		t.Errorf("after CloseEdge alice has %v", got)
	}
	if got := sessions(tab, "bob"); got != nil || tab.Len() != 1 {
		t.Errorf("after CloseEdge bob has %v, Len %d", got, tab.Len())
	}
}

func TestTooManySessions(t *testing.T) {
	tab := New()
	for i := range MaxSessions {
		if code := tab.Open(1001, wire.SessionID(i), []byte("u"), nil); code != wire.OK {
			t.Fatalf("session %d refused: %v", i, code)
		}
	}
	if code := tab.Open(1001, 1000, []byte("u"), nil); code != wire.CodeTooManySessions {
		t.Errorf("session %d: %v, want too many", MaxSessions+1, code)
	}
	tab.Close(1001, 5, []byte("u"))
	if code := tab.Open(1001, 1000, []byte("u"), nil); code != wire.OK {
		t.Errorf("after one closed: %v", code)
	}
}

// The table agrees with a plain map whatever happens.
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab, model := New(), map[string]string{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			edge := wire.NodeID(rapid.IntRange(1, 3).Draw(t, "edge"))
			id := wire.SessionID(rapid.IntRange(1, 6).Draw(t, "id"))
			// A session belongs to one user for ever.
			user := fmt.Sprintf("u%d", (int(edge)+int(id))%3)
			name := fmt.Sprintf("%d/%d", edge, id)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				tab.CloseEdge(edge)
				for n := range model {
					if n[0] == name[0] {
						delete(model, n)
					}
				}
			case 1, 2:
				tab.Close(edge, id, []byte(user))
				delete(model, name)
			default:
				tab.Open(edge, id, []byte(user), []byte("d"))
				model[name] = user
			}
			for _, u := range []string{"u0", "u1", "u2"} {
				var want []string
				for n, of := range model {
					if of == u {
						want = append(want, n)
					}
				}
				slices.Sort(want)
				if got := sessions(tab, u); !slices.Equal(got, want) {
					t.Fatalf("%s has %v, want %v", u, got, want)
				}
			}
			if tab.Len() != len(model) {
				t.Fatalf("Len %d, want %d", tab.Len(), len(model))
			}
		}
	})
}

// However the table has grown and whatever has left it, everybody is found.
func TestManyUsersAreFound(t *testing.T) {
	tab, open := New(), map[int]bool{}
	user := func(i int) []byte { return fmt.Appendf(nil, "user-%d", i) }
	r := rand.New(rand.NewPCG(1, 2))
	for range 60_000 {
		i := r.IntN(9000)
		if open[i] {
			tab.Close(1001, wire.SessionID(i), user(i))
		} else {
			tab.Open(1001, wire.SessionID(i), user(i), nil)
		}
		open[i] = !open[i]
	}
	live := 0
	for i := range 9000 {
		p, ok := tab.First(user(i))
		if ok != open[i] || ok && tab.At(p).ID != wire.SessionID(i) {
			t.Fatalf("user %d: found %v, open %v", i, ok, open[i])
		}
		if ok {
			live++
		}
	}
	if live != tab.Len() || live < 1000 {
		t.Errorf("%d found, Len %d", live, tab.Len())
	}
}

func TestJudge(t *testing.T) {
	tab := New()
	if v := tab.Judge([]byte("bob"), chat, 1); v != Nobody {
		t.Fatalf("nobody is there, verdict %d", v)
	}
	tab.Open(1001, 1, []byte("bob"), []byte("phone"))
	for i, c := range []struct {
		seq  wire.Seq
		want Verdict
	}{{4, InOrder}, {5, InOrder}, {5, Repeat}, {3, Repeat}, {8, Jump}, {9, InOrder}, {6, Repeat}} {
		if v := tab.Judge([]byte("bob"), chat, c.seq); v != c.want {
			t.Errorf("step %d: seq %d is %d, want %d", i, c.seq, v, c.want)
		}
	}
	// While nobody listens the memory is dropped: the next session syncs.
	tab.Close(1001, 1, []byte("bob"))
	tab.Judge([]byte("bob"), chat, 10)
	tab.Open(1001, 2, []byte("bob"), []byte("phone"))
	if v := tab.Judge([]byte("bob"), chat, 14); v != InOrder {
		t.Errorf("first push to a new session is %d, want in order", v)
	}
}

func TestGuardIsBounded(t *testing.T) {
	tab := New()
	tab.Open(1001, 1, []byte("bob"), nil)
	for i := range 2 * MaxGuard {
		var seed [32]byte
		seed[0], seed[1], seed[2] = byte(i), byte(i>>8), byte(i>>16)
		if v := tab.Judge([]byte("bob"), wire.NewChatID(wire.Group, seed), 7); v != InOrder {
			t.Fatalf("chat %d: %d", i, v)
		}
	}
	if len(tab.guard) > MaxGuard {
		t.Errorf("the guard holds %d, over its bound of %d", len(tab.guard), MaxGuard)
	}
}

func TestUnacknowledged(t *testing.T) {
	tab := New()
	user := []byte("bob")
	tab.Open(1001, 1, user, []byte("phone"))
	tab.Open(1001, 2, user, []byte("tablet"))
	push := func(seq wire.Seq, tick uint32) {
		for p, ok := tab.First(user); ok; p, ok = tab.Next(p) {
			tab.Pushed(p, chat, seq, tick)
		}
	}
	late := func(limit uint32) (ids []wire.SessionID) {
		tab.Late(limit, func(s *Session) { ids = append(ids, s.ID) })
		slices.Sort(ids)
		return ids
	}
	push(1, 10)
	push(2, 14)
	tab.Acknowledged(user, []byte("phone"), chat, 2, 14)
	if got := late(10); got != nil {
		t.Errorf("nobody is late yet: %v", got)
	}
	if got := late(11); !slices.Equal(got, []wire.SessionID{2}) {
		t.Errorf("late: %v, want the tablet, which has acknowledged nothing", got)
	}
	if got := late(100); got != nil {
		t.Errorf("late twice for one push: %v", got)
	}
	push(3, 20)
	push(4, 20)
	tab.Acknowledged(user, []byte("tablet"), chat, 3, 24) // alive, half way
	tab.Close(1001, 1, user)
	tab.Open(1001, 3, user, []byte("phone")) // takes the place of 1
	if got := late(22); got != nil {
		t.Errorf("late: %v, but one progresses and one is new", got)
	}
	if got := late(25); !slices.Equal(got, []wire.SessionID{2}) {
		t.Errorf("late: %v, want 2", got)
	}
}

func TestSessionBudget(t *testing.T) {
	const n, budget = 200_000, 56
	if s := unsafe.Sizeof(Session{}); s > 48 {
		t.Errorf("a Session is %d bytes, over 48", s)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tab := New()
	for i := range n {
		tab.Open(1001, wire.SessionID(i), fmt.Appendf(nil, "user-%d", i), []byte("default"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.0f bytes a session", per)
	if per > budget {
		t.Errorf("%.0f bytes a session, over the budget of %d", per, budget)
	}
	runtime.KeepAlive(tab)
}

func TestNothingAllocatesOnTheHotPath(t *testing.T) {
	tab := New()
	user, device := []byte("bob"), []byte("phone")
	tab.Open(1001, 1, user, device)
	seq := wire.Seq(0)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		if tab.Judge(user, chat, seq) != InOrder {
			t.Fatal("not in order")
		}
		for p, ok := tab.First(user); ok; p, ok = tab.Next(p) {
			tab.Pushed(p, chat, seq, 1)
		}
		tab.Acknowledged(user, device, chat, seq, 1)
	}); n != 0 {
		t.Errorf("%v allocations a push", n)
	}
}
