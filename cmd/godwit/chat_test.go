package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/client/clienttest"
	"github.com/godwit-im/godwit/wire"
)

var chatAB = client.DirectChat("alice", "bob")

func message(seq client.Seq, from client.UserID, text string) client.Message {
	return client.Message{ChatID: chatAB, MessageID: seq, SenderID: from, Content: []byte(text), CreatedAt: time.Unix(int64(seq)*60, 0).UTC()}
}

func TestTicksFollowTheSlowestMember(t *testing.T) {
	b := newBook("alice")
	r := b.with("bob")
	b.sending(r, "id1", "hi", time.Now())
	tick := func() wire.Status { return r.tick(&r.lines[0]) }
	step := func(what string, want wire.Status) {
		t.Helper()
		if got := tick(); got != want {
			t.Errorf("%s: tick %v, want %v", what, got, want)
		}
	}
	step("sending", 0)
	b.sent(chatAB, "id1", client.Ack{ChatID: chatAB, MessageID: 4}, nil)
	step("stored", wire.StatusStored)
	b.status(client.Status{ChatID: chatAB, UserID: "bob", MessageID: 3, Status: wire.StatusRead})
	step("an older one was read", wire.StatusStored)
	b.status(client.Status{ChatID: chatAB, UserID: "bob", MessageID: 4, Status: wire.StatusDelivered})
	step("delivered", wire.StatusDelivered)
	b.status(client.Status{ChatID: chatAB, UserID: "bob", MessageID: 5, Status: wire.StatusRead})
	step("read", wire.StatusRead)
	b.status(client.Status{ChatID: chatAB, UserID: "carol", MessageID: 4, Status: wire.StatusDelivered})
	step("not by all", wire.StatusDelivered)
	b.sending(r, "id2", "no", time.Now())
	b.sent(chatAB, "id2", client.Ack{}, errors.New("refused"))
	if got := r.tick(&r.lines[1]); got != wire.StatusFailed {
		t.Errorf("failed: tick %v", got)
	}
}

func TestLinesStayInOrderAndOnce(t *testing.T) {
	b := newBook("alice")
	r := b.with("bob")
	b.sending(r, "mine", "three", time.Now())
	b.message(message(2, "bob", "two"))
	b.message(message(2, "bob", "two"))
	b.history(chatAB, client.HistoryPage{Messages: []client.Message{message(2, "bob", "two"), message(1, "alice", "one")}})
	echo := message(3, "alice", "three")
	echo.ClientMsgID = "mine"
	b.message(echo) // the push of the own message overtakes the ack
	b.sent(chatAB, "mine", client.Ack{ChatID: chatAB, MessageID: 3}, nil)
	var texts []string
	for _, l := range r.lines {
		texts = append(texts, l.text)
	}
	if got := strings.Join(texts, " "); got != "one two three" {
		t.Errorf("lines: %s", got)
	}
	if r.unread != 1 {
		t.Errorf("%d unread, want 1", r.unread)
	}
}

func TestLinesAreBounded(t *testing.T) {
	b := newBook("alice")
	for i := range client.Seq(3 * maxLines) {
		b.message(message(i+1, "bob", "x"))
	}
	r := b.room(chatAB)
	if len(r.lines) != maxLines || r.older != r.lines[0].id {
		t.Errorf("%d lines, older %d, first %d", len(r.lines), r.older, r.lines[0].id)
	}
}

func TestTextOfOthersCannotSteerTheTerminal(t *testing.T) {
	m := message(1, "bob", "a\x1b[2Jb\nc\u202ed")
	if got := printable(&m); got != "a·[2Jb c·d" {
		t.Errorf("got %q", got)
	}
	m.Content = []byte{0xff}
	if got := printable(&m); got != "[data, 1 bytes]" {
		t.Errorf("got %q", got)
	}
	m = message(1, "b\u202eob", "hi")
	var out strings.Builder
	if err := new(recvCmd).printOne(&out, &m); err != nil || !strings.HasSuffix(out.String(), " b·ob: hi\n") {
		t.Errorf("recv prints %q", out.String())
	}
}

// drawn is the screen as text.
func drawn(s *screen) string { return ansi.Strip(s.View().Content) }

// signIn connects to a server in memory.
func signIn(t *testing.T, s *clienttest.Server, user client.UserID) *client.Client {
	t.Helper()
	c, err := client.Connect(t.Context(), client.Config{URL: s.URL, Token: s.Token(user, "")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestScreenShowsAConversation(t *testing.T) {
	srv := clienttest.New()
	defer srv.Close()
	s := newScreen(t.Context(), signIn(t, srv, "alice"), chatAB, "bob")
	for _, size := range [][2]int{{100, 20}, {40, 8}, {12, 5}} {
		s.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		s.Update(message(1, "bob", "hello there"))
		s.Update(client.Typing{ChatID: chatAB, UserID: "bob", Start: true})
		lines := strings.Split(drawn(s), "\n")
		if len(lines) != size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if w := ansi.StringWidth(l); w > size[0] {
				t.Errorf("%v: a line of %d columns: %q", size, w, l)
			}
		}
	}
	s.Update(tea.WindowSizeMsg{Width: 100, Height: 20})
	s.Update(client.StateChange{State: client.StateWaiting, RetryAt: time.Now().Add(3 * time.Second)})
	for _, want := range []string{"godwit · alice", "bob: hello there", "bob typing", "offline, next try in 3s"} {
		if !strings.Contains(drawn(s), want) {
			t.Errorf("no %q in\n%s", want, drawn(s))
		}
	}
}

func TestScreenSendsInOrder(t *testing.T) {
	srv := clienttest.New()
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newScreen(ctx, signIn(t, srv, "alice"), chatAB, "bob")
	s.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	answers := make(chan tea.Msg, 64)
	go s.sender(func(m tea.Msg) { answers <- m })
	var want []string
	for i := range 10 {
		text := fmt.Sprintf("line %d", i)
		s.input.SetValue(text)
		s.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
		want = append(want, text)
	}
	if out := drawn(s); strings.Count(out, "·\n")+strings.Count(out, "· ") == 0 {
		t.Errorf("no line is shown as sending:\n%s", out)
	}
	for range want {
		s.Update(<-answers)
	}
	if got := srv.Contents(chatAB); strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("stored %q", got)
	}
	if n := strings.Count(drawn(s), "✓"); n != len(want) {
		t.Errorf("%d ticks, want %d:\n%s", n, len(want), drawn(s))
	}
}

func TestScreenOpensAndSwitches(t *testing.T) {
	srv := clienttest.New()
	defer srv.Close()
	s := newScreen(t.Context(), signIn(t, srv, "alice"), client.ChatID{}, "")
	s.Update(tea.WindowSizeMsg{Width: 100, Height: 20})
	for _, name := range []string{"bob", "carol"} {
		s.input.SetValue("/with " + name)
		s.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	}
	if s.book.open != client.DirectChat("alice", "carol") {
		t.Error("carol is not open")
	}
	s.Update(tea.KeyPressMsg{Code: tea.KeyTab})
	if s.book.open != chatAB {
		t.Error("tab does not go to bob")
	}
	s.input.SetValue("/with alice")
	s.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	if !strings.Contains(drawn(s), "name another user") {
		t.Error("a chat with oneself is not refused")
	}
	for _, line := range []string{"/with", "/help"} {
		s.input.SetValue(line)
		s.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
		if s.notice == "" || len(s.outbox) != 0 {
			t.Errorf("%s is sent as a message", line)
		}
	}
}

func TestPlainChat(t *testing.T) {
	srv := clienttest.New()
	defer srv.Close()
	bob := signIn(t, srv, "bob")
	if _, err := bob.Send(t.Context(), client.ToUser("alice"), []byte("hi alice")); err != nil {
		t.Fatal(err)
	}
	var out, warn bytes.Buffer
	p := &plainChat{sdk: signIn(t, srv, "alice"), chat: chatAB, to: client.ToUser("bob"), out: &out, warn: &warn}
	if err := p.run(t.Context(), strings.NewReader("one\r\n\ntwo\n")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(srv.Contents(chatAB), ","); got != "hi alice,one,two" {
		t.Errorf("stored %s", got)
	}
}

func TestScreenLoadsOlderLinesOnScroll(t *testing.T) {
	srv := clienttest.New()
	defer srv.Close()
	bob := signIn(t, srv, "bob")
	const n = 3*wire.HistoryPage + 7
	for i := range n {
		if _, err := bob.Send(t.Context(), client.ToUser("alice"), fmt.Appendf(nil, "line %d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	s := newScreen(t.Context(), signIn(t, srv, "alice"), chatAB, "bob")
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.Update(s.show(chatAB)())
	if !strings.Contains(drawn(s), fmt.Sprintf("line %d", n)) {
		t.Fatalf("the newest line is not shown:\n%s", drawn(s))
	}
	for range 100 {
		if _, cmd := s.Update(tea.KeyPressMsg{Code: tea.KeyPgUp}); cmd != nil {
			s.Update(cmd())
		}
	}
	if out := drawn(s); !strings.Contains(out, "bob: line 1 ") && !strings.Contains(out, "bob: line 1\n") {
		t.Errorf("scrolling up does not reach the first line:\n%s", out)
	}
	if srv.Counts().HistoryGet != 4 {
		t.Errorf("%d pages read, want 4", srv.Counts().HistoryGet)
	}
}
