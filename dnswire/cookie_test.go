package dnswire

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

// unhex returns bytes that are written in hexadecimal.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCookiesAreThoseOfTheStandard has the examples of RFC 9018, appendix A.
func TestCookiesAreThoseOfTheStandard(t *testing.T) {
	for name, c := range map[string]struct {
		secret, cookie, from string
		at                   int64
		want                 string
		valid                bool
	}{
		"A.1, a new one":    {"e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 1559731985, "2464c4abcf10c957010000005cf79f111f8130c3eee29480", false},
		"A.2, the same":     {"e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", "198.51.100.100", 1559732000, "2464c4abcf10c957010000005cf79f111f8130c3eee29480", true},
		"A.3, renewed":      {"e5e973e5a6b2a43f48e7dc849e37bfcf", "fc93fc62807ddb86abcdef015cf78f71a314227b6679ebf5", "203.0.113.203", 1559734700, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", false},
		"A.4, of IPv6, new": {"dd3bdf9344b678b185a6f5cb60fca715", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741817, "22681ab97d52c298010000005cf7c57926556bd0934c72f8", false},
	} {
		var s CookieSecret
		copy(s[:], unhex(t, c.secret))
		got, valid := s.AppendCookie(nil, unhex(t, c.cookie), netip.MustParseAddr(c.from), time.Unix(c.at, 0))
		if hex.EncodeToString(got) != c.want || valid != c.valid {
			t.Errorf("%s: %x, %v; want %s, %v", name, got, valid, c.want, c.valid)
		}
	}
}

func TestCookiesGetOld(t *testing.T) {
	s := CookieSecret{1, 2, 3}
	from, began := netip.MustParseAddr("192.0.2.1"), time.Unix(1_800_000_000, 0)
	first, _ := s.AppendCookie(nil, []byte("client-c"), from, began)
	for _, c := range []struct {
		after        time.Duration
		valid, renew bool
	}{
		{0, true, false},
		{30 * time.Minute, true, false},
		{31 * time.Minute, true, true},
		{time.Hour, true, true},
		{time.Hour + time.Second, false, true},
		{-5 * time.Minute, true, false},
		{-6 * time.Minute, false, true},
	} {
		got, valid := s.AppendCookie(nil, first, from, began.Add(c.after))
		if valid != c.valid || (string(got) != string(first)) != c.renew {
			t.Errorf("after %v: valid %v, renewed %v", c.after, valid, string(got) != string(first))
		}
	}
	other := CookieSecret{4}
	for name, fake := range map[string]func() bool{
		"another secret":  func() bool { _, valid := other.AppendCookie(nil, first, from, began); return valid },
		"another address": func() bool { _, valid := s.AppendCookie(nil, first, from.Next(), began); return valid },
		"another client": func() bool {
			_, valid := s.AppendCookie(nil, append([]byte("CLIENT-C"), first[8:]...), from, began)
			return valid
		},
		"a longer one": func() bool {
			_, valid := s.AppendCookie(nil, append(first[:len(first):len(first)], 0), from, began)
			return valid
		},
	} {
		if fake() {
			t.Errorf("%s counts", name)
		}
	}
}

// TestSipHash has values of the reference implementation, of its key 00 01 … 0f and the messages
// 00, 00 01, ….
func TestSipHash(t *testing.T) {
	var key CookieSecret
	for i := range key {
		key[i] = byte(i)
	}
	var message []byte
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		message = message[:0]
		for i := range n {
			message = append(message, byte(i))
		}
		if got := sipHash(&key, message); got != want {
			t.Errorf("%d bytes: %x, not %x", n, got, want)
		}
	}
}
