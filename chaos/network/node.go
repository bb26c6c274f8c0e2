package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Node is a namespace with a device, which has the node's addresses. It is closed with its
// Network.
type Node struct {
	Name      string
	Addresses []netip.Addr

	namespace *os.File // nil: this process's own
	device    *os.File
}

// Add makes a node with a namespace of its own. It needs root.
func (n *Network) Add(name string, addresses ...netip.Addr) (*Node, error) {
	node := &Node{Name: name, Addresses: addresses}
	err := onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace: %w", err)
		}
		if node.namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		return node.open()
	})
	return n.finish(node, err)
}

// AddOwn makes a node of the namespace of this process.
func (n *Network) AddOwn(name string, addresses ...netip.Addr) (*Node, error) {
	node := &Node{Name: name, Addresses: addresses}
	return n.finish(node, node.open())
}

func (n *Network) finish(node *Node, err error) (*Node, error) {
	if err == nil {
		err = n.add(node)
	}
	if err != nil {
		node.close()
		return nil, fmt.Errorf("node %s: %w", node.Name, err)
	}
	return node, nil
}

// Start starts a command in the node.
func (n *Node) Start(cmd *exec.Cmd) error {
	if n.namespace == nil {
		return cmd.Start()
	}
	return onThread(func() error {
		if err := unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the namespace of %s: %w", n.Name, err)
		}
		return cmd.Start()
	})
}

// onThread calls f on a thread of its own, which ends with it: the thread's namespace may be
// changed.
func onThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends
		result <- f()
	}()
	return <-result
}

// open makes the device of the namespace that the calling thread is in.
func (n *Node) open() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(deviceName)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("make a device: %w", err)
	}
	n.device = os.NewFile(uintptr(fd), deviceName)
	return n.configure()
}

const deviceName = "lb0"

// configure gives the device its addresses, and takes it and loopback into service.
func (n *Node) configure() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for i, a := range n.Addresses {
		name := deviceName
		if i > 0 {
			name = fmt.Sprintf("%s:%d", deviceName, i)
		}
		err = errors.Join(err, set(fd, name, unix.SIOCSIFADDR, a), set(fd, name, unix.SIOCSIFNETMASK, netip.AddrFrom4([4]byte{255, 255, 0, 0})))
	}
	return errors.Join(err, up(fd, "lo"), up(fd, deviceName))
}

func set(fd int, device string, request uint, a netip.Addr) error {
	r, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	ip := a.As4()
	if err := r.SetInet4Addr(ip[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, request, r); err != nil {
		return fmt.Errorf("give %s the address %s: %w", device, a, err)
	}
	return nil
}

func up(fd int, device string) error {
	r, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	r.SetUint16(r.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("take %s into service: %w", device, err)
	}
	return nil
}

// write gives the node a packet. What its kernel doesn't take is lost.
func (n *Node) write(data []byte) { _, _ = n.device.Write(data) }

func (n *Node) close() {
	if n.device != nil {
		_ = n.device.Close()
	}
	if n.namespace != nil {
		_ = n.namespace.Close()
	}
}
