package edge

import (
	"maps"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/godwit-im/godwit/wire"
)

// A wheel wakes everybody in the second they asked for, never twice, also when
// it stood still for a while.
func TestWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w wheel
		want := map[handle]uint32{} // when it is due
		got := map[handle]uint32{}
		now, next := uint32(0), uint32(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				next++
				h, at := handle{slot: next}, now+rapid.Uint32Range(0, 3*wheelSize).Draw(t, "in")
				want[h] = max(at, now+1)
				w.add(h, at)
				continue
			}
			now += rapid.Uint32Range(1, 2*wheelSize).Draw(t, "pass")
			w.advance(now, func(h handle) uint32 {
				if want[h] > now {
					return want[h] // the wheel is too small for it
				}
				if _, twice := got[h]; twice {
					t.Fatalf("%v was woken twice", h)
				}
				got[h] = now
				return 0
			})
		}
		for h, at := range want {
			if at <= now && got[h] == 0 {
				t.Fatalf("%v was due at %d and not woken by %d", h, at, now)
			}
			if got[h] != 0 && got[h] < at {
				t.Fatalf("%v was woken at %d, due at %d", h, got[h], at)
			}
		}
	})
}

// A handle finds its connection for as long as it lives and nothing after.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := table{firstGen: 7}
		live := map[handle]*conn{}
		var dead []handle
		for range rapid.IntRange(1, 500).Draw(t, "steps") {
			if len(live) == 0 || rapid.IntRange(0, 2).Draw(t, "what") > 0 {
				c := tab.add()
				if live[c.h] != nil || slices.Contains(dead, c.h) {
					t.Fatalf("handle %v was given twice", c.h)
				}
				live[c.h] = c
				continue
			}
			h := rapid.SampledFrom(slices.SortedFunc(maps.Keys(live), func(a, b handle) int { return int(a.slot) - int(b.slot) })).Draw(t, "victim")
			tab.remove(live[h])
			delete(live, h)
			dead = append(dead, h)
		}
		for h, c := range live {
			if tab.get(h) != c {
				t.Fatalf("%v does not find its connection", h)
			}
		}
		for _, h := range dead {
			if tab.get(h) != nil {
				t.Fatalf("%v finds something after its end", h)
			}
		}
		walked := 0
		for c := tab.from(0); c != nil; c = tab.from(c.h.slot + 1) {
			walked++
		}
		if walked != len(live) || tab.live != len(live) {
			t.Fatalf("walked over %d, counted %d, want %d", walked, tab.live, len(live))
		}
	})
}

func TestSessionID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loop := rapid.IntRange(0, MaxLoops-1).Draw(t, "loop")
		h := handle{slot: rapid.Uint32Range(0, 1<<slotBits-1).Draw(t, "slot"), gen: rapid.Uint32().Draw(t, "gen")}
		if gotLoop, got := splitID(sessionID(loop, h)); gotLoop != loop || got != h {
			t.Fatalf("%d %v came back as %d %v", loop, h, gotLoop, got)
		}
	})
}

// Numbers of requests survive the way out and back, name their loop, and are
// not those of another process.
func TestRequestNumbers(t *testing.T) {
	l := &loop{idx: 5, srv: &Server{salt: 0x12345678}}
	other := &loop{idx: 5, srv: &Server{salt: 0x12345679}}
	for _, req := range []uint64{1 << 32, 1<<32 | 65535, 0xffffffff<<32 | 77} {
		out := l.reqOut(req)
		if reqLoop(out) != 5 || l.reqIn(out) != req {
			t.Errorf("%#x went out as %#x and came back as %#x", req, out, l.reqIn(out))
		}
		if other.reqIn(out) == req {
			t.Errorf("%#x means something to another process", out)
		}
	}
}

// The budget of a connection in the table. Raising it takes a sentence in the
// commit: a million connections are a million times this.
func TestConnSize(t *testing.T) {
	const budget = 304
	if size := unsafe.Sizeof(conn{}); size > budget {
		t.Errorf("a connection takes %d bytes of the table, budget %d", size, budget)
	}
}

func TestOrigin(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "127.8.8.8": true, "::1": true, "example.org": false, "10.0.0.1": false, "": false} {
		if loopbackHost(host) != want {
			t.Errorf("loopbackHost(%q) is %v", host, !want)
		}
	}
}

func TestFrameOp(t *testing.T) {
	for _, op := range []wire.Op{wire.OpNewMessage, wire.OpTyping, wire.OpStatusUpdate} {
		if got := frameOp(wire.AppendMsgpack(nil, &wire.Frame{Op: op})); got != op {
			t.Errorf("frameOp is %v, want %v", got, op)
		}
	}
	for _, b := range [][]byte{nil, {0x91}, {0xdc, 0, 1, 5}, {0x80, 5}} {
		if got := frameOp(b); got != 0 {
			t.Errorf("frameOp(%x) is %v", b, got)
		}
	}
}

// However many status updates come within a tick, few wait; the rest leave
// with the turn.
func TestLateOutputIsBounded(t *testing.T) {
	l := &loop{}
	l.lately = true
	l.wantsFine.Store(true) // the clock runs already
	first := l.table.add()
	for c := first; len(l.dirty) == 0; c = l.table.add() {
		if b := l.frameBuffer(c); len(l.late) > dirtyMax {
			t.Fatalf("%d sockets are late", len(l.late))
		} else {
			*b = append(*b, 'x')
		}
	}
	if len(l.late) != dirtyMax {
		t.Errorf("%d sockets are late, want %d before one leaves at once", len(l.late), dirtyMax)
	}
	*l.frameBuffer(first) = append(*l.frameBuffer(first), 'y')
	if got := string(l.late[0].buf); got != "xy" {
		t.Errorf("what was late already waits with %q", got)
	}
}

// Whoever may connect must not be able to take the descriptors of the store's
// files: some 40 are open from the start, and logs rotate under load.
func TestDescriptorsForFiles(t *testing.T) {
	for _, files := range []int{256, 300, 1024, 4096, 20_000, 1 << 20} {
		reserve, connections := divide(files)
		left := files - connections - max(reserve/httpShare, 16)
		if want := min(files/3, 640); left < want || connections < files/2 {
			t.Errorf("limit %d: %d connections leave %d for files, want %d", files, connections, left, want)
		}
	}
}
