package region

import "tokenring/balancer"

// lingering is the keys of a shard that linger, in the order of their last use. It has no
// pointers. Its methods are called with the shard's lock held.
type lingering struct {
	index          map[balancer.Digest]uint16 // into nodes
	nodes          []node
	newest, oldest uint16
	free           uint16 // the first of the unused nodes, which are linked by older
}

// A node is a key that lingers.
type node struct {
	key          balancer.Digest
	host         uint32 // a number of names
	used         uint32 // in seconds
	told         uint32 // when peers were told of a use by this balancer, in seconds; 0: never
	by           int32  // whose use it was: the slot of a peer, or here
	newer, older uint16
}

const (
	maxNodes = maxLingering / shards
	none     = 1<<16 - 1 // no node
)

func (l *lingering) init() {
	*l = lingering{index: map[balancer.Digest]uint16{}, newest: none, oldest: none, free: none}
}

// find returns the node of a key, nil if there is none. It is valid until the next put.
func (l *lingering) find(key balancer.Digest) *node {
	if i, ok := l.index[key]; ok {
		return &l.nodes[i]
	}
	return nil
}

// put returns the node of a key, which becomes the newest. It makes one if there is none, and
// forgets the oldest if there are too many. added is how many nodes there are more.
func (l *lingering) put(key balancer.Digest) (n *node, added int) {
	if n := l.find(key); n != nil {
		l.renew(n)
		return n, 0
	}
	before := len(l.index)
	if before == maxNodes {
		l.forget(l.oldest)
	}
	i := l.free
	if i != none {
		l.free = l.nodes[i].older
	} else {
		i = uint16(len(l.nodes))
		l.nodes = append(l.nodes, node{})
	}
	l.nodes[i] = node{key: key}
	l.index[key] = i
	l.link(i)
	return &l.nodes[i], len(l.index) - before
}

// renew makes n the newest.
func (l *lingering) renew(n *node) {
	i := l.index[n.key]
	if i != l.newest {
		l.unlink(i)
		l.link(i)
	}
}

// forget removes the node at i.
func (l *lingering) forget(i uint16) {
	l.unlink(i)
	delete(l.index, l.nodes[i].key)
	l.nodes[i] = node{older: l.free}
	l.free = i
}

// forgetIf removes the nodes for which over reports true, and returns how many there were.
func (l *lingering) forgetIf(over func(*node) bool) (n int) {
	for i := l.oldest; i != none; {
		at := i
		i = l.nodes[i].newer
		if over(&l.nodes[at]) {
			l.forget(at)
			n++
		}
	}
	if len(l.index) == 0 {
		l.init() // gives the memory back
	}
	return n
}

func (l *lingering) link(i uint16) {
	n := &l.nodes[i]
	n.newer, n.older = none, l.newest
	if l.newest != none {
		l.nodes[l.newest].newer = i
	} else {
		l.oldest = i
	}
	l.newest = i
}

func (l *lingering) unlink(i uint16) {
	n := &l.nodes[i]
	if n.newer != none {
		l.nodes[n.newer].older = n.older
	} else {
		l.newest = n.older
	}
	if n.older != none {
		l.nodes[n.older].newer = n.newer
	} else {
		l.oldest = n.newer
	}
}
