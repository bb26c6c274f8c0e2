package tlsterm

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"testing"

	"github.com/rs/zerolog"
)

func newSource(t testing.TB, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCertificateIsChosenByName(t *testing.T) {
	dir := t.TempDir()
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{
		newPair(t, dir, "default", "ecdsa", "default.example.org"),
		newPair(t, dir, "exact", "ecdsa", "ide.example.com", "IDE2.example.com"),
		newPair(t, dir, "wild", "ecdsa", "*.example.com"),
	}}})
	for name, want := range map[string]string{
		"ide.example.com":     "exact",
		"IDE.Example.COM":     "exact",
		"ide2.example.com":    "exact",
		"other.example.com":   "wild",
		"a.other.example.com": "default", // a wildcard is one label deep
		"example.com":         "default", // and no label less
		"default.example.org": "default",
		"elsewhere.net":       "default",
		"com":                 "default",
		"":                    "default",
	} {
		leaf := leafOf(t, dir+"/"+want+".crt")
		if got := seenBy(t, s, name); !got.Equal(leaf) {
			t.Errorf("%q: got the certificate for %v, want %s", name, got.DNSNames, want)
		}
	}
}

func TestKindOfKeyFollowsTheClient(t *testing.T) {
	dir := t.TempDir()
	// The RSA pair comes first: order in the file decides within a kind only.
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{
		newPair(t, dir, "rsa", "rsa", "ide.example.com"),
		newPair(t, dir, "ecdsa", "ecdsa", "ide.example.com"),
	}}})
	onlyRSA := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for _, row := range []struct {
		what   string
		client *tls.Config
		want   string
	}{
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, "ecdsa"},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, "ecdsa"},
		{"TLS 1.2 with RSA only", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: onlyRSA}, "rsa"},
	} {
		for _, name := range []string{"ide.example.com", "unknown.example.com"} {
			row.client.ServerName, row.client.InsecureSkipVerify = name, true
			state, err := shake(s.TLSConfig(), row.client)
			if err != nil {
				t.Errorf("%s, %s: %v", row.what, name, err)
				continue
			}
			got := "neither"
			switch state.PeerCertificates[0].PublicKey.(type) {
			case *ecdsa.PublicKey:
				got = "ecdsa"
			case *rsa.PublicKey:
				got = "rsa"
			}
			if got != row.want {
				t.Errorf("%s, %s: got %s, want %s", row.what, name, got, row.want)
			}
		}
	}
}

func TestClientThatSupportsNothingGetsAnAlert(t *testing.T) {
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")}}})
	client := &tls.Config{
		ServerName: "ide.example.com", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	}
	if _, err := shake(s.TLSConfig(), client); err == nil {
		t.Error("the handshake went through")
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	p := newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")
	for _, row := range []struct {
		min    string
		client uint16 // the highest it speaks
		ok     bool
	}{
		{"", tls.VersionTLS13, true},
		{"", tls.VersionTLS12, true},
		{"", tls.VersionTLS11, false},
		{"1.2", tls.VersionTLS12, true},
		{"1.3", tls.VersionTLS13, true},
		{"1.3", tls.VersionTLS12, false},
	} {
		s := newSource(t, Config{Terms: Terms{Certificates: []Pair{p}, MinVersion: row.min}})
		client := &tls.Config{
			ServerName: "ide.example.com", InsecureSkipVerify: true,
			MinVersion: tls.VersionTLS10, MaxVersion: row.client, NextProtos: []string{"h2", "http/1.1"},
		}
		state, err := shake(s.TLSConfig(), client)
		if (err == nil) != row.ok {
			t.Errorf("min_version %q, client %x: %v", row.min, row.client, err)
		}
		if err == nil && state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("agreed on %q", state.NegotiatedProtocol)
		}
	}
}

func TestFindDoesNotAllocateMuch(t *testing.T) {
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{newPair(t, t.TempDir(), "a", "ecdsa", "ide.example.com")}}})
	hello := &tls.ClientHelloInfo{
		ServerName: "ide.example.com", SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
	table := s.table.Load()
	if n := testing.AllocsPerRun(100, func() { table.find(hello) }); n > 10 {
		t.Errorf("%v allocations for one handshake's certificate", n)
	}
}

func BenchmarkFind(b *testing.B) {
	s := newSource(b, Config{Terms: Terms{Certificates: []Pair{newPair(b, b.TempDir(), "a", "ecdsa", "ide.example.com")}}})
	hello := &tls.ClientHelloInfo{
		ServerName: "ide.example.com", SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
	for b.Loop() {
		s.table.Load().find(hello)
	}
}
