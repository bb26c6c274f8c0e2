package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// TestAListenerHasItsOwnTerms: one listener shows a certificate of a directory, for its name
// alone, and wants one of its clients; the other one has the section tls.
func TestAListenerHasItsOwnTerms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, name := range map[string]string{"all.pem": "all.example", "certs/staff.pem": "staff.example"} {
		cert, key, err := tlsterm.SelfSigned(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), append(cert, key...), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	client := selfSignedClient(t, filepath.Join(dir, "clients.pem"))
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(host.Close)
	e, err := open(parsed(t, dir, strings.ReplaceAll(`
listen:
  - {address: "127.0.0.1:0", tls: true}
  - {address: "localhost:0", tls: true, own_tls: {directory: certs, strict_sni: true, client_ca: clients.pem}}
  - {address: "127.0.0.2:0", tls: true, own_tls: {directory: certs}}
tls: {certificates: [{cert: all.pem, key: all.pem}]}
health: {interval: 1s, timeout: 1s}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
pool: {hosts: [{name: a, address: "HOST"}]}
`, "HOST", host.Listener.Addr().String())), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	<-e.pool.Ready()
	if all := e.certificates.expiries(); len(all) != 2 {
		t.Errorf("two files have certificates, and %v are shown", all)
	}
	for _, row := range []struct {
		listener int
		name     string
		certs    []tls.Certificate
		want     string // the name of the certificate; "" for an error
	}{
		{0, "all.example", nil, "all.example"},
		{0, "staff.example", nil, "all.example"},
		{1, "staff.example", []tls.Certificate{client}, "staff.example"},
		{1, "staff.example", nil, ""},
		{1, "all.example", []tls.Certificate{client}, ""},
	} {
		got := certificateOf(t, e.sockets.Clients[row.listener].Addr(), &tls.Config{ServerName: row.name, InsecureSkipVerify: true, Certificates: row.certs})
		if got != row.want {
			t.Errorf("listener %d for %s with %d certificates: got %q, want %q", row.listener, row.name, len(row.certs), got, row.want)
		}
	}
}

// selfSignedClient returns a client's certificate that is its own root, which it writes to a file.
func selfSignedClient(t *testing.T, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err == nil {
		err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}
}

// certificateOf returns the name of the certificate with which a request is answered, "" if it
// isn't.
func certificateOf(t *testing.T, at net.Addr, cfg *tls.Config) string {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("https://" + at.String() + "/?token=a")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "hello" {
		t.Errorf("got %d %q: %v", answer.StatusCode, text, err)
	}
	return answer.TLS.PeerCertificates[0].DNSNames[0]
}
