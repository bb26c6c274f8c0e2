//go:build integration

package hashing

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tokenring/tlsterm"
)

// TestHAProxyTakesWhatSendProxySends has lb between two HAProxies: one whose binds have accept-proxy, with
// and without TLS, stands for the hosts of two pools, and says whom it takes for the client; one with
// send-proxy-v2 is in front. All have to agree on the client's address and port, and on lb's address; checks have to
// pass.
func TestHAProxyTakesWhatSendProxySends(t *testing.T) {
	if out, err := exec.Command("haproxy", "-v").CombinedOutput(); err != nil {
		t.Fatalf("haproxy -v: %v: install Debian's haproxy\n%s", err, out)
	}
	p := &place{t: t, dir: t.TempDir(), binary: built(t), name: "lb.yaml"}
	cert, key, err := tlsterm.SelfSigned("host.internal")
	if err != nil {
		t.Fatal(err)
	}
	pair, root := p.write("host.pem", append(append([]byte(nil), cert...), key...)), p.write("root.pem", cert)
	hosts, front, balancer, admin := ownLoopback(), ownLoopback(), ownLoopback(), ownLoopback()+":17000"
	said := p.start("haproxy", "-db", "-f", p.write("haproxy.cfg", fmt.Appendf(nil, `defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend host
  bind %[1]s:4001 accept-proxy
  bind %[1]s:4002 accept-proxy ssl crt %[2]s
  http-request return status 200 content-type text/plain lf-string "%%[src]:%%[src_port] to %%[dst]:%%[dst_port]"
frontend edge
  bind %[3]s:8080
  default_backend lb
backend lb
  server lb %[4]s:8081 send-proxy-v2
`, hosts, pair, front, balancer)))
	p.await("haproxy answers", said, func() bool { return answers(front + ":8080") })
	lb := p.start(p.binary, "run", "-c", p.write("lb.yaml", fmt.Appendf(nil, `listen:
  - {address: "%[1]s:8080"}
  - {address: "%[1]s:8081", proxy_protocol: required}
trusted_networks: [127.0.0.1]
pool: {hosts: [{name: plain, address: "%[2]s:4001"}], send_proxy: v2}
pools:
  secure: {hosts: [{name: tls, address: "%[2]s:4002"}], send_proxy: v2, tls: {ca: %[3]s, server_name: host.internal}}
routes: [{path_prefix: /secure, pool: secure}]
admin: {address: "%[4]s"}
state_dir: %[5]s
`, balancer, hosts, root, admin, filepath.Join(p.dir, "state"))))
	p.await("all hosts have passed a check", lb, func() bool { return p.inRing(admin) == 2 })
	for i, path := range []string{"/plain", "/secure"} {
		for at, port := range map[string]string{balancer + ":8080": "8080", front + ":8080": "8081"} {
			client, answer := askFrom(t, fmt.Sprintf("127.9.9.%d:0", 7+i), at, path)
			if want := client + " to " + net.JoinHostPort(balancer, port); answer != want {
				text, _ := os.ReadFile(lb)
				t.Errorf("%s at %s: HAProxy says %q, want %q\n%s", path, at, answer, want, text)
			}
		}
	}
}

// answers reports whether somebody listens at an address.
func answers(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// askFrom asks for a path from an address on loopback. It returns the client's address and the answer.
func askFrom(t *testing.T, local, at, path string) (client, answer string) {
	t.Helper()
	from, err := net.ResolveTCPAddr("tcp", local)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{LocalAddr: from}).Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get("http://" + at + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return conn.LocalAddr().String(), string(body)
}
