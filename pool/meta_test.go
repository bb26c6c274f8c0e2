package pool

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func hostMeta(name string) meta {
	return meta{Role: roleHost, Name: name, Version: "1.0", ID: 7, Address: "10.0.0.1:4000", Weight: 3, Zone: "a"}
}

func TestMetaSurvivesTheWire(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, m := range []meta{
		hostMeta("ide-1"),
		{Role: roleHost, Name: "h", Address: "[2001:db8::1]:65535", Weight: 256, Leaving: true},
		{Role: roleHost, Name: long, Version: long, Zone: long, ID: 1<<32 - 1, Address: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", Weight: 1},
		{Role: roleLB, Name: "lb-1", Version: "1.0", Digest: long},
	} {
		b, err := m.encode()
		if err != nil {
			t.Fatalf("encode %+v: %v", m, err)
		}
		if len(b) > maxMeta {
			t.Errorf("%q takes %d bytes, want at most %d", m.Name, len(b), maxMeta)
		}
		got, err := decodeMeta(b)
		if err != nil {
			t.Fatalf("decode %+v: %v", m, err)
		}
		if diff := cmp.Diff(m, got); diff != "" {
			t.Errorf("the wire changed it (-want +got):\n%s", diff)
		}
	}
}

func TestMetaRefusesNonsense(t *testing.T) {
	for what, change := range map[string]func(*meta){
		"no name":               func(m *meta) { m.Name = "" },
		"slash in name":         func(m *meta) { m.Name = "a/b" },
		"virtual member's mark": func(m *meta) { m.Name = "a#1" },
		"long name":             func(m *meta) { m.Name = strings.Repeat("a", 65) },
		"no role":               func(m *meta) { m.Role = 0 },
		"unknown role":          func(m *meta) { m.Role = 3 },
		"less than no weight":   func(m *meta) { m.Weight = -1 },
		"negative weight":       func(m *meta) { m.Weight = -1 },
		"heavy":                 func(m *meta) { m.Weight = 257 },
		"no address":            func(m *meta) { m.Address = "" },
		"name for address":      func(m *meta) { m.Address = "localhost:4000" },
		"port 0":                func(m *meta) { m.Address = "10.0.0.1:0" },
		"unspecified":           func(m *meta) { m.Address = "0.0.0.0:1" },
		"multicast":             func(m *meta) { m.Address = "224.0.0.1:1" },
		"zone in address":       func(m *meta) { m.Address = "[fe80::1%eth0]:1" },
		"mapped address":        func(m *meta) { m.Address = "[::ffff:10.0.0.1]:1" },
		"other spelling":        func(m *meta) { m.Address = "[2001:DB8::1]:1" },
		"control character":     func(m *meta) { m.Zone = "a\nb" },
		"long zone":             func(m *meta) { m.Zone = strings.Repeat("z", 65) },
		"host with a digest":    func(m *meta) { m.Digest = "ab" },
		"balancer with address": func(m *meta) { m.Role = roleLB },
	} {
		m := hostMeta("ide-1")
		change(&m)
		if _, err := m.encode(); err == nil {
			t.Errorf("%s: encode took it", what)
		}
	}
}

func TestMetaRefusesOtherWireForms(t *testing.T) {
	good, err := hostMeta("ide-1").encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := decodeMeta(good[:n]); err == nil {
			t.Errorf("the first %d bytes of %d were enough", n, len(good))
		}
	}
	for what, b := range map[string][]byte{
		"bytes at the end": append(append([]byte{}, good...), 0),
		"next version":     append([]byte{2}, good[1:]...),
		"unknown flag":     append([]byte{good[0], good[1], 2}, good[3:]...),
		"oversized":        make([]byte, 513),
		"nothing":          nil,
	} {
		if _, err := decodeMeta(b); err == nil {
			t.Errorf("%s: decoded", what)
		}
	}
}

func FuzzMeta(f *testing.F) {
	for _, m := range []meta{hostMeta("ide-1"), {Role: roleLB, Name: "lb", Digest: "00ff"}} {
		b, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatalf("decoded %+v can't be encoded: %v", m, err)
		}
		if diff := cmp.Diff(b, again); diff != "" {
			t.Errorf("two wire forms for %+v (-in +out):\n%s", m, diff)
		}
	})
}
