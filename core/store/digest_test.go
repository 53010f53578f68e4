package store

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/godwit-im/godwit/wire"
)

// Replicas that hold the same have the same digest, whatever way it came and
// whatever else is in the store; one changed byte shows.
func TestDigestTellsReplicasApart(t *testing.T) {
	digest := func(s *Store, id wire.ShardID) Digest {
		t.Helper()
		snap := s.NewSnapshot(id)
		defer snap.Close()
		d, err := snap.Digest(nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, other := open(t, vfs.NewMem()), open(t, vfs.NewMem())
	defer one.Close()
	defer other.Close()
	put(t, one, 7, 3000, "value", 41)
	put(t, one, 8, 10, "of another shard", 9)
	put(t, other, 7, 3000, "older", 40)
	if a, b := digest(one, 7), digest(other, 7); a.Sum == b.Sum || a.Applied != 41 || b.Applied != 40 {
		t.Errorf("%+v and %+v are of different rows at 41 and 40", a, b)
	}
	put(t, other, 7, 3000, "value", 41)
	if a, b := digest(one, 7), digest(other, 7); a != b || a.Bytes < 3000 || len(a.Sum) != 32 {
		t.Errorf("%+v and %+v are of the same rows", a, b)
	}
	put(t, other, 7, 1, "valuf", 41)
	if a, b := digest(one, 7), digest(other, 7); a.Sum == b.Sum {
		t.Errorf("a changed byte does not show: %+v", a)
	}
	if empty := digest(one, 3); empty.Applied != 0 {
		t.Errorf("a shard that is not here is applied up to %d", empty.Applied)
	}

	stop := make(chan struct{})
	close(stop)
	snap := one.NewSnapshot(7)
	defer snap.Close()
	if _, err := snap.Digest(stop); !errors.Is(err, ErrStopped) {
		t.Errorf("a digest that is to stop returns %v", err)
	}
}
