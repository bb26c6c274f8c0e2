package gslb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tokenring/dnswire"
	"tokenring/geo"
	"tokenring/steer"
)

// A Plan is a configuration that has been read: what is answered follows from it and from the
// state of the regions. It must not be changed.
type Plan struct {
	Zone     dnswire.Name
	Regions  []steer.Region // in the order of their names
	Services []Service
	// Orders are the regions of each class of networks, by preference.
	Orders [][]int
	Map    *geo.Map

	soa          soa
	names        map[dnswire.Name]records // what doesn't depend on regions
	clientSubnet bool
}

// A Service is a service under its name.
type Service struct {
	steer.Service
	Name dnswire.Name
}

// records are the records of a name by type. A name without records has names below it.
type records map[dnswire.Type][]record

type record struct {
	ttl  time.Duration
	data []byte
}

// A Fail is told what is wrong with a configuration: the key, such as zone.name, what is wrong
// with its value, and what to do.
type Fail func(key, message, hint string)

// NewPlan reads a configuration whose defaults are filled in. It tells fail all that is wrong with
// it, and returns nil if that is anything.
func NewPlan(c *Config, fail Fail) *Plan {
	b := planner{c: c, p: &Plan{names: map[dnswire.Name]records{}, clientSubnet: c.Map.ClientSubnet}, index: map[string]int{}}
	b.fail = func(key, message, hint string) {
		b.failed = true
		fail(key, message, hint)
	}
	b.listen()
	b.regions()
	b.zone()
	if b.p.Zone != "" { // services are names of it
		b.services()
	}
	b.networks()
	b.probe()
	if !b.failed {
		b.records()
	}
	if b.failed {
		return nil
	}
	return b.p
}

// A planner makes a Plan.
type planner struct {
	c      *Config
	p      *Plan
	fail   Fail
	failed bool
	index  map[string]int // of a region, by its name
}

func (b *planner) listen() {
	if len(b.c.Listen) == 0 {
		b.fail("listen", "there is no address to answer at", `write for example listen: ["192.0.2.53:53"]`)
	}
	for i, text := range b.c.Listen {
		key := item("listen", i)
		switch at, err := netip.ParseAddrPort(text); {
		case err != nil:
			b.fail(key, fmt.Sprintf("%q is no IP:PORT", text), `write for example "192.0.2.53:53" or "[2001:db8::53]:53"`)
		case at.Addr().IsUnspecified():
			b.fail(key, "answers must come from the address that was asked, and this is all addresses", "list each address")
		case slices.Contains(b.c.Listen[:i], text):
			b.fail(key, text+" is here twice", "remove one of them")
		}
	}
}

// maxRegionAddresses are what an answer without EDNS surely has room for.
const maxRegionAddresses = 13

func (b *planner) regions() {
	if len(b.c.Regions) == 0 {
		b.fail("regions", "there are no regions", "write for example regions: {eu: {addresses: [{address: 192.0.2.10}]}}")
	}
	var names []string
	for name := range b.c.Regions {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		b.index[name] = i
	}
	for _, name := range names {
		key := "regions." + name
		if _, err := dnswire.ParseName(name); err != nil || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			b.fail(key, fmt.Sprintf("%q can't be a region's name", name), "use small letters, digits and -")
		}
		r := b.c.Regions[name]
		if r == nil {
			r = &RegionConfig{}
		}
		b.p.Regions = append(b.p.Regions, steer.Region{
			Name: name, Mode: b.mode(key+".mode", r.Mode, steer.Obey, steer.Always, steer.No), Addresses: b.addresses(key, r),
			Failover: b.regionsNamed(key+".failover", r.Failover), MinHealthy: r.MinHealthy,
		})
		b.minHealthy(key, &b.p.Regions[len(b.p.Regions)-1])
	}
	if !b.failed {
		b.families()
	}
}

// mode reads a mode, one of those that are known for its key.
func (b *planner) mode(key, word string, known ...steer.Mode) steer.Mode {
	m := steer.Mode(word)
	if word == "" || slices.Contains(known, m) {
		return m
	}
	var words []string
	for _, k := range known {
		words = append(words, string(k))
	}
	b.fail(key, fmt.Sprintf("%q is not known here", word), "use one of: "+strings.Join(words, ", "))
	return ""
}

func (b *planner) addresses(key string, r *RegionConfig) []steer.Address {
	if n := len(r.Addresses); n == 0 || n > maxRegionAddresses {
		b.fail(key+".addresses", fmt.Sprintf("a region has 1 to %d addresses, and this one %d", maxRegionAddresses, n), "write for example addresses: [{address: 192.0.2.10}]")
		return nil
	}
	var all []steer.Address
	for i, a := range r.Addresses {
		key := item(key+".addresses", i)
		address, err := netip.ParseAddr(a.Address)
		switch {
		case err != nil || address.Zone() != "" || address.Is4In6() || address.IsUnspecified() || address.IsMulticast():
			b.fail(key+".address", fmt.Sprintf("%q is no address that users can reach", a.Address), "write for example 192.0.2.10 or 2001:db8::10")
		case slices.ContainsFunc(all, func(other steer.Address) bool { return other.Addr == address }):
			b.fail(key+".address", a.Address+" is here twice", "remove one of them")
		}
		weight := 1
		if a.Weight != nil {
			weight = *a.Weight
		}
		if weight < 0 || weight > 255 {
			b.fail(key+".weight", fmt.Sprintf("%d is out of bounds", weight), "use a number from 1 to 255, or 0 for an address that is in every answer")
		}
		all = append(all, steer.Address{Addr: address, Mode: b.mode(key+".mode", a.Mode, steer.Obey, steer.Always, steer.No), Weight: weight})
	}
	return all
}

// minHealthy reports a region that could never serve.
func (b *planner) minHealthy(key string, r *steer.Region) {
	if r.MinHealthy < 0 {
		b.fail(key+".min_healthy", fmt.Sprintf("%d is no number of addresses", r.MinHealthy), "the default is 1")
	}
	counts := map[bool]int{}
	for _, a := range r.Addresses {
		counts[a.Addr.Is4()]++
	}
	for _, n := range counts {
		if r.MinHealthy > n {
			b.fail(key+".min_healthy", fmt.Sprintf("%d addresses can never be up: a family of the region has %d", r.MinHealthy, n), "use a smaller number, or add addresses")
			return
		}
	}
}

// families reports regions that differ in the families of their addresses: the answer that there
// is no IPv6 address in one region would be kept by resolvers for the users of others.
func (b *planner) families() {
	have := func(r steer.Region, is4 bool) bool {
		return slices.ContainsFunc(r.Addresses, func(a steer.Address) bool { return a.Addr.Is4() == is4 })
	}
	for _, r := range b.p.Regions {
		for is4, family := range map[bool]string{true: "IPv4", false: "IPv6"} {
			if first := b.p.Regions[0]; have(first, is4) != have(r, is4) {
				b.fail("regions."+r.Name+".addresses", fmt.Sprintf("the regions %s and %s differ in having an %s address", first.Name, r.Name, family),
					"give all regions addresses of the same families: resolvers keep \"there is none\" for everybody")
			}
		}
	}
}

// regionsNamed returns the indices of regions.
func (b *planner) regionsNamed(key string, names []string) []int {
	if len(b.index) == 0 { // which has been told
		return nil
	}
	var all []int
	for i, name := range names {
		index, known := b.index[name]
		switch {
		case !known:
			b.fail(item(key, i), fmt.Sprintf("there is no region %q", name), "add it to regions, or correct the name")
			continue
		case slices.Contains(all, index):
			b.fail(item(key, i), fmt.Sprintf("%q is here twice", name), "remove one of them")
		}
		all = append(all, index)
	}
	return all
}

func (b *planner) services() {
	if len(b.c.Services) == 0 {
		b.fail("services", "there are no services", `write for example services: [{name: "@", regions: [eu, us]}]`)
	}
	for i, s := range b.c.Services {
		key := item("services", i)
		name, err := b.p.Zone.Under(s.Name)
		if err != nil {
			b.fail(key+".name", err.Error(), "write for example www, or @ for the zone itself")
			continue
		}
		if slices.ContainsFunc(b.p.Services, func(other Service) bool { return other.Name == name }) {
			b.fail(key+".name", fmt.Sprintf("there is a service %q already", s.Name), "give each its own name")
		}
		if len(s.Regions) == 0 {
			b.fail(key+".regions", "the service has no regions", "list the regions that serve it")
		}
		if s.Serve < 1 || s.Serve > maxRegionAddresses {
			b.fail(key+".serve", fmt.Sprintf("%d is out of bounds", s.Serve), fmt.Sprintf("use a number from 1 to %d", maxRegionAddresses))
		}
		b.ttl(key+".ttl.normal", s.TTL.Normal)
		b.ttl(key+".ttl.change", s.TTL.Change)
		if s.TTL.Change > s.TTL.Normal {
			b.fail(key+".ttl.change", fmt.Sprintf("%s is longer than ttl.normal, %s: answers that may change would be kept longer", s.TTL.Change, s.TTL.Normal), "make it shorter")
		}
		b.p.Services = append(b.p.Services, Service{steer.Service{
			Name: name.String(), Regions: b.regionsNamed(key+".regions", s.Regions), Serve: s.Serve, TTL: steer.TTL{Normal: s.TTL.Normal, Change: s.TTL.Change},
		}, name})
	}
}

// ttl reports a TTL that isn't whole seconds, or longer than a week, after which some resolvers
// take it for none.
func (b *planner) ttl(key string, ttl time.Duration) {
	const longest = 7 * 24 * time.Hour
	if ttl < time.Second || ttl > longest || ttl%time.Second != 0 {
		b.fail(key, ttl.String()+" can't be a TTL", "use whole seconds, from 1s to 168h")
	}
}

// networks makes the map. A class is an order of regions.
func (b *planner) networks() {
	classes := map[string]geo.Class{}
	class := func(order []int) geo.Class {
		key := fmt.Sprint(order)
		c, known := classes[key]
		if !known {
			c = geo.Class(len(b.p.Orders))
			classes[key] = c
			b.p.Orders = append(b.p.Orders, order)
		}
		return c
	}
	other := class(b.regionsNamed("map.default", b.c.Map.Default))
	var entries []geo.Entry
	for _, n := range b.c.Map.Networks {
		key := "map.networks." + n.Network
		network, err := netip.ParsePrefix(n.Network)
		if err != nil { // Networks has refused it
			b.fail(key, err.Error(), "")
			continue
		}
		if len(n.Regions) == 0 {
			b.fail(key, "the network has no regions", "list its regions by preference, or leave it out")
		}
		entries = append(entries, geo.Entry{Network: network, Class: class(b.regionsNamed(key, n.Regions))})
	}
	b.p.Map = geo.New(entries, other)
}

func (b *planner) probe() {
	p := &b.c.Probe
	if !slices.Contains([]string{ProtocolHTTPS, ProtocolHTTP, ProtocolTCP}, p.Protocol) {
		b.fail("probe.protocol", fmt.Sprintf("%q is not known here", p.Protocol), "use one of: https, http, tcp")
		return
	}
	if p.Port < 1 || p.Port > 65535 {
		b.fail("probe.port", "the port is missing, or isn't one", "ports are 1 to 65535")
	}
	if !strings.HasPrefix(p.Path, "/") {
		b.fail("probe.path", fmt.Sprintf("the path %q doesn't begin with a slash", p.Path), "write for example /healthz")
	}
	if p.Timeout > p.Interval {
		b.fail("probe.timeout", fmt.Sprintf("the timeout (%s) is longer than the interval (%s): probes would overlap", p.Timeout, p.Interval), "make the timeout shorter or the interval longer")
	}
	for key, n := range map[string]int{"probe.rise": p.Rise, "probe.fall": p.Fall} {
		if n < 1 {
			b.fail(key, fmt.Sprintf("%d is no number of probes", n), "use 1 or more")
		}
	}
	if err := p.Expect.Check(); err != nil {
		b.fail("probe.expect.status", err.Error(), "write for example 200-299")
	}
}

func item(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// NameOf returns the name that an operator means: one in the zone with its whole name, or relative to
// the zone.
func (p *Plan) NameOf(text string) (dnswire.Name, bool) {
	if whole, err := dnswire.ParseName(text); err == nil && whole.IsIn(p.Zone) {
		return whole, true
	}
	name, err := p.Zone.Under(text)
	return name, err == nil
}
