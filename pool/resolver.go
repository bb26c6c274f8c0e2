package pool

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// How names are looked up.
const (
	lookupEvery   = 5 * time.Second // from one round of lookups to the next
	lookupTimeout = 2 * time.Second // bounds one lookup
	maxLookups    = 16              // at a time
	// returnAfter is for how long an address that a name has just left isn't taken
	// again. DNS caches that answer in turn would else have the host move to and fro
	// until the last of them has forgotten the old address.
	returnAfter = time.Minute
)

// A lookupFunc returns the addresses of a name, as net.Resolver.LookupNetIP does.
type lookupFunc func(ctx context.Context, network, name string) ([]netip.Addr, error)

// A resolver looks up the names under which the config file lists hosts, for as
// long as it runs, so that a host whose name gets another address is noticed. It is
// the only one who does: requests and checks go to the address that it has found.
type resolver struct {
	lookup lookupFunc
	log    zerolog.Logger
	names  []dnsName

	changed chan struct{} // room for one: look at list again

	mu    sync.Mutex
	found map[string]resolution // by host
}

// A dnsName is the address of a host, of which the IP address is to be looked up.
type dnsName struct{ host, name, port string }

// A resolution is what is known of the address of one host. It is the zero value
// before the first lookup is over.
type resolution struct {
	current netip.Addr // invalid: none was ever found
	left    netip.Addr // the one before current
	leftAt  time.Time
	failing bool   // the last lookup found none
	several bool   // the last one that found any found several of one family
	address string // current with the host's port; "" for none
}

// newResolver returns the resolver for those of the hosts whose address is a name.
func newResolver(hosts []StaticHost, lookup lookupFunc, log zerolog.Logger) *resolver {
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	r := &resolver{lookup: lookup, log: log, changed: make(chan struct{}, 1), found: map[string]resolution{}}
	for _, h := range hosts {
		if name, port, ok := splitName(h.Address); ok {
			r.names = append(r.names, dnsName{host: h.Name, name: name, port: port})
		}
	}
	return r
}

// splitName returns the parts of host:port. ok is false if the host is an IP address.
func splitName(address string) (name, port string, ok bool) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", false // refused by CheckAddress before
	}
	_, err = netip.ParseAddr(name)
	return name, port, err != nil
}

// run looks the names up until ctx ends.
func (r *resolver) run(ctx context.Context) {
	if len(r.names) == 0 {
		return
	}
	for {
		r.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookupEvery - lookupEvery/10 + rand.N(lookupEvery/5)):
		}
	}
}

// round looks each name up once.
func (r *resolver) round(ctx context.Context) {
	var lookups errgroup.Group
	lookups.SetLimit(maxLookups)
	for _, n := range r.names {
		lookups.Go(func() error {
			r.resolve(ctx, n)
			return nil
		})
	}
	lookups.Wait()
}

// resolve looks n up once, and leaves a note if the result is news.
func (r *resolver) resolve(ctx context.Context, n dnsName) {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	answers, err := r.lookup(limited, "ip", n.name)
	if ctx.Err() != nil {
		return // the result tells of our leaving
	}
	r.mu.Lock()
	defer r.mu.Unlock()
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
	note(r.changed)
}

// logChange says what an operator should know of a lookup's result. That the host
// has moved is logged where it takes effect.
func (n dnsName) logChange(log zerolog.Logger, before, after resolution, err error) {
	if after.several && !before.several {
		log.Warn().Str("host", n.host).Str("name", n.name).Str("address", after.address).Msg("the name of a host has several addresses: it must be that of one machine")
	}
	switch {
	case after.failing && !before.failing:
		log.Warn().Err(err).Str("host", n.host).Str("name", n.name).Str("stays", after.address).Msg("the name of a host doesn't resolve")
	case before.failing && !after.failing:
		log.Info().Str("host", n.host).Str("name", n.name).Str("address", after.address).Msg("the name of a host resolves again")
	}
}

// next returns what follows from a lookup that ended now. The host keeps its
// address for as long as that is among the answers, and if there are none. Else it
// gets the lowest one, IPv4 first, whatever the order of the answers; but not the
// one that it has just left, see returnAfter.
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

// usableOf returns the addresses among answers where a host may be, each once, the
// lowest first, IPv4 before IPv6.
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

// severalOfOneFamily reports whether sorted addresses look like those of several
// machines: one machine has an address of IPv4 and one of IPv6.
func severalOfOneFamily(sorted []netip.Addr) bool {
	for i := 1; i < len(sorted); i++ {
		if sorted[i-1].Is4() == sorted[i].Is4() {
			return true
		}
	}
	return false
}

// severalAlarm says what to do about names that lead to several addresses; "" if no
// host has such a name.
func severalAlarm(hosts []string) string {
	if len(hosts) == 0 {
		return ""
	}
	return fmt.Sprintf("the address of %s is a name that leads to several machines, as it seems, and another balancer may choose another one, so that a user may be on two: "+
		"give each machine a name of its own, or write its IP address in pool.hosts", few(hosts))
}

// list returns a copy of what is known, by host.
func (r *resolver) list() map[string]resolution {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.found)
}
