package shard

import (
	"encoding/binary"

	"github.com/godwit-im/godwit/wire"
)

// The tables of a shard. A key is the table's byte and the fields; a user that
// is not the last field has its length in front, so that no key is a prefix of
// another row's. Seqs and stamps are 8 bytes big-endian: their order is the
// order of the keys.
//
//	at the shard of the conversation
//	c | chat 16               newest seq, members of a direct chat or name of a group
//	m | chat 16 | user        member of a group: joined, delivered, read
//	l | chat 16 | seq 8       one entry of the log
//	d | chat 16 | hash 6      the seqs whose (sender, client_msg_id) have this hash
//	o | chat 16               the seq up to which members have been told; gone when it is the newest
//	e                         the conversation at which OpExpire goes on
//
//	at the shard of the user
//	u | user                  devices
//	i | len 1 | user | chat 16   inbox: high-water marks of one conversation
//	s | len 1 | user | stamp 8   change index: the conversation that changed at that stamp
//
// The head of a user's change counter is the greatest stamp of the index: the
// row that changed last is always in it.
const (
	tableChat   = 'c'
	tableMember = 'm'
	tableLog    = 'l'
	tableDedupe = 'd'
	tableOutbox = 'o'
	tableExpire = 'e'
	tableUser   = 'u'
	tableInbox  = 'i'
	tableStamp  = 's'
)

func appendChatKey(b []byte, table byte, chat wire.ChatID) []byte {
	return append(append(b, table), chat[:]...)
}

func appendMemberKey(b []byte, chat wire.ChatID, user []byte) []byte {
	return append(appendChatKey(b, tableMember, chat), user...)
}

func appendLogKey(b []byte, chat wire.ChatID, seq wire.Seq) []byte {
	return binary.BigEndian.AppendUint64(appendChatKey(b, tableLog, chat), uint64(seq))
}

func appendUserKey(b, user []byte) []byte {
	return append(append(b, tableUser), user...)
}

// appendUserPrefix appends what all keys of user in table start with.
func appendUserPrefix(b []byte, table byte, user []byte) []byte {
	return append(append(b, table, byte(len(user))), user...)
}

func appendInboxKey(b, user []byte, chat wire.ChatID) []byte {
	return append(appendUserPrefix(b, tableInbox, user), chat[:]...)
}

// appendStamp completes the key of a row of the change index.
func appendStamp(prefix []byte, stamp wire.Cursor) []byte {
	return binary.BigEndian.AppendUint64(prefix, uint64(stamp))
}

// lastNumber returns the seq or stamp at the end of a key.
func lastNumber(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// after returns the least key that is greater than every key with prefix; it
// overwrites prefix. The tables' bytes are below 0xff, so there is one.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; ; i-- {
		if prefix[i]++; prefix[i] != 0 {
			return prefix[:i+1]
		}
	}
}
