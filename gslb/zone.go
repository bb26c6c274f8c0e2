package gslb

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"tokenring/dnswire"
)

// A soa is what the zone's SOA record has, but for its serial.
type soa struct {
	server, contact dnswire.Name
	negative        time.Duration
}

// The times in a SOA record are for secondary servers, of which there are none.
const (
	soaRefresh = 3600
	soaRetry   = 600
	soaExpire  = 1209600
)

// data returns the data of the record (RFC 1035 §3.3.13), with the time for which negative answers
// are kept at its end (RFC 2308 §4).
func (s *soa) data(serial uint32) []byte {
	b := []byte(s.server + s.contact)
	for _, n := range []uint32{serial, soaRefresh, soaRetry, soaExpire, seconds(s.negative)} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// zone reads what the zone is.
func (b *planner) zone() {
	z := &b.c.Zone
	name, err := dnswire.ParseName(z.Name)
	if err != nil || name == dnswire.Root {
		b.fail("zone.name", fmt.Sprintf("%q can't be a zone", z.Name), "write for example ide.example.com")
		return
	}
	b.p.Zone = name
	b.ttl("zone.negative_ttl", z.NegativeTTL)
	b.ttl("zone.ttl", z.TTL)
	b.p.soa.negative = z.NegativeTTL
	b.contact()
	b.nameservers()
}

// contact reads a mail address. In a SOA record it is a name, RFC 1035 §8.
func (b *planner) contact() {
	user, domain, ok := strings.Cut(b.c.Zone.Contact, "@")
	name, err := dnswire.ParseName(strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(user) + "." + domain)
	if !ok || user == "" || domain == "" || err != nil {
		b.fail("zone.contact", fmt.Sprintf("%q is no mail address", b.c.Zone.Contact), "write for example ops@example.com")
		return
	}
	b.p.soa.contact = name
}

func (b *planner) nameservers() {
	z := &b.c.Zone
	if len(z.Nameservers) == 0 {
		b.fail("zone.nameservers", "the zone has no servers", "write for example nameservers: {ns1: [192.0.2.53]}")
		return
	}
	var names []string
	for name := range z.Nameservers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, text := range names {
		key := "zone.nameservers." + text
		name, err := b.p.Zone.Under(text)
		if err != nil {
			b.fail(key, err.Error(), "write for example ns1")
			continue
		}
		b.add(b.p.Zone, dnswire.TypeNS, record{z.TTL, []byte(name)})
		if b.p.soa.server == "" {
			b.p.soa.server = name
		}
		if len(z.Nameservers[text]) == 0 {
			b.fail(key, "the server has no address", "list its addresses: nobody would find it otherwise")
		}
		for i, address := range z.Nameservers[text] {
			ip, err := netip.ParseAddr(address)
			if err != nil || ip.Zone() != "" || ip.Is4In6() {
				b.fail(item(key, i), fmt.Sprintf("%q is no IP address", address), "write for example 192.0.2.53")
				continue
			}
			t := dnswire.TypeAAAA
			if ip.Is4() {
				t = dnswire.TypeA
			}
			b.add(name, t, record{z.TTL, ip.AsSlice()})
		}
	}
}

// add adds a record, and the names between it and the zone's: these exist, too (RFC 8020).
func (b *planner) add(name dnswire.Name, t dnswire.Type, r record) {
	for n := name; n.IsIn(b.p.Zone); n = n.Parent() {
		if b.p.names[n] == nil {
			b.p.names[n] = records{}
		}
	}
	b.p.names[name][t] = append(b.p.names[name][t], r)
}

// records reads what else is in the zone, and reports names that can't have what they have.
func (b *planner) records() {
	for i, r := range b.c.Zone.Records {
		b.record(item("zone.records", i), r)
	}
	for i, s := range b.p.Services {
		for n := s.Name; n.IsIn(b.p.Zone); n = n.Parent() {
			if b.p.names[n] == nil {
				b.p.names[n] = records{}
			}
		}
		if have := b.p.names[s.Name]; len(have[dnswire.TypeA])+len(have[dnswire.TypeAAAA])+len(have[dnswire.TypeCNAME]) > 0 {
			b.fail(item("services", i)+".name", fmt.Sprintf("%s has an address or an alias in the zone already", s.Name), "remove the record, or give the service another name")
		}
	}
}

func (b *planner) record(key string, r RecordConfig) {
	name, err := b.p.Zone.Under(r.Name)
	if err != nil {
		b.fail(key+".name", err.Error(), "write for example www, or @ for the zone itself")
		return
	}
	ttl := b.c.Zone.TTL
	if r.TTL != 0 {
		b.ttl(key+".ttl", r.TTL)
		ttl = r.TTL
	}
	switch r.Type {
	case "SOA", "NS", "DS", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "OPT", "ANY", "HTTPS", "SVCB", "DNAME":
		b.fail(key+".type", r.Type+" records can't be written here", "servers are in zone.nameservers; delegations, signatures and address hints beside the regions' answers aren't served")
		return
	}
	if strings.ContainsAny(r.Type+r.Value, "\r\n") {
		b.fail(key+".value", "a record has one line", "write it without line breaks")
		return
	}
	read, err := dns.NewRR(fmt.Sprintf("%s 1 IN %s %s", name, r.Type, r.Value))
	if err != nil || read == nil {
		b.fail(key+".value", fmt.Sprintf("this is no %s record as zone files have it", r.Type), `write for example {name: "@", type: TXT, value: '"text"'}`)
		return
	}
	wire := make([]byte, 1<<16)
	end, err := dns.PackRR(read, wire, 0, nil, false)
	if err != nil {
		b.fail(key+".value", fmt.Sprintf("this %s record can't be sent: %v", r.Type, err), "correct its value")
		return
	}
	t := dnswire.Type(read.Header().Rrtype)
	if have := b.p.names[name]; len(have[dnswire.TypeCNAME]) > 0 || t == dnswire.TypeCNAME && len(have) > 0 { // RFC 1034 §3.6.2
		b.fail(key+".type", fmt.Sprintf("%s would have an alias and another record", name), "a name with a CNAME has nothing else")
		return
	}
	data := wire[len(name)+10 : end]
	b.add(name, t, record{ttl, slices.Clone(data)})
}
