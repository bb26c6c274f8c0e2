//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a client sends wrong, each with the token somewhere in it.
var mistakes = []string{
	"GET /whoami?token=%s HTTP/1.1\r\n\r\n",                                                           // no Host
	"GET /whoami?token=%s HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",                                     // two of them
	"GET /whoami?token=%s HTTP/9.9\r\nHost: a\r\n\r\n",                                                // no such version
	"GET /whoami%%3Ftoken=%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",                        // in the path
	"GET /%s HTTP/1.1\r\nHost: a\r\n b: folded\r\n\r\n",                                               // a folded line
	"POST /upload?token=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",  // smuggling
	"POST /upload?token=%s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",           // no chunk
	"GET /environment/websocket?token=%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",            // no handshake
	"GET /blob?bytes=many&token=%s HTTP/1.1\r\nHost: a\r\nReferer: https://a/?token=%[1]s\r\n\r\n",    // the host refuses it
	"%s / HTTP/1.1\r\nHost: a\r\n\r\n",                                                                // as the method
	"GET /whoami?token=%s HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %[1]s\r\nConnection: close\r\n\r\n", // as an address
	"GET http://user:%s@a/whoami?token=%[1]s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",        // as a password
	"GET /whoami?token=%s HTTP/1.1\r\nHost: a\r\nX-Request-Id: %[1]s\r\nConnection: close\r\n\r\n",    // as an id
	"GET /whoami?token=%s&pad=" + strings.Repeat("x", 20_000) + " HTTP/1.1\r\nHost: a\r\n\r\n",        // a long line
}

func TestTheTokenIsInNoLogWhateverGoesWrong(t *testing.T) {
	r := enter(t)
	for _, lb := range r.lbs {
		for _, mistake := range mistakes {
			lb.shout(t, fmt.Sprintf(mistake, tokens[0]))
		}
		terminals := lb.open(t, tokens[0])
		hangUp(terminals) // rudely
	}
	r.overrideAll(t, "maint") // no host can serve
	for _, lb := range r.lbs {
		if host, err := lb.whoami(tokens[0]); err == nil {
			t.Errorf("%s answers from %s with all hosts in maintenance", lb.name, host)
		}
	}
	r.overrideAll(t, "ready")
}

// shout sends bytes over TLS and reads what comes until the end.
func (lb *balancer) shout(t *testing.T, words string) {
	t.Helper()
	config := lb.client.Transport.(*http.Transport).TLSClientConfig
	conn, err := tls.Dial("tcp", lb.address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, words) // the balancer may have closed already
	_ = conn.CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

func (r *region) overrideAll(t *testing.T, state string) {
	t.Helper()
	for host := range hosts {
		if err := r.lbs[0].decide(host, state, "a test"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all balancers know", func() error {
		for host := range hosts {
			if h, err := r.lbs[1].host(host); err != nil || h.State != state {
				return fmt.Errorf("%s is %q, %v", host, h.State, err)
			}
		}
		return nil
	})
}

// tokensAreInNoLog fails the test if a token stands in what a container has
// written or an admin endpoint shows. That it looks in the right place is shown
// by the token's digest, which must be there.
func (r *region) tokensAreInNoLog(t *testing.T) {
	t.Helper()
	for _, service := range slices.Concat([]string{"lb-1", "lb-2", fourth}, slices.Sorted(maps.Keys(hosts))) {
		if id := r.container(t, service); id != "" {
			mustNotTell(t, "the log of "+service, logs(t, id))
		}
	}
	for _, lb := range r.lbs {
		digest, err := lb.digest(tokens[0])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(logs(t, r.container(t, lb.name)), []byte(digest)) {
			t.Errorf("the log of %s has no line about %s", lb.name, digest)
		}
		for _, path := range []string{"/metrics", "/v1/hosts", "/v1/status", "/v1/ring"} {
			mustNotTell(t, lb.name+path, lb.page(t, path))
		}
	}
}

func mustNotTell(t *testing.T, where string, what []byte) {
	t.Helper()
	if len(what) == 0 {
		t.Errorf("%s is empty", where)
	}
	if i := bytes.Index(what, []byte(marker)); i >= 0 {
		t.Errorf("%s holds a token: …%s…", where, what[max(0, i-100):min(len(what), i+40)])
	}
}

// logs returns all that a container has written since it was made.
func logs(t *testing.T, id string) []byte {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "docker", "logs", id).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// page returns what the admin endpoint shows at path.
func (lb *balancer) page(t *testing.T, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), "GET", "https://"+lb.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+lb.token)
	resp, err := lb.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return page
}
