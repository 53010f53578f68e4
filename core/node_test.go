package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

var aliceBob = wire.DirectChat("alice", "bob")

// The whole way: a message reaches the other user's sessions and the sender's
// other devices, its acknowledgement comes back as ticks.
func TestMessageAndItsTicks(t *testing.T) {
	w := newWorld(t, 1, 4)
	e := w.edge
	if r := e.open(1, "alice", "phone"); r.Flags&peer.FlagNew == 0 {
		t.Error("a new device is not said to be new")
	}
	e.open(2, "alice", "tablet")
	e.open(3, "bob", "phone")
	r := e.say("alice", "bob", "hello", 1)
	if r.Seq != 1 || r.Chat != aliceBob || r.At == 0 {
		t.Errorf("the answer is %+v", r)
	}
	e.say("alice", "bob", "again", 1)
	e.sees(3, "1:hello 2:again")
	e.sees(2, "1:hello 2:again") // not session 1: it sent them
	if r := e.say("alice", "bob", "hello", 1); r.Seq != 1 {
		t.Errorf("a repeated message got seq %d, want 1", r.Seq)
	}
	e.ack("bob", "phone", aliceBob, 2, 0)
	e.sees(1, "delivered:2:bob")
	e.open(4, "bob", "desk")
	e.ack("bob", "phone", aliceBob, 2, 2)
	e.sees(1, "delivered:2:bob read:2:bob")
	e.sees(4, "read:2:bob") // bob's other device
	if got := e.history("bob", aliceBob); got != "1:hello 2:again" {
		t.Errorf("history is %q", got)
	}
}

func TestTypingReachesTheOther(t *testing.T) {
	w := newWorld(t, 1, 4)
	e := w.edge
	e.open(1, "alice", "phone")
	e.open(2, "bob", "phone")
	e.say("alice", "bob", "hello", 1)
	e.sees(2, "1:hello")
	for _, who := range []string{"mallory", "alice"} { // mallory is no member
		e.link.Send(1, peer.Append(nil, &peer.Item{
			Op: peer.OpTyping, Shard: w.chatShard(aliceBob), Chat: aliceBob, User: []byte(who), Flags: uint8(wire.TypingStart),
		}))
	}
	e.sees(2, "1:hello typing:alice")
	e.sees(1, "")
}

func TestGroupReachesEveryMemberOnce(t *testing.T) {
	w := newWorld(t, 1, 4)
	e := w.edge
	chat := wire.NewChatID(wire.Group, [32]byte{1, 2, 3})
	var members []byte
	for i := range 100 {
		user := fmt.Sprintf("user-%d", i)
		members = peer.AppendBytes(members, user)
		e.open(wire.SessionID(100+i), user, "phone")
	}
	if r := e.ask(peer.Item{
		Op: peer.OpCreateGroup, Shard: w.chatShard(chat), Chat: chat, User: []byte("user-0"), Name: []byte("all"), List: members,
	}); r.Code != wire.OK {
		t.Fatal(r.Code)
	}
	r := e.ask(peer.Item{
		Op: peer.OpAppend, Shard: w.chatShard(chat), Chat: chat, Session: 100, User: []byte("user-0"), Device: []byte("phone"),
		ClientMsgID: []byte("1"), Body: []byte("hi"),
	})
	for i := 1; i < 100; i++ {
		id := wire.SessionID(100 + i)
		e.until(func() (bool, string) {
			n := 0
			for j := range e.pushed[id] {
				if word(&e.pushed[id][j]) == fmt.Sprintf("%d:hi", r.Seq) {
					n++
				}
			}
			return n == 1, fmt.Sprintf("member %d got it %d times", i, n)
		})
	}
}

func TestAnswersOfTheWrongPlace(t *testing.T) {
	w := newWorld(t, 1, 2)
	r, _ := w.edge.try(peer.Item{Op: peer.OpReceipt, Shard: 2, Chat: aliceBob, User: []byte("bob")})
	if r.Code != wire.CodeUnknownChat {
		t.Errorf("a receipt for a chat that is not there: %v", r.Code)
	}
	w.edge.mu.Lock()
	w.edge.leaders[77] = 1
	w.edge.mu.Unlock()
	r, _ = w.edge.try(peer.Item{Op: peer.OpReceipt, Shard: 77, Chat: aliceBob, User: []byte("bob")})
	if r.Code != wire.CodeWrongShard {
		t.Errorf("a shard that does not exist: %v", r.Code)
	}
	// Broken bytes hurt nobody.
	w.edge.link.Send(1, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	w.edge.say("alice", "bob", "still here", 1)
}

func TestRestartKeepsEverything(t *testing.T) {
	w := newWorld(t, 1, 4)
	e := w.edge
	var want []string
	for i := range 50 {
		text := fmt.Sprintf("m%d", i)
		e.say("alice", "bob", text, 1)
		want = append(want, fmt.Sprintf("%d:%s", i+1, text))
	}
	dir := w.cores[1].dir
	w.stop(1)
	w.start(1, dir)
	w.ready()
	if got := e.history("bob", aliceBob); got != strings.Join(want, " ") {
		t.Errorf("after a restart bob reads %q", got)
	}
	if r := e.say("alice", "bob", "m7", 1); r.Seq != 8 {
		t.Errorf("a retry after the restart got seq %d, want 8", r.Seq)
	}
	if r := e.say("alice", "bob", "new", 1); r.Seq != 51 {
		t.Errorf("the next message got seq %d, want 51", r.Seq)
	}
}

// A log that the disk cut or flipped in the middle is refused, every time: what
// was acknowledged would vanish, and so would what is said next.
func TestDamagedLogIsRefused(t *testing.T) {
	damage := map[string]func(b []byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
		"emptied": func(b []byte) []byte { return nil },
	}
	for name, hurt := range damage {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 2)
			for i := range 40 {
				w.edge.say("alice", "bob", fmt.Sprintf("m%d", i), 1)
			}
			dir := w.cores[1].dir
			w.stop(1)
			path := newestLog(t, dir)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, hurt(b), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				n, err := Open(t.Context(), Config{Node: 1, Dir: dir, Watcher: w.watch, Log: testLog()})
				var lost *LogLostError
				if !errors.As(err, &lost) {
					if n != nil {
						n.Close()
					}
					t.Fatalf("Open with a damaged log = %v", err)
				}
				if lost.Last >= lost.Applied || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

// crashImage returns a copy of what a core that is killed leaves, once the
// store in it has all that was applied.
func (w *world) crashImage(id wire.NodeID) (dir string) {
	w.t.Helper()
	complete := func() error {
		dir = w.t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(w.cores[id].dir)); err != nil {
			return err // a file went while it was copied
		}
		s, err := store.Open(filepath.Join(dir, "store"), store.Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		var sum uint64
		for _, shard := range w.watch.Current().Shards() {
			live, _ := w.cores[id].store.Applied(shard)
			if disk, _ := s.Applied(shard); disk < live {
				return fmt.Errorf("of shard %d the disk has entry %d of %d", shard, disk, live)
			}
			sum += live
		}
		if sum == 0 {
			return errors.New("nothing has reached the store")
		}
		return nil
	}
	end := time.After(patience)
	for {
		err := complete()
		if err == nil {
			return dir
		}
		select {
		case <-time.After(tailEvery / 4):
		case <-end:
			w.t.Fatal(err)
		}
	}
}

// The same when the process was killed: the store is not far behind the log,
// although it was never closed.
func TestDamagedLogIsRefusedAfterAKill(t *testing.T) {
	w := newWorld(t, 1, 2)
	for i := range 40 {
		w.edge.say("alice", "bob", fmt.Sprintf("m%d", i), 1)
	}
	dir := w.crashImage(1)
	path := newestLog(t, dir)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)*3/4], 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), Config{Node: 1, Dir: dir, Watcher: w.watch, Log: testLog()})
	var lost *LogLostError
	if !errors.As(err, &lost) {
		if n != nil {
			n.Close()
		}
		t.Fatalf("Open with a damaged log = %v", err)
	}
}

// dragonboat answers with neither a host nor an error when its own small files
// are damaged.
func TestDamagedRaftDirIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.edge.say("alice", "bob", "m", 1)
	dir := w.cores[1].dir
	w.stop(1)
	for _, pattern := range []string{"NODEHOST.ID", "dragonboat.ds"} {
		found, err := filepath.Glob(filepath.Join(dir, "raft", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		was, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(found[0], was[:len(was)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := Open(t.Context(), Config{Node: 1, Dir: dir, Watcher: w.watch, Log: testLog()})
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("with half of %s Open = %v", pattern, err)
		}
		if err == nil {
			n.Close()
		}
		if err := os.WriteFile(found[0], was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// newestLog returns the path of the newest write-ahead log of the Raft side.
func newestLog(t *testing.T, dir string) string {
	newest := ""
	err := filepath.WalkDir(filepath.Join(dir, "raft"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".log" && strings.HasPrefix(filepath.Base(filepath.Dir(path)), "logdb") && path > newest {
			newest = path
		}
		return err
	})
	if err != nil || newest == "" {
		t.Fatalf("no log in %s: %v", dir, err)
	}
	return newest
}

func TestSecondOwnerIsRefused(t *testing.T) {
	w := newWorld(t, 1, 1)
	_, err := Open(context.Background(), Config{Node: 1, Dir: w.cores[1].dir, Watcher: w.watch})
	if !errors.Is(err, store.ErrInUse) {
		t.Fatalf("Open of a directory in use = %v", err)
	}
}

func TestFullDiskRefusesAndRecovers(t *testing.T) {
	w := newWorld(t, 1, 1)
	n := w.cores[1]
	free := uint64(reserve - 1)
	n.Node.cfg.FreeSpace = func(string) (uint64, error) { return free, nil }
	n.checkSpace()
	r, _ := w.edge.try(peer.Item{
		Op: peer.OpAppend, Shard: 1, Chat: aliceBob, User: []byte("alice"), Peer: []byte("bob"), ClientMsgID: []byte("x"), Body: []byte("x"),
	})
	if r.Code != wire.CodeStorage || !r.Code.Retryable() {
		t.Errorf("a write on a full disk: %v, want storage", r.Code)
	}
	if err := n.Check(); err == nil || !strings.Contains(err.Error(), "nearly full") {
		t.Errorf("the check of a node whose disk is full: %v", err)
	}
	n.Node.cfg.FreeSpace = func(string) (uint64, error) { return reserve, nil }
	n.checkSpace()
	if err := n.Check(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	w.edge.say("alice", "bob", "hello", 1)
}

// A peer of a later version asks something that this one does not know: it is
// told so, and what is behind it in the batch is done.
func TestUnknownQuestionIsAnswered(t *testing.T) {
	w := newWorld(t, 1, 1)
	e := w.edge
	answers := make(chan peer.Item, 2)
	e.mu.Lock()
	e.waiting[300], e.waiting[301] = answers, answers
	e.mu.Unlock()
	batch := []byte{4, 0, 0, 0, 127, 0xac, 2, 9} // op 127 with req 300
	batch = peer.Append(batch, &peer.Item{
		Op: peer.OpAppend, Req: 301, Shard: 1, Chat: aliceBob, User: []byte("alice"), Device: []byte("phone"),
		Peer: []byte("bob"), ClientMsgID: []byte("x"), Body: []byte("x"),
	})
	e.link.Send(1, batch)
	if a := <-answers; a.Req != 300 || a.Op != peer.OpReply || a.Code != wire.CodeUnknownPeer {
		t.Errorf("the question is answered %+v", a)
	}
	if a := <-answers; a.Req != 301 || a.Code != wire.OK {
		t.Errorf("the message behind it is answered %+v", a)
	}
}

// A shard whose store fails refuses, says so once, and leaves the others be.
func TestFailedShardRefusesAndTheRestLives(t *testing.T) {
	w := newWorld(t, 1, 2)
	mine := w.chatShard(aliceBob)
	w.edge.say("alice", "bob", "before", 1)
	w.cores[1].replica(mine).fail(errors.New("the disk is gone"))
	r, ok := w.edge.try(peer.Item{
		Op: peer.OpAppend, Shard: mine, Chat: aliceBob, User: []byte("alice"), Peer: []byte("bob"), ClientMsgID: []byte("x"), Body: []byte("x"),
	})
	if !ok || r.Code != wire.CodeStorage {
		t.Errorf("a write to a failed shard: %v, want storage", r.Code)
	}
	other := wire.ChatID{}
	to := ""
	for i := 0; other.IsZero() || w.chatShard(other) == mine; i++ {
		to = fmt.Sprintf("carol-%d", i)
		other = wire.DirectChat("alice", wire.UserID(to))
	}
	w.edge.say("alice", to, "the other shard works", 1)
}

// A push that nobody acknowledges is followed by a resync, one that is not.
func TestSilentSessionIsToldToSync(t *testing.T) {
	w := newWorld(t, 1, 2)
	e := w.edge
	e.open(2, "bob", "phone")
	e.open(3, "bob", "tablet")
	e.say("alice", "bob", "hello", 1)
	e.sees(2, "1:hello")
	e.sees(3, "1:hello")
	e.ack("bob", "phone", aliceBob, 1, 0)
	e.until(func() (bool, string) {
		return e.resyncs[3] == 1 && e.resyncs[2] == 0, fmt.Sprintf("resyncs are %v, want one of session 3", e.resyncs)
	})
}

func TestTooManySessions(t *testing.T) {
	w := newWorld(t, 1, 1)
	for i := range 64 {
		w.edge.open(wire.SessionID(i+1), "alice", "phone")
	}
	r, _ := w.edge.try(peer.Item{Op: peer.OpOpen, Shard: 1, Session: 65, User: []byte("alice"), Device: []byte("phone")})
	if r.Code != wire.CodeTooManySessions {
		t.Errorf("session 65: %v", r.Code)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.edge.say("alice", "bob", "hello", 1)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(w.cores[1].Node)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, f := range families {
		if f.GetName() == "godwit_core_leading" && len(f.Metric) != 2 {
			t.Errorf("%d shards in godwit_core_leading, want 2", len(f.Metric))
		}
	}
}

func TestSoloLeadsSoon(t *testing.T) {
	start := time.Now()
	newWorld(t, 1, 4)
	t.Logf("ready after %v", time.Since(start))
}

// Check and Compact on three nodes: all of them are in service, a compaction
// loses nothing, and a node that was away meanwhile catches up.
func TestCheckAndCompact(t *testing.T) {
	w := newWorld(t, 3, 2)
	e := w.edge
	for id, c := range w.cores {
		if err := c.Check(); err != nil {
			t.Errorf("node %d: %v", id, err)
		}
	}
	e.open(1, "bob", "phone")
	e.say("alice", "bob", "one", 1)
	away := w.cores[3]
	w.stop(3)
	if away.Check() == nil {
		t.Error("a closed node says that it is in service")
	}
	e.say("alice", "bob", "two", 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, id := range []wire.NodeID{1, 2} {
		if err := w.cores[id].Compact(ctx); err != nil {
			t.Fatalf("node %d: %v", id, err)
		}
	}
	e.say("alice", "bob", "three", 1)
	w.start(3, away.dir)
	w.ready()
	if err := w.cores[3].Compact(ctx); err != nil {
		t.Errorf("the node that was away: %v", err)
	}
	if got := e.history("bob", aliceBob); got != "1:one 2:two 3:three" {
		t.Errorf("history is %q", got)
	}
}
