package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// CursorStore keeps the cursor of one user's device across restarts of the
// program. Save is called after everything before the cursor has been handled.
// A lost or old cursor costs time, never a message. Implementations need no
// locking: one goroutine calls at a time.
type CursorStore interface {
	// Load returns the cursor, or false when there is none.
	Load() (Cursor, bool, error)
	Save(user UserID, device DeviceID, c Cursor) error
}

// MemoryCursors keeps the cursor in memory, for several clients of one device
// after another in the same program. The zero value is empty.
type MemoryCursors struct {
	mu struct {
		sync.Mutex
		cursor Cursor
		set    bool
	}
}

// Load returns the cursor.
func (s *MemoryCursors) Load() (Cursor, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.cursor, s.mu.set, nil
}

// Save keeps the cursor.
func (s *MemoryCursors) Save(_ UserID, _ DeviceID, c Cursor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.cursor, s.mu.set = c, true
	return nil
}

// FileCursors keeps the cursor in a small JSON file, which it replaces as a
// whole. Use one file per user and device.
type FileCursors string

type cursorFile struct {
	User   UserID   `json:"user"`
	Device DeviceID `json:"device"`
	Cursor Cursor   `json:"cursor"`
}

// Load reads the file. A missing file is no error.
func (s FileCursors) Load() (Cursor, bool, error) {
	b, err := os.ReadFile(string(s))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("client: read the cursor: %w", err)
	}
	var f cursorFile
	if err := json.Unmarshal(b, &f); err != nil {
		return 0, false, fmt.Errorf("client: %s is not a cursor file: %w", string(s), err)
	}
	return f.Cursor, true, nil
}

// Save replaces the file.
func (s FileCursors) Save(user UserID, device DeviceID, c Cursor) error {
	b, err := json.Marshal(cursorFile{user, device, c})
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(string(s)), ".cursor-*")
	if err != nil {
		return fmt.Errorf("client: save the cursor: %w", err)
	}
	_, err = tmp.Write(append(b, '\n'))
	if err := errors.Join(err, tmp.Close()); err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("client: save the cursor: %w", err)
	}
	return os.Rename(tmp.Name(), string(s))
}
