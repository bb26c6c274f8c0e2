package ctl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A signed is a certificate with its key.
type signed struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// sign returns a certificate for a name and an address, by an issuer, or by itself if
// that is nil.
func sign(t *testing.T, issuer *signed, end time.Time, name string) *signed {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 2)},
		NotBefore: end.Add(-48 * time.Hour), NotAfter: end, IsCA: issuer == nil, BasicConstraintsValid: true,
	}
	by, with := about, key
	if issuer != nil {
		by, with = issuer.Certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, about, by, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signed{c, key}
}

// file writes c where --ca can find it.
func (c *signed) file(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAnEndpointIsKnownByItsCertificateOrItsAuthority(t *testing.T) {
	later := time.Now().Add(time.Hour)
	authority := sign(t, nil, later, "an authority")
	good := sign(t, authority, later, "lb-1.internal")
	expired := sign(t, nil, time.Now().Add(-time.Hour), "lb-1.internal")
	none := filepath.Join(t.TempDir(), "none.crt")
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, []byte("no certificate\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, url, ca string
		leaf          *signed
		want          string // "" if it is trusted
	}{
		{"under the named authority", "https://lb-1.internal:7000", authority.file(t), good, ""},
		{"by its address", "https://10.0.0.2:7000", authority.file(t), good, ""},
		{"for another name", "https://lb-2.internal:7000", authority.file(t), good, "lb-2.internal"},
		{"for another address", "https://10.0.0.3:7000", authority.file(t), good, "10.0.0.3"},
		{"the named one itself, for another name", "https://lb-2.internal:7000", good.file(t), good, ""},
		{"the named one itself, expired", "https://lb-1.internal:7000", expired.file(t), expired, ""},
		{"another one than the named", "https://lb-1.internal:7000", expired.file(t), good, "unknown authority"},
		{"nothing is named", "https://lb-1.internal:7000", "", good, "unknown authority"},
		{"the file is gone", "https://lb-1.internal:7000", none, good, "none.crt"},
		{"the file holds none", "https://lb-1.internal:7000", empty, good, "there is no certificate in it"},
	} {
		u, err := url.Parse(row.url)
		if err != nil {
			t.Fatal(err)
		}
		err = newTrust(u.Hostname(), row.ca).verify([]*x509.Certificate{row.leaf.Certificate, authority.Certificate})
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.name, err, row.want)
		}
	}
}
