package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/config"
	"tokenring/tlsterm"
)

// newPair writes a certificate for 127.0.0.1, which is its own authority, and its key.
func newPair(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	certPEM, keyPEM, err := tlsterm.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{name + ".crt": certPEM, name + ".key": keyPEM} {
		file = filepath.Join(dir, file)
		if err := errors.Join(os.WriteFile(file+".new", data, 0o600), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	return pair
}

// startTLSEdge runs a balancer whose hosts speak TLS as tls says.
func startTLSEdge(t *testing.T, dir, host, tls string) (*runningEdge, *Edge) {
	t.Helper()
	text := fmt.Sprintf(`
name: lb-1
listen: [{address: "127.0.0.1:0"}]
pool:
  hosts: [{name: a, address: %q}]
  tls: %s
health: {interval: 200ms, timeout: 200ms, rise: 1, damping: off}
timeouts: {host_idle: 1ms}
admin: {address: "127.0.0.1:0"}
state_dir: state
`, host, tls)
	cfg, err := config.Parse(filepath.Join(dir, "lb.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e, err := open(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	return &runningEdge{t: t, url: "http://" + e.sockets.Clients[0].Addr().String() + "/"}, e
}

// waitForStatus asks until an answer has that status.
func (r *runningEdge) waitForStatus(want int) {
	r.t.Helper()
	got := 0
	for end := time.Now().Add(time.Minute); got != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("got the status %d, want %d", got, want)
		}
		resp, err := http.Get(r.url)
		if err != nil {
			r.t.Fatal(err)
		}
		resp.Body.Close()
		got = resp.StatusCode
	}
}

// TestAHostWithTLSServesAsLongAsItsAuthorityIsTrusted: checks and requests trust the same, and a new
// file of the authority counts without a restart.
func TestAHostWithTLSServesAsLongAsItsAuthorityIsTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, client := newPair(t, dir, "host"), newPair(t, dir, "lb")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 || !slices.Equal(r.TLS.PeerCertificates[0].Raw, client.Certificate[0]) {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	r, e := startTLSEdge(t, dir, srv.Listener.Addr().String(), "{ca: host.crt, cert: lb.crt, key: lb.key}")
	r.waitForStatus(200)
	if alarms := e.problems(); len(alarms) != 0 {
		t.Errorf("alarms: %q", alarms)
	}
	newPair(t, dir, "host") // of another authority
	r.waitForStatus(503)
	checked := func() string { return e.pool.Snapshot().Host("a").CheckError }
	for end := time.Now().Add(time.Minute); !strings.Contains(checked(), "authority that isn't trusted"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("checks fail with %q", checked())
		}
	}
}

func TestHostsThatArentVerifiedAreAnAlarm(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	r, e := startTLSEdge(t, t.TempDir(), srv.Listener.Addr().String(), "{verify: false}")
	r.waitForStatus(200)
	if alarms := e.problems(); len(alarms) != 1 || !strings.HasPrefix(alarms[0], "pool.tls.verify is false") {
		t.Errorf("alarms: %q", alarms)
	}
}
