package netaddr

import (
	"net/netip"
	"testing"
)

func TestSourcesAreAddressesOrNetworks(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.7:1111":                 "10.0.0.7/32",
		"[::ffff:10.0.0.7]:1":           "10.0.0.7/32",
		"[2001:db8::1:2:3:4]:1":         "2001:db8::/64",
		"[2001:db8:0:1:ffff::1%eth0]:1": "2001:db8:0:1::/64",
		"[fe80::1%eth0]:1":              "fe80::/64",
		"@":                             "invalid Prefix",
	} {
		if got := SourceOf(remote).String(); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}

func TestClientsAreShownAsNetworks(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "192.0.2.77:4711": "192.0.2.0/24", "::ffff:192.0.2.77": "192.0.2.0/24", "[::ffff:192.0.2.77]:1": "192.0.2.0/24",
		"2001:db8:1:2:3::4": "2001:db8:1::/48", "[2001:db8:1:2:3::4]:5": "2001:db8:1::/48", "fe80::1%eth0": "fe80::/48",
		"": "", "@": "", "ide-1:80": "",
	} {
		if got := Shown(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}

func TestParseTakesAddressesOfSocketsOnly(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.7:1111":       "10.0.0.7",
		"[::ffff:10.0.0.7]:1": "10.0.0.7",
		"[fe80::1%eth0]:1":    "fe80::1",
		"10.0.0.7":            "",
		"localhost:80":        "",
		"@":                   "",
		"pipe":                "",
	} {
		got, ok := Parse(remote)
		if ok != (want != "") || ok && got != netip.MustParseAddr(want) {
			t.Errorf("%s: got %v, %t, want %q", remote, got, ok, want)
		}
	}
}
