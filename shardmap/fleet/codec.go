package fleet

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/godwit-im/godwit/shardmap"
)

// The encoded form of a State, for snapshots:
//
//	"gwfl" | version u8 | length of the JSON u32le | JSON | encoded map, if any
//	| xxh3 u64le of everything before
const (
	stateMagic  = "gwfl"
	stateV1     = 1
	stateHead   = len(stateMagic) + 1 + 4
	checksumLen = 8

	// MaxEncoded bounds an encoded state: the map's bound, 2 KiB for each of
	// MaxMembers nodes and 2 MiB for the moves of a plan.
	MaxEncoded = shardmap.MaxEncoded + MaxMembers<<11 + 2<<20
)

// Encode returns the encoded form of s, the same for equal states.
func (s *State) Encode() []byte {
	j, err := json.Marshal(s)
	if err != nil {
		panic(err) // a struct of numbers and texts always has a JSON form
	}
	b := append([]byte(stateMagic), stateV1)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(j)))
	b = append(b, j...)
	if s.Map != nil {
		b = append(b, s.Map.Encode()...)
	}
	return binary.LittleEndian.AppendUint64(b, xxh3.Hash(b))
}

// Decode reads an encoded state. It keeps nothing of b.
func Decode(b []byte) (*State, error) {
	if len(b) < stateHead+checksumLen || len(b) > MaxEncoded || string(b[:len(stateMagic)]) != stateMagic {
		return nil, ErrState
	}
	if v := b[len(stateMagic)]; v > stateV1 {
		return nil, fmt.Errorf("%w (state format %d, this one knows %d)", ErrNewer, v, stateV1)
	}
	body := b[:len(b)-checksumLen]
	if xxh3.Hash(body) != binary.LittleEndian.Uint64(b[len(body):]) {
		return nil, fmt.Errorf("%w: checksum differs", ErrState)
	}
	size := uint64(binary.LittleEndian.Uint32(body[stateHead-4:]))
	body = body[stateHead:]
	if size > uint64(len(body)) {
		return nil, fmt.Errorf("%w: it is cut off", ErrState)
	}
	s := new(State)
	if err := strict(body[:size], s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if body = body[size:]; len(body) > 0 {
		m, err := shardmap.Decode(body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrState, err)
		}
		s.Map = m
	}
	return s, nil
}

// Clone returns a copy that shares nothing with s that can change.
func (s *State) Clone() *State {
	c := *s
	c.Nodes = slices.Clone(s.Nodes)
	c.Plan, c.Last = s.Plan.clone(), s.Last.clone()
	return &c
}

func (p *Plan) clone() *Plan {
	if p == nil {
		return nil
	}
	c := *p
	c.Moves = slices.Clone(p.Moves)
	return &c
}
