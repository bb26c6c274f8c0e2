package announcement

import (
	"bytes"
	"encoding/hex"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/memberlist"

	"tokenring/route"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

// gossipAt returns an address at which a host gossips.
func gossipAt(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 7946)
}

func hostMeta(name string) Metadata {
	return Metadata{Role: HostRole, Spec: route.Spec{Name: name, ID: 7, Address: "10.0.0.1:4000", Weight: 3, Zone: "a"}, Version: "1.0"}
}

func TestMetadataSurvivesTheWire(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, m := range []Metadata{
		hostMeta("ide-1"),
		{Role: HostRole, Spec: route.Spec{Name: "h", Address: "[2001:db8::1]:65535", Weight: 256}, Leaving: true},
		{Role: HostRole, Spec: route.Spec{Name: long, Zone: long, ID: 1<<32 - 1, Address: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", Weight: 1}, Version: long},
		{Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}, Version: "1.0", Digest: long},
		{Role: BalancerRole, Spec: route.Spec{Name: long}, Version: long, Digest: long, Stream: Stream{"[2001:db8:1111:2222:3333:4444:5555:6666]:65535", [32]byte{1, 2}}},
		{Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}, Stream: Stream{":7948", [32]byte{1}}},
		signedMeta("ide-1"),
		drains(hostMeta("ide-1"), time.Time{}),
		drains(signedMeta("ide-1"), t0.Add(time.Hour)),
	} {
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatalf("encode %+v: %v", m, err)
		}
		if len(b) > maxMetadata {
			t.Errorf("%q takes %d bytes, want at most %d", m.Name, len(b), maxMetadata)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("decode %+v: %v", m, err)
		}
		if diff := diffMetadata(m, got); diff != "" {
			t.Errorf("the wire changed it (-want +got):\n%s", diff)
		}
	}
}

// signedMeta returns what a host announces that has signed it.
func signedMeta(name string) Metadata {
	m := hostMeta(name)
	m.Signature = Signature{Key: route.HostKey{1, 2, 3}, Sequence: 1767323045000, Gossip: gossipAt(1)}
	return m
}

// drains returns m with a drain since t0.
func drains(m Metadata, deadline time.Time) Metadata {
	m.Drain = NewDrain(t0, deadline)
	return m
}

func diffMetadata(a, b Metadata) string {
	return cmp.Diff(a, b, cmp.Comparer(func(a, b Signature) bool { return a == b }))
}

func TestMetadataRefusesNonsense(t *testing.T) {
	for what, change := range map[string]func(*Metadata){
		"no name":               func(m *Metadata) { m.Name = "" },
		"slashes in name":       func(m *Metadata) { m.Name = "a/b/c" },
		"virtual member's mark": func(m *Metadata) { m.Name = "a#1" },
		"long name":             func(m *Metadata) { m.Name = strings.Repeat("a", 65) },
		"no role":               func(m *Metadata) { m.Role = 0 },
		"unknown role":          func(m *Metadata) { m.Role = 3 },
		"less than no weight":   func(m *Metadata) { m.Weight = -1 },
		"negative weight":       func(m *Metadata) { m.Weight = -1 },
		"heavy":                 func(m *Metadata) { m.Weight = 257 },
		"no address":            func(m *Metadata) { m.Address = "" },
		"name for address":      func(m *Metadata) { m.Address = "localhost:4000" },
		"port 0":                func(m *Metadata) { m.Address = "10.0.0.1:0" },
		"unspecified":           func(m *Metadata) { m.Address = "0.0.0.0:1" },
		"multicast":             func(m *Metadata) { m.Address = "224.0.0.1:1" },
		"zone in address":       func(m *Metadata) { m.Address = "[fe80::1%eth0]:1" },
		"mapped address":        func(m *Metadata) { m.Address = "[::ffff:10.0.0.1]:1" },
		"other spelling":        func(m *Metadata) { m.Address = "[2001:DB8::1]:1" },
		"control character":     func(m *Metadata) { m.Zone = "a\nb" },
		"long zone":             func(m *Metadata) { m.Zone = strings.Repeat("z", 65) },
		"host with a digest":    func(m *Metadata) { m.Digest = "ab" },
		"balancer with address": func(m *Metadata) { m.Role = BalancerRole },
		"host with a stream":    func(m *Metadata) { m.Stream = Stream{":7948", [32]byte{1}} },
		"balancer that drains": func(m *Metadata) {
			*m = drains(Metadata{Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}}, time.Time{})
		},
		"drain since never":     func(m *Metadata) { m.Drain.Deadline = t0 },
		"drain since too long":  func(m *Metadata) { m.Drain.Since = time.Unix(-1, 0) },
		"drain for ever":        func(m *Metadata) { m.Drain = NewDrain(t0, time.Unix(1<<40, 0)) },
		"signed without key":    func(m *Metadata) { m.Signature = Signature{Sequence: 1, Gossip: gossipAt(1)} },
		"signed without number": func(m *Metadata) { m.Signature = Signature{Key: route.HostKey{1}, Gossip: gossipAt(1)} },
		"signed without gossip": func(m *Metadata) { m.Signature = Signature{Key: route.HostKey{1}, Sequence: 1} },
		"signed for port 0": func(m *Metadata) {
			m.Signature = Signature{Key: route.HostKey{1}, Sequence: 1, Gossip: netip.MustParseAddrPort("10.0.0.1:0")}
		},
	} {
		m := hostMeta("ide-1")
		change(&m)
		if _, err := m.MarshalBinary(); err == nil {
			t.Errorf("%s: encode took it", what)
		}
	}
}

func TestStreamsMustBePossible(t *testing.T) {
	for _, s := range []Stream{
		{Address: ":7948"},
		{Key: [32]byte{1}},
		{"10.0.0.1", [32]byte{1}},
		{":0", [32]byte{1}},
		{":http", [32]byte{1}},
		{"lb-1:7948", [32]byte{1}},
		{"0.0.0.0:7948", [32]byte{1}},
		{"[::]:7948", [32]byte{1}},
		{"[fe80::1%eth0]:7948", [32]byte{1}},
		{"10.0.0.1:07948", [32]byte{1}},
	} {
		m := Metadata{Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}, Stream: s}
		if _, err := m.MarshalBinary(); err == nil {
			t.Errorf("%q: encode took it", s.Address)
		}
	}
}

func TestAStreamIsAtTheGossipsAddressIfItSaysNone(t *testing.T) {
	for at, want := range map[string]string{":7948": "[2001:db8::1]:7948", "10.0.0.1:7948": "10.0.0.1:7948"} {
		if got := (Stream{Address: at}).At(netip.MustParseAddr("2001:db8::1")).Address; got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
}

func TestMetadataRefusesOtherWireForms(t *testing.T) {
	good, err := hostMeta("ide-1").MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := Decode(good[:n]); err == nil {
			t.Errorf("the first %d bytes of %d were enough", n, len(good))
		}
	}
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for what, b := range map[string][]byte{
		"another major version":   changed(0, majorVersion+1),
		"the version before":      changed(0, majorVersion-1),
		"a role that isn't known": changed(2, 9),
		"a short fixed part":      changed(3, fixedSize-1),
		"a fixed part too long":   changed(3, 255),
		"a text cut short":        append(bytes.Clone(good), 3, 'a', 'b'),
		"an address that may not": bytes.Replace(good, []byte("10.0.0.1"), []byte("10.0.0.x"), 1),
		"signed and short":        changed(headSize, flagSigned),
		"drains and short":        changed(headSize, flagDrains),
		"drains since never":      laterForm(t, hostMeta("ide-1"), flagDrains, make([]byte, drainSize)),
		"oversized":               append(bytes.Clone(good), make([]byte, maxMetadata)...),
		"nothing":                 nil,
	} {
		if m, err := Decode(b); err == nil {
			t.Errorf("%s: decoded as %+v", what, m)
		}
	}
}

// laterForm is the wire form of a later minor version: unknown flags, a longer fixed
// part, and more texts.
func laterForm(t testing.TB, m Metadata, flags byte, fixed []byte, texts ...string) []byte {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	later := []byte{majorVersion, minorVersion + 3, b[2], byte(fixedSize + len(fixed)), b[headSize] | flags}
	later = append(later, b[headSize+1:headSize+fixedSize]...)
	later = append(later, fixed...)
	later = append(later, b[headSize+fixedSize:]...)
	for _, text := range texts {
		later = append(append(later, byte(len(text))), text...)
	}
	return later
}

// TestMetadataOfALaterVersionIsReadAsFarAsItIsKnown: so a region is upgraded one process
// at a time, and back.
func TestMetadataOfALaterVersionIsReadAsFarAsItIsKnown(t *testing.T) {
	host, lb := hostMeta("ide-1"), Metadata{Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}, Version: "9.0", Digest: "00ff"}
	leaving := host
	leaving.Leaving = true
	for what, row := range map[string]struct {
		b    []byte
		want Metadata
	}{
		"only a later number":        {laterForm(t, host, 0, nil), host},
		"more flags":                 {laterForm(t, host, 0xf8, nil), host},
		"more flags, and it leaves":  {laterForm(t, leaving, 0xf8, nil), leaving},
		"a longer fixed part":        {laterForm(t, host, 0, make([]byte, 40)), host},
		"more texts":                 {laterForm(t, host, 0, nil, "ed25519:abc", ""), host},
		"a text of any bytes":        {laterForm(t, host, 0, nil, string([]byte{0, 255, '\n'})), host},
		"all of it":                  {laterForm(t, lb, 8, []byte{1, 2}, "x", "y", "z"), lb},
		"a host that has a digest":   {withText(laterForm(t, host, 0, nil), 4, "abc"), host},
		"a balancer that has a zone": {withText(laterForm(t, lb, 0, nil), 3, "b"), lb},
	} {
		got, err := Decode(row.b)
		if diff := diffMetadata(row.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
		}
	}
}

// TestEarlierVersionsPassOverADrain: they don't know the flag, and look for everything else
// where it was.
func TestEarlierVersionsPassOverADrain(t *testing.T) {
	for _, m := range []Metadata{hostMeta("ide-1"), signedMeta("ide-1")} {
		b, err := drains(m, t0.Add(time.Hour)).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		b[headSize] &^= flagDrains // what isn't known isn't looked at
		got, err := Decode(b)
		if diff := diffMetadata(m, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

// withText returns a wire form with another text.
func withText(b []byte, index int, text string) []byte {
	at := headSize + int(b[3])
	for range index {
		at += 1 + int(b[at])
	}
	end := at + 1 + int(b[at])
	return slices.Concat(b[:at], []byte{byte(len(text))}, []byte(text), b[end:])
}

// TestMetadataHasRoomToGrow: memberlist panics beyond its bound.
func TestMetadataHasRoomToGrow(t *testing.T) {
	const most = headSize + fixedSize + signedSize + drainSize + 5 + route.MaxName + route.MaxVersion + route.MaxAddress + route.MaxZone + signatureSize
	if most != 475 || maxMetadata != memberlist.MetaMaxSize || most > maxMetadata {
		t.Errorf("the longest form has %d bytes, and %d are possible; the comment says 475", most, maxMetadata)
	}
	long := strings.Repeat("x", 64)
	m := Metadata{
		Role: HostRole, Version: long, Leaving: true, Drain: NewDrain(t0, t0.Add(time.Hour)),
		Spec: route.Spec{Name: long, Zone: long, ID: 1<<32 - 1, Address: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", Weight: 256},
	}
	b, err := NewIdentity().Sign(m, "test", netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:65535"))
	if want := most - route.MaxAddress + len(m.Address); err != nil || len(b) != want {
		t.Errorf("the longest announcement has %d bytes, %v; want %d", len(b), err, want)
	}
}

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a golden file, or writes that.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "gossip", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestMetadataIsWrittenAsEver: a process of this version is in a region with those of
// others, which must be able to read what it announces.
func TestMetadataIsWrittenAsEver(t *testing.T) {
	leaving := hostMeta("ide-2")
	leaving.Leaving, leaving.Address, leaving.Weight, leaving.ID = true, "[2001:db8::1]:65535", 256, 1<<32-1
	for name, m := range map[string]Metadata{
		"host.hex":            hostMeta("ide-1"),
		"host-leaving.hex":    leaving,
		"host-signed.hex":     signedMeta("ide-1"),
		"host-drain.hex":      drains(hostMeta("ide-1"), time.Time{}),
		"host-deadline.hex":   drains(signedMeta("ide-1"), t0.Add(time.Hour)),
		"host-bare.hex":       {Role: HostRole, Spec: route.Spec{Name: "h", Address: "10.0.0.1:1"}},
		"balancer-stream.hex": {Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}, Version: "1.0", Digest: "0123456789abcdef", Stream: Stream{":7948", [32]byte{1, 2, 3}}},
		"balancer.hex":        {Role: BalancerRole, Spec: route.Spec{Name: "lb-1"}, Version: "1.0", Digest: "0123456789abcdef"},
	} {
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, []byte(hex.Dump(b)))
	}
}

func FuzzMetadata(f *testing.F) {
	for _, m := range []Metadata{hostMeta("ide-1"), signedMeta("ide-1"), drains(signedMeta("ide-1"), t0), {Role: BalancerRole, Spec: route.Spec{Name: "lb"}, Digest: "00ff"}} {
		b, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(bytes.Clone(b), append([]byte{64}, make([]byte, 64)...)...))
		f.Add(laterForm(f, m, 24, []byte{1, 2}, "x", ""))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		form, err := m.MarshalBinary()
		if err != nil {
			t.Fatalf("decoded %+v can't be encoded: %v", m, err)
		}
		if ours := b[1] == minorVersion && b[3] == fixedSize && b[4] <= flagLeaving; ours && m.Role == HostRole && len(form) == len(b) && !bytes.Equal(form, b) {
			t.Errorf("this version has two wire forms for %+v: %x and %x", m, b, form)
		}
		again, err := Decode(form)
		if diff := diffMetadata(m, again); err != nil || diff != "" {
			t.Errorf("%v; the wire changed it (-want +got):\n%s", err, diff)
		}
	})
}
