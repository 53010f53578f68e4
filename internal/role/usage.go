package role

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// usage says what this process takes, as rates since the last question. It is
// safe for concurrent use.
type usage struct {
	mu struct {
		sync.Mutex
		cpu, count mark
		perSec     float64
		processors float64
	}
}

// mark is what a counter was and when.
type mark struct {
	at    time.Time
	value float64
}

// rateOver is the shortest time that a rate is measured over.
const rateOver = 500 * time.Millisecond

// rate moves m on to value and returns the rate since, or before when too
// little time went by.
func (m *mark) rate(now time.Time, value, before float64) float64 {
	took := now.Sub(m.at)
	if took < rateOver {
		return before
	}
	r := (value - m.value) / took.Seconds()
	if m.at.IsZero() || r < 0 {
		r = 0
	}
	m.at, m.value = now, value
	return r
}

// process returns the processors in use and the resident memory in bytes.
func (u *usage) process() (processors float64, resident uint64) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err == nil {
		spent := time.Duration(ru.Utime.Nano() + ru.Stime.Nano()).Seconds()
		u.mu.Lock()
		u.mu.processors = u.mu.cpu.rate(time.Now(), spent, u.mu.processors)
		processors = u.mu.processors
		u.mu.Unlock()
	}
	// The second number is the resident pages; see proc(5).
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(b); len(fields) > 1 {
			pages, _ := strconv.ParseUint(string(fields[1]), 10, 64) // what is no number is none
			resident = pages * uint64(os.Getpagesize())
		}
	}
	return processors, resident
}

// perSec returns how fast a counter that only grows has grown.
func (u *usage) perSec(count uint64) float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.perSec = u.mu.count.rate(time.Now(), float64(count), u.mu.perSec)
	return u.mu.perSec
}

// diskFree returns the bytes that the disk of a directory has left.
func diskFree(dir string) uint64 {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0
	}
	return st.Bavail * uint64(st.Bsize)
}
