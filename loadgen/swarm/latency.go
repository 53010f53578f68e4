package swarm

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency holds the histograms of a run, in microseconds from the due time.
type Latency struct {
	Ack     Histogram // due to ack_sent at the sender
	Receive Histogram // due to new_message at the other side
}

// Range and precision of a histogram: 1 µs to 10 minutes at three digits.
const (
	minMicros = 1
	maxMicros = int64(10 * time.Minute / time.Microsecond)
	digits    = 3
)

// Histogram is an HDR histogram safe for concurrent use.
type Histogram struct {
	mu struct {
		sync.Mutex
		h *hdrhistogram.Histogram
	}
}

// record adds how long ago a message was due, unless that was in the warm-up.
func (h *Histogram) record(s *Swarm, due time.Duration) {
	if due < s.opt.Warmup {
		return
	}
	h.Record(s.clock() - due)
}

// Record adds one value; values outside the range count at its ends.
func (h *Histogram) Record(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.h == nil {
		h.mu.h = hdrhistogram.New(minMicros, maxMicros, digits)
	}
	_ = h.mu.h.RecordValue(min(max(d.Microseconds(), minMicros), maxMicros)) // in range by construction
}

// Quantiles are the figures of a report, in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// Quantiles returns the figures so far.
func (h *Histogram) Quantiles() Quantiles {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.h == nil {
		return Quantiles{}
	}
	at := func(q float64) float64 { return float64(h.mu.h.ValueAtQuantile(q)) / 1000 }
	return Quantiles{Count: h.mu.h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.mu.h.Max()) / 1000}
}

// maxCauses bounds how many different texts Causes keeps.
const maxCauses = 64

// Causes counts failures by text.
type Causes struct {
	mu struct {
		sync.Mutex
		n map[string]uint64
	}
}

func (c *Causes) add(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.n == nil {
		c.mu.n = make(map[string]uint64)
	}
	text := cause(err)
	if _, known := c.mu.n[text]; !known && len(c.mu.n) >= maxCauses {
		text = "other"
	}
	c.mu.n[text]++
}

// cause returns err's text without addresses and ports, which differ for each
// connection.
func cause(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err.Error()
	}
	var sys syscall.Errno
	switch {
	case errors.As(err, &sys):
		return op.Op + ": " + sys.Error()
	case op.Timeout():
		return op.Op + ": timeout"
	}
	return op.Op + ": " + op.Err.Error()
}

// Counts returns a copy of the counts.
func (c *Causes) Counts() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]uint64, len(c.mu.n))
	for k, v := range c.mu.n {
		out[k] = v
	}
	return out
}
