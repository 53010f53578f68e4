package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/client/clienttest"
	"github.com/godwit-im/godwit/wire"
)

// nextMessage returns the next message of c.
func nextMessage(t *testing.T, c *client.Client) client.Message {
	t.Helper()
	for ev := range c.Events(t.Context()) {
		if m, ok := ev.(client.Message); ok {
			return m
		}
	}
	t.Fatal("no message came")
	return client.Message{}
}

func TestReplyNamesWhatItAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		send(t, alice, client.ToUser("bob"), "tea?")
		asked := send(t, alice, client.ToUser("bob"), "or coffee?")
		if _, err := bob.Send(t.Context(), client.ToChat(asked.ChatID), []byte("coffee"), client.WithReplyTo(asked.MessageID)); err != nil {
			t.Fatal(err)
		}
		if m := nextMessage(t, alice); string(m.Content) != "coffee" || m.ReplyTo != asked.MessageID {
			t.Errorf("%q answers %d, want %d", m.Content, m.ReplyTo, asked.MessageID)
		}
		page, err := alice.History(t.Context(), asked.ChatID, client.HistoryQuery{Oldest: true})
		if err != nil || len(page.Messages) != 3 || page.Messages[0].ReplyTo != 0 || page.Messages[2].ReplyTo != asked.MessageID {
			t.Errorf("history: %+v %v", page.Messages, err)
		}
	})
}

// synced takes messages until everything missed has come.
func synced(t *testing.T, c *client.Client) (texts []string) {
	t.Helper()
	for ev := range c.Events(t.Context()) {
		switch ev := ev.(type) {
		case client.Message:
			texts = append(texts, string(ev.Content))
		case client.Synced:
			return texts
		}
	}
	t.Fatal("the client ended before it was synced")
	return nil
}

// One client after another goes on behind what the first one has handled, also
// when the server was not told of it.
func TestMemoryCursorsPassOnHowFarADeviceIs(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		var cursors client.MemoryCursors
		if c, ok, err := cursors.Load(); c != 0 || ok || err != nil {
			t.Errorf("the zero value holds %d %v %v", c, ok, err)
		}
		kept := func(c *client.Config) { c.Cursors, c.ManualAck = &cursors, true }
		alone := func(c *client.Config) { c.ManualAck = true }
		send(t, connect(t, s, "alice"), client.ToUser("bob"), "from alice")
		bob := connect(t, s, "bob", kept)
		equal(t, synced(t, bob), []string{"from alice"})
		bob.Close()
		send(t, connect(t, s, "carol"), client.ToUser("bob"), "from carol")
		equal(t, synced(t, connect(t, s, "bob", kept)), []string{"from carol"})
		if got := synced(t, connect(t, s, "bob", alone)); len(got) != 2 {
			t.Errorf("without the cursor %q came: the server knew it already, so nothing was tested", got)
		}
	})
}

func TestKindsOfTheServerAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice := connect(t, s, "alice")
		for kind, want := range map[string]error{"group.created": wire.CodeBadField, "group.": wire.CodeBadField, "group": nil, "app.group.created": nil} {
			_, err := alice.Send(t.Context(), client.ToUser("bob"), []byte("forged"), client.WithKind(kind))
			if !errors.Is(err, want) {
				t.Errorf("kind %q: %v, want %v", kind, err, want)
			}
		}
		if n := len(s.Contents(client.DirectChat("alice", "bob"))); n != 2 {
			t.Errorf("%d messages are stored, want those of kinds that are free", n)
		}
	})
}

// The server is not left with the connection of a client that has ended.
func TestEndedClientsLeaveNoConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		alice, bob := connect(t, s, "alice"), connect(t, s, "bob")
		if n := s.Live(); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		if err := alice.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Live(); n != 1 {
			t.Errorf("%d connections after Shutdown of one of two", n)
		}
		bob.Close()
		synctest.Wait()
		if n := s.Live(); n != 0 {
			t.Errorf("%d connections after Close of the other", n)
		}
	})
}

// dials counts the connections that are opened through it.
type dials struct {
	s *clienttest.Server
	n atomic.Int64
}

func (d *dials) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.n.Add(1)
	return d.s.Dial(ctx, network, addr)
}

func TestSignInsShareConnections(t *testing.T) {
	const users, atOnce = 200, 8
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		d := &dials{s: s}
		signIn, err := client.NewDevSignIn(client.Config{URL: s.URL, Dial: d.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer signIn.Close()
		var all sync.WaitGroup
		for worker := range atOnce {
			all.Go(func() {
				for i := worker; i < users; i += atOnce {
					user := client.UserID(fmt.Sprintf("user%d", i))
					if token, _, err := signIn.Token(t.Context(), user, "phone"); err != nil || token != s.Token(user, "phone") {
						t.Errorf("%s: %q %v", user, token, err)
					}
				}
			})
		}
		all.Wait()
		if n := d.n.Load(); n > 2*atOnce {
			t.Errorf("%d connections for %d sign-ins, %d at a time", n, users, atOnce)
		}
	})
}

func TestRequestsShareAConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *clienttest.Server) {
		d := &dials{s: s}
		alice := connect(t, s, "alice", func(c *client.Config) { c.Dial = d.dial })
		ack := send(t, alice, client.ToUser("bob"), "hi")
		for range 20 {
			if _, err := alice.History(t.Context(), ack.ChatID, client.HistoryQuery{}); err != nil {
				t.Fatal(err)
			}
			if _, err := alice.History(t.Context(), client.DirectChat("x", "y"), client.HistoryQuery{}); !errors.Is(err, wire.CodeUnknownChat) {
				t.Fatal(err) // a refusal does not cost the connection either
			}
		}
		if n := d.n.Load(); n != 2 {
			t.Errorf("%d connections, want one for the WebSocket and one for REST", n)
		}
	})
}
