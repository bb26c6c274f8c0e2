package edge

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// claimHostTLS: requests and checks speak TLS with hosts, and trust the authority that the line names.
func claimHostTLS(t *testing.T) {
	dir := t.TempDir()
	pair := newPair(t, dir, "host")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Name", tls.VersionName(r.TLS.Version))
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	line := "  server one " + srv.Listener.Addr().String() + " check ssl verify required ca-file " + filepath.Join(dir, "host.crt") + "\n"
	r := runLines(t, cfgLines{back: "  option httpchk", servers: line})
	if !strings.Contains(r.yaml, "tls: {ca: ") {
		t.Errorf("the import has written\n%s", r.yaml)
	}
	r.wait("the host is checked", func() bool { return r.name("/", "") == "TLS 1.3" })
}
