// Package resolver looks up the DNS names of the hosts that are listed every few seconds, and the
// names of pools when their records have reached their TTL. So a balancer notices when a name leads
// elsewhere.
package resolver

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"tokenring/netaddr"
	"tokenring/notify"
	"tokenring/route"
)

// Times and limits of lookups.
const (
	lookupEvery   = 5 * time.Second // between two rounds of lookups
	lookupTimeout = 2 * time.Second // bounds one lookup
	maxLookups    = 16              // at a time
	// returnAfter is how long a host doesn't return to the address that it had before.
	// Some DNS caches still have the old address when others have the new one. Without
	// this time, the host would move to and fro while these caches answer in turn.
	returnAfter = time.Minute
)

// A Lookup returns the addresses of a name, as net.Resolver.LookupNetIP does.
type Lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)

// A Resolver looks up the names of hosts. Requests and checks go to the addresses that it
// has found, and nothing else looks these names up. Its methods are safe for concurrent
// use.
type Resolver struct {
	lookup Lookup
	log    zerolog.Logger

	changed notify.Note // Addresses has another result
	renamed notify.Note // names has changed

	mu    sync.Mutex
	names map[string]dnsName    // by host
	found map[string]resolution // by host
}

// A dnsName is the address of a host whose IP address is to be looked up.
type dnsName struct{ host, name, port string }

// A resolution is the result of all lookups of a host's name. It is the zero value until
// the first lookup has ended.
type resolution struct {
	current netip.Addr // invalid until an address is found
	left    netip.Addr // the address before current
	leftAt  time.Time
	failing bool   // the last lookup found no address
	several bool   // the last lookup with a result found several addresses of one family
	address string // current, with the host's port; "" until an address is found
}

// New returns a Resolver without hosts: see Set. If lookup is nil, net.DefaultResolver
// looks the names up.
func New(lookup Lookup, log zerolog.Logger) *Resolver {
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	return &Resolver{lookup: lookup, log: log, changed: notify.NewNote(), renamed: notify.NewNote(), names: map[string]dnsName{}, found: map[string]resolution{}}
}

// Set replaces the hosts. Those whose address has a DNS name are looked up from now on. What
// is known of a name stays as long as its host has it.
func (r *Resolver) Set(hosts []route.Spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.names
	r.names = map[string]dnsName{}
	for _, h := range hosts {
		if name, port, ok := splitName(h.Address); ok {
			r.names[h.Name] = dnsName{host: h.Name, name: name, port: port}
		}
	}
	if maps.Equal(before, r.names) {
		return
	}
	maps.DeleteFunc(r.found, func(host string, _ resolution) bool { return r.names[host] != before[host] })
	r.renamed.Leave()
}

// splitName returns the name and the port of host:port. ok is false if the host is an IP
// address.
func splitName(address string) (name, port string, ok bool) {
	name, port, err := net.SplitHostPort(address)
	if _, unix := netaddr.UnixPath(address); unix || err != nil {
		return "", "", false // CheckAddress refuses all others
	}
	_, err = netip.ParseAddr(name)
	return name, port, err != nil
}

// Run looks the names up until ctx ends. It returns when all lookups have ended.
func (r *Resolver) Run(ctx context.Context) {
	for {
		r.renamed.Clear() // the round has the names of now
		var due <-chan time.Time
		if r.round(ctx) > 0 {
			due = time.After(lookupEvery - lookupEvery/10 + rand.N(lookupEvery/5))
		}
		select {
		case <-ctx.Done():
			return
		case <-r.renamed:
		case <-due:
		}
	}
}

// round looks each name up once. It returns how many there are.
func (r *Resolver) round(ctx context.Context) int {
	r.mu.Lock()
	names := slices.Collect(maps.Values(r.names))
	r.mu.Unlock()
	var lookups errgroup.Group
	lookups.SetLimit(maxLookups)
	for _, n := range names {
		lookups.Go(func() error {
			r.resolve(ctx, n)
			return nil
		})
	}
	lookups.Wait()
	return len(names)
}

// resolve looks n up once. It leaves a note if the resolution has changed.
func (r *Resolver) resolve(ctx context.Context, n dnsName) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	answers, err := r.lookup(limited, "ip", n.name)
	if ctx.Err() != nil {
		return // the result says nothing about the name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names[n.host] != n {
		return // the host has another address by now
	}
	before := r.found[n.host]
	after := before.next(answers, time.Now())
	if after.current.IsValid() {
		after.address = net.JoinHostPort(after.current.String(), n.port)
	}
	if after == before {
		return
	}
	r.found[n.host] = after
	n.logChange(r.log, before, after, err)
	r.changed.Leave()
}

// logChange logs what operators should know about the result of a lookup. Package pool
// logs that a host has moved.
func (n dnsName) logChange(log zerolog.Logger, before, after resolution, err error) {
	if after.several && !before.several {
		log.Warn().Str("host", n.host).Str("name", n.name).Str("address", after.address).Msg("the name of a host has several addresses: it must be the name of only one machine")
	}
	switch {
	case after.failing && !before.failing:
		log.Warn().Err(err).Str("host", n.host).Str("name", n.name).Str("stays", after.address).Msg("the name of a host doesn't resolve")
	case before.failing && !after.failing:
		log.Info().Str("host", n.host).Str("name", n.name).Str("address", after.address).Msg("the name of a host resolves again")
	}
}

// next returns the resolution after a lookup that ended now. The host keeps its address
// if the answers have it, or if there are no answers. Else it gets the lowest address,
// IPv4 first. The order of the answers doesn't matter. The host doesn't get the address
// that it has just left: see returnAfter.
func (r resolution) next(answers []netip.Addr, now time.Time) resolution {
	usable := usableOf(answers)
	if r.failing = len(usable) == 0; r.failing {
		return r
	}
	if r.several = severalOfOneFamily(usable); slices.Contains(usable, r.current) {
		return r
	}
	usable = slices.DeleteFunc(usable, func(ip netip.Addr) bool { return ip == r.left && now.Sub(r.leftAt) < returnAfter })
	if len(usable) == 0 {
		return r
	}
	if r.current.IsValid() {
		r.left, r.leftAt = r.current, now
	}
	r.current = usable[0]
	return r
}

// usableOf returns the answers that may be the address of a host: each once, the lowest
// first, IPv4 before IPv6.
func usableOf(answers []netip.Addr) []netip.Addr {
	usable := make([]netip.Addr, 0, len(answers))
	for _, ip := range answers {
		if ip = ip.Unmap(); ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() {
			usable = append(usable, ip)
		}
	}
	slices.SortFunc(usable, netip.Addr.Compare)
	return slices.Compact(usable)
}

// severalOfOneFamily reports whether sorted addresses have two of the same family. Then
// they seem to be several machines: one machine has one IPv4 and one IPv6 address.
func severalOfOneFamily(sorted []netip.Addr) bool {
	for i := 1; i < len(sorted); i++ {
		if sorted[i-1].Is4() == sorted[i].Is4() {
			return true
		}
	}
	return false
}

// Changed returns a note, which is left when the result of Addresses has changed.
func (r *Resolver) Changed() notify.Note { return r.changed }

// An Address is the result of looking up the name of one host.
type Address struct {
	Address string // ip:port; "" until an address is found
	Failing bool   // the last lookup found no address
	Several bool   // the last lookup with a result found several addresses of one family
}

// Addresses returns the addresses by the names of the hosts. It leaves out hosts whose
// first lookup hasn't ended.
func (r *Resolver) Addresses() map[string]Address {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]Address, len(r.found))
	for host, found := range r.found {
		all[host] = Address{Address: found.address, Failing: found.failing, Several: found.several}
	}
	return all
}

// IsName reports whether the host of host:port is a DNS name, not an IP address.
func IsName(address string) bool {
	_, _, named := splitName(address)
	return named
}
