package ctl

import (
	"strings"
	"testing"
)

func TestAddressesOfAdminEndpoints(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.2:7000":           "https://10.0.0.2:7000",
		"lb.internal:7000":        "https://lb.internal:7000",
		"127.0.0.1:7000":          "http://127.0.0.1:7000",
		"[::1]:7000":              "http://[::1]:7000",
		"localhost:7000":          "http://localhost:7000",
		"localhost.evil.com:7000": "https://localhost.evil.com:7000",
		"127.0.0.1.evil.com:7000": "https://127.0.0.1.evil.com:7000",
		"http://10.0.0.2:7000/":   "http://10.0.0.2:7000",
		"https://lb.internal/api": "https://lb.internal/api",
		"ftp://lb.internal":       "no address of an admin endpoint",
		"http://":                 "no address of an admin endpoint",
		"http://a:hidden@lb:7000": "belongs in --token-file",
		"http://lb:7000?a=hidden": "belongs in --token-file",
		"http://lb:70 00/hidden":  "no address of an admin endpoint",
	} {
		got := ""
		if u, err := baseURL(address, ""); err != nil {
			got = err.Error()
		} else {
			got = u.String()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "hidden") {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	if u, err := baseURL("127.0.0.1:7000", "ca.crt"); err != nil || u.String() != "https://127.0.0.1:7000" {
		t.Errorf("with a certificate: got %v, %v; want TLS", u, err)
	}
	for address, want := range map[string]string{
		":7000": "127.0.0.1:7000", "0.0.0.0:7000": "127.0.0.1:7000", "[::]:7000": "[::1]:7000",
		"10.0.0.2:7000": "10.0.0.2:7000", "lb.internal:7000": "lb.internal:7000", "[fe80::1%eth0]:7000": "[fe80::1%25eth0]:7000",
	} {
		got := reachable(address)
		if _, err := baseURL(got, ""); got != want || err != nil {
			t.Errorf("%s: reached at %s, want %s; %v", address, got, want, err)
		}
	}
}
