package resolver

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func addrs(text string) (all []netip.Addr) {
	for _, ip := range strings.Fields(text) {
		all = append(all, netip.MustParseAddr(ip))
	}
	return all
}

// Each row has the answers of some lookups, the oldest first, and the address after each.
func TestAHostKeepsItsAddressWhileTheNameHasIt(t *testing.T) {
	for name, row := range map[string]struct {
		answers []string
		want    []string
	}{
		"one address":                      {[]string{"10.0.0.1"}, []string{"10.0.0.1"}},
		"the lowest of several":            {[]string{"10.0.0.3 10.0.0.1 10.0.0.2"}, []string{"10.0.0.1"}},
		"IPv4 before IPv6":                 {[]string{"2001:db8::1 10.0.0.9"}, []string{"10.0.0.9"}},
		"IPv4 in IPv6 is IPv4":             {[]string{"::ffff:10.0.0.9"}, []string{"10.0.0.9"}},
		"no host is at 0.0.0.0":            {[]string{"0.0.0.0 :: 224.0.0.1", "0.0.0.0 10.0.0.2"}, []string{"", "10.0.0.2"}},
		"in any order":                     {[]string{"10.0.0.2", "10.0.0.1 10.0.0.2", "10.0.0.2 10.0.0.1"}, []string{"10.0.0.2", "10.0.0.2", "10.0.0.2"}},
		"another address":                  {[]string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.1", "10.0.0.2"}},
		"no answer changes nothing":        {[]string{"10.0.0.1", "", "", "10.0.0.1"}, []string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"}},
		"caches that answer in turn":       {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2"}},
		"a third address is taken at once": {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			var r resolution
			now := time.Unix(1e9, 0)
			for i, answer := range row.answers {
				r, now = r.next(addrs(answer), now), now.Add(lookupEvery)
				got := ""
				if r.current.IsValid() {
					got = r.current.String()
				}
				if got != row.want[i] {
					t.Errorf("after answer %d (%q): at %q, want %q", i, answer, got, row.want[i])
				}
			}
		})
	}
}

func TestAHostReturnsToItsOldAddressOnlyAfterAMinute(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := resolution{}.next(addrs("10.0.0.1"), now).next(addrs("10.0.0.2"), now)
	if r = r.next(addrs("10.0.0.1"), now.Add(returnAfter-1)); r.current.String() != "10.0.0.2" {
		t.Errorf("within %v: at %s, want it still at 10.0.0.2", returnAfter, r.current)
	}
	if r = r.next(addrs("10.0.0.1"), now.Add(returnAfter)); r.current.String() != "10.0.0.1" {
		t.Errorf("after %v: at %s, want it back at 10.0.0.1", returnAfter, r.current)
	}
}
