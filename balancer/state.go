package balancer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A HostList is hosts in a compact form for JSON.
type HostList struct {
	Names   []string `json:"names"`
	Weights []int    `json:"weights,omitempty"` // by index in Names; nil if all are 1
	IDs     []uint32 `json:"ids,omitempty"`     // by index in Names; nil if all are 0
}

// NewHostList returns hosts as a HostList.
func NewHostList(hosts []Host) HostList {
	l := HostList{Names: make([]string, len(hosts))}
	for i, h := range hosts {
		l.Names[i] = h.Name
	}
	if slices.ContainsFunc(hosts, func(h Host) bool { return h.Weight != 1 }) {
		l.Weights = make([]int, len(hosts))
		for i, h := range hosts {
			l.Weights[i] = h.Weight
		}
	}
	if slices.ContainsFunc(hosts, func(h Host) bool { return h.ID != 0 }) {
		l.IDs = make([]uint32, len(hosts))
		for i, h := range hosts {
			l.IDs[i] = h.ID
		}
	}
	return l
}

// Hosts returns the hosts of l. It is an error if the parts of l don't fit together.
func (l HostList) Hosts() ([]Host, error) {
	n := len(l.Names)
	if l.Weights != nil && len(l.Weights) != n || l.IDs != nil && len(l.IDs) != n {
		return nil, fmt.Errorf("a list of %d hosts with %d weights and %d ids", n, len(l.Weights), len(l.IDs))
	}
	hosts := make([]Host, n)
	for i, name := range l.Names {
		hosts[i] = Host{Name: name, Weight: 1}
		if l.Weights != nil {
			hosts[i].Weight = l.Weights[i]
		}
		if l.IDs != nil {
			hosts[i].ID = l.IDs[i]
		}
	}
	return hosts, nil
}

// A TableState is a Table on its way to another process: see Builder.Restore. It has two
// bytes of owner and two of successor for each slot.
type TableState struct {
	Digest string `json:"digest"`
	HostList
	Owners     []byte `json:"owners,omitempty"`     // nil if the policy's tables aren't restored
	Successors []byte `json:"successors,omitempty"` // nil like Owners
}

// A restorer is a policy whose layout follows from the owners and the successors of its
// slots. To place the slots takes such a policy long.
type restorer interface {
	policy
	// restore returns the layout that place has returned for hosts before.
	restore(hosts []Host, owners, successors []uint16) layout
}

func (p *consistentPolicy) restore(hosts []Host, owners, successors []uint16) layout {
	return slotLayout(hosts, p.keys, owners, successors)
}

func (p *maglevPolicy) restore(hosts []Host, owners, successors []uint16) layout {
	return slotLayout(hosts, p.keys, owners, successors)
}

// State returns t for another process.
func (t *Table) State() TableState {
	s := TableState{Digest: t.digest, HostList: NewHostList(t.hosts)}
	if t.layout.successors != nil {
		s.Owners, s.Successors = packIndices(t.layout.owners), packIndices(t.layout.successors)
	}
	return s
}

// ErrNotRestored is the error of Restore for policies whose tables are built again. That
// takes some milliseconds, except for very large maps of the policy haproxy.
var ErrNotRestored = errors.New("tables of this policy are built again")

// Restore returns the table of which s is the state, without building it. It is an error
// if the Config of b would make another table: then the digests differ.
func (b *Builder) Restore(s TableState) (*Table, error) {
	p, ok := b.policy.(restorer)
	if !ok {
		return nil, ErrNotRestored
	}
	listed, err := s.Hosts()
	if err != nil {
		return nil, err
	}
	hosts, err := arrange(p, listed)
	if err != nil {
		return nil, err
	}
	var l layout
	if len(hosts) > 0 {
		owners, successors := unpackIndices(s.Owners), unpackIndices(s.Successors)
		if err := checkIndices(owners, successors, len(hosts)); err != nil {
			return nil, err
		}
		l = p.restore(hosts, owners, successors)
	}
	t := newTable(p, b.rules, hosts, l)
	if t.digest != s.Digest {
		return nil, fmt.Errorf("the table %s is of another configuration", s.Digest)
	}
	return t, nil
}

// checkIndices returns an error if owners and successors can't be those of n hosts.
func checkIndices(owners, successors []uint16, n int) error {
	if len(owners) == 0 || len(owners) != len(successors) {
		return fmt.Errorf("%d owners and %d successors of slots", len(owners), len(successors))
	}
	for slot, owner := range owners {
		if next := successors[slot]; int(owner) >= n || int(next) >= n && next != noHost {
			return fmt.Errorf("slot %d has an owner or a successor that isn't among the %d hosts", slot, n)
		}
	}
	return nil
}

func packIndices(all []uint16) []byte {
	b := make([]byte, 0, 2*len(all))
	for _, index := range all {
		b = binary.BigEndian.AppendUint16(b, index)
	}
	return b
}

func unpackIndices(b []byte) []uint16 {
	all := make([]uint16, len(b)/2)
	for i := range all {
		all[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return all
}
