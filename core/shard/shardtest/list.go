package shardtest

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// list is a skip list ordered by key. The height of a row follows from a hash
// of its key, so equal rows make equal lists. The zero value is empty.
type list struct{ head item }

const maxHeight = 12 // a quarter of the rows reach each next level: 16 million

type item struct {
	key, value string
	next       [maxHeight]*item
}

// path returns, for each level, the last item with a key below key.
func (l *list) path(key string) (p [maxHeight]*item) {
	at := &l.head
	for i := maxHeight - 1; i >= 0; i-- {
		for at.next[i] != nil && at.next[i].key < key {
			at = at.next[i]
		}
		p[i] = at
	}
	return p
}

// seek returns the first item with a key >= key, or nil.
func (l *list) seek(key string) *item { return l.path(key)[0].next[0] }

// before returns the last item with a key < key, or nil.
func (l *list) before(key string) *item {
	if n := l.path(key)[0]; n != &l.head {
		return n
	}
	return nil
}

func (l *list) set(key, value string) {
	p := l.path(key)
	if n := p[0].next[0]; n != nil && n.key == key {
		n.value = value
		return
	}
	n := &item{key: key, value: value}
	height := min(maxHeight, 1+bits.TrailingZeros64(xxh3.HashString(key))/2)
	for i := range height {
		n.next[i] = p[i].next[i]
		p[i].next[i] = n
	}
}

func (l *list) remove(key string) {
	p := l.path(key)
	n := p[0].next[0]
	if n == nil || n.key != key {
		return
	}
	for i := range maxHeight {
		if p[i].next[i] == n {
			p[i].next[i] = n.next[i]
		}
	}
}
