package access

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"

	"tokenring/filewatch"
	"tokenring/netaddr"
)

// Rules are a Config with its files. Allows is safe for concurrent use. A nil Rules allows everybody.
type Rules struct {
	allow, deny []netip.Prefix // of the Config itself
	now         atomic.Pointer[lists]
	watch       *filewatch.Watch[*lists]
}

// lists are the networks of a moment.
type lists struct {
	allow, deny set
	some        bool // any network is allowed by name, so that all others are refused
}

// Open reads the files of c. It returns nil if c is nil.
func Open(c *Config) (*Rules, error) {
	if c == nil {
		return nil, nil
	}
	r := &Rules{}
	var err error
	if r.allow, err = netaddr.ParseNetworks(c.Allow); err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	if r.deny, err = netaddr.ParseNetworks(c.Deny); err != nil {
		return nil, fmt.Errorf("deny: %w", err)
	}
	var files []string
	for _, file := range []string{c.AllowFile, c.DenyFile} {
		if file != "" {
			files = append(files, file)
		}
	}
	read := func() (*lists, error) { return r.read(c) }
	watch, now, err := filewatch.Open(read, files...)
	if err == nil && len(files) == 0 {
		now, err = read()
	}
	if err != nil {
		return nil, err
	}
	r.watch = watch
	r.now.Store(now)
	return r, nil
}

// read returns the networks of the Config and of its files.
func (r *Rules) read(c *Config) (*lists, error) {
	l := &lists{allow: newSet(r.allow), deny: newSet(r.deny), some: c.AllowFile != "" || len(r.allow) > 0}
	for file, into := range map[string]*set{c.AllowFile: &l.allow, c.DenyFile: &l.deny} {
		if file == "" {
			continue
		}
		more, err := ReadFile(file)
		if err != nil {
			return nil, err
		}
		into.add(more)
	}
	return l, nil
}

// Allows reports whether a client with this address may come. An address that isn't known may if no
// network is allowed by name. It doesn't allocate.
func (r *Rules) Allows(addr netip.Addr) bool {
	if r == nil {
		return true
	}
	l := r.now.Load()
	addr = addr.Unmap().WithZone("")
	return !l.deny.has(addr) && (!l.some || l.allow.has(addr))
}

// Follow reads the files again when they change, until ctx ends. It calls note after each change: err
// says why it isn't used, and what the files held before stays in force.
func (r *Rules) Follow(ctx context.Context, note func(err error)) {
	r.watch.Follow(ctx, func(c filewatch.Change[*lists]) {
		if c.Err == nil {
			r.now.Store(c.Value)
		}
		note(c.Err)
	})
}

// Watches reports whether there are files to follow.
func (r *Rules) Watches() bool { return r != nil && r.watch.Watches() }

// Problem returns why what the files hold isn't in use, "" if it is.
func (r *Rules) Problem() string { return r.watch.Problem() }

// A set is a set of networks, by their lengths: a look-up asks for one prefix of each length that there
// is, however many networks there are.
type set struct {
	lengths [2][]int // those of IPv4, and of IPv6
	all     map[netip.Prefix]struct{}
}

func newSet(all []netip.Prefix) set {
	s := set{all: map[netip.Prefix]struct{}{}}
	s.add(all)
	return s
}

func family(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}

func (s *set) add(more []netip.Prefix) {
	known := [2][129]bool{}
	for f, lengths := range s.lengths {
		for _, n := range lengths {
			known[f][n] = true
		}
	}
	for _, p := range more {
		p = p.Masked()
		s.all[p] = struct{}{}
		if f := family(p.Addr()); !known[f][p.Bits()] {
			known[f][p.Bits()] = true
			s.lengths[f] = append(s.lengths[f], p.Bits())
		}
	}
}

func (s *set) has(addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, n := range s.lengths[family(addr)] {
		p, _ := addr.Prefix(n) // n is a length of the family's
		if _, ok := s.all[p]; ok {
			return true
		}
	}
	return false
}
