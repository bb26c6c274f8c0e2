package ctl_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tokenring/ctl"
	"tokenring/tlsterm"
)

// TestTheHealthCheckSpeaksTLSIfTheFileSaysSo: the certificate is for a name by which the
// check doesn't call the endpoint.
func TestTheHealthCheckSpeaksTLSIfTheFileSaysSo(t *testing.T) {
	asked := ""
	endpoint := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.Path }))
	defer endpoint.Close()
	dir := t.TempDir()
	cert, _, err := tlsterm.SelfSigned("lb.internal")
	if err != nil {
		t.Fatal(err)
	}
	yaml := fmt.Sprintf("admin: {address: %q, tls: {cert: admin.crt, key: admin.key}}\n", endpoint.Listener.Addr())
	for name, data := range map[string]string{"lb.yaml": yaml, "admin.crt": string(cert)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := ctl.HealthCheck{Config: filepath.Join(dir, "lb.yaml"), Timeout: 10 * time.Second}
	if err := check.Run(t.Context()); err != nil || asked != "/healthz" {
		t.Errorf("asked for %q: %v", asked, err)
	}
	check.Ready = true
	if err := check.Run(t.Context()); err != nil || asked != "/readyz" {
		t.Errorf("asked for %q: %v", asked, err)
	}
}

func TestTheHealthCheckSaysWhyThereIsNoAnswer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for address, want := range map[string]string{silent.Addr().String(): "within 50ms", gone.Addr().String(): "connection refused"} {
		err := ctl.HealthCheck{URL: "http://" + address + "/healthz", Timeout: 50 * time.Millisecond}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
