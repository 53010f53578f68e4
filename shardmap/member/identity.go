package member

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/fleet"
	"github.com/godwit-im/godwit/wire"
)

// Files in the data directory.
const (
	identityFile = "node.json"
	mapFile      = "shardmap.bin"

	// maxIdentity bounds node.json, which takes some 200 bytes.
	maxIdentity = 64 << 10
	// randomLen is the length of an identity or instance, in bytes.
	randomLen = 16
)

// identity is what node.json holds. Its Identity is on the disk before control
// hears of it, so that a crash in between leads to the same node and not to a
// second one.
type identity struct {
	Cluster  string      `json:"cluster,omitempty"` // empty before the first join, as is ID
	ID       wire.NodeID `json:"id,omitempty"`
	Name     string      `json:"name"`
	Role     fleet.Role  `json:"role"`
	Identity string      `json:"identity"`
}

// loadIdentity reads the identity in dir, or makes one there. It refuses a
// directory that belongs to another role or name.
func loadIdentity(dir string, role fleet.Role, name string) (identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return identity{}, fault.New(fault.DataNotWritable, "%w", err)
	}
	path := filepath.Join(dir, identityFile)
	id, err := readIdentity(path)
	if errors.Is(err, fs.ErrNotExist) {
		id = identity{Name: name, Role: role, Identity: random()}
		return id, saveIdentity(dir, id)
	}
	if err != nil {
		return identity{}, err
	}
	if id.Role != role || id.Name != name {
		return identity{}, fault.New(fault.OtherRole, "%s says %s %q, this is %s %q", path, id.Role, id.Name, role, name)
	}
	return id, nil
}

func readIdentity(path string) (id identity, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	if err != nil {
		return id, fault.New(fault.NodeFileBroken, "%w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxIdentity))
	if err == nil {
		err = json.Unmarshal(b, &id)
	}
	if err == nil && (len(id.Identity) != 2*randomLen || id.Name == "" || id.Role == "" || (id.ID == 0) != (id.Cluster == "")) {
		err = errors.New("it is not complete")
	}
	if err != nil {
		return identity{}, fault.New(fault.NodeFileBroken, "%s: %w", path, err)
	}
	return id, nil
}

// saveIdentity writes id so that after a crash at any moment the file holds
// what it held or id, whole. It returns when id is on the disk.
func saveIdentity(dir string, id identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err == nil {
		err = replaceFile(dir, identityFile, append(b, '\n'))
	}
	if err != nil {
		return fault.New(fault.DataNotWritable, "keep %s: %w", filepath.Join(dir, identityFile), err)
	}
	return nil
}

func replaceFile(dir, name string, b []byte) error {
	path := filepath.Join(dir, name)
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = errors.Join(err, file.Sync())
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// random returns 32 hex digits that nobody else has.
func random() string {
	var b [randomLen]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("crypto/rand never fails: %v", err))
	}
	return hex.EncodeToString(b[:])
}
