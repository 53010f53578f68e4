package bench

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// machineLimits measures what any server here must pay: the processor time of
// one message over a loopback socket (write and read), and an fdatasync.
func machineLimits(_ context.Context, opt *Options) (string, map[string]float64, error) {
	socket, err := socketCost(50_000)
	if err != nil {
		return "", nil, err
	}
	mean, worst, err := syncCost(opt.Dir, 500)
	if err != nil {
		return "", nil, err
	}
	value := fmt.Sprintf("%.1f µs CPU / %.2f ms (worst %.2f)", micros(socket), millis(mean), millis(worst))
	return value, map[string]float64{"socket_cpu_us": micros(socket), "fdatasync_ms": millis(mean), "fdatasync_worst_ms": millis(worst)}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// socketCost returns the processor time of passing 150 bytes through a pair of
// loopback sockets, both ends together.
func socketCost(n int) (time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	var buf [150]byte
	before := ownCPU()
	for range n {
		if _, err := out.Write(buf[:]); err != nil {
			return 0, err
		}
		if _, err := in.Read(buf[:]); err != nil {
			return 0, err
		}
	}
	return (ownCPU() - before) / time.Duration(n), nil
}

// ownCPU returns the processor time of this process.
func ownCPU() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// syncCost writes 4 KiB and calls fdatasync n times.
func syncCost(dir string, n int) (mean, worst time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fdatasync-")
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	var sum time.Duration
	for range n {
		if _, err := f.Write(block); err != nil {
			return 0, 0, err
		}
		start := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, 0, err
		}
		d := time.Since(start)
		sum += d
		worst = max(worst, d)
	}
	return sum / time.Duration(n), worst, nil
}
