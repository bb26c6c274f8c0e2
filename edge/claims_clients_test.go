package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/tlsterm"
)

// claimClients: clients must show what the bind lines ask for, each at its own address, and are shown the
// certificates of the directory.
func claimClients(t *testing.T) {
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o700); err != nil {
		t.Fatal(err)
	}
	cert, key, err := tlsterm.SelfSigned("more.example.com")
	if err == nil {
		err = os.WriteFile(filepath.Join(certs, "more.pem"), append(cert, key...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ours := selfSignedClient(t, filepath.Join(dir, "ours.pem"))
	others := selfSignedClient(t, filepath.Join(dir, "others.pem"))
	ca := " ca-file " + filepath.Join(dir, "ours.pem")
	const named = "ide.example.com"
	for _, row := range []struct {
		options, name string
		with          []tls.Certificate
		ok            bool
	}{
		{"strict-sni", named, nil, true},
		{"strict-sni", "", nil, false},
		{"verify required" + ca, "", nil, false},
		{"verify required" + ca, "", []tls.Certificate{ours}, true},
		{"verify required" + ca, "", []tls.Certificate{others}, false},
		{"verify required crt-ignore-err all" + ca, "", []tls.Certificate{others}, false},
		{"verify optional" + ca, "", nil, true},
		{"verify optional" + ca, "", []tls.Certificate{others}, false},
		{"verify required ca-file @system-ca", "", nil, true},
		{"verify none" + ca, "", nil, true},
	} {
		for _, second := range []string{"", "\n  bind 127.0.0.1:3 ssl crt /ide.pem"} {
			r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2 ssl crt /ide.pem crt " + certs + " " + row.options + second, servers: hostsNamed(t, "one")})
			_, err := r.shake(&tls.Config{ServerName: row.name, Certificates: row.with, MaxVersion: tls.VersionTLS12})
			if (err == nil) != row.ok {
				t.Errorf("%s: a client that names %q, with %d certificates: %v", row.options, row.name, len(row.with), err)
			}
			if second == "" {
				continue
			}
			if state, err := r.shakeAt(2, &tls.Config{}); err != nil || state.PeerCertificates[0].VerifyHostname(named) != nil {
				t.Errorf("%s: the other address: %v", row.options, err)
			}
		}
	}
	r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2 ssl crt " + certs + " crt /ide.pem", servers: hostsNamed(t, "one")})
	for name, want := range map[string]string{"more.example.com": "more.example.com", "": named} {
		state, err := r.shake(&tls.Config{ServerName: name})
		if err != nil || state.PeerCertificates[0].VerifyHostname(want) != nil {
			t.Errorf("a client that names %q isn't shown %s: %v", name, want, err)
		}
	}
}

// namedClient makes a certificate for a client with a name, and writes it to a file of roots.
func namedClient(t *testing.T, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{Country: []string{"DE"}, CommonName: "eva"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err == nil {
		err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// claimCertificates: requests of one subject have one key, which is the subject as RFC 4514 writes it, and
// hosts are told it in the field that the rule sets.
func claimCertificates(t *testing.T) {
	dir := t.TempDir()
	eva := namedClient(t, filepath.Join(dir, "eva.pem"))
	const subject = "CN=eva,C=DE"
	told := make(chan string, 100)
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			told <- r.Header.Get("X-Client-Dn")
		}
	}))
	t.Cleanup(host.Close)
	for _, fetch := range []string{"ssl_c_s_dn", "ssl_c_s_dn(,0,rfc2253)"} {
		r := runLines(t, cfgLines{
			front:   "  bind 127.0.0.1:2 ssl crt /ide.pem verify optional ca-file " + filepath.Join(dir, "eva.pem") + "\n  http-request set-header X-Client-DN %[ssl_c_s_dn(,0,rfc2253)]",
			back:    "  balance hash " + fetch,
			servers: "  server one " + host.Listener.Addr().String() + "\n",
		})
		if !slices.Equal(r.cfg.Hash.Key, []balancer.KeyRule{{Source: balancer.KeyCertificate, Name: balancer.CertificateSubject}}) {
			t.Fatalf("%s: the key is %v", fetch, r.cfg.Hash.Key)
		}
		for _, certs := range [][]tls.Certificate{{eva}, {eva}, nil} {
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}
			resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get("https://" + r.at[1] + "/page")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			transport.CloseIdleConnections()
			want := ""
			if certs != nil {
				want = subject
			}
			if got := <-told; got != want {
				t.Errorf("%s: the host is told %q, want %q", fetch, got, want)
			}
		}
		key := `"key":"` + r.edge.digester.Digest([]byte(subject)).String() + `","key_rule":"{client_certificate: subject}"`
		r.wait("both lines of the subject", func() bool { return strings.Count(r.access.String(), key) == 2 })
	}
}
