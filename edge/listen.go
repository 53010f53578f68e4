package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Bind opens a public address, for Config.Listener; its errors say what to do.
func Bind(addr string) (*net.TCPListener, error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("edge: %q is not an address to listen on (%w); write host:port, such as 127.0.0.1:8080", addr, err)
	}
	ln, err := net.ListenTCP("tcp", a)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("edge: %s is taken by another process; stop it or choose another address with --listen: %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("edge: not allowed to listen on %s; choose a port above 1023 or grant CAP_NET_BIND_SERVICE: %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("edge: this host has no address %s; choose one of its own with --listen: %w", addr, err)
	case err != nil:
		return nil, fmt.Errorf("edge: cannot listen on %s: %w", addr, err)
	}
	return ln, nil
}

// certificates serves the certificate of two files and reads them again when
// they have changed, so that a renewal needs no restart.
type certificates struct {
	certFile, keyFile string
	warn              func(err error)

	mu struct {
		sync.Mutex
		cert    *tls.Certificate
		stamp   time.Time // newest change of the files in cert
		checked time.Time
	}
}

// certCheckEvery bounds how often the files' times are looked at.
const certCheckEvery = 10 * time.Second

// tlsConfig reads the certificate and returns the server's configuration: TLS
// 1.3 and HTTP/1.1 only, because a WebSocket needs a connection of its own.
func tlsConfig(certFile, keyFile string, warn func(error)) (*tls.Config, error) {
	cs := &certificates{certFile: certFile, keyFile: keyFile, warn: warn}
	if err := cs.load(cs.changed()); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return cs.current(), nil
		},
	}, nil
}

// load reads both files. The caller holds mu or is alone.
func (cs *certificates) load(stamp time.Time) error {
	cert, err := tls.LoadX509KeyPair(cs.certFile, cs.keyFile)
	if err != nil {
		return fmt.Errorf("edge: cannot use the certificate %s with the key %s: %w; both must be PEM and belong together", cs.certFile, cs.keyFile, err)
	}
	cs.mu.cert, cs.mu.stamp, cs.mu.checked = &cert, stamp, time.Now()
	return nil
}

// current returns the certificate to show, after a look at the files when the
// last one was a while ago. A pair that does not load leaves the old one.
func (cs *certificates) current() *tls.Certificate {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if time.Since(cs.mu.checked) < certCheckEvery {
		return cs.mu.cert
	}
	cs.mu.checked = time.Now()
	if stamp := cs.changed(); stamp.After(cs.mu.stamp) {
		if err := cs.load(stamp); err != nil {
			cs.warn(err)
		}
	}
	return cs.mu.cert
}

// changed returns when the newer of the files was written.
func (cs *certificates) changed() (newest time.Time) {
	for _, name := range []string{cs.certFile, cs.keyFile} {
		if fi, err := os.Stat(name); err == nil && fi.ModTime().After(newest) {
			newest = fi.ModTime()
		}
	}
	return newest
}
