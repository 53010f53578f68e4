package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"unicode"

	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

type groupInput struct {
	Body struct {
		Name      string   `json:"name" minLength:"1" maxLength:"128" doc:"at most 128 bytes"`
		MemberIDs []string `json:"member_ids" maxItems:"1024" nullable:"false" doc:"the other members; you are one anyway"`
	}
}

// GroupCreated is a group that has just come to be.
type GroupCreated struct {
	ChatID    string   `json:"chat_id"`
	Name      string   `json:"name"`
	MemberIDs []string `json:"member_ids" doc:"all members, you first"`
}

type groupOutput struct {
	Body GroupCreated
}

func (a *api) createGroup(ctx context.Context, in *groupInput) (*groupOutput, error) {
	user, name := userOf(ctx), in.Body.Name
	if name == "" || len(name) > wire.MaxName || strings.ContainsFunc(name, unicode.IsControl) {
		return nil, NewProblem(wire.CodeBadRequest, "give a name of 1 to 128 bytes without control characters").About(fmt.Sprintf("name is %.140q", name))
	}
	members := []string{string(user)}
	seen := map[string]bool{string(user): true}
	list := []byte{}
	for _, m := range in.Body.MemberIDs {
		if !wire.ValidID(m) {
			return nil, NewProblem(wire.CodeBadRequest, "give user ids: 1 to 64 bytes of UTF-8 without control characters").About(fmt.Sprintf("member_ids holds %.70q", m))
		}
		if seen[m] {
			continue
		}
		seen[m] = true
		members = append(members, m)
		list = peer.AppendBytes(list, m)
	}
	if len(members) > wire.MaxMembers {
		return nil, NewProblem(wire.CodeTooManyMembers, "")
	}
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails, says its documentation
	chat := wire.NewChatID(wire.Group, seed)
	_, err := a.call(ctx, chat.Slot(), &peer.Item{
		Op: peer.OpCreateGroup, Chat: chat, User: []byte(user), Name: []byte(name), List: list})
	if err != nil {
		return nil, err
	}
	return &groupOutput{Body: GroupCreated{ChatID: chat.String(), Name: name, MemberIDs: members}}, nil
}
