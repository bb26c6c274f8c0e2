package dnswire

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// named returns a name that is right.
func named(t testing.TB, text string) Name {
	t.Helper()
	n, err := ParseName(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wwwBody is the answer of a name with an address, and its zone's servers.
func wwwBody(t testing.TB) *Body {
	r := Renderer{Zone: named(t, "example.com")}
	r.Add(Answer, Question, TypeA, 60, netip.MustParseAddr("192.0.2.1").AsSlice())
	r.Add(Authority, named(t, "example.com"), TypeNS, 3600, []byte(named(t, "ns1.example.com")))
	r.Add(Additional, named(t, "ns1.example.com"), TypeA, 3600, netip.MustParseAddr("192.0.2.53").AsSlice())
	return r.Body(NoError, true)
}

// soaBody is a negative answer.
func soaBody(t testing.TB, rcode Rcode) *Body {
	r := Renderer{Zone: named(t, "example.com")}
	data := string(named(t, "ns1.example.com")+named(t, "ops.example.org")) + "\x00\x00\x00\x07" + strings.Repeat("\x00\x00\x00\x1e", 4)
	r.Add(Authority, named(t, "example.com"), TypeSOA, 30, []byte(data))
	return r.Body(rcode, true)
}

// answered returns the answer of a body as the reference implementation reads it.
func answered(t *testing.T, query *dns.Msg, body *Body, reply Reply) *dns.Msg {
	t.Helper()
	var q Query
	if !q.Read(packed(t, query)) {
		t.Fatal("it isn't answered")
	}
	prefix := []byte("before")
	out := q.AppendAnswer(prefix, body, &reply)
	m := new(dns.Msg)
	if err := m.Unpack(out[len(prefix):]); err != nil {
		t.Fatalf("%v: % x", err, out)
	}
	return m
}

func TestAnswersAreReadByOthers(t *testing.T) {
	m := answered(t, asks("wWw.eXample.com.", dns.TypeA), wwwBody(t), Reply{UDPSize: 1232})
	if m.Id != 4711 || !m.Response || !m.Authoritative || !m.RecursionDesired || m.RecursionAvailable || m.Truncated {
		t.Errorf("header %+v", m.MsgHdr)
	}
	if m.Question[0].Name != "wWw.eXample.com." {
		t.Errorf("the question's case is lost: %s", m.Question[0].Name)
	}
	for i, want := range []string{"wWw.eXample.com.\t60\tIN\tA\t192.0.2.1", "eXample.com.\t3600\tIN\tNS\tns1.eXample.com.", "ns1.eXample.com.\t3600\tIN\tA\t192.0.2.53"} {
		if got := append(append(m.Answer, m.Ns...), m.Extra...)[i].String(); got != want {
			t.Errorf("record %d is %s, not %s", i, got, want)
		}
	}
	if m.IsEdns0() != nil {
		t.Error("EDNS, unasked")
	}
}

// TestOneBodyAnswersAllNamesOfAZone: the pointers to the zone are where each query has it.
func TestOneBodyAnswersAllNamesOfAZone(t *testing.T) {
	body := soaBody(t, NXDomain)
	for _, name := range []string{"example.com.", "a.example.com.", "a.b.c.d.example.com.", strings.Repeat("x", 63) + ".example.com."} {
		m := answered(t, asks(name, dns.TypeTXT), body, Reply{UDPSize: 1232})
		want := "example.com.\t30\tIN\tSOA\tns1.example.com. ops.example.org. 7 30 30 30 30"
		if m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 || m.Ns[0].String() != want {
			t.Errorf("%s: %v", name, m)
		}
	}
}

func TestOptionsAreAnswered(t *testing.T) {
	subnet := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 2, SourceNetmask: 48, Address: netip.MustParseAddr("2001:db8:1::").AsSlice()}
	query := asks("www.example.com.", dns.TypeA, subnet, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
	reply := Reply{UDPSize: 1232, Subnet: true, Scope: 56, NSID: "ns1", Cookie: []byte("0123456789abcdef"), Keepalive: 100}
	m := answered(t, query, wwwBody(t), reply)
	opt := m.IsEdns0()
	if opt == nil || opt.UDPSize() != 1232 || !opt.Do() || opt.Version() != 0 {
		t.Fatalf("%v", opt)
	}
	var texts []string
	for _, o := range opt.Option {
		texts = append(texts, fmt.Sprintf("%d %s", o.Option(), o))
	}
	want := "3 6e7331; 8 [2001:db8:1::]/48/56; 10 30313233343536373839616263646566"
	if got := strings.Join(texts, "; "); got != want {
		t.Errorf("%s\nnot %s", got, want)
	}
	reply.TCP = true
	if opt = answered(t, query, wwwBody(t), reply).IsEdns0(); len(opt.Option) != 4 || opt.Option[3].(*dns.EDNS0_TCP_KEEPALIVE).Timeout != 100 {
		t.Errorf("by TCP: %v", opt)
	}
	plain := asks("www.example.com.", dns.TypeA)
	plain.SetEdns0(4096, false)
	if opt = answered(t, plain, wwwBody(t), Reply{UDPSize: 1232, NSID: "ns1", Subnet: true, Scope: 24}).IsEdns0(); len(opt.Option) != 0 || opt.Do() {
		t.Errorf("unasked: %v", opt)
	}
}

// TestHighCodesStandInEDNS: RFC 6891 §6.1.3.
func TestHighCodesStandInEDNS(t *testing.T) {
	query := asks("www.example.com.", dns.TypeA)
	query.SetEdns0(1232, false)
	query.IsEdns0().SetVersion(1)
	m := answered(t, query, Status(BadVers), Reply{UDPSize: 1232})
	if m.Rcode != dns.RcodeBadVers || m.IsEdns0().Version() != 0 || m.Authoritative {
		t.Errorf("%v", m)
	}
}

func TestWhatDoesNotFitIsTruncated(t *testing.T) {
	r := Renderer{Zone: named(t, "example.com")}
	for i := range 60 {
		r.Add(Answer, Question, TypeAAAA, 60, netip.AddrFrom16([16]byte{15: byte(i)}).AsSlice())
	}
	body := r.Body(NoError, true)
	large := asks("www.example.com.", dns.TypeAAAA)
	large.SetEdns0(4096, false)
	small := asks("www.example.com.", dns.TypeAAAA)
	small.SetEdns0(100, false)
	for _, c := range []struct {
		name    string
		query   *dns.Msg
		reply   Reply
		answers int
		opt     bool
	}{
		{"without EDNS", asks("www.example.com.", dns.TypeAAAA), Reply{UDPSize: 4096}, 0, false},
		{"with less than 512", small, Reply{UDPSize: 4096}, 0, true},
		{"with enough", large, Reply{UDPSize: 4096}, 60, true},
		{"with more than the server sends", large, Reply{UDPSize: 1232}, 0, true},
		{"by TCP", asks("www.example.com.", dns.TypeAAAA), Reply{UDPSize: 1232, TCP: true}, 60, false},
	} {
		m := answered(t, c.query, body, c.reply)
		if len(m.Answer) != c.answers || m.Truncated != (c.answers == 0) || (m.IsEdns0() != nil) != c.opt || len(m.Ns) != 0 {
			t.Errorf("%s: %v", c.name, m)
		}
	}
}

// TestAnAnswerWithoutAQuestion is what gets who hasn't asked one that can be read.
func TestAnAnswerWithoutAQuestion(t *testing.T) {
	var q Query
	q.Read(header([4]uint16{2}, "0161 00 0001 0001"))
	m := new(dns.Msg)
	if err := m.Unpack(q.AppendAnswer(nil, Status(q.Rcode), &Reply{})); err != nil || m.Rcode != dns.RcodeFormatError || len(m.Question) != 0 {
		t.Errorf("%v, %v", m, err)
	}
	q.Read(append([]byte{0, 7, 4<<3 | 1}, make([]byte, 9)...))
	if err := m.Unpack(q.AppendAnswer(nil, Status(q.Rcode), &Reply{})); err != nil || m.Rcode != dns.RcodeNotImplemented || m.Opcode != dns.OpcodeNotify || m.Id != 7 {
		t.Errorf("%v, %v", m, err)
	}
}
