package proxyheader

import (
	"net/netip"
	"strings"
	"testing"
)

func TestHeadersForHosts(t *testing.T) {
	port := netip.MustParseAddrPort
	mapped := func(v4 string) string { return strings.Repeat("\x00", 10) + "\xff\xff" + v4 }
	for _, row := range []struct {
		what string
		ends Ends
		want string
	}{
		{"IPv4", Ends{port("192.0.2.7:12345"), port("10.0.0.1:443")}, v2(proxy2, tcp4, four)},
		{"IPv4 on a socket of both families", Ends{port("[::ffff:192.0.2.7]:12345"), port("[::ffff:10.0.0.1]:443")}, v2(proxy2, tcp4, four)},
		{"IPv6", Ends{port("[2001:db8::7]:12345"), port("[2001:db8::1]:443")}, v2(proxy2, tcp6, six)},
		{"a zone", Ends{port("[fe80::1%eth0]:1"), port("[fe80::2%eth0]:2")}, v2(proxy2, tcp6, "\xfe\x80"+strings.Repeat("\x00", 13)+"\x01"+"\xfe\x80"+strings.Repeat("\x00", 13)+"\x02"+"\x00\x01\x00\x02")},
		{"two families", Ends{port("192.0.2.7:12345"), port("[2001:db8::1]:443")}, v2(proxy2, tcp6, mapped("\xc0\x00\x02\x07")+to6+"\x30\x39\x01\xbb")},
		{"without the server", Ends{Client: port("192.0.2.7:12345")}, v2(proxy2, tcp4, "\xc0\x00\x02\x07\x00\x00\x00\x00\x30\x39\x00\x00")},
		{"the balancer's own", Ends{}, v2(local2, 0, "")},
		{"an unknown client", Ends{Server: port("10.0.0.1:443")}, v2(local2, 0, "")},
	} {
		if got := string(row.ends.Append(nil)); got != row.want {
			t.Errorf("%s: got %q, want %q", row.what, got, row.want)
		}
	}
}

// FuzzAppend: what is written is read as the same client.
func FuzzAppend(f *testing.F) {
	f.Add([]byte{192, 0, 2, 7}, []byte{10, 0, 0, 1}, uint16(12345), uint16(443))
	f.Add([]byte{192, 0, 2, 7}, []byte(to6), uint16(1), uint16(0))
	f.Add([]byte{}, []byte(to6), uint16(0), uint16(1))
	f.Fuzz(func(t *testing.T, client, server []byte, clientPort, serverPort uint16) {
		from, known := netip.AddrFromSlice(client)
		to, _ := netip.AddrFromSlice(server)
		ends := Ends{netip.AddrPortFrom(from, clientPort), netip.AddrPortFrom(to, serverPort)}
		r := strings.NewReader(string(ends.Append(nil)) + "next")
		got, err := Read(r)
		want := netip.AddrPort{}
		if known {
			want = netip.AddrPortFrom(from.Unmap(), clientPort)
		}
		if err != nil || got != want || r.Len() != len("next") {
			t.Errorf("%v: got %v, %v, and %d bytes more", ends, got, err, r.Len())
		}
	})
}
