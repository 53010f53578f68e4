package shard

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/godwit-im/godwit/wire"
)

// An entry of the shard's Raft log is
//
//	+-----------+----------------+-----------------------------+
//	| version u8| now ms, uvarint| items, as wire/peer has them|
//	+-----------+----------------+-----------------------------+

// entryVersion is the version that BeginEntry writes.
const entryVersion = 1

// ErrEntry is wrapped by every error of Apply that blames the entry and not the
// store: the log is corrupt, or was written by a later version.
var ErrEntry = errors.New("shard: unreadable log entry")

// BeginEntry appends the header of an entry to b. now is the leader's clock.
// The driver appends raw peer items behind it: writes only, those of Bump and
// Touch without Body.
func BeginEntry(b []byte, now wire.Millis) []byte {
	return binary.AppendUvarint(append(b, entryVersion), uint64(now))
}

// readHeader takes the header from the front of an entry.
func readHeader(entry []byte) (now wire.Millis, items []byte, err error) {
	if len(entry) == 0 {
		return 0, nil, fmt.Errorf("%w: empty", ErrEntry)
	}
	if entry[0] != entryVersion {
		return 0, nil, fmt.Errorf("%w: version %d, this binary knows %d; run the version that wrote it or a later one",
			ErrEntry, entry[0], entryVersion)
	}
	v, n := binary.Uvarint(entry[1:])
	if n <= 0 {
		return 0, nil, fmt.Errorf("%w: no clock in the header", ErrEntry)
	}
	return wire.Millis(v), entry[1+n:], nil
}
