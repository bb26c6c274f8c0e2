package proxyheader

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// v2 returns a header of version 2.
func v2(command, family byte, rest string) string {
	return signature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	four = "\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x01\xbb" // 192.0.2.7:12345 to 10.0.0.1:443
	to6  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + to6 + "\x30\x39\x01\xbb"
)

func TestHeadersTellTheClient(t *testing.T) {
	for _, row := range []struct{ header, client string }{
		{"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n", "192.0.2.7:12345"},
		{"PROXY TCP6 2001:db8::7 2001:db8::1 12345 443\r\n", "[2001:db8::7]:12345"},
		{"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1"},
		{"PROXY UNKNOWN\r\n", ""},
		{"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ""},
		{v2(proxy2, tcp4, four), "192.0.2.7:12345"},
		{v2(proxy2, tcp6, six), "[2001:db8::7]:12345"},
		{v2(proxy2, tcp4, four+"\x04\x00\x03abc"), "192.0.2.7:12345"}, // TLVs are skipped
		{v2(local2, 0, ""), ""},
		{v2(local2, tcp4, four), ""}, // a check of the other balancer's own
		{v2(proxy2, 0, "whatever"), ""},
		{v2(proxy2, 0x31, strings.Repeat("/", 216)), ""},
	} {
		const next = "\x16\x03\x01"
		r := strings.NewReader(row.header + next)
		client, err := Read(r)
		var want netip.AddrPort
		if row.client != "" {
			want = netip.MustParseAddrPort(row.client)
		}
		if err != nil || client != want {
			t.Errorf("%q: got %v, %v, want %v", row.header, client, err, want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != next {
			t.Errorf("%q: left %q, want %q", row.header, rest, next)
		}
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	for _, header := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaa", // TLS
		"PROXY UNKNOWN\n",
		"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\n",
		"PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n",
		"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443 \r\n",
		"PROXY TCP4  192.0.2.7 10.0.0.1 12345 443\r\n",
		"PROXY TCP4 192.0.2.7 10.0.0.1 012345 443\r\n",
		"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
		"PROXY TCP4 192.0.2.7 10.0.0 1 443\r\n",
		"PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n",
		"PROXY TCP6 192.0.2.7 10.0.0.1 1 443\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
		"PROXY UDP4 192.0.2.7 10.0.0.1 1 443\r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", longest1),
		v2(0x11, tcp4, four), // version 1 in the form of 2
		v2(0x22, tcp4, four), // no such command
		v2(proxy2, 0x12, four),
		v2(proxy2, tcp4, four[:11]),
		v2(proxy2, tcp6, four),
		v2(proxy2, tcp4, strings.Repeat("x", longest2+1)),
	} {
		if client, err := Read(strings.NewReader(header)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: got %v, %v, want %v", header, client, err, ErrMalformed)
		}
	}
}

func TestHalfAHeaderIsTheReadersError(t *testing.T) {
	for _, header := range []string{"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n", v2(proxy2, tcp4, four)} {
		for n := range header {
			if _, err := Read(strings.NewReader(header[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: got %v, want the end of the stream", header[:n], err)
			}
		}
	}
}

// FuzzRead: whatever comes, at most one header is read, and an address is told only by one.
func FuzzRead(f *testing.F) {
	f.Add("PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n")
	f.Add(v2(proxy2, tcp6, six))
	f.Fuzz(func(t *testing.T, text string) {
		r := strings.NewReader(text)
		client, err := Read(r)
		if used := len(text) - r.Len(); used > len(signature)+4+longest2 {
			t.Errorf("read %d bytes", used)
		}
		if err != nil && client.IsValid() {
			t.Errorf("got %v with %v", client, err)
		}
	})
}
