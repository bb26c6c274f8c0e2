package region

import (
	"sync"
	"time"

	"tokenring/chaos/network"
)

// impairments are what is wrong with the network at present. Several may concern the same
// path. It is safe for concurrent use.
type impairments struct {
	net *network.Network

	mu  sync.Mutex
	all map[*impairment]bool
}

// An impairment is a condition of some paths.
type impairment struct {
	condition network.Condition
	paths     [][2]*network.Node // from, to
}

// add puts an impairment in force until undo is called.
func (m *impairments) add(i *impairment) (undo func()) {
	m.change(i, true)
	return func() { m.change(i, false) }
}

func (m *impairments) change(i *impairment, on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if on {
		m.all[i] = true
	} else {
		delete(m.all, i)
	}
	for _, p := range i.paths {
		m.net.Set(p[0], p[1], m.sum(p))
	}
}

// sum returns what is wrong with a path in all. The caller holds mu.
func (m *impairments) sum(path [2]*network.Node) (c network.Condition) {
	for i := range m.all {
		for _, p := range i.paths {
			if p == path {
				c.Cut = c.Cut || i.condition.Cut
				c.Loss = max(c.Loss, i.condition.Loss)
				c.Delay += i.condition.Delay
			}
		}
	}
	return c
}

// cut is the impairment that nothing goes from any of some nodes to any of others, and, unless
// it is one way only, nothing back.
func cut(from, to []*network.Node, oneWay bool) *impairment {
	i := &impairment{condition: network.Condition{Cut: true}}
	for _, a := range from {
		for _, b := range to {
			i.paths = append(i.paths, [2]*network.Node{a, b})
			if !oneWay {
				i.paths = append(i.paths, [2]*network.Node{b, a})
			}
		}
	}
	return i
}

// everywhere is an impairment of all paths between balancers and hosts, and among them.
func (r *Region) everywhere(loss float64, delay time.Duration) *impairment {
	i := &impairment{condition: network.Condition{Loss: loss, Delay: delay}}
	nodes := r.balancerNodes()
	for _, h := range r.Hosts {
		nodes = append(nodes, h.node)
	}
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				i.paths = append(i.paths, [2]*network.Node{a, b})
			}
		}
	}
	return i
}

func (r *Region) balancerNodes(except ...*Balancer) (all []*network.Node) {
	for _, b := range r.Balancers {
		skip := false
		for _, e := range except {
			skip = skip || e == b
		}
		if !skip {
			all = append(all, b.node)
		}
	}
	return all
}
