package dnswire

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// packed returns a message of the reference implementation as bytes.
func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// asks returns a query for a name, with EDNS if there are options or more.
func asks(name string, qtype uint16, options ...dns.EDNS0) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Id = 4711
	if len(options) > 0 {
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = options
	}
	return m
}

func TestAQueryIsRead(t *testing.T) {
	m := asks("WwW.Example.COM.", dns.TypeAAAA,
		&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}},
		&dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE},
		&dns.EDNS0_PADDING{Padding: make([]byte, 9)})
	m.CheckingDisabled = true
	var q Query
	if !q.Read(packed(t, m)) || q.Rcode != NoError {
		t.Fatalf("rcode %d", q.Rcode)
	}
	if got := Name(q.Name()).String(); got != "www.example.com." {
		t.Errorf("name %s", got)
	}
	e := q.EDNS
	if q.ID != 4711 || q.Type != TypeAAAA || q.Class != ClassIN || q.rd == 0 || q.cd == 0 {
		t.Errorf("%+v", q)
	}
	if !e.Present || !e.DO || e.UDPSize != 1232 || !e.NSID || !e.Keepalive || hex.EncodeToString(e.Cookie) != "0011223344556677" {
		t.Errorf("%+v", e)
	}
	if e.Subnet.Network != netip.MustParsePrefix("192.0.2.0/24") {
		t.Errorf("subnet %v", e.Subnet.Network)
	}
}

// header returns a message whose sections have so many records, followed by data in hexadecimal.
func header(counts [4]uint16, data ...string) []byte {
	b := []byte{0, 1, 0, 0}
	for _, n := range counts {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	rest, err := hex.DecodeString(strings.ReplaceAll(strings.Join(data, ""), " ", ""))
	if err != nil {
		panic(err)
	}
	return append(b, rest...)
}

func TestMessagesAreRefusedAsTheRFCsSay(t *testing.T) {
	const (
		question = "0161 00 0001 0001"          // a. IN A
		opt      = "00 0029 04d0 00000000 "     // and the length of its data
		signed   = "0161 00 00fa 00ff 00000000" // a TSIG
	)
	long := strings.Repeat("3f"+strings.Repeat("61", 63), 4)
	for name, c := range map[string]struct {
		message []byte
		answer  bool
		rcode   Rcode
	}{
		"nothing":                                 {nil, false, 0},
		"half a header":                           {make([]byte, 11), false, 0},
		"an answer, which mustn't be answered":    {append([]byte{0, 1, 0x80}, header([4]uint16{1}, question)[3:]...), false, 0},
		"an update":                               {append([]byte{0, 1, 5 << 3}, header([4]uint16{1}, question)[3:]...), true, NotImp},
		"a query":                                 {header([4]uint16{1}, question), true, NoError},
		"no question":                             {header([4]uint16{}), true, FormErr},
		"two questions, RFC 9619":                 {header([4]uint16{2}, question, question), true, FormErr},
		"no type":                                 {header([4]uint16{1}, "0161 00 0001"), true, FormErr},
		"no end of the name":                      {header([4]uint16{1}, "0161"), true, FormErr},
		"a label past the end":                    {header([4]uint16{1}, "0561 00 0001 0001"), true, FormErr},
		"a pointer in the question":               {header([4]uint16{1}, "0161 c00c 0001 0001"), true, FormErr},
		"a label of the kind 01":                  {header([4]uint16{1}, "41", strings.Repeat("61", 65), "00 0001 0001"), true, FormErr},
		"a name of 255 bytes":                     {header([4]uint16{1}, long[:126*2], "7d"[:0], "00 0001 0001"), true, FormErr},
		"a name of 257 bytes":                     {header([4]uint16{1}, long, "00 0001 0001"), true, FormErr},
		"an answer in a query":                    {header([4]uint16{1, 1}, question, "0161 00 0001 0001 00000000 0000"), true, FormErr},
		"authority in a query":                    {header([4]uint16{1, 0, 1}, question, "0161 00 0006 0001 00000000 0000"), true, FormErr},
		"authority of an IXFR, RFC 1995":          {header([4]uint16{1, 0, 1}, "0161 00 00fb 0001", "c00c 0006 0001 00000000 0000"), true, NoError},
		"something behind the last record":        {header([4]uint16{1}, question, "00"), true, FormErr},
		"EDNS":                                    {header([4]uint16{1, 0, 0, 1}, question, opt, "0000"), true, NoError},
		"EDNS of a name that isn't the root":      {header([4]uint16{1, 0, 0, 1}, question, "0161", opt, "0000"), true, FormErr},
		"EDNS twice":                              {header([4]uint16{1, 0, 0, 2}, question, opt, "0000", opt, "0000"), true, FormErr},
		"EDNS 1":                                  {header([4]uint16{1, 0, 0, 1}, question, "00 0029 04d0 00010000 0000"), true, BadVers},
		"EDNS longer than the message":            {header([4]uint16{1, 0, 0, 1}, question, opt, "0004 0003"), true, FormErr},
		"half an option":                          {header([4]uint16{1, 0, 0, 1}, question, opt, "0002 0003"), true, FormErr},
		"an option longer than EDNS":              {header([4]uint16{1, 0, 0, 1}, question, opt, "0004 0003 0001"), true, FormErr},
		"an unknown option":                       {header([4]uint16{1, 0, 0, 1}, question, opt, "0005 fde9 0001 07"), true, NoError},
		"a record that is missing":                {header([4]uint16{1, 0, 0, 1}, question), true, FormErr},
		"a signature after EDNS":                  {header([4]uint16{1, 0, 0, 2}, question, opt, "0000", signed, "0002 abcd"), true, NoError},
		"a name that points forwards":             {header([4]uint16{1, 0, 0, 1}, question, "c040 0001 0001 00000000 0000"), true, FormErr},
		"a cookie of a client":                    {header([4]uint16{1, 0, 0, 1}, question, opt, "000c 000a 0008 0102030405060708"), true, NoError},
		"a cookie of both":                        {header([4]uint16{1, 0, 0, 1}, question, opt, "0014 000a 0010 01020304050607080102030405060708"), true, NoError},
		"a cookie of 7 bytes":                     {header([4]uint16{1, 0, 0, 1}, question, opt, "000b 000a 0007 01020304050607"), true, FormErr},
		"a cookie of 12 bytes":                    {header([4]uint16{1, 0, 0, 1}, question, opt, "0010 000a 000c 010203040506070801020304"), true, FormErr},
		"a cookie without a question, RFC 7873":   {header([4]uint16{0, 0, 0, 1}, opt, "000c 000a 0008 0102030405060708"), true, NoError},
		"EDNS alone":                              {header([4]uint16{0, 0, 0, 1}, opt, "0000"), true, FormErr},
		"a keepalive with a time in it":           {header([4]uint16{1, 0, 0, 1}, question, opt, "0006 000b 0002 0001"), true, FormErr},
		"a subnet":                                {header([4]uint16{1, 0, 0, 1}, question, opt, "000b 0008 0007 0001 18 00 c00002"), true, NoError},
		"a subnet of IPv6":                        {header([4]uint16{1, 0, 0, 1}, question, opt, "000a 0008 0006 0002 10 00 2001"), true, NoError},
		"a subnet of length 0":                    {header([4]uint16{1, 0, 0, 1}, question, opt, "0008 0008 0004 0001 00 00"), true, NoError},
		"a subnet of no family":                   {header([4]uint16{1, 0, 0, 1}, question, opt, "0008 0008 0004 0000 00 00"), true, NoError},
		"a subnet of no family with a length":     {header([4]uint16{1, 0, 0, 1}, question, opt, "0009 0008 0005 0000 08 00 0a"), true, FormErr},
		"a subnet with too few bytes":             {header([4]uint16{1, 0, 0, 1}, question, opt, "000a 0008 0006 0001 18 00 c000"), true, FormErr},
		"a subnet with too many bytes":            {header([4]uint16{1, 0, 0, 1}, question, opt, "000c 0008 0008 0001 18 00 c0000200"), true, FormErr},
		"a subnet with bits behind its length":    {header([4]uint16{1, 0, 0, 1}, question, opt, "000b 0008 0007 0001 17 00 c00003"), true, FormErr},
		"a subnet that is longer than an address": {header([4]uint16{1, 0, 0, 1}, question, opt, "000d 0008 0009 0001 21 00 c000020100"), true, FormErr},
		"a subnet with a scope":                   {header([4]uint16{1, 0, 0, 1}, question, opt, "000b 0008 0007 0001 18 18 c00002"), true, FormErr},
		"a subnet of an unknown family":           {header([4]uint16{1, 0, 0, 1}, question, opt, "000b 0008 0007 0003 18 00 c00002"), true, FormErr},
		"a subnet of 3 bytes":                     {header([4]uint16{1, 0, 0, 1}, question, opt, "0007 0008 0003 0001 00"), true, FormErr},
	} {
		var q Query
		if answer := q.Read(c.message); answer != c.answer || q.Rcode != c.rcode {
			t.Errorf("%s: answer %v with %d, not %v with %d", name, answer, q.Rcode, c.answer, c.rcode)
		}
	}
}

// TestAQueryForgetsTheOneBefore: servers use one Query for all messages of a socket.
func TestAQueryForgetsTheOneBefore(t *testing.T) {
	var q, fresh Query
	q.Read(packed(t, asks("a.very.long.name.example.", dns.TypeA, &dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"})))
	short := packed(t, asks("b.", dns.TypeNS))
	q.Read(short)
	fresh.Read(short)
	if string(q.Name()) != string(fresh.Name()) || q.EDNS.Present || q.EDNS.NSID || q.EDNS.Cookie != nil || q.Type != TypeNS {
		t.Errorf("%q %+v", q.Name(), q.EDNS)
	}
	q.Read(header([4]uint16{}))
	if q.HasQuestion || len(q.Name()) != 0 || q.Rcode != FormErr {
		t.Errorf("%q %+v", q.Name(), q.HasQuestion)
	}
}

func TestReadingAndAnsweringDoesNotAllocate(t *testing.T) {
	message := packed(t, asks("www.example.com.", dns.TypeA, &dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}))
	body := wwwBody(t)
	var q Query
	out := make([]byte, 0, 4096)
	reply := Reply{UDPSize: 1232, NSID: "ns1", Subnet: true, Scope: 24}
	if n := testing.AllocsPerRun(100, func() {
		q.Read(message)
		out = q.AppendAnswer(out[:0], body, &reply)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReadAndAnswer(b *testing.B) {
	message := packed(b, asks("www.example.com.", dns.TypeA, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}))
	body := wwwBody(b)
	var q Query
	out := make([]byte, 0, 4096)
	reply := Reply{UDPSize: 1232, Subnet: true, Scope: 24}
	for b.Loop() {
		q.Read(message)
		out = q.AppendAnswer(out[:0], body, &reply)
	}
}
