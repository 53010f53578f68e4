package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// rest calls the HTTP side of the server.
type rest struct {
	base  string
	http  *http.Client
	token *atomic.Pointer[string] // of the newest connection
}

// maxAnswer bounds the body of an answer: a page of the longest messages.
const maxAnswer = 64 << 20

// idleConns is how many unused connections a Client keeps: history is fetched
// one or two pages at a time.
const idleConns = 2

// newRest keeps at most idle connections that nobody uses, for a while. It opens
// at most most, and more calls wait; 0: no bound.
func newRest(base string, cfg *Config, idle, most int) rest {
	t := &http.Transport{TLSClientConfig: cfg.TLS, DialContext: cfg.Dial, ForceAttemptHTTP2: cfg.Dial == nil,
		MaxIdleConnsPerHost: idle, MaxConnsPerHost: most, IdleConnTimeout: 30 * time.Second}
	r := rest{base: base, http: &http.Client{Transport: t, Timeout: time.Minute}, token: &atomic.Pointer[string]{}}
	r.use(cfg.Token)
	return r
}

func (r rest) use(token string) { r.token.Store(&token) }

// call sends in as JSON (nil: none) and decodes the answer into out.
func (r rest) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return err
	}
	if token := *r.token.Load(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return &ConnectError{URL: r.base, Err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return &ConnectError{URL: r.base, Err: err}
	}
	if resp.StatusCode/100 != 2 {
		if e := problem(resp.StatusCode, resp.Header.Get("Retry-After"), b); e != nil {
			return e
		}
		return &ConnectError{URL: r.base, Err: fmt.Errorf("%w: HTTP status %s for %s", ErrNotGodwit, resp.Status, path)}
	}
	if err := json.Unmarshal(b, out); err != nil {
		return &ConnectError{URL: r.base, Err: fmt.Errorf("%w: %w", ErrNotGodwit, err)}
	}
	return nil
}

// HistoryQuery picks a page of a conversation.
type HistoryQuery struct {
	After  Seq  // only messages after this one, oldest first
	Before Seq  // only messages before this one, newest first; 0 is the newest page
	Oldest bool // with After 0: from the first message on
	Limit  int  // 0 is 50, at most 200
}

// HistoryPage is one page. Next is what to pass as Before, or as After when
// the page is oldest first, for the page behind it; 0 at the end.
type HistoryPage struct {
	Messages []Message
	Next     Seq
	Cursors  []MemberCursor
}

// MemberCursor is how far a member has come in a conversation.
type MemberCursor struct {
	UserID    UserID `json:"user_id"`
	Delivered Seq    `json:"delivered"`
	Read      Seq    `json:"read"`
}

// jsonMessage is a message as REST has it.
type jsonMessage struct {
	ChatID      string      `json:"chat_id"`
	MessageID   Seq         `json:"message_id"`
	SenderID    UserID      `json:"sender_id"`
	Content     string      `json:"content"`
	ContentB64  []byte      `json:"content_b64"`
	Kind        string      `json:"kind"`
	CreatedAt   wire.Millis `json:"created_at"`
	ClientMsgID string      `json:"client_msg_id"`
	ReplyTo     Seq         `json:"reply_to"`
}

func (j *jsonMessage) message() (Message, error) {
	id, err := ParseChatID(j.ChatID)
	m := Message{ChatID: id, MessageID: j.MessageID, SenderID: j.SenderID, Content: j.ContentB64, Kind: j.Kind,
		ReplyTo: j.ReplyTo, CreatedAt: timeOf(j.CreatedAt), ClientMsgID: j.ClientMsgID}
	if m.Content == nil {
		m.Content = []byte(j.Content)
	}
	return m, err
}

// History reads a page of a conversation: the newest one for the zero query.
func (c *Client) History(ctx context.Context, chat ChatID, q HistoryQuery) (HistoryPage, error) {
	v := url.Values{}
	if q.After > 0 || q.Oldest {
		v.Set("after", strconv.FormatUint(uint64(q.After), 10))
	} else if q.Before > 0 {
		v.Set("before", strconv.FormatUint(uint64(q.Before), 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var a struct {
		Messages []jsonMessage  `json:"messages"`
		Next     Seq            `json:"next_cursor"`
		Cursors  []MemberCursor `json:"cursors"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/chats/"+chat.String()+"/messages?"+v.Encode(), nil, &a); err != nil {
		return HistoryPage{}, err
	}
	page := HistoryPage{Next: a.Next, Cursors: a.Cursors, Messages: make([]Message, len(a.Messages))}
	for i := range a.Messages {
		var err error
		if page.Messages[i], err = a.Messages[i].message(); err != nil {
			return HistoryPage{}, err
		}
	}
	return page, nil
}

// Conversation is one row of the conversation list.
type Conversation struct {
	ChatID    ChatID
	Group     bool
	Name      string // of a group
	PeerID    UserID // the other user of a direct conversation
	LastID    Seq    // newest message
	ReadID    Seq    // what this user has read
	Unread    uint64
	UpdatedAt time.Time
	Last      *Message // nil when its shard does not answer right now
}

// Conversations lists this user's conversations, most recently changed first.
// before is "" for the first page, then what the last call returned as next;
// next is "" at the end. limit 0 is 50, at most 200.
func (c *Client) Conversations(ctx context.Context, before string, limit int) (list []Conversation, next string, err error) {
	v := url.Values{}
	if before != "" {
		v.Set("before", before)
	}
	if limit > 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
	var a struct {
		Chats []struct {
			ChatID    string       `json:"chat_id"`
			Kind      string       `json:"kind"`
			Name      string       `json:"name"`
			PeerID    UserID       `json:"peer_id"`
			LastID    Seq          `json:"last_message_id"`
			ReadID    Seq          `json:"last_read_message_id"`
			Unread    uint64       `json:"unread"`
			UpdatedAt wire.Millis  `json:"updated_at"`
			Last      *jsonMessage `json:"last_message"`
		} `json:"chats"`
		Next string `json:"next"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/chats?"+v.Encode(), nil, &a); err != nil {
		return nil, "", err
	}
	for i := range a.Chats {
		r := &a.Chats[i]
		id, err := ParseChatID(r.ChatID)
		if err != nil {
			return nil, "", err
		}
		cv := Conversation{ChatID: id, Group: r.Kind == "group", Name: r.Name, PeerID: r.PeerID, LastID: r.LastID,
			ReadID: r.ReadID, Unread: r.Unread, UpdatedAt: timeOf(r.UpdatedAt)}
		if r.Last != nil {
			msg, err := r.Last.message()
			if err != nil {
				return nil, "", err
			}
			cv.Last = &msg
		}
		list = append(list, cv)
	}
	return list, a.Next, nil
}

// CreateGroup makes a conversation of this user and members, and returns its
// id. A repeated call makes another group.
func (c *Client) CreateGroup(ctx context.Context, name string, members ...UserID) (ChatID, error) {
	in := struct {
		Name    string   `json:"name"`
		Members []UserID `json:"member_ids"`
	}{name, members}
	var a struct {
		ChatID string `json:"chat_id"`
	}
	if err := c.call(ctx, http.MethodPost, "/v1/groups", in, &a); err != nil {
		return ChatID{}, err
	}
	return ParseChatID(a.ChatID)
}
