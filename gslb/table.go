package gslb

import (
	"net/netip"
	"slices"

	"tokenring/dnswire"
	"tokenring/geo"
	"tokenring/steer"
)

// A Table has the answers of a plan in one state of its regions. It is immutable and safe for
// concurrent use.
type Table struct {
	plan    *Plan
	state   steer.State
	serial  uint32
	names   map[dnswire.Name]*entry
	nothing *dnswire.Body // the answer for names that there aren't
}

// An entry is a name.
type entry struct {
	service *service // nil for none
	bodies  map[dnswire.Type]*dnswire.Body
	noData  *dnswire.Body
	any     *dnswire.Body
}

// A service has the answers of a service.
type service struct {
	*Service
	outcomes []steer.Outcome // by class
	bodies   map[choice]*dnswire.Body
	families [2]bool // whether regions have addresses of IPv6, and of IPv4
}

// A choice is what is answered by a service: a region's addresses, for a time.
type choice struct {
	region int
	set    steer.Set
	ttl    uint32
	is4    bool
}

// NewTable renders the answers. serial is the zone's: it grows with each change.
func NewTable(p *Plan, state steer.State, serial uint32) *Table {
	t := &Table{plan: p, state: state, serial: serial, names: map[dnswire.Name]*entry{}}
	t.nothing = t.negative(dnswire.NXDomain)
	noData, anyType := t.negative(dnswire.NoError), t.anyBody()
	for name, all := range p.names {
		e := &entry{bodies: map[dnswire.Type]*dnswire.Body{}, noData: noData, any: anyType}
		for typ, rs := range all {
			e.bodies[typ] = t.static(typ, rs)
		}
		t.names[name] = e
	}
	e := t.names[p.Zone]
	e.bodies[dnswire.TypeSOA] = t.static(dnswire.TypeSOA, []record{{p.soa.negative, p.soa.data(serial)}})
	for i := range p.Services {
		t.names[p.Services[i].Name].service = t.service(&p.Services[i])
	}
	return t
}

// static renders records that don't depend on regions.
func (t *Table) static(typ dnswire.Type, rs []record) *dnswire.Body {
	r := dnswire.Renderer{Zone: t.plan.Zone}
	for _, one := range rs {
		r.Add(dnswire.Answer, dnswire.Question, typ, seconds(one.ttl), one.data)
	}
	return r.Body(dnswire.NoError, true)
}

// negative renders the answer that there is no such name or record (RFC 2308 §2).
func (t *Table) negative(rcode dnswire.Rcode) *dnswire.Body {
	r := dnswire.Renderer{Zone: t.plan.Zone}
	r.Add(dnswire.Authority, t.plan.Zone, dnswire.TypeSOA, seconds(t.plan.soa.negative), t.plan.soa.data(t.serial))
	return r.Body(rcode, true)
}

// anyBody renders the answer to a query for all types: one record that says why there are no more
// (RFC 8482 §4.2).
func (t *Table) anyBody() *dnswire.Body {
	r := dnswire.Renderer{Zone: t.plan.Zone}
	r.Add(dnswire.Answer, dnswire.Question, dnswire.TypeHINFO, seconds(t.plan.soa.negative), []byte("\x07RFC8482\x00"))
	return r.Body(dnswire.NoError, true)
}

// service decides what each class of networks is answered, and renders it. Answers that depend on
// the network within a class are rendered for all choices that there are.
func (t *Table) service(s *Service) *service {
	all := &service{Service: s, bodies: map[choice]*dnswire.Body{}}
	for _, a := range t.plan.Regions[s.Regions[0]].Addresses { // all regions have the same families
		all.families[index(a.Addr.Is4())] = true
	}
	for _, order := range t.plan.Orders {
		o := steer.Decide(t.plan.Regions, &s.Service, t.state, order)
		all.outcomes = append(all.outcomes, o)
		for _, set := range t.sets(s, o) {
			for _, is4 := range []bool{true, false} {
				c := choice{o.Region, set, seconds(o.TTL), is4}
				if all.families[index(is4)] && all.bodies[c] == nil {
					all.bodies[c] = t.addresses(c)
				}
			}
		}
	}
	return all
}

// index returns the index of a family.
func index(is4 bool) int {
	if is4 {
		return 1
	}
	return 0
}

// maxSets bounds how many choices of addresses are rendered beforehand.
const maxSets = 256

// sets returns the choices of addresses that there are, at most maxSets, by asking for networks as
// clients do.
func (t *Table) sets(s *Service, o steer.Outcome) []steer.Set {
	if !o.Varies {
		return []steer.Set{o.Serving}
	}
	var all []steer.Set
	for i := 0; i < 16*maxSets && len(all) < maxSets; i++ {
		client := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		if set := steer.Choose(&t.plan.Regions[o.Region], &s.Service, o.Serving, client); !slices.Contains(all, set) {
			all = append(all, set)
		}
	}
	return all
}

// addresses renders an answer of addresses.
func (t *Table) addresses(c choice) *dnswire.Body {
	r := dnswire.Renderer{Zone: t.plan.Zone}
	typ := dnswire.TypeAAAA
	if c.is4 {
		typ = dnswire.TypeA
	}
	for i, a := range t.plan.Regions[c.region].Addresses {
		if c.set.Has(i) && a.Addr.Is4() == c.is4 {
			r.Add(dnswire.Answer, dnswire.Question, typ, c.ttl, a.Addr.AsSlice())
		}
	}
	return r.Body(dnswire.NoError, true)
}

// A Client is for whom an answer is.
type Client struct {
	Addr netip.Addr
	// Subnet says that Addr is what a resolver has said, and not the resolver's own.
	Subnet bool
}

// client returns for whom a query is.
func (t *Table) client(q *dnswire.Query, from netip.Addr) Client {
	if n := q.EDNS.Subnet.Network; t.plan.clientSubnet && n.IsValid() && n.Bits() > 0 { // RFC 7871 §7.1.2
		return Client{n.Addr().Unmap(), true}
	}
	return Client{from.Unmap(), false}
}

// Find returns the answer to a query from an address, and the length of the prefix for which it
// holds, which is 0 if it holds for all. It doesn't allocate, unless a choice wasn't rendered.
func (t *Table) Find(q *dnswire.Query, from netip.Addr) (body *dnswire.Body, scope int) {
	switch {
	case q.Rcode != dnswire.NoError:
		return status(q.Rcode), 0
	case !q.HasQuestion: // it is for the cookie
		return status(dnswire.NoError), 0
	case q.Class != dnswire.ClassIN && q.Class != dnswire.ClassANY:
		return status(dnswire.Refused), 0
	}
	e := t.names[dnswire.Name(q.Name())]
	if e == nil {
		return t.missing(q), 0
	}
	switch q.Type {
	case dnswire.TypeAXFR, dnswire.TypeIXFR:
		return status(dnswire.Refused), 0
	case dnswire.TypeOPT:
		return status(dnswire.FormErr), 0
	case dnswire.TypeANY:
		return e.any, 0
	case dnswire.TypeA, dnswire.TypeAAAA:
		if is4 := q.Type == dnswire.TypeA; e.service != nil && e.service.families[index(is4)] {
			return t.steered(e.service, is4, t.client(q, from))
		}
	}
	if isMeta(q.Type) {
		return status(dnswire.NotImp), 0
	}
	if body := e.bodies[q.Type]; body != nil {
		return body, 0
	}
	if body := e.bodies[dnswire.TypeCNAME]; body != nil {
		return body, 0
	}
	return e.noData, 0
}

// isMeta reports whether a type is none of records (RFC 6895 §3.1).
func isMeta(t dnswire.Type) bool { return t >= 128 && t <= 254 }

// missing returns the answer for a name that isn't there.
func (t *Table) missing(q *dnswire.Query) *dnswire.Body {
	if isIn(q.Name(), t.plan.Zone) {
		return t.nothing
	}
	return status(dnswire.Refused)
}

// isIn is dnswire.Name.IsIn for a name in a message.
func isIn(name []byte, zone dnswire.Name) bool {
	for len(name) > len(zone) {
		name = name[1+int(name[0]):]
	}
	return string(name) == string(zone)
}

// steered returns what a service answers a client.
func (t *Table) steered(s *service, is4 bool, c Client) (*dnswire.Body, int) {
	class, network := t.plan.Map.Lookup(c.Addr)
	o := &s.outcomes[class]
	set, scope := o.Serving, network.Bits()
	if o.Varies {
		set = steer.Choose(&t.plan.Regions[o.Region], &s.Service.Service, o.Serving, c.Addr)
		scope = max(scope, choiceBits(c.Addr))
	}
	if !c.Subnet {
		scope = 0
	}
	chosen := choice{o.Region, set, seconds(o.TTL), is4}
	if body := s.bodies[chosen]; body != nil {
		return body, scope
	}
	return t.addresses(chosen), scope
}

func choiceBits(a netip.Addr) int {
	if a.Is4() {
		return steer.ChoiceBits4
	}
	return steer.ChoiceBits6
}

// statuses are the bodies of answers that aren't about a name.
var statuses = func() map[dnswire.Rcode]*dnswire.Body {
	all := map[dnswire.Rcode]*dnswire.Body{}
	for _, rcode := range []dnswire.Rcode{dnswire.NoError, dnswire.FormErr, dnswire.NotImp, dnswire.Refused, dnswire.BadVers} {
		all[rcode] = dnswire.Status(rcode)
	}
	return all
}()

func status(rcode dnswire.Rcode) *dnswire.Body { return statuses[rcode] }

// An Explanation says why a client gets its answer.
type Explanation struct {
	Service   string
	Class     geo.Class
	Network   netip.Prefix // for which it holds
	Outcome   steer.Outcome
	Addresses []netip.Addr
}

// Explain returns why an address gets what a service answers; false if the name is no service's.
func (t *Table) Explain(name dnswire.Name, client netip.Addr) (Explanation, bool) {
	e := t.names[name]
	if e == nil || e.service == nil {
		return Explanation{}, false
	}
	client = client.Unmap()
	class, network := t.plan.Map.Lookup(client)
	x := Explanation{Service: name.String(), Class: class, Network: network, Outcome: e.service.outcomes[class]}
	region := &t.plan.Regions[x.Outcome.Region]
	set := steer.Choose(region, &e.service.Service.Service, x.Outcome.Serving, client)
	if x.Outcome.Varies && network.Bits() < choiceBits(client) {
		x.Network, _ = client.Prefix(choiceBits(client))
	}
	for i, a := range region.Addresses {
		if set.Has(i) {
			x.Addresses = append(x.Addresses, a.Addr)
		}
	}
	return x, true
}
