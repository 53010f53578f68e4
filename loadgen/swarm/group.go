package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// groupTimeout bounds the making of one group.
const groupTimeout = 30 * time.Second

// How often a refusal that may pass is tried again, and after how long.
const (
	groupTries = 20
	groupAgain = 500 * time.Millisecond
)

// mayComeLater reports whether the server says that trying again may help.
func mayComeLater(err error) bool {
	code := wire.Code(0)
	return errors.As(err, &code) && code.Retryable()
}

// makeGroups makes the groups of the workload, one after the other: the load
// has not begun.
func (s *Swarm) makeGroups(ctx context.Context) error {
	if s.opt.Work.Groups == 0 {
		return nil
	}
	t := &http.Transport{TLSClientConfig: s.opt.TLS}
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t, Timeout: groupTimeout}
	for i := range s.chats {
		if !s.opt.Work.IsGroup(uint32(i)) {
			continue
		}
		id, err := s.makeGroup(ctx, c, uint32(i))
		for again := 0; again < groupTries && mayComeLater(err) && ctx.Err() == nil; again++ {
			select { // a shard without a leader has one soon
			case <-time.After(groupAgain):
			case <-ctx.Done():
			}
			id, err = s.makeGroup(ctx, c, uint32(i))
		}
		if err != nil {
			return fmt.Errorf("%w (making %s)", err, s.opt.Work.Name(uint32(i)))
		}
		s.chats[i].id = id
	}
	return nil
}

// makeGroup makes one group as its first member.
func (s *Swarm) makeGroup(ctx context.Context, c *http.Client, index uint32) (id wire.ChatID, err error) {
	users := s.chats[index].users
	var in struct {
		Name    string        `json:"name"`
		Members []wire.UserID `json:"member_ids"`
	}
	in.Name = s.opt.Work.Name(index)
	for _, u := range users[1:] {
		in.Members = append(in.Members, u.name)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return id, err
	}
	base := "http" + strings.TrimPrefix(strings.TrimSuffix(s.opt.URL, "/ws"), "ws")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/groups", bytes.NewReader(body))
	if err != nil {
		return id, err
	}
	token, err := s.opt.Token(ctx, users[0].name)
	if err != nil {
		return id, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return id, err
	}
	defer resp.Body.Close()
	var out struct {
		ChatID string    `json:"chat_id"`
		Code   wire.Code `json:"code"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&out)
	switch {
	case out.Code != wire.OK:
		return id, out.Code
	case err != nil || resp.StatusCode/100 != 2:
		return id, errors.Join(fmt.Errorf("the server answered %s", resp.Status), err)
	}
	return wire.ParseChatID([]byte(out.ChatID))
}
