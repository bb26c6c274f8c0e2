package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/clientcert"
	"tokenring/proxy/fields"
	"tokenring/proxy/hashkey"
	"tokenring/tlsterm"
)

// clientCertificate makes one for a client with a name.
func clientCertificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{mark}}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// asksFor has a lab's listener speak TLS, and ask its clients for one of these certificates; they may
// have none.
func asksFor(t testing.TB, certs ...tls.Certificate) func(*lab) {
	t.Helper()
	certPEM, keyPEM, err := tlsterm.SelfSigned("ide.example")
	if err != nil {
		t.Fatal(err)
	}
	var roots []byte
	for _, c := range certs {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})...)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"ide.crt": certPEM, "ide.key": keyPEM, "clients.pem": roots} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, err := tlsterm.New(tlsterm.Config{Terms: tlsterm.Terms{
		Certificates: []tlsterm.Pair{{Cert: filepath.Join(dir, "ide.crt"), Key: filepath.Join(dir, "ide.key")}},
		ClientCA:     filepath.Join(dir, "clients.pem"), ClientCertificates: tlsterm.ClientsOptional,
	}}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return func(l *lab) { l.listener.TLS, l.listener.HTTP2 = source.TLSConfig(), true }
}

// byCertificate has keys be a part of clients' certificates, or else tokens.
func byCertificate(part string) func(*lab) {
	return func(l *lab) {
		l.cfg.Key = hashkey.Rules{{Source: balancer.KeyCertificate, Name: part}, {Source: balancer.KeyQuery, Name: "token"}}
	}
}

// dialAs connects as a client that speaks HTTP/1.1. It shows a certificate.
func (l *lab) dialAs(how *tls.Config) *wire {
	l.t.Helper()
	nc, err := tls.Dial("tcp", l.addr, how)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { nc.NetConn().Close() })
	return newWire(l.t, nc)
}

func shows(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, Certificates: certs}
}

func TestKeysFromClientsCertificates(t *testing.T) {
	eva := clientCertificate(t, "eva")
	about := clientcert.Of(eva.Leaf)
	for part, key := range map[string]string{balancer.CertificateSubject: string(about.Subject), balancer.CertificateFingerprint: string(about.Fingerprint)} {
		l := start(t, all(asksFor(t, eva), byCertificate(part)), newHost(t, "a"), newHost(t, "b"), newHost(t, "c"))
		want := l.digest(key).String()
		l.dialAs(shows(eva)).send(get("/one?token=" + mark)).want(200)
		l.dialAs(shows()).send(get("/without?token=" + mark)).want(200)
		c := l.h2client()
		c.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{eva}
		for range 2 {
			resp, err := c.Get("https://" + l.addr + "/two")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Proto != "HTTP/2.0" {
				t.Errorf("got %s, %v", resp.Proto, err)
			}
			resp.Body.Close()
		}
		one, two := l.logged("/one"), l.logged("/two")
		if one["key"] != want || two["key"] != want || one["host"] != two["host"] || two["protocol"] != "HTTP/2" {
			t.Errorf("%s: the log says %v and %v, want the key %s", part, one, two, want)
		}
		if rule := "{client_certificate: " + part + "}"; one["key_rule"] != rule || two["key_rule"] != rule {
			t.Errorf("the log has the rules %v and %v, want %s", one["key_rule"], two["key_rule"], rule)
		}
		if e := l.logged("/without"); e["key"] != l.digest(mark).String() || e["key_rule"] != "{query: token}" {
			t.Errorf("%s: without a certificate the log says %v", part, e)
		}
	}
}

// TestAResumedSessionHasTheCertificate that its first handshake has shown, though the client doesn't show
// it again.
func TestAResumedSessionHasTheCertificate(t *testing.T) {
	eva := clientCertificate(t, "eva")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		l := start(t, all(asksFor(t, eva), byCertificate(balancer.CertificateSubject)), newHost(t, "a"), newHost(t, "b"))
		how := shows(eva)
		how.MaxVersion, how.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
		how.ServerName = "ide.example"
		for i, path := range []string{"/first", "/again"} {
			w := l.dialAs(how).send(get(path))
			w.want(200)
			if w.Conn.(*tls.Conn).ConnectionState().DidResume != (i == 1) {
				t.Errorf("TLS %x: resumed at %s is %t", version, path, i == 0)
			}
			if e := l.logged(path); e["key"] != l.digest(string(clientcert.Of(eva.Leaf).Subject)).String() {
				t.Errorf("TLS %x: the log says %v", version, e)
			}
		}
	}
}

// TestAQuietConnectionKeepsItsCertificate while it has no goroutine, and when two newer processes have
// taken it over one after the other.
func TestAQuietConnectionKeepsItsCertificate(t *testing.T) {
	eva := clientCertificate(t, "eva")
	a := newHost(t, "a").on("/ws", accept(echo))
	first := start(t, all(asksFor(t, eva), byCertificate(balancer.CertificateSubject), fronts, lingersShortly), a)
	want := first.digest(string(clientcert.Of(eva.Leaf).Subject))
	w := first.dialAs(shows(eva))
	for _, path := range []string{"/one", "/two"} {
		w.send(get(path)).want(200)
		eventually(t, "the quiet connection", func() bool { return gaugeValue(first, "lb_connections_parked") == 1 })
	}
	second := first.retire().begin(nil, a)
	w.send(get("/three")).want(200)
	third := second.retire().begin(nil, a)
	w.send(get("/four")).want(200)
	for path, l := range map[string]*lab{"/one": first, "/two": first, "/three": second, "/four": third} {
		if e := l.logged(path); e["key"] != want.String() {
			t.Errorf("%s: the log says %v", path, e)
		}
	}
	w.open("/ws", "").ping()
	if host, n := third.p.Session(want); host != "a" || n != 1 {
		t.Errorf("the key has %d terminals on %q", n, host)
	}
}

// TestHostsAreToldTheSubject of the client's certificate, and never what a client says of itself.
func TestHostsAreToldTheSubject(t *testing.T) {
	eva := clientCertificate(t, "eva")
	heads := make(chan *http.Request, 1)
	l := start(t, all(asksFor(t, eva), func(l *lab) {
		l.cfg.Fields = &fields.Config{Request: fields.Changes{Set: fields.Values{{Name: "X-Client-DN", Text: "{client_certificate_subject}"}}}}
	}), newHost(t, "a").on("/page", speaks(heads)).on("/ws", func(w *wire, r *http.Request) bool {
		heads <- r
		return accept(echo)(w, r)
	}))
	forged := "Host: x\r\nx-client-dn: CN=root\r\nX_Client_DN: CN=root\r\n"
	for _, row := range []struct {
		how  *tls.Config
		want []string
	}{{shows(eva), []string{string(clientcert.Of(eva.Leaf).Subject)}}, {shows(), nil}} {
		told := func(by string) {
			h := (<-heads).Header
			if got := h["X-Client-Dn"]; !slices.Equal(got, row.want) || h["X_client_dn"] != nil {
				t.Errorf("%s: the host is told %q and %q, want %q", by, got, h["X_client_dn"], row.want)
			}
		}
		w := l.dialAs(row.how)
		w.send("GET /page HTTP/1.1\r\n" + forged + "\r\n").want(200)
		told("HTTP/1.1")
		w.send(strings.Replace(upgrade("/ws", mark), "Host: ide.example\r\n", forged, 1)).opened()
		told("a terminal")
		c := l.h2client()
		c.Transport.(*http.Transport).TLSClientConfig.Certificates = row.how.Certificates
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+l.addr+"/page", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"X-Client-Dn": {"CN=root"}, "X_Client_DN": {"CN=root"}}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		told(resp.Proto)
	}
}
