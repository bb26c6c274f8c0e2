package gslb

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"tokenring/dnswire"
	"tokenring/steer"
)

// three is a zone with three regions, as docs/dns.md has it.
func three() Config {
	return Config{
		Listen: []string{"127.0.0.1:0"},
		Zone: ZoneConfig{
			Name: "gslb.test", Contact: "first.last@ops.test", Nameservers: map[string][]string{"ns1": {"127.0.0.1", "::1"}, "ns2.far": {"192.0.2.54"}},
			Records: []RecordConfig{{Name: "@", Type: "TXT", Value: `"a text"`}, {Name: "alias", Type: "CNAME", Value: "www.gslb.test."}, {Name: "@", Type: "MX", TTL: time.Minute, Value: "10 mail.gslb.test."}},
		},
		Regions: map[string]*RegionConfig{
			"eu": {Addresses: []AddressConfig{{Address: "192.0.2.11"}, {Address: "2001:db8::11"}}, Failover: []string{"us"}},
			"us": {Addresses: []AddressConfig{{Address: "192.0.2.12"}, {Address: "2001:db8::12"}}},
			"ap": {Addresses: []AddressConfig{{Address: "192.0.2.13"}, {Address: "2001:db8::13"}, {Address: "192.0.2.14"}}, Mode: "no"},
		},
		Services: []ServiceConfig{{Name: "www", Regions: []string{"us", "ap", "eu"}}, {Name: "@", Regions: []string{"eu", "us"}}, {Name: "deep.er", Regions: []string{"ap"}}},
		Map: MapConfig{
			Networks: Networks{{"198.51.100.0/24", []string{"eu"}}, {"203.0.113.0/24", []string{"ap", "us"}}, {"2001:db8:5::/48", []string{"eu"}}},
			Default:  []string{"us", "eu"}, ClientSubnet: true,
		},
		Probe: ProbeConfig{Protocol: "http", Port: 9191, Path: "/"},
	}.WithDefaults()
}

// planned returns the plan of a configuration that is right.
func planned(t testing.TB, c Config) *Plan {
	t.Helper()
	p := NewPlan(&c, func(key, message, hint string) { t.Fatalf("%s: %s; %s", key, message, hint) })
	return p
}

// allUp is the state in which all regions serve.
func allUp(p *Plan) steer.State {
	state := make(steer.State, len(p.Regions))
	for i, r := range p.Regions {
		state[i].Addresses = make([]steer.AddressState, len(r.Addresses))
		for j := range r.Addresses {
			state[i].Addresses[j].Up = true
		}
	}
	return state
}

// ask returns what a table answers to a query of an address.
func ask(t *testing.T, table *Table, m *dns.Msg, from string) *dns.Msg {
	t.Helper()
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var q dnswire.Query
	if !q.Read(wire) {
		t.Fatal("no answer is due")
	}
	body, scope := table.Find(&q, netip.MustParseAddr(from))
	answer := new(dns.Msg)
	if err := answer.Unpack(q.AppendAnswer(nil, body, &dnswire.Reply{UDPSize: udpSize, Subnet: true, Scope: uint8(scope)})); err != nil {
		t.Fatal(err)
	}
	return answer
}

// asked returns a query by its words: a name, a type, and perhaps a subnet.
func asked(t *testing.T, words string) *dns.Msg {
	t.Helper()
	f := strings.Fields(words)
	m := new(dns.Msg)
	m.SetQuestion(f[0], dns.StringToType[f[1]])
	m.Id = 1
	if len(f) > 2 {
		subnet := netip.MustParsePrefix(f[2])
		m.SetEdns0(4096, false)
		family := uint16(1)
		if subnet.Addr().Is6() {
			family = 2
		}
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(subnet.Bits()), Address: subnet.Addr().AsSlice()}}
	}
	return m
}

// summary returns what an answer says in a line.
func summary(m *dns.Msg) string {
	text := strings.ToLower(dns.RcodeToString[m.Rcode])
	if m.Authoritative {
		text += " aa"
	}
	for _, r := range m.Answer {
		text += " " + strings.Join(strings.Fields(r.String())[1:], " ")
	}
	for _, r := range m.Ns {
		text += " authority " + strings.Join(strings.Fields(r.String())[:4], " ")
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				text += fmt.Sprintf(" scope %d", s.SourceScope)
			}
		}
	}
	return text
}

func TestEachNameAndTypeHasItsAnswer(t *testing.T) {
	p := planned(t, three())
	table := NewTable(p, allUp(p), 7)
	for _, c := range []struct{ from, query, want string }{
		{"198.51.100.9", "www.gslb.test. A", "noerror aa 60 IN A 192.0.2.11"},
		{"198.51.100.9", "WWW.Gslb.Test. AAAA", "noerror aa 60 IN AAAA 2001:db8::11"},
		{"2001:db8:5::1", "www.gslb.test. A", "noerror aa 60 IN A 192.0.2.11"},
		{"::ffff:198.51.100.9", "www.gslb.test. A", "noerror aa 60 IN A 192.0.2.11"},
		{"10.0.0.1", "www.gslb.test. A", "noerror aa 60 IN A 192.0.2.12"},
		{"203.0.113.1", "www.gslb.test. A", "noerror aa 60 IN A 192.0.2.12"}, // ap isn't to be served
		{"10.0.0.1", "gslb.test. A", "noerror aa 60 IN A 192.0.2.12"},
		{"10.0.0.1", "www.gslb.test. A 198.51.100.0/24", "noerror aa 60 IN A 192.0.2.11 scope 24"},
		{"10.0.0.1", "www.gslb.test. A 198.51.100.7/32", "noerror aa 60 IN A 192.0.2.11 scope 24"},
		{"10.0.0.1", "www.gslb.test. A 198.51.0.0/16", "noerror aa 60 IN A 192.0.2.12 scope 18"}, // longer than it asked for
		{"198.51.100.9", "www.gslb.test. A 0.0.0.0/0", "noerror aa 60 IN A 192.0.2.11 scope 0"},  // the resolver's own address
		{"10.0.0.1", "www.gslb.test. AAAA 2001:db8:5:6::/64", "noerror aa 60 IN AAAA 2001:db8::11 scope 48"},
		{"10.0.0.1", "www.gslb.test. TXT 198.51.100.0/24", "noerror aa authority gslb.test. 30 IN SOA scope 0"},
		{"10.0.0.1", "www.gslb.test. HTTPS", "noerror aa authority gslb.test. 30 IN SOA"},
		{"10.0.0.1", "nope.gslb.test. A", "nxdomain aa authority gslb.test. 30 IN SOA"},
		{"10.0.0.1", "a.www.gslb.test. A", "nxdomain aa authority gslb.test. 30 IN SOA"},
		{"10.0.0.1", "er.gslb.test. A", "noerror aa authority gslb.test. 30 IN SOA"}, // it has a name below it, RFC 8020
		{"10.0.0.1", "far.gslb.test. A", "noerror aa authority gslb.test. 30 IN SOA"},
		{"10.0.0.1", "gslb.test. SOA", "noerror aa 30 IN SOA ns1.gslb.test. first\\.last.ops.test. 7 3600 600 1209600 30"},
		{"10.0.0.1", "gslb.test. NS", "noerror aa 3600 IN NS ns1.gslb.test. 3600 IN NS ns2.far.gslb.test."},
		{"10.0.0.1", "ns1.gslb.test. AAAA", "noerror aa 3600 IN AAAA ::1"},
		{"10.0.0.1", "gslb.test. TXT", `noerror aa 3600 IN TXT "a text"`},
		{"10.0.0.1", "gslb.test. MX", "noerror aa 60 IN MX 10 mail.gslb.test."},
		{"10.0.0.1", "alias.gslb.test. A", "noerror aa 3600 IN CNAME www.gslb.test."},
		{"10.0.0.1", "gslb.test. ANY", `noerror aa 30 IN HINFO "RFC8482" ""`},
		{"10.0.0.1", "gslb.test. AXFR", "refused"},
		{"10.0.0.1", "gslb.test. TKEY", "notimp"},
		{"10.0.0.1", "gslb.test. OPT", "formerr"},
		{"10.0.0.1", "example.com. A", "refused"},
		{"10.0.0.1", "badgslb.test. A", "refused"},
		{"10.0.0.1", "test. A", "refused"},
	} {
		if got := summary(ask(t, table, asked(t, c.query), c.from)); got != c.want {
			t.Errorf("%s from %s:\n got %s\nwant %s", c.query, c.from, got, c.want)
		}
	}
	chaos := asked(t, "version.bind. TXT")
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if got := summary(ask(t, table, chaos, "10.0.0.1")); got != "refused" {
		t.Error(got)
	}
	later := asked(t, "www.gslb.test. A 198.51.100.0/24")
	later.IsEdns0().SetVersion(1)
	if got := ask(t, table, later, "10.0.0.1"); got.Rcode != dns.RcodeBadVers || len(got.Answer) > 0 {
		t.Error(got)
	}
}

// TestAnswersVaryByNetworkOnlyWhereTheyMust: a region with more addresses than an answer has room
// for gives each network one of them, and the scope says for which network.
func TestAnswersVaryByNetworkOnlyWhereTheyMust(t *testing.T) {
	c := three()
	c.Regions["ap"].Mode = ""
	p := planned(t, c)
	table := NewTable(p, allUp(p), 7)
	seen := map[string]bool{}
	for i := range 64 {
		one := summary(ask(t, table, asked(t, fmt.Sprintf("deep.er.gslb.test. A 10.1.%d.0/24", i)), "10.0.0.1"))
		other := summary(ask(t, table, asked(t, fmt.Sprintf("deep.er.gslb.test. A 10.1.%d.128/25", i)), "10.0.0.1"))
		if one != other || !strings.HasSuffix(one, " scope 24") {
			t.Fatalf("%s, %s", one, other)
		}
		seen[one] = true
	}
	if len(seen) != 2 {
		t.Errorf("%v", seen)
	}
	// The other family has one address, and so one answer; the scope is the same, since it is
	// the network's.
	if got := summary(ask(t, table, asked(t, "deep.er.gslb.test. AAAA 10.1.0.0/16"), "10.0.0.1")); got != "noerror aa 60 IN AAAA 2001:db8::13 scope 24" {
		t.Error(got)
	}
}

func TestARegionThatFailsIsReplaced(t *testing.T) {
	p := planned(t, three())
	state := allUp(p)
	for i := range p.Regions {
		if p.Regions[i].Name == "eu" {
			state[i].Addresses[0].Up, state[i].Changing = false, true // IPv4 alone: both move
		}
	}
	table := NewTable(p, state, 8)
	for query, want := range map[string]string{
		"www.gslb.test. A":    "noerror aa 20 IN A 192.0.2.12",
		"www.gslb.test. AAAA": "noerror aa 20 IN AAAA 2001:db8::12",
		"gslb.test. SOA":      `noerror aa 30 IN SOA ns1.gslb.test. first\.last.ops.test. 8 3600 600 1209600 30`,
	} {
		if got := summary(ask(t, table, asked(t, query), "198.51.100.1")); got != want {
			t.Errorf("%s: %s, not %s", query, got, want)
		}
	}
}

// TestAKnownNameIsNeverAnsweredEmpty is I1, and I6: whatever the state is, a service has addresses
// of each family, and the other types and names are as ever.
func TestAKnownNameIsNeverAnsweredEmpty(t *testing.T) {
	p := planned(t, three())
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		state := allUp(p)
		for i := range state {
			state[i].Mode = []steer.Mode{"", "", steer.No, steer.Always, steer.Obey}[random.IntN(5)]
			state[i].Away, state[i].Draining = random.IntN(3) == 0, random.IntN(3) == 0
			for j := range state[i].Addresses {
				state[i].Addresses[j].Up = random.IntN(2) == 0
				state[i].Addresses[j].Mode = []steer.Mode{"", "", steer.No}[random.IntN(3)]
			}
		}
		table := NewTable(p, state, 7)
		from := []string{"198.51.100.1", "203.0.113.1", "10.0.0.1", "2001:db8:5::1"}[random.IntN(4)]
		for _, name := range []string{"www.gslb.test.", "gslb.test.", "deep.er.gslb.test."} {
			for _, typ := range []string{"A", "AAAA"} {
				if m := ask(t, table, asked(t, name+" "+typ), from); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
					t.Fatalf("seed %d: %s %s from %s: %v", seed, name, typ, from, m)
				}
			}
			if m := ask(t, table, asked(t, name+" HTTPS"), from); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 0 || len(m.Ns) != 1 {
				t.Fatalf("seed %d: %v", seed, m)
			}
		}
	}
}

func TestExplainSaysWhatIsAnswered(t *testing.T) {
	p := planned(t, three())
	table := NewTable(p, allUp(p), 7)
	name, _ := p.Zone.Under("www")
	x, ok := table.Explain(name, netip.MustParseAddr("198.51.100.9"))
	if !ok || p.Regions[x.Outcome.Region].Name != "eu" || x.Outcome.Reason != steer.First || x.Network.String() != "198.51.100.0/24" ||
		fmt.Sprint(x.Addresses) != "[192.0.2.11 2001:db8::11]" {
		t.Errorf("%+v", x)
	}
	if _, ok := table.Explain(p.Zone.Parent(), netip.MustParseAddr("10.0.0.1")); ok {
		t.Error("a name that isn't a service's is explained")
	}
}

// TestMistakesAreFound has one mistake each, by the key at which it is told and a word of what is.
func TestMistakesAreFound(t *testing.T) {
	zero, many := 0, 256
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no address":          {func(c *Config) { c.Listen = nil }, "listen: there is no address"},
		"all addresses":       {func(c *Config) { c.Listen = []string{"0.0.0.0:53"} }, "listen[0]: answers must come from the address"},
		"no port":             {func(c *Config) { c.Listen = []string{"192.0.2.1"} }, "listen[0]: \"192.0.2.1\" is no IP:PORT"},
		"twice":               {func(c *Config) { c.Listen = []string{"192.0.2.1:53", "192.0.2.1:53"} }, "listen[1]: 192.0.2.1:53 is here twice"},
		"no zone":             {func(c *Config) { c.Zone.Name = "" }, "zone.name: \"\" can't be a zone"},
		"the root":            {func(c *Config) { c.Zone.Name = "." }, "zone.name: \".\" can't be a zone"},
		"no contact":          {func(c *Config) { c.Zone.Contact = "ops" }, "zone.contact: \"ops\" is no mail address"},
		"half a second":       {func(c *Config) { c.Zone.NegativeTTL = 500 * time.Millisecond }, "zone.negative_ttl: 500ms can't be a TTL"},
		"no servers":          {func(c *Config) { c.Zone.Nameservers = nil }, "zone.nameservers: the zone has no servers"},
		"a server's address":  {func(c *Config) { c.Zone.Nameservers = map[string][]string{"ns1": {"a"}} }, "zone.nameservers.ns1[0]: \"a\" is no IP address"},
		"a lost server":       {func(c *Config) { c.Zone.Nameservers = map[string][]string{"ns1": nil} }, "zone.nameservers.ns1: the server has no address"},
		"no regions":          {func(c *Config) { c.Regions = nil }, "regions: there are no regions"},
		"a region's name":     {func(c *Config) { c.Regions["EU"] = c.Regions["eu"] }, "regions.EU: \"EU\" can't be a region's name"},
		"an empty region":     {func(c *Config) { c.Regions["eu"] = nil }, "regions.eu.addresses: a region has 1 to 13 addresses"},
		"no address of users": {func(c *Config) { c.Regions["eu"].Addresses[0].Address = "0.0.0.0" }, "regions.eu.addresses[0].address: \"0.0.0.0\" is no address"},
		"an address twice":    {func(c *Config) { c.Regions["ap"].Addresses[2].Address = "192.0.2.13" }, "regions.ap.addresses[2].address: 192.0.2.13 is here twice"},
		"one family":          {func(c *Config) { c.Regions["us"].Addresses = c.Regions["us"].Addresses[:1] }, "regions.us.addresses: the regions ap and us differ in having an IPv6 address"},
		"a weight":            {func(c *Config) { c.Regions["us"].Addresses[0].Weight = &many }, "regions.us.addresses[0].weight: 256 is out of bounds"},
		"a mode":              {func(c *Config) { c.Regions["us"].Mode = "never" }, "regions.us.mode: \"never\" is not known here"},
		"an address's mode":   {func(c *Config) { c.Regions["us"].Addresses[0].Mode = "yes" }, "regions.us.addresses[0].mode: \"yes\" is not known here"},
		"a failover":          {func(c *Config) { c.Regions["us"].Failover = []string{"mars"} }, "regions.us.failover[0]: there is no region \"mars\""},
		"a failover twice":    {func(c *Config) { c.Regions["us"].Failover = []string{"eu", "eu"} }, "regions.us.failover[1]: \"eu\" is here twice"},
		"min_healthy":         {func(c *Config) { c.Regions["us"].MinHealthy = 2 }, "regions.us.min_healthy: 2 addresses can never be up"},
		"no services":         {func(c *Config) { c.Services = nil }, "services: there are no services"},
		"a service twice":     {func(c *Config) { c.Services[1].Name = "www" }, "services[1].name: there is a service \"www\" already"},
		"an absolute name":    {func(c *Config) { c.Services[1].Name = "www.gslb.test." }, "services[1].name: \"www.gslb.test.\" ends with a dot"},
		"a service of no one": {func(c *Config) { c.Services[1].Regions = nil }, "services[1].regions: the service has no regions"},
		"serve":               {func(c *Config) { c.Services[1].Serve = 14 }, "services[1].serve: 14 is out of bounds"},
		"TTLs":                {func(c *Config) { c.Services[0].TTL.Change = time.Hour }, "services[0].ttl.change: 1h0m0s is longer than ttl.normal"},
		"a service's record":  {func(c *Config) { c.Services[0].Name = "ns1" }, "services[0].name: ns1.gslb.test. has an address or an alias"},
		"a network's region":  {func(c *Config) { c.Map.Networks[0].Regions = []string{"x"} }, "map.networks.198.51.100.0/24[0]: there is no region \"x\""},
		"a lonely network":    {func(c *Config) { c.Map.Networks[0].Regions = nil }, "map.networks.198.51.100.0/24: the network has no regions"},
		"the default":         {func(c *Config) { c.Map.Default = []string{"x"} }, "map.default[0]: there is no region \"x\""},
		"a protocol":          {func(c *Config) { c.Probe.Protocol = "icmp" }, "probe.protocol: \"icmp\" is not known here"},
		"a port":              {func(c *Config) { c.Probe.Port = 0 }, "probe.port: the port is missing"},
		"a path":              {func(c *Config) { c.Probe.Path = "x" }, "probe.path: the path \"x\" doesn't begin"},
		"a timeout":           {func(c *Config) { c.Probe.Timeout = time.Hour }, "probe.timeout: the timeout (1h0m0s) is longer"},
		"rise":                {func(c *Config) { c.Probe.Rise = -1 }, "probe.rise: -1 is no number of probes"},
		"statuses":            {func(c *Config) { c.Probe.Expect.Status = "2xx" }, "probe.expect.status: \"2xx\""},
		"a signature":         {func(c *Config) { c.Zone.Records[0].Type = "RRSIG" }, "zone.records[0].type: RRSIG records can't be written here"},
		"a value":             {func(c *Config) { c.Zone.Records[0] = RecordConfig{Name: "a", Type: "A", Value: "x"} }, "zone.records[0].value: this is no A record"},
		"two lines":           {func(c *Config) { c.Zone.Records[0].Value = "\"a\"\nb IN A 192.0.2.1" }, "zone.records[0].value: a record has one line"},
		"an alias and more":   {func(c *Config) { c.Zone.Records[1].Name = "@" }, "zone.records[1].type: gslb.test. would have an alias and another record"},
		"a record's TTL":      {func(c *Config) { c.Zone.Records[0].TTL = time.Millisecond }, "zone.records[0].ttl: 1ms can't be a TTL"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := three()
			c.change(&cfg)
			var found []string
			p := NewPlan(&cfg, func(key, message, hint string) {
				found = append(found, key+": "+message)
				if hint == "" {
					t.Errorf("%s: %s has no hint", key, message)
				}
			})
			if p != nil || len(found) != 1 || !strings.HasPrefix(found[0], c.want) {
				t.Errorf("got %q, want %q", found, c.want)
			}
		})
	}
	cfg := three()
	cfg.Regions["us"].Addresses[0].Weight = &zero
	if p := planned(t, cfg); p.Regions[2].Addresses[0].Weight != 0 {
		t.Error("a weight of 0 isn't kept")
	}
}

// TestTheSameGoesInAsComesOut is I3: two tables of one state answer byte for byte the same.
func TestTheSameGoesInAsComesOut(t *testing.T) {
	one, other := planned(t, three()), planned(t, three())
	a, b := NewTable(one, allUp(one), 7), NewTable(other, allUp(other), 7)
	for _, words := range []string{"www.gslb.test. A 10.2.3.0/24", "deep.er.gslb.test. A 10.2.3.0/24", "gslb.test. NS", "x.gslb.test. A"} {
		if diff := cmp.Diff(ask(t, a, asked(t, words), "10.0.0.1").String(), ask(t, b, asked(t, words), "10.0.0.1").String()); diff != "" {
			t.Errorf("%s: %s", words, diff)
		}
	}
}
