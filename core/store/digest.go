package store

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/zeebo/xxh3"
)

// Digest is what a shard holds, in a few bytes. Replicas of one shard with the
// same Applied have the same Bytes and Sum.
type Digest struct {
	Applied uint64 `json:"applied"` // Raft index of the last entry that the rows contain
	Bytes   uint64 `json:"bytes"`   // how long the snapshot is as a stream
	Sum     string `json:"sum"`     // XXH3-128 of the stream, in hexadecimal digits
}

// Digest reads the whole snapshot in pieces of bounded size. It ends with
// ErrStopped soon after stop is closed.
func (s *Snapshot) Digest(stop <-chan struct{}) (Digest, error) {
	d := digester{sum: xxh3.New128()}
	if err := s.WriteTo(&d, stop); err != nil {
		return Digest{}, err
	}
	// The head ends with the index; WriteTo has written at least that.
	applied := binary.BigEndian.Uint64(d.head[len(d.head)-8:])
	return Digest{Applied: applied, Bytes: d.bytes, Sum: hex.EncodeToString(d.sum.Sum(nil))}, nil
}

// digester hashes a stream and keeps its head.
type digester struct {
	sum   *xxh3.Hasher128
	head  [len(snapshotMagic) + 1 + 8]byte
	bytes uint64
}

// Write implements io.Writer.
func (d *digester) Write(b []byte) (int, error) {
	if d.bytes < uint64(len(d.head)) {
		copy(d.head[d.bytes:], b)
	}
	d.bytes += uint64(len(b))
	return d.sum.Write(b)
}
