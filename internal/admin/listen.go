package admin

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxConnections is how many connections an admin address holds at a time: a
// few scrapers, probes and profiles. Each is a descriptor that the store may
// need, and a store that gets none ends the process.
const MaxConnections = 32

// Listener is an admin address that holds at most MaxConnections. Further ones
// wait in the kernel's backlog, where they cost this process nothing, until
// one ends; NewServer's time-outs see to that. It counts how often that
// happened, as a prometheus.Collector. It is safe for concurrent use.
type Listener struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	close func() error
	full  atomic.Uint64
}

// Listen opens the address, host:port; its errors are those of net.Listen.
func Listen(addr string) (*Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &Listener{Listener: ln, slots: make(chan struct{}, MaxConnections), done: make(chan struct{})}
	stop := sync.OnceFunc(func() { close(l.done) })
	l.close = func() error {
		stop()
		return ln.Close()
	}
	return l, nil
}

// Accept waits for a slot, then for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		l.full.Add(1)
		select {
		case l.slots <- struct{}{}:
		case <-l.done:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotConn{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close stops accepting; connections live on.
func (l *Listener) Close() error { return l.close() }

// slotConn gives its slot back when it is closed.
type slotConn struct {
	net.Conn
	release func()
}

func (c *slotConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}

// Describe implements prometheus.Collector.
func (l *Listener) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(l, ch) }

// Collect implements prometheus.Collector.
func (l *Listener) Collect(ch chan<- prometheus.Metric) {
	full := prometheus.NewDesc("godwit_admin_full_total", "How often the admin address held all the connections it may, and the next had to wait.", nil, nil)
	ch <- prometheus.MustNewConstMetric(full, prometheus.CounterValue, float64(l.full.Load()))
}
