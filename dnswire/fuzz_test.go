package dnswire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// FuzzRead: a query that is read without fault is read by the reference implementation, too, and
// both see the same. What it reads and we don't has one of the faults that the RFCs name. Every
// answer is one that it reads.
func FuzzRead(f *testing.F) {
	f.Add(packed(f, asks("www.example.com.", dns.TypeA)))
	f.Add(packed(f, asks("a.b.", dns.TypeANY, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}})))
	f.Add(header([4]uint16{1, 0, 0, 1}, "0161 00 0001 0001", "00 0029 04d0 00010000 0000"))
	f.Add(header([4]uint16{0, 0, 0, 1}, "00 0029 04d0 00000000", "000c 000a 0008 0102030405060708"))
	f.Add(header([4]uint16{1, 0, 1}, "0161 00 00fb 0001", "c00c 0006 0001 00000000 0000"))
	body := soaBody(f, NXDomain)
	f.Fuzz(func(t *testing.T, message []byte) {
		var q Query
		if !q.Read(message) {
			if len(message) >= headerBytes && message[2]&flagQR == 0 {
				t.Fatal("a query gets no answer")
			}
			return
		}
		theirs := new(dns.Msg)
		err := theirs.Unpack(message)
		switch {
		case q.Rcode == NoError && err != nil && !isForeignData(message, &q):
			t.Fatalf("we read it, they don't: %v", err)
		case q.Rcode == NoError && err == nil:
			compare(t, &q, theirs)
		case q.Rcode == FormErr && err == nil && !isFaulty(message, theirs):
			t.Fatalf("they read it, we don't: %v", theirs)
		}
		answer := Status(q.Rcode)
		if q.Rcode == NoError && q.HasQuestion && Name(q.Name()).IsIn("\x07example\x03com\x00") {
			answer = body
		}
		out := q.AppendAnswer(nil, answer, &Reply{UDPSize: 1232, NSID: "ns1", Subnet: true, Scope: 24})
		if err := new(dns.Msg).Unpack(out); err != nil {
			t.Fatalf("they don't read the answer: %v: % x", err, out)
		}
	})
}

// isForeignData reports whether a query has records besides OPT, whose data we pass over and they
// read, or options that we pass over.
func isForeignData(message []byte, q *Query) bool {
	additional := binary.BigEndian.Uint16(message[10:])
	return additional > 1 || additional == 1 && !q.EDNS.Present || q.Type == TypeIXFR || q.EDNS.Present
}

// isFaulty reports whether a query has a fault that the reference implementation doesn't mind:
// more or fewer records than there may be, bytes that it doesn't read or writes otherwise, such as
// pointers, or an option whose data its RFC forbids.
func isFaulty(message []byte, m *dns.Msg) bool {
	again, err := m.Pack()
	if err != nil || len(again) != len(message) || !bytes.Equal(again[4:headerBytes], message[4:headerBytes]) || len(m.Question) != 1 || len(m.Answer) > 0 || len(m.Ns) > 0 {
		return true
	}
	opts := 0
	for _, r := range m.Extra {
		opt, ok := r.(*dns.OPT)
		if !ok {
			continue
		}
		if opts++; opts > 1 || opt.Hdr.Name != "." {
			return true
		}
		for _, o := range opt.Option {
			switch o := o.(type) {
			case *dns.EDNS0_COOKIE:
				if n := len(o.Cookie) / 2; n != 8 && (n < 16 || n > 40) {
					return true
				}
			case *dns.EDNS0_TCP_KEEPALIVE:
				if o.Timeout != 0 || len(message) != len(again) {
					return true
				}
			case *dns.EDNS0_SUBNET:
				network, ok := netip.AddrFromSlice(o.Address)
				prefix, err := network.Unmap().Prefix(int(o.SourceNetmask))
				if !ok || err != nil || o.SourceScope != 0 || prefix.Addr() != network.Unmap() {
					return true
				}
			}
		}
	}
	return false
}

// compare compares what both have read.
func compare(t *testing.T, q *Query, theirs *dns.Msg) {
	t.Helper()
	if q.ID != theirs.Id || len(theirs.Question) != 0 != q.HasQuestion {
		t.Fatalf("%+v\n%v", q, theirs)
	}
	if q.HasQuestion {
		n, err := ParseName(theirs.Question[0].Name)
		if err != nil || string(n) != string(q.Name()) || uint16(q.Type) != theirs.Question[0].Qtype || uint16(q.Class) != theirs.Question[0].Qclass {
			t.Fatalf("%q %d %d, they %v, %v", q.Name(), q.Type, q.Class, theirs.Question[0], err)
		}
	}
	opt := theirs.IsEdns0()
	if (opt != nil) != q.EDNS.Present {
		t.Fatalf("EDNS %v, they %v", q.EDNS, opt)
	}
	if opt == nil {
		return
	}
	if opt.UDPSize() != q.EDNS.UDPSize || opt.Do() != q.EDNS.DO {
		t.Fatalf("EDNS %+v, they %v", q.EDNS, opt)
	}
	nsid, cookie := false, ""
	for _, o := range opt.Option {
		switch o := o.(type) {
		case *dns.EDNS0_NSID:
			nsid = true
		case *dns.EDNS0_COOKIE:
			if cookie == "" {
				cookie = o.Cookie
			}
		}
	}
	if nsid != q.EDNS.NSID || cookie != hex.EncodeToString(q.EDNS.Cookie) {
		t.Fatalf("options %+v, they %v", q.EDNS, opt)
	}
}
