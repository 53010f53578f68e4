package api

import (
	"context"
	"strconv"
	"sync"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Chat is one conversation of the user who asks.
type Chat struct {
	ChatID      string   `json:"chat_id"`
	Kind        string   `json:"kind" enum:"direct,group"`
	Name        string   `json:"name,omitempty" doc:"of a group"`
	PeerID      string   `json:"peer_id,omitempty" doc:"the other user of a direct chat"`
	LastMessage *Message `json:"last_message,omitempty" doc:"absent when its shard does not answer right now"`
	LastID      uint64   `json:"last_message_id" doc:"the newest message"`
	LastReadID  uint64   `json:"last_read_message_id" doc:"what you have read"`
	Unread      uint64   `json:"unread"`
	UpdatedAt   uint64   `json:"updated_at" doc:"when the newest message was stored, in milliseconds since 1970"`
}

type chatsInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"how many at most"`
	Before uint64 `query:"before" doc:"next of the previous page"`
}

type chatsOutput struct {
	Body struct {
		Chats []Chat `json:"chats" nullable:"false"`
		Next  string `json:"next,omitempty" doc:"pass it as before to get older ones; absent at the end"`
	}
}

func (a *api) chats(ctx context.Context, in *chatsInput) (*chatsOutput, error) {
	user := userOf(ctx)
	rep, err := a.call(ctx, user.Slot(), &peer.Item{
		Op: peer.OpChats, User: []byte(user), Stamp: wire.Cursor(in.Before), Limit: uint32(in.Limit)})
	if err != nil {
		return nil, err
	}
	out := &chatsOutput{}
	out.Body.Chats = []Chat{}
	for list := rep.List; len(list) > 0; {
		row, rest, ok := peer.NextRow(list)
		if !ok {
			return nil, NewProblem(wire.CodeInternal, "")
		}
		list = rest
		out.Body.Chats = append(out.Body.Chats, chatOf(&row))
	}
	if rep.Flags&peer.FlagMore != 0 {
		out.Body.Next = strconv.FormatUint(uint64(rep.Stamp), 10)
	}
	a.preview(ctx, user, out.Body.Chats)
	return out, nil
}

func chatOf(row *peer.Row) Chat {
	c := Chat{
		ChatID:     row.Chat.String(),
		Kind:       "direct",
		PeerID:     string(row.Peer),
		LastID:     uint64(row.Last),
		LastReadID: uint64(row.Read),
		UpdatedAt:  uint64(row.At),
	}
	if row.Chat.Kind() == wire.Group {
		c.Kind = "group"
	}
	if row.Last > row.Read {
		c.Unread = uint64(row.Last - row.Read)
	}
	return c
}

// preview asks the shard of each conversation for its newest message and its
// name, a few side by side. A shard that does not answer costs the preview,
// not the list.
func (a *api) preview(ctx context.Context, user wire.UserID, chats []Chat) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	next := make(chan *Chat)
	var wg sync.WaitGroup
	for range min(previewsAtOnce, len(chats)) {
		wg.Go(func() {
			for c := range next {
				a.previewOne(ctx, user, c)
			}
		})
	}
	for i := range chats {
		next <- &chats[i]
	}
	close(next)
	wg.Wait()
}

func (a *api) previewOne(ctx context.Context, user wire.UserID, c *Chat) {
	chat, err := wire.ParseChatID([]byte(c.ChatID))
	if err != nil {
		return
	}
	rep, err := a.cfg.Core.Call(ctx, chat.Slot(), &peer.Item{
		Op: peer.OpRange, Chat: chat, User: []byte(user), Limit: 1, Flags: peer.FlagDesc})
	if err != nil {
		return
	}
	c.Name = string(rep.Name)
	if messages, err := messagesOf(rep.List); err == nil && len(messages) > 0 {
		c.LastMessage = &messages[0]
	}
}
