package main

import (
	"context"
	"strings"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/godwit-im/godwit/client"
	"github.com/godwit-im/godwit/wire"
)

// screen is the terminal client's program: events and keys in, the book
// changed, commands out. view.go draws it.
type screen struct {
	ctx    context.Context
	sdk    *client.Client
	book   *book
	input  textinput.Model
	outbox chan outgoing // sends in order; see sender
	state  client.StateChange
	notice string
	now    time.Time
	typed  time.Time // when typing was told last
	width  int
	height int
	scroll int // lines above the bottom
}

// outgoing is a message that waits for the sender.
type outgoing struct {
	chat client.ChatID
	to   client.Target
	cmid string
	text string
}

// The messages of the program beside keys and the SDK's events.
type (
	sentMsg struct {
		chat client.ChatID
		cmid string
		ack  client.Ack
		err  error
	}
	historyMsg struct {
		chat client.ChatID
		page client.HistoryPage
		err  error
	}
	listMsg struct {
		rows []client.Conversation
		err  error
	}
	tickMsg  time.Time
	endedMsg struct{ err error }
)

// maxOutbox bounds the messages typed while nothing can be sent.
const maxOutbox = 256

func newScreen(ctx context.Context, sdk *client.Client, open client.ChatID, with client.UserID) *screen {
	me, _ := sdk.User()
	in := textinput.New()
	in.Prompt, in.Placeholder, in.CharLimit = "› ", "message, or /with USER", wire.MaxContent/4
	in.SetVirtualCursor(false)
	in.Focus()
	s := &screen{ctx: ctx, sdk: sdk, book: newBook(me), input: in, outbox: make(chan outgoing, maxOutbox), now: time.Now(),
		state: client.StateChange{State: client.StateLive}}
	if with != "" {
		s.book.with(with)
	}
	if !open.IsZero() {
		s.book.room(open)
		s.book.open = open
	}
	return s
}

// runScreen runs the program until the user leaves or ctx ends.
func runScreen(ctx context.Context, sdk *client.Client, open client.ChatID, with client.UserID) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newScreen(ctx, sdk, open, with)
	p := tea.NewProgram(s, tea.WithContext(ctx), tea.WithoutSignalHandler())
	go func() {
		for ev := range sdk.Events(ctx) {
			p.Send(ev)
		}
		p.Send(endedMsg{sdk.Err()})
	}()
	go s.sender(p.Send)
	if _, err := p.Run(); err != nil && ctx.Err() == nil {
		return err
	}
	bye, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer stop()
	ended := sdk.Err()
	_ = sdk.Shutdown(bye) // what was not stored was shown as such
	return ended
}

// sender sends one message after the other, so that they are stored in the
// order in which they were typed.
func (s *screen) sender(tell func(tea.Msg)) {
	for {
		select {
		case o := <-s.outbox:
			ack, err := s.sdk.Send(s.ctx, o.to, []byte(o.text), client.WithID(o.cmid))
			tell(sentMsg{o.chat, o.cmid, ack, err})
		case <-s.ctx.Done():
			return
		}
	}
}

// Init loads the conversation list and the open conversation.
func (s *screen) Init() tea.Cmd {
	return tea.Batch(s.loadList(), s.show(s.book.open), everySecond())
}

func everySecond() tea.Cmd {
	return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tickMsg(t) })
}

func (s *screen) loadList() tea.Cmd {
	return func() tea.Msg {
		rows, _, err := s.sdk.Conversations(s.ctx, "", 50)
		return listMsg{rows, err}
	}
}

// loadOlder loads the next page of a room's history, unless there is none.
func (s *screen) loadOlder(r *room) tea.Cmd {
	if r.loading || r.loaded && r.older == 0 {
		return nil
	}
	r.loading = true
	q := client.HistoryQuery{Before: r.older}
	return func() tea.Msg {
		page, err := s.sdk.History(s.ctx, r.id, q)
		return historyMsg{r.id, page, err}
	}
}

// show opens a conversation.
func (s *screen) show(id client.ChatID) tea.Cmd {
	if id.IsZero() {
		return nil
	}
	s.book.open, s.scroll, s.notice = id, 0, ""
	r := s.book.room(id)
	r.unread = 0
	s.markRead(r)
	if r.loaded {
		return nil
	}
	return s.loadOlder(r)
}

func (s *screen) markRead(r *room) {
	if seq := s.book.newestOfOthers(r); seq > r.read {
		r.read = seq
		s.sdk.MarkRead(r.id, seq)
	}
}

// Update takes one event.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch e := msg.(type) {
	case tea.KeyPressMsg:
		return s, s.key(e)
	case tea.MouseWheelMsg:
		if e.Button == tea.MouseWheelUp {
			return s, s.scrollBy(3)
		}
		return s, s.scrollBy(-3)
	case tea.WindowSizeMsg:
		s.width, s.height = e.Width, e.Height
		s.input.SetWidth(max(s.width-s.listWidth()-4, 8))
	case tickMsg:
		s.now = time.Time(e)
		return s, everySecond()
	case endedMsg:
		return s, tea.Quit
	case tea.PasteMsg:
		var cmd tea.Cmd
		s.input, cmd = s.input.Update(e)
		return s, cmd
	default:
		return s, s.event(msg)
	}
	return s, nil
}

// event takes what the SDK said.
func (s *screen) event(msg tea.Msg) tea.Cmd {
	switch e := msg.(type) {
	case client.Message:
		unnamed := s.book.message(e)
		if e.ChatID == s.book.open && s.scroll == 0 {
			s.markRead(s.book.room(e.ChatID))
		}
		if unnamed {
			return s.loadList()
		}
	case client.Status:
		s.book.status(e)
	case client.Typing:
		s.book.typingHint(e, s.now)
	case client.StateChange:
		s.state = e
	case client.Notice:
		s.notice = plainText(e.Err.Error())
	case sentMsg:
		s.book.sent(e.chat, e.cmid, e.ack, e.err)
		if e.err != nil && s.ctx.Err() == nil {
			s.notice = plainText(e.err.Error())
		}
	case listMsg:
		if e.err == nil {
			s.book.conversations(e.rows)
		}
	case historyMsg:
		s.tookHistory(e)
	}
	return nil
}

func (s *screen) tookHistory(e historyMsg) {
	r := s.book.room(e.chat)
	if e.err != nil {
		// A conversation without a message does not exist yet.
		r.loading, r.loaded = false, true
		return
	}
	s.book.history(e.chat, e.page)
	if e.chat == s.book.open {
		s.markRead(r)
	}
}

func (s *screen) key(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c", "esc":
		return tea.Quit
	case "enter":
		return s.enter()
	case "tab", "ctrl+n":
		return s.step(1)
	case "shift+tab", "ctrl+p":
		return s.step(-1)
	case "pgup":
		return s.scrollBy(max(s.height/2, 1))
	case "pgdown":
		return s.scrollBy(-max(s.height/2, 1))
	}
	var cmd tea.Cmd
	s.input, cmd = s.input.Update(k)
	s.tellTyping()
	return cmd
}

// tellTyping tells the others, at most as often as the protocol allows.
func (s *screen) tellTyping() {
	text := s.input.Value()
	r := s.book.rooms[s.book.open]
	if r == nil || r.stored() == 0 || text == "" || strings.HasPrefix(text, "/") || time.Since(s.typed) < wire.TypingEvery {
		return
	}
	s.typed = time.Now()
	s.sdk.Typing(s.book.open, true)
}

// step opens the next conversation of the list.
func (s *screen) step(by int) tea.Cmd {
	list := s.book.list()
	if len(list) == 0 {
		return nil
	}
	at := 0
	for i, r := range list {
		if r.id == s.book.open {
			at = i + by
		}
	}
	return s.show(list[(at+len(list))%len(list)].id)
}

// scrollBy moves up by n lines, and loads older ones near the top.
func (s *screen) scrollBy(n int) tea.Cmd {
	r := s.book.rooms[s.book.open]
	if r == nil {
		return nil
	}
	top := max(len(s.drawLines(r))-s.bodyHeight(), 0)
	s.scroll = min(max(s.scroll+n, 0), top)
	if s.scroll == 0 {
		s.markRead(r)
	}
	if s.scroll >= top-s.bodyHeight() {
		return s.loadOlder(r)
	}
	return nil
}

// enter sends the input, or obeys it.
func (s *screen) enter() tea.Cmd {
	text := strings.TrimSpace(s.input.Value())
	s.notice = ""
	if name, ok := strings.CutPrefix(text+" ", "/with "); ok {
		return s.openWith(strings.TrimSpace(name))
	}
	r := s.book.rooms[s.book.open]
	switch {
	case text == "":
		return nil
	case text == "/quit":
		return tea.Quit
	case text == "/help":
		s.notice = "/with USER opens a conversation, /quit ends; every other line is sent"
		return nil
	case r == nil:
		s.notice = "no conversation is open: type /with USER"
		return nil
	}
	o := outgoing{chat: r.id, to: client.ToChat(r.id), cmid: client.NewID(), text: text}
	if r.peer != "" {
		o.to = client.ToUser(r.peer)
	}
	select {
	case s.outbox <- o:
		s.book.sending(r, o.cmid, text, time.Now())
		s.input.Reset()
		s.scroll, s.typed = 0, time.Time{}
	default:
		s.notice = "too many messages wait for the server; this one stays in the line"
	}
	return nil
}

func (s *screen) openWith(name string) tea.Cmd {
	if !wire.ValidID(name) || client.UserID(name) == s.book.me {
		s.notice = "name another user"
		return nil
	}
	s.input.Reset()
	return s.show(s.book.with(client.UserID(name)).id)
}
