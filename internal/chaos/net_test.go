package chaos

import (
	"context"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/godwit-im/godwit/loadgen/workload"
)

func id(chat uint32) workload.ID { return workload.ID{Chat: chat} }

// Two processes and the harness hear each other, until one is deaf or mute to
// another; nothing of the network is left in the end.
func TestNetworkDrops(t *testing.T) {
	if able, _, why := Able(t.TempDir()); !able {
		t.Log("LEFT OUT: ", why)
		return
	}
	n, err := newNetwork(os.Getpid(), "10.251.7.")
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			_ = n.close()
		}
	}()
	one, err := n.add("10.251.7.1")
	if err != nil {
		t.Fatal(err)
	}
	two, err := n.add("10.251.7.2")
	if err != nil {
		t.Fatal(err)
	}
	var ln net.Listener
	if err := one.do(func() (err error) { ln, err = net.Listen("tcp", "10.251.7.1:80"); return err }); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	go srv.Serve(ln)
	defer srv.Close()
	// Being heard may take a while on a busy machine; not being heard is what
	// lasts.
	heard := func(from *namespace, expected bool) bool {
		d := net.Dialer{Timeout: 300 * time.Millisecond}
		if expected {
			d.Timeout = 10 * time.Second
		}
		return from.do(func() error {
			c, err := d.DialContext(context.Background(), "tcp", "10.251.7.1:80")
			if err == nil {
				c.Close()
			}
			return err
		}) == nil
	}
	want := func(when string, harness, other bool) {
		t.Helper()
		if a, b := heard(nil, harness), heard(two, other); a != harness || b != other {
			t.Errorf("%s: the harness is heard %v, the other %v", when, a, b)
		}
	}
	drop := func(ns *namespace, deaf, mute []net.IP) {
		t.Helper()
		if err := ns.drop(deaf, mute); err != nil {
			t.Fatal(err)
		}
	}
	want("at first", true, true)
	drop(one, []net.IP{two.host}, nil)
	want("deaf to the other", true, false)
	drop(one, nil, []net.IP{n.host})
	want("mute to the harness", false, true)
	drop(one, nil, nil)
	want("healed", true, true)

	closed = true
	if err := n.close(); err != nil {
		t.Error(err)
	}
	if _, err := netlink.LinkByName(n.name); err == nil {
		t.Errorf("%s is left", n.name)
	}
}
