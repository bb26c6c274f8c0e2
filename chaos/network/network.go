// Package network is a network of Linux namespaces on one machine: each node has an address
// of its own, and what goes from one node to another can be dropped, lost or delayed, one way
// or both ways. Packets pass through this process, so the kernel needs neither netem nor a
// packet filter, and nothing of the network is left when the process has ended.
package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// A Condition is what becomes of packets from one node to another. The zero Condition
// delivers all of them at once.
type Condition struct {
	Cut   bool
	Loss  float64       // the share of packets that is lost, 0 to 1
	Delay time.Duration // of each packet
}

// A Network joins nodes. It is safe for concurrent use.
type Network struct {
	running sync.WaitGroup // a reader per node, and the queues of paths that delay

	mu     sync.RWMutex
	nodes  map[netip.Addr]*Node
	paths  map[path]*direction
	closed bool
}

type path struct{ from, to *Node }

// A direction is the way from one node to another.
type direction struct {
	condition Condition
	queue     chan packet // made when packets are delayed for the first time
}

// A packet waits on its way.
type packet struct {
	due  time.Time
	data []byte
}

// queued is how many packets wait on one path; more are lost.
const queued = 4096

// New returns a network without nodes. Close must be called.
func New() *Network {
	return &Network{nodes: map[netip.Addr]*Node{}, paths: map[path]*direction{}}
}

// Close takes all nodes from the network, and waits for what they have started. Processes in
// a node's namespace stay, without a network. Closing it again does nothing.
func (n *Network) Close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.closed = true
	for _, node := range n.nodes {
		node.close()
	}
	for _, d := range n.paths {
		if d.queue != nil {
			close(d.queue)
		}
	}
	n.mu.Unlock()
	n.running.Wait()
}

// Set sets what becomes of packets from one node to another from now on.
func (n *Network) Set(from, to *Node, c Condition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	key := path{from, to}
	d := n.paths[key]
	if d == nil {
		d = &direction{}
		n.paths[key] = d
	}
	d.condition = c
	if c.Delay > 0 && d.queue == nil {
		d.queue = make(chan packet, queued)
		n.running.Go(func() { deliver(d.queue, to) })
	}
}

// Both sets it for both ways.
func (n *Network) Both(a, b *Node, c Condition) {
	n.Set(a, b, c)
	n.Set(b, a, c)
}

// add makes node part of the network, and begins to read what it sends.
func (n *Network) add(node *Node) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range node.Addresses {
		if n.nodes[a] != nil {
			return fmt.Errorf("network: %s and %s have the address %s", n.nodes[a].Name, node.Name, a)
		}
		n.nodes[a] = node
	}
	n.running.Go(func() { n.read(node) })
	return nil
}

// read passes on what a node sends, until the node is closed.
func (n *Network) read(node *Node) {
	buf := make([]byte, 1<<16)
	for {
		size, err := node.device.Read(buf)
		if err != nil {
			return
		}
		n.pass(node, buf[:size])
	}
}

// pass delivers one packet, or has it wait, or drops it.
func (n *Network) pass(from *Node, data []byte) {
	const header = 20 // of IPv4, RFC 791 §3.1
	if len(data) < header || data[0]>>4 != 4 {
		return
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	to := n.nodes[netip.AddrFrom4([4]byte(data[16:20]))]
	if to == nil || n.closed {
		return
	}
	d := n.paths[path{from, to}]
	switch {
	case d == nil:
		to.write(data)
	case d.condition.Cut, d.condition.Loss > 0 && rand.Float64() < d.condition.Loss:
	case d.queue == nil || d.condition.Delay == 0 && len(d.queue) == 0:
		to.write(data)
	default:
		select {
		case d.queue <- packet{time.Now().Add(d.condition.Delay), append([]byte(nil), data...)}:
		default:
		}
	}
}

// deliver writes the packets of a queue, each when it is due and in their order, until the
// queue is closed.
func deliver(queue <-chan packet, to *Node) {
	for p := range queue {
		time.Sleep(time.Until(p.due))
		to.write(p.data)
	}
}
