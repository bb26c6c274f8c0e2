package dnswire

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestNamesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		".":                      ".",
		"Example.COM":            "example.com.",
		"example.com.":           "example.com.",
		`a\.b.example`:           `a\.b.example.`,
		`a\032b\\.example`:       `a\032b\\.example.`,
		`\065.example`:           "a.example.",
		strings.Repeat("x", 63):  strings.Repeat("x", 63) + ".",
		"a." + long(251):         "a." + long(251) + ".",
		"_acme-challenge.a.test": "_acme-challenge.a.test.",
	} {
		n, err := ParseName(text)
		if err != nil || n.String() != want {
			t.Errorf("%s: %s, %v", text, n, err)
		}
	}
	for text, want := range map[string]string{
		"":                      "empty",
		"..":                    "empty label",
		"a..b":                  "empty label",
		".a":                    "empty label",
		strings.Repeat("x", 64): "more than 63 bytes",
		"ab." + long(251):       "too long",
		`a\`:                    "backslash",
		`a\1`:                   "three digits",
		`a\256`:                 "above 255",
	} {
		if n, err := ParseName(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", text, n, err)
		}
	}
}

// long returns a name of n characters without the dot at its end.
func long(n int) string {
	return strings.Repeat("xxxxxxxxx.", n/10) + strings.Repeat("y", n%10)
}

func TestNamesAreInTheirZones(t *testing.T) {
	zone := named(t, "example.com")
	for text, want := range map[string]bool{
		"example.com": true, "a.example.com": true, "a.b.example.com": true,
		".": false, "com": false, "badexample.com": false, "example.com.a": false, "example.net": false,
	} {
		if got := named(t, text).IsIn(zone); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !named(t, "a").IsIn(Root) || !Root.IsIn(Root) || Root.Parent() != Root {
		t.Error("the root has all names")
	}
	for label, want := range map[string]string{"@": "example.com.", "www": "www.example.com.", "a.b": "a.b.example.com.", `a\.`: `a\..example.com.`} {
		if n, err := zone.Under(label); err != nil || n.String() != want {
			t.Errorf("%s: %s, %v", label, n, err)
		}
	}
	for _, label := range []string{"", "a.", ".", long(250)} {
		if n, err := zone.Under(label); err == nil {
			t.Errorf("%s: %s", label, n)
		}
	}
}

// FuzzNames: what is read is written so that it, and the reference implementation, read the same.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"www.example.com", `a\.b.c`, `\000.a`, `"x".b`, ".", "a b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseName(text)
		if err != nil {
			return
		}
		again, err := ParseName(n.String())
		if err != nil || again != n {
			t.Fatalf("%q is %q, and then %q, %v", text, n, again, err)
		}
		wire := make([]byte, 300)
		end, err := dns.PackDomainName(n.String(), wire, 0, nil, false)
		if err != nil || string(wire[:end]) != string(n) {
			t.Fatalf("%s is % x, not % x, %v", n, string(n), wire[:end], err)
		}
	})
}
