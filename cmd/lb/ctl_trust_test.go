package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/tlsterm"
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

// TestWhoIsntTheNamedOneGetsNoToken: on loopback, too, where a tunnel may end that
// somebody else has taken the port of.
func TestWhoIsntTheNamedOneGetsNoToken(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1) }))
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.StartTLS()
	defer other.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(adminSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	named := sign(t, nil, time.Now().Add(time.Hour), "lb-1.internal").file(t)
	_, port, _ := net.SplitHostPort(other.Listener.Addr().String())
	for _, row := range []struct {
		address string
		more    []string
		code    int
		want    string
		asked   int32
	}{
		{"https://127.0.0.1:" + port, []string{"--ca", named}, exitFailed, "name the certificate", 0},
		{"localhost:" + port, []string{"--ca", named}, exitFailed, "name the certificate", 0},
		{"http://127.0.0.1:" + port, []string{"--ca", named}, exitUsage, "is spoken to in clear", 0},
		{"https://127.0.0.1:" + port, nil, exitFailed, "not as an admin endpoint", 1}, // as in clear
	} {
		asked.Store(0)
		args := append([]string{"ctl", "--address", row.address, "--token-file", token}, row.more...)
		got := runProgram(t.Context(), t, append(args, "status")...)
		if got.code != row.code || !strings.Contains(got.errOut, row.want) || asked.Load() != row.asked {
			t.Errorf("%s %v: exit %d, asked %d times, %s; want %d, %d, %q", row.address, row.more, got.code, asked.Load(), got.errOut, row.code, row.asked, row.want)
		}
	}
}

// TestOperatorsReachAnEndpointThatSpeaksTLS: also when its certificate has gone.
func TestOperatorsReachAnEndpointThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certPEM, keyPEM, err := tlsterm.SelfSigned("lb-1.internal")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"admin.crt": certPEM, "admin.key": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, stop, err := serveRegion(dir, "tls: {cert: admin.crt, key: admin.key}")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	file := filepath.Join(dir, "lb.yaml")
	status := func() output { return runProgram(t.Context(), t, "ctl", "-c", file, "status") }
	if got := status(); got.code != exitOK || !strings.Contains(got.out, "certificate  lb-1.internal: until ") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.errOut)
	}
	renewed, renewedKey, err := tlsterm.SelfSigned("lb-1.internal", "lb-1.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "admin.crt"), renewed, 0o600), os.WriteFile(filepath.Join(dir, "admin.key"), renewedKey, 0o600)); err != nil {
		t.Fatal(err)
	}
	for wait := time.Now().Add(10 * time.Second); !strings.Contains(status().out, "lb-1.example.com"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(wait) {
			t.Fatal("the endpoint's certificate isn't read again")
		}
	}
	if err := os.Remove(filepath.Join(dir, "admin.crt")); err != nil {
		t.Fatal(err)
	}
	if got := status(); got.code != exitOK {
		t.Errorf("without the certificate's file: exit %d, %s", got.code, got.errOut)
	}
}

// TestCtlReadsOnlyWhatItNeeds: an operator has to get at a running balancer also
// when the rest of its file, or what that names, is in disorder.
func TestCtlReadsOnlyWhatItNeeds(t *testing.T) {
	dir := t.TempDir()
	_, stop, err := serveRegion(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	file := filepath.Join(dir, "lb.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "tls: {certificates: [{cert: gone.crt, key: gone.key}]}\nlistne: 7\n"...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runProgram(t.Context(), t, "check", "-c", file); got.code != exitUsage {
		t.Fatalf("the file isn't wrong: %s", got.out)
	}
	if got := runProgram(t.Context(), t, "ctl", "-c", file, "hosts"); got.code != exitOK || !strings.Contains(got.out, "ide-1") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.errOut)
	}
}

func TestTheWrongSchemeIsNamed(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	plain, secured := httptest.NewServer(answer), httptest.NewUnstartedServer(answer)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	defer plain.Close()
	defer secured.Close()
	for address, want := range map[string]string{
		strings.Replace(plain.URL, "http:", "https:", 1):   "speaks no TLS; write http://",
		strings.Replace(secured.URL, "https:", "http:", 1): "speaks TLS; write https://",
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(adminSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := runProgram(t.Context(), t, "ctl", "--address", address, "--token-file", file, "status"); got.code != exitFailed || !strings.Contains(got.errOut, want) {
			t.Errorf("%s: exit %d, %s; want %q", address, got.code, got.errOut, want)
		}
	}
	if got := runProgram(t.Context(), t, "ctl", "--address", plain.URL, "--token-file", "none", "--ca", "none", "status"); got.code != exitUsage {
		t.Errorf("no such files: exit %d", got.code)
	}
}
