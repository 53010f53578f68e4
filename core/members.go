package core

import (
	"github.com/godwit-im/godwit/core/shard"
	"github.com/godwit-im/godwit/core/store"
	"github.com/godwit-im/godwit/wire"
	"github.com/godwit-im/godwit/wire/peer"
)

// group is the users of one shard, as a list of ids.
type group struct {
	shard wire.ShardID
	list  []byte
}

// memberReader finds who a conversation's news go to. It belongs to one
// goroutine and keeps its memory from call to call.
type memberReader struct {
	node   *Node
	settle func() error // makes the view current
	view   *store.View
	groups []group
	list   []byte
}

// byShard groups the members of a conversation by their shards, without the
// user except. Of a direct chat the two users are given; otherwise they are
// read. The result is valid until the next call.
func (m *memberReader) byShard(chat wire.ChatID, user, other, except []byte) ([]group, error) {
	m.groups = m.groups[:0]
	if other != nil {
		m.group(other)
		if user != nil {
			m.group(user)
		}
		return m.groups, nil
	}
	if err := m.settle(); err != nil {
		return nil, err
	}
	var after []byte
	for {
		list, more, err := shard.Members(m.view, chat, after, memberPage, m.list[:0])
		if err != nil {
			return nil, err
		}
		m.list = list
		var id []byte
		for ok := true; ; {
			if id, list, ok = peer.NextBytes(list); !ok {
				break
			}
			if string(id) != string(except) {
				m.group(id)
			}
			after = append(after[:0], id...)
		}
		if !more {
			return m.groups, nil
		}
	}
}

// group adds a user to the group of its shard.
func (m *memberReader) group(user []byte) {
	id := m.node.shardOfUser(user)
	for i := range m.groups {
		if m.groups[i].shard == id {
			m.groups[i].list = peer.AppendBytes(m.groups[i].list, user)
			return
		}
	}
	if len(m.groups) < cap(m.groups) {
		m.groups = m.groups[:len(m.groups)+1] // with the list that was there
	} else {
		m.groups = append(m.groups, group{})
	}
	g := &m.groups[len(m.groups)-1]
	g.shard, g.list = id, peer.AppendBytes(g.list[:0], user)
}
