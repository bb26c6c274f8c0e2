package tlsterm

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/testlog"
)

var nop = zerolog.Nop()

// An authority issues certificates to clients.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{key: newKey("ecdsa")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	a.cert = a.sign(t, template, template, a.key.Public())
	return a
}

func (a *authority) sign(t *testing.T, template, parent *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// client returns a client's certificate for a use.
func (a *authority) client(t *testing.T, use x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key := newKey("ecdsa")
	cert := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "alice"}, ExtKeyUsage: []x509.ExtKeyUsage{use},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.cert, key.Public())
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// roots writes the file of client_ca.
func (a *authority) roots(t *testing.T, file string) {
	write(t, file, encode("CERTIFICATE", a.cert.Raw))
}

func TestClientsShowCertificates(t *testing.T) {
	dir := t.TempDir()
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	file := filepath.Join(dir, "clients.pem")
	ours.roots(t, file)
	p := newPair(t, dir, "a", "ecdsa", "a.example")
	good, foreign := ours.client(t, x509.ExtKeyUsageClientAuth), other.client(t, x509.ExtKeyUsageClientAuth)
	forServers := ours.client(t, x509.ExtKeyUsageServerAuth)
	for _, row := range []struct {
		what, mode string
		certs      []tls.Certificate
		ok         bool
	}{
		{"a good one", "", []tls.Certificate{good}, true},
		{"none", "", nil, false},
		{"none", ClientsRequired, nil, false},
		{"another authority's", "", []tls.Certificate{foreign}, false},
		{"a server's", "", []tls.Certificate{forServers}, false},
		{"a good one", ClientsOptional, []tls.Certificate{good}, true},
		{"none", ClientsOptional, nil, true},
		{"another authority's", ClientsOptional, []tls.Certificate{foreign}, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			s := newSource(t, Config{Terms: Terms{Certificates: []Pair{p}, ClientCA: file, ClientCertificates: row.mode}})
			_, err := shake(s.TLSConfig(), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, Certificates: row.certs, MaxVersion: version})
			if (err == nil) != row.ok {
				t.Errorf("%s, %q, TLS %x: %v", row.what, row.mode, version, err)
			}
		}
	}
	if _, err := New(Config{Terms: Terms{Certificates: []Pair{p}, ClientCertificates: ClientsOptional}}, nop); err == nil {
		t.Error("certificates of clients without roots are accepted")
	}
}

// TestAnotherRootCounts also for a client that resumes its session.
func TestAnotherRootCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		before, after := newAuthority(t, "before"), newAuthority(t, "after")
		file := filepath.Join(dir, "clients.pem")
		before.roots(t, file)
		p := newPair(t, dir, "a", "ecdsa", "a.example")
		cache := tls.NewLRUClientSessionCache(1)
		old := before.client(t, x509.ExtKeyUsageClientAuth)
		client := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, Certificates: []tls.Certificate{old}, ClientSessionCache: cache, MaxVersion: tls.VersionTLS12}
		running(t, Config{Terms: Terms{Certificates: []Pair{p}, ClientCA: file}}, func(s *Source, book *testlog.Buffer) {
			if _, err := shake(s.TLSConfig(), client); err != nil {
				t.Fatal(err)
			}
			if state, err := shake(s.TLSConfig(), client); err != nil || !state.DidResume {
				t.Errorf("resumed is %v: %v", state.DidResume, err)
			}
			write(t, file, []byte("broken"))
			time.Sleep(10 * pollFiles)
			if _, err := shake(s.TLSConfig(), client); err != nil {
				t.Errorf("with a broken file: %v", err)
			}
			if e := s.Expiries()[1]; e.File != file || !strings.Contains(e.Problem, "no certificate in the file") {
				t.Errorf("the problem is %+v", e)
			}
			after.roots(t, file)
			time.Sleep(10 * pollFiles)
			if _, err := shake(s.TLSConfig(), client); err == nil {
				t.Error("the root before still counts")
			}
			client.Certificates = []tls.Certificate{after.client(t, x509.ExtKeyUsageClientAuth)}
			client.ClientSessionCache = nil
			if _, err := shake(s.TLSConfig(), client); err != nil {
				t.Error(err)
			}
			if n := len(s.Expiries()); n != 1 {
				t.Errorf("%d entries, want that of the certificate", n)
			}
		})
	})
}

func TestAnACMEServerNeedsNoCertificate(t *testing.T) {
	dir := t.TempDir()
	ours := newAuthority(t, "ours")
	file := filepath.Join(dir, "clients.pem")
	ours.roots(t, file)
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{newPair(t, dir, "a", "ecdsa", "a.example")}, ClientCA: file}, ACME: testACME(t)})
	for protocol, want := range map[string]string{ChallengeProto: "", "http/1.1": "certificate required"} {
		_, err := shake(s.TLSConfig(), &tls.Config{ServerName: "ide.example.com", InsecureSkipVerify: true, NextProtos: []string{protocol}})
		if got := err != nil && strings.Contains(err.Error(), "certificate required"); got != (want != "") {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

func TestSuitesAreChosen(t *testing.T) {
	p := newPair(t, t.TempDir(), "a", "ecdsa", "a.example")
	const suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
	s := newSource(t, Config{Terms: Terms{Certificates: []Pair{p}, CipherSuites: []string{suite}}})
	client := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
	state, err := shake(s.TLSConfig(), client)
	if err != nil || tls.CipherSuiteName(state.CipherSuite) != suite {
		t.Errorf("got %s: %v", tls.CipherSuiteName(state.CipherSuite), err)
	}
	client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	if _, err := shake(s.TLSConfig(), client); err == nil {
		t.Error("another suite is served")
	}
	for name, want := range map[string]string{
		"TLS_AES_128_GCM_SHA256":       "TLS 1.3",
		"TLS_RSA_WITH_RC4_128_SHA":     "isn't secure",
		"ECDHE-RSA-AES128-GCM-SHA256":  "there is no suite",
		"TLS_RSA_WITH_AES_128_CBC_SHA": "isn't secure",
	} {
		if _, err := ParseSuites([]string{name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
