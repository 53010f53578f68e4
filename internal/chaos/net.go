package chaos

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// namePrefix and the harness's pid are the name of the one network interface
// that it adds to the machine.
const namePrefix = "godwit"

// lastHost is the last byte of the harness's address.
const lastHost = "254"

// network is a bridge in a namespace of its own, with a cable to the harness
// and one to each process's namespace. No namespace has a name: the kernel
// removes them, cables included, when the last process in them and the harness
// are gone, whatever ended them.
type network struct {
	prefix string
	name   string // of the harness's end
	host   net.IP // and its address
	hub    netns.NsHandle
	bridge int // its index in hub
	count  int
	spaces []*namespace
}

// namespace is the network of one process.
type namespace struct {
	handle netns.NsHandle
	host   net.IP
}

// newNetwork makes the bridge and gives the harness the host 254 on it.
func newNetwork(pid int, prefix string) (n *network, err error) {
	if os.Getuid() != 0 {
		return nil, errors.New("chaos: network namespaces need root")
	}
	removeLeftovers()
	n = &network{prefix: prefix, name: namePrefix + strconv.Itoa(pid)}
	n.host = net.ParseIP(prefix + lastHost).To4()
	defer func() {
		if err != nil {
			err = fmt.Errorf("chaos: making the network: %w", errors.Join(err, n.close()))
		}
	}()
	if n.hub, err = newNamespace(); err != nil {
		return n, err
	}
	hub, err := netlink.NewHandleAt(n.hub)
	if err != nil {
		return n, err
	}
	defer hub.Close()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}
	if err := hub.LinkAdd(bridge); err != nil {
		return n, err
	}
	n.bridge = bridge.Attrs().Index
	if err := hub.LinkSetUp(bridge); err != nil {
		return n, err
	}
	own, err := netns.Get()
	if err != nil {
		return n, err
	}
	defer own.Close()
	return n, n.cable(own, n.name, n.prefix+lastHost)
}

// add makes a namespace with the address host.
func (n *network) add(host string) (*namespace, error) {
	h, err := newNamespace()
	if err != nil {
		return nil, err
	}
	ns := &namespace{handle: h, host: net.ParseIP(host).To4()}
	n.spaces = append(n.spaces, ns)
	if err := n.cable(h, "eth0", host); err != nil {
		return nil, fmt.Errorf("chaos: a network for %s: %w", host, err)
	}
	return ns, nil
}

// cable connects a namespace with the bridge: name and host are of its end.
func (n *network) cable(to netns.NsHandle, name, host string) error {
	hub, err := netlink.NewHandleAt(n.hub)
	if err != nil {
		return err
	}
	defer hub.Close()
	n.count++
	port := fmt.Sprintf("port%d", n.count)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: n.bridge}, PeerName: name, PeerNamespace: netlink.NsFd(int(to))}
	if err := hub.LinkAdd(veth); err != nil {
		return err
	}
	near, err := hub.LinkByName(port)
	if err != nil {
		return err
	}
	far, err := netlink.NewHandleAt(to)
	if err != nil {
		return err
	}
	defer far.Close()
	end, err := far.LinkByName(name)
	if err != nil {
		return err
	}
	address, err := netlink.ParseAddr(host + "/24")
	if err != nil {
		return err
	}
	loopback, err := far.LinkByName("lo")
	if err != nil {
		return err
	}
	return errors.Join(hub.LinkSetUp(near), far.AddrAdd(end, address), far.LinkSetUp(end), far.LinkSetUp(loopback))
}

// close lets go of the namespaces; what ran in them has to be gone.
func (n *network) close() error {
	var errs []error
	for _, ns := range n.spaces {
		errs = append(errs, ns.handle.Close())
	}
	if end, err := netlink.LinkByName(n.name); err == nil {
		errs = append(errs, netlink.LinkDel(end)) // at once: the kernel takes its time
	}
	if n.hub.IsOpen() {
		errs = append(errs, n.hub.Close())
	}
	return errors.Join(errs...)
}

// removeLeftovers removes the interfaces of harnesses that are gone.
func removeLeftovers() {
	links, err := netlink.LinkList()
	if err != nil {
		return
	}
	for _, l := range links {
		pid, ours := strings.CutPrefix(l.Attrs().Name, namePrefix)
		id, err := strconv.Atoi(pid)
		if ours && err == nil && errors.Is(syscall.Kill(id, 0), syscall.ESRCH) {
			_ = netlink.LinkDel(l) // it goes by itself, later
		}
	}
}

// newNamespace makes an empty network namespace.
func newNamespace() (made netns.NsHandle, err error) {
	made = netns.None()
	err = onThread(func() (err error) {
		made, err = netns.New()
		return err
	})
	return made, err
}

// do runs f on a thread that is in the namespace; what f starts stays there.
// Without a namespace it just runs f.
func (ns *namespace) do(f func() error) error {
	if ns == nil {
		return f()
	}
	return onThread(func() error {
		if err := netns.Set(ns.handle); err != nil {
			return err
		}
		return f()
	})
}

// onThread runs f, which may change the thread's namespace, and restores that.
// A thread that cannot be restored is never used again.
func onThread(f func() error) error {
	runtime.LockOSThread()
	own, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer own.Close()
	err = f()
	if back := netns.Set(own); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// Places in an IPv4 header.
const (
	sourceAt = 12
	destAt   = 16
	addrLen  = 4
)

const tableName = "chaos"

// drop makes the namespace lose, silently, what comes from the hosts deaf and
// what goes to the hosts mute, and nothing else; an earlier call's are heard
// again.
func (ns *namespace) drop(deaf, mute []net.IP) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.handle)))
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4})
	c.DelTable(table) // with what an earlier call left
	if len(deaf)+len(mute) > 0 {
		table = c.AddTable(table)
		dropAt(c, table, nftables.ChainHookInput, sourceAt, deaf)
		dropAt(c, table, nftables.ChainHookOutput, destAt, mute)
	}
	return c.Flush()
}

// dropAt adds a chain that drops the packets with one of the hosts at a place
// of their headers.
func dropAt(c *nftables.Conn, table *nftables.Table, hook *nftables.ChainHook, at uint32, hosts []net.IP) {
	chain := c.AddChain(&nftables.Chain{Name: fmt.Sprintf("at%d", at), Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: hook, Priority: nftables.ChainPriorityFilter})
	for _, host := range hosts {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: addrLen},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: host.To4()},
			&expr.Verdict{Kind: expr.VerdictDrop},
		}})
	}
}
