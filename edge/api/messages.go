package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// Message is an entry of a conversation's log: the fields of new_message.
type Message struct {
	ChatID      string `json:"chat_id"`
	MessageID   uint64 `json:"message_id" doc:"numbers the entries of the conversation from 1, without gaps"`
	SenderID    string `json:"sender_id"`
	Content     string `json:"content,omitempty" doc:"when it is UTF-8"`
	ContentB64  string `json:"content_b64,omitempty" doc:"when it is not, base64"`
	Kind        string `json:"kind,omitempty" doc:"text when absent"`
	CreatedAt   uint64 `json:"created_at" doc:"milliseconds since 1970, by the server's clock"`
	ClientMsgID string `json:"client_msg_id,omitempty"`
	ReplyTo     uint64 `json:"reply_to,omitempty" doc:"message_id in the same conversation"`
}

// Cursor is how far one member of a conversation has come.
type Cursor struct {
	UserID    string `json:"user_id"`
	Delivered uint64 `json:"delivered" doc:"has everything up to this message_id"`
	Read      uint64 `json:"read" doc:"has read everything up to this message_id"`
}

// optionalSeq is a query parameter that may be absent, which 0 is not.
type optionalSeq struct {
	Seq   uint64
	Given bool
}

// Schema implements huma.SchemaProvider.
func (optionalSeq) Schema(r huma.Registry) *huma.Schema {
	s := *huma.SchemaFromType(r, reflect.TypeFor[uint64]())
	most := float64(wire.MaxSeq)
	s.Maximum = &most
	return &s
}

// Receiver implements huma.ParamWrapper.
func (o *optionalSeq) Receiver() reflect.Value { return reflect.ValueOf(&o.Seq).Elem() }

// OnParamSet implements huma.ParamReactor.
func (o *optionalSeq) OnParamSet(given bool, _ any) { o.Given = given }

type messagesInput struct {
	ChatID string      `path:"chat_id" doc:"the conversation"`
	After  optionalSeq `query:"after" doc:"messages newer than this message_id, oldest first; 0: from the first one"`
	Before optionalSeq `query:"before" doc:"messages older than this message_id, newest first"`
	Limit  int         `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"how many at most"`
}

type messagesOutput struct {
	Body struct {
		Messages   []Message `json:"messages" nullable:"false" doc:"newest first, or with after oldest first"`
		NextCursor uint64    `json:"next_cursor,omitempty" doc:"pass it as before (or after) for the next page; absent at the end"`
		Cursors    []Cursor  `json:"cursors,omitempty" doc:"of the members, with the page that has the newest message"`
	}
}

func (a *api) messages(ctx context.Context, in *messagesInput) (*messagesOutput, error) {
	chat, err := wire.ParseChatID([]byte(in.ChatID))
	if err != nil {
		return nil, NewProblem(wire.CodeBadField, "take the chat_id of GET /v1/chats, of an ack_sent or of a new group").About(fmt.Sprintf("%.40q is not a chat_id", in.ChatID))
	}
	if in.After.Given && in.Before.Given {
		return nil, NewProblem(wire.CodeBadRequest, "give one of them").About("after and before were both given")
	}
	it := peer.Item{Op: peer.OpRange, Chat: chat, User: []byte(userOf(ctx)), Limit: uint32(in.Limit)}
	if in.After.Given {
		it.After = in.After.Seq
	} else {
		it.Flags, it.Seq = peer.FlagDesc, wire.Seq(in.Before.Seq)
	}
	rep, err := a.call(ctx, chat.Slot(), &it)
	if err != nil {
		return nil, err
	}
	out := &messagesOutput{}
	if out.Body.Messages, err = messagesOf(rep.List); err != nil {
		return nil, err
	}
	if n := len(out.Body.Messages); n > 0 && rep.Flags&peer.FlagMore != 0 {
		out.Body.NextCursor = out.Body.Messages[n-1].MessageID
	}
	out.Body.Cursors, err = cursorsOf(rep.Cursors)
	return out, err
}

// messagesOf reads the new_message frames of an OpRangeReply.
func messagesOf(list []byte) ([]Message, error) {
	messages := []Message{}
	for len(list) > 0 {
		b, rest, ok := peer.NextBytes(list)
		var f wire.Frame
		if !ok || wire.DecodeMsgpack(b, &f) != nil || f.Op != wire.OpNewMessage {
			return nil, NewProblem(wire.CodeInternal, "")
		}
		list = rest
		messages = append(messages, messageOf(&f))
	}
	return messages, nil
}

func messageOf(f *wire.Frame) Message {
	m := Message{
		ChatID:      f.Chat.String(),
		MessageID:   uint64(f.Seq),
		SenderID:    string(f.User),
		Kind:        string(f.Kind),
		CreatedAt:   uint64(f.At),
		ClientMsgID: string(f.ClientMsgID),
		ReplyTo:     uint64(f.ReplyTo),
	}
	if utf8.Valid(f.Content) {
		m.Content = string(f.Content)
	} else {
		m.ContentB64 = base64.StdEncoding.EncodeToString(f.Content)
	}
	return m
}

func cursorsOf(list []byte) ([]Cursor, error) {
	var cursors []Cursor
	for len(list) > 0 {
		c, rest, ok := peer.NextCursor(list)
		if !ok {
			return nil, NewProblem(wire.CodeInternal, "")
		}
		list = rest
		cursors = append(cursors, Cursor{UserID: string(c.User), Delivered: uint64(c.Delivered), Read: uint64(c.Read)})
	}
	return cursors, nil
}
