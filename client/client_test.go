package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/client/clienttest"
	"github.com/godwit-im/godwit/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f in a synctest bubble with a server in memory: waiting costs no
// time there, and every goroutine must have ended at the end.
func bubble(t *testing.T, f func(t *testing.T, s *clienttest.Server)) {
	synctest.Test(t, func(t *testing.T) {
		s := clienttest.NewInMemory()
		defer s.Close()
		f(t, s)
	})
}

func config(s *clienttest.Server, user client.UserID) client.Config {
	return client.Config{URL: s.URL, Token: s.Token(user, ""), Dial: s.Dial}
}

func connect(t *testing.T, s *clienttest.Server, user client.UserID, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := config(s, user)
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *client.Client, to client.Target, text string) client.Ack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ack, err := c.Send(ctx, to, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// receive takes n messages.
func receive(t *testing.T, c *client.Client, n int) (texts []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if n == 0 {
		return nil
	}
	for ev := range c.Events(ctx) {
		if m, ok := ev.(client.Message); ok {
			if texts = append(texts, string(m.Content)); len(texts) == n {
				return texts
			}
		}
	}
	t.Fatalf("got %q, want %d messages", texts, n)
	return nil
}

func numbered(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf("m%d", i+1))
	}
	return texts
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
}

func TestTwoUsersChat(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		ack := send(t, alice, client.ToUser("bob"), "hello")
		if ack.MessageID != 1 || ack.ChatID != client.DirectChat("alice", "bob") || ack.CreatedAt.IsZero() {
			t.Errorf("ack %+v", ack)
		}
		equal(t, receive(t, bob, 1), []string{"hello"})
		send(t, bob, client.ToChat(ack.ChatID), "hi")
		equal(t, receive(t, alice, 1), []string{"hi"})
	})
}

func TestShutdownWritesTheLastAcknowledgements(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		for range 20 {
			send(t, alice, client.ToUser("bob"), "hello")
		}
		receive(t, bob, 20)
		bob.MarkRead(client.DirectChat("alice", "bob"), 19)
		if err := bob.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d, r := s.Cursors(client.DirectChat("alice", "bob"), "bob"); d != 20 || r != 19 {
			t.Errorf("delivered %d, read %d", d, r)
		}
	})
}

func TestStatusReachesTheSender(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		ack := send(t, alice, client.ToUser("bob"), "hello")
		receive(t, bob, 1)
		bob.Typing(ack.ChatID, true)
		bob.MarkRead(ack.ChatID, ack.MessageID)
		var seen []string
		for ev := range alice.Events(t.Context()) {
			switch e := ev.(type) {
			case client.Status:
				seen = append(seen, e.Status.String())
			case client.Typing:
				seen = append(seen, "typing")
			}
			if len(seen) == 3 {
				break
			}
		}
		slices.Sort(seen)
		equal(t, seen, []string{"delivered", "read", "typing"})
	})
}

func TestCutsDuringSendsStoreEachOnceInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		const n = 60
		done := make(chan []string)
		go func() { done <- receive(t, bob, n) }()
		for i, text := range numbered(n) {
			switch i % 4 {
			case 1:
				s.LoseAcks(1)
			case 2:
				s.Cut()
			case 3:
				s.FailSends(1, wire.CodeUnavailable, 50*time.Millisecond)
			}
			send(t, alice, client.ToUser("bob"), text)
		}
		equal(t, <-done, numbered(n))
		equal(t, s.Contents(client.DirectChat("alice", "bob")), numbered(n))
		if c := s.Counts(); c.Stored != n || c.Sends == n {
			t.Errorf("counts %+v: nothing was repeated, so nothing was tested", c)
		}
	})
}

func TestWhatWasMissedArrivesOnReconnect(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice := connect(t, s, "alice")
		bob := connect(t, s, "bob")
		send(t, alice, client.ToUser("bob"), "m1")
		equal(t, receive(t, bob, 1), []string{"m1"})
		synctest.Wait() // the delivered ack is out
		bob.Close()
		for _, text := range numbered(20)[1:] {
			send(t, alice, client.ToUser("bob"), text)
		}
		equal(t, receive(t, connect(t, s, "bob"), 19), numbered(20)[1:])
	})
}

func TestSkippedPushIsFetched(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		for i, text := range numbered(6) {
			if i == 2 || i == 4 {
				s.SkipPushes(1)
			}
			send(t, alice, client.ToUser("bob"), text)
		}
		equal(t, receive(t, bob, 6), numbered(6))
		if st := bob.Stats(); st.Gaps == 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestSlowLoopThatSendsNeitherBlocksNorLoses(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice := connect(t, s, "alice")
		echo := connect(t, s, "echo", func(c *client.Config) { c.Inbox = 50 })
		const n = 400
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, text := range numbered(n) {
				send(t, alice, client.ToUser("echo"), text)
			}
		})
		wg.Go(func() {
			got := 0
			for ev := range echo.Events(t.Context()) {
				if m, ok := ev.(client.Message); ok {
					time.Sleep(time.Millisecond)
					send(t, echo, client.ToChat(m.ChatID), "echo "+string(m.Content))
					if got++; got == n {
						return
					}
				}
			}
		})
		got := receive(t, alice, n)
		wg.Wait()
		for i, text := range numbered(n) {
			if got[i] != "echo "+text {
				t.Fatalf("message %d is %q", i, got[i])
			}
		}
	})
}

func TestHalfOpenConnectionIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		s.SetHeartbeat(10 * time.Second)
		c := connect(t, s, "alice")
		s.Mute(true)
		start := time.Now()
		for ev := range c.Events(t.Context()) {
			if sc, ok := ev.(client.StateChange); ok && sc.State == client.StateWaiting {
				if !errors.Is(sc.Err, client.ErrHeartbeat) {
					t.Errorf("lost because of %v", sc.Err)
				}
				break
			}
		}
		if d := time.Since(start); d < 10*time.Second || d > 20*time.Second {
			t.Errorf("noticed after %v, want 20 s after the last frame", d)
		}
		s.Mute(false)
		send(t, c, client.ToUser("bob"), "back")
	})
}

func TestHeartbeatsKeepAnIdleConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		connect(t, s, "alice")
		time.Sleep(10 * time.Minute)
		if c := s.Counts(); c.Upgrades != 1 || c.Pings < 19 || c.Pings > 21 {
			t.Errorf("after ten idle minutes: %+v", c)
		}
	})
}

func TestReconnectsBackOff(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		c := connect(t, s, "alice", func(c *client.Config) { c.BackoffMin, c.BackoffMax = time.Second, 30*time.Second })
		s.RefuseUpgrades(10, wire.CodeServerFull)
		s.Cut()
		attempts := 0
		for ev := range c.Events(t.Context()) {
			sc, ok := ev.(client.StateChange)
			if ok && sc.State == client.StateWaiting {
				attempts++
				if wait := time.Until(sc.RetryAt); wait > 30*time.Second {
					t.Errorf("attempt %d waits %v", attempts, wait)
				}
			}
			if ok && sc.State == client.StateLive && attempts > 0 {
				break
			}
		}
		if attempts != 11 {
			t.Errorf("%d attempts, want 11", attempts)
		}
	})
}

func TestGoingAwayIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		c := connect(t, s, "alice")
		synctest.Wait()
		s.GoAway(3 * time.Second)
		synctest.Wait()
		send(t, c, client.ToUser("bob"), "later")
		if n := s.Counts().Upgrades; n != 2 {
			t.Errorf("%d connections, want a second one", n)
		}
	})
}

func TestPendingSendCanBeRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		c := connect(t, s, "alice")
		s.Mute(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Send(ctx, client.ToUser("bob"), []byte("hi"))
		var p *client.PendingError
		if !errors.As(err, &p) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		s.Mute(false)
		if _, err := c.Send(t.Context(), client.ToUser("bob"), []byte("hi"), client.WithID(p.ID)); err != nil {
			t.Fatal(err)
		}
	})
}

// Whoever gives up hears why the server did not take the message.
func TestPendingSendTellsTheLastAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		c := connect(t, s, "alice")
		s.FailSends(1000, wire.CodeStorage, 100*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := c.Send(ctx, client.ToUser("bob"), []byte("hi"))
		var p *client.PendingError
		if !errors.As(err, &p) || p.Last == nil || p.Last.Code != wire.CodeStorage || !strings.Contains(err.Error(), "E1401") {
			t.Fatalf("error %v", err)
		}
	})
}

func TestErrorsHaveCodes(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		c := connect(t, s, "alice")
		_, err := c.Send(t.Context(), client.ToChat(client.DirectChat("x", "y")), []byte("hi"))
		var e *client.Error
		if !errors.As(err, &e) || e.Code != wire.CodeUnknownChat || !strings.HasPrefix(err.Error(), "E1201: ") {
			t.Errorf("send: %v", err)
		}
		_, err = c.History(t.Context(), client.DirectChat("x", "y"), client.HistoryQuery{})
		if !errors.Is(err, wire.CodeUnknownChat) {
			t.Errorf("history: %v", err)
		}
		cfg := config(s, "bob")
		cfg.Token = "forged"
		if _, err = client.Connect(t.Context(), cfg); !errors.Is(err, wire.CodeTokenInvalid) {
			t.Errorf("connect: %v", err)
		}
	})
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = client.Connect(t.Context(), client.Config{URL: "http://" + l.Addr().String(), Token: "x"})
	var ce *client.ConnectError
	if !errors.As(err, &ce) {
		t.Errorf("error %v", err)
	}
	c, err := client.Connect(t.Context(), client.Config{URL: "http://" + l.Addr().String(), Token: "x", KeepTrying: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := c.Send(t.Context(), client.ToUser("bob"), []byte("hi")); !errors.Is(err, client.ErrClosed) {
		t.Errorf("send on a closed client: %v", err)
	}
}

func TestAnotherTokenWhenOneExpires(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		asked := 0
		c := connect(t, s, "alice", func(c *client.Config) {
			c.TokenSource = func(context.Context) (string, error) {
				asked++
				if asked == 2 {
					return "expired", nil
				}
				return s.Token("alice", ""), nil
			}
		})
		s.Cut()
		send(t, c, client.ToUser("bob"), "hi")
		if asked != 3 {
			t.Errorf("asked for %d tokens, want 3", asked)
		}
	})
}

func TestCursorSurvivesInAFile(t *testing.T) {
	file := client.FileCursors(filepath.Join(t.TempDir(), "cursor"))
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice := connect(t, s, "alice")
		for range 3 {
			send(t, alice, client.ToUser("bob"), "m")
		}
		bob := connect(t, s, "bob", func(c *client.Config) { c.Cursors = file })
		for ev := range bob.Events(t.Context()) {
			if _, ok := ev.(client.Synced); ok {
				break
			}
		}
		if c, ok, err := file.Load(); err != nil || !ok || c == 0 {
			t.Errorf("cursor %d %v %v", c, ok, err)
		}
	})
}

func TestHistoryListAndGroups(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		group, err := alice.CreateGroup(t.Context(), "trip", "bob", "carol")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range numbered(7) {
			send(t, alice, client.ToChat(group), text)
		}
		equal(t, receive(t, bob, 8), append([]string{"trip"}, numbered(7)...))
		bob.MarkRead(group, 6)
		synctest.Wait()
		page, err := bob.History(t.Context(), group, client.HistoryQuery{Limit: 3})
		if err != nil || len(page.Messages) != 3 || page.Messages[0].MessageID != 8 || page.Next != 6 {
			t.Errorf("newest page %+v %v", page, err)
		}
		page, err = bob.History(t.Context(), group, client.HistoryQuery{After: 6})
		if err != nil || len(page.Messages) != 2 || page.Messages[0].MessageID != 7 || page.Next != 0 {
			t.Errorf("after 6: %+v %v", page, err)
		}
		list, _, err := bob.Conversations(t.Context(), "", 0)
		if err != nil || len(list) != 1 || list[0].Unread != 2 || list[0].Name != "trip" || string(list[0].Last.Content) != "m7" {
			t.Errorf("list %+v %v", list, err)
		}
	})
}

func TestBinaryContentIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice := connect(t, s, "alice")
		big := strings.Repeat("\x00\xff", 30_000)
		ack := send(t, alice, client.ToUser("bob"), big)
		equal(t, receive(t, connect(t, s, "bob"), 1), []string{big})
		page, err := alice.History(t.Context(), ack.ChatID, client.HistoryQuery{})
		if err != nil || string(page.Messages[0].Content) != big {
			t.Errorf("history differs: %v", err)
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	s := clienttest.New()
	defer s.Close()
	alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
	defer alice.Close()
	defer bob.Close()
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				send(t, alice, client.ToUser("bob"), "x")
			}
		})
	}
	wg.Go(func() {
		for i := range 5 {
			_ = i
			alice.Typing(client.DirectChat("alice", "bob"), true)
			alice.Retry()
			_ = alice.State()
		}
	})
	receive(t, bob, senders*each)
	wg.Wait()
	if got := s.Counts().Stored; got != senders*each {
		t.Errorf("%d stored", got)
	}
}

func TestNewIDsAreVersion7(t *testing.T) {
	a, b := client.NewID(), client.NewID()
	if len(a) != 36 || a[14] != '7' || a == b || a[:8] != b[:8] {
		t.Errorf("%s %s", a, b)
	}
}
