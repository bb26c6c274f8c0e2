package edge

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"tokenring/config"
	"tokenring/haproxycfg"
	"tokenring/route"
)

// claimRedirects: a plain listener of a frontend that redirects sends clients to https,
// with the path and without the token. It redirects challenges of ACME, too, unless a pool is for them.
func claimRedirects(t *testing.T) {
	for _, rule := range []string{
		"redirect scheme https code 301 if !{ ssl_fc }",
		"http-request redirect scheme https unless { ssl_fc } or { path_beg /.well-known/acme-challenge/ }\n  use_backend letsencrypt if { path_beg /.well-known/acme-challenge/ }",
		"redirect prefix https://ide.example.com",
	} {
		r := runLines(t, cfgLines{
			front:   "  bind 127.0.0.1:2 ssl crt /ide.pem\n  default_backend ide\nfrontend plain\n  bind 127.0.0.1:3\n  " + rule,
			servers: hostsNamed(t, "one"),
		})
		port := r.edge.httpsPort()
		for _, row := range []struct {
			request, location string
			status            int
		}{
			{"GET /a?b=1", "https://ide.example.com:" + port + "/a?b=1", 301},
			{"POST /a", "https://ide.example.com:" + port + "/a", 308},
			{"GET /a?token=secret&b=1", "https://ide.example.com:" + port + "/a?b=1", 307},
			{"GET /.well-known/acme-challenge/x", "https://ide.example.com:" + port + "/.well-known/acme-challenge/x", 301},
		} {
			resp := r.raw(2, row.request+" HTTP/1.1\r\nHost: ide.example.com\r\nContent-Length: 0\r\n\r\n")
			if resp.StatusCode != row.status || resp.Header.Get("Location") != row.location {
				t.Errorf("%s: %s: got %s %s, want %d %s", rule, row.request, resp.Status, resp.Header.Get("Location"), row.status, row.location)
			}
		}
	}
	claimChallenges(t)
}

// claimChallenges: what a plain frontend lets through before it redirects gets to its pool, or its answer.
func claimChallenges(t *testing.T) {
	const own = "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: ide.example.com\r\n\r\n"
	for rules, want := range map[string]int{
		"redirect scheme https if !{ path_beg /.well-known/acme-challenge }\n  default_backend certbot":        200,
		"http-request return status 204 if { path_beg /.well-known/acme-challenge/ }\n  redirect scheme https": 204,
		"redirect scheme https\n  use_backend certbot if { path_beg /.well-known/acme-challenge/ }":            301,
	} {
		r := runLines(t, cfgLines{
			front:   "  bind 127.0.0.1:2 ssl crt /ide.pem\n  default_backend ide\nfrontend plain\n  bind 127.0.0.1:3\n  " + rules + "\nfrontend last\n  bind 127.0.0.1:4",
			servers: hostsNamed(t, "one") + "backend certbot\n" + hostsNamed(t, "certbot"),
		})
		resp := r.raw(2, own)
		if want == 200 {
			r.wait("the pool of challenges is checked", func() bool { return r.raw(2, own).Header.Get("X-Name") == "certbot" })
		} else if resp.StatusCode != want {
			t.Errorf("%s: got %s, want %d", rules, resp.Status, want)
		}
	}
}

// claimTLS: what a TLS listener offers to clients follows from the bind line.
func claimTLS(t *testing.T) {
	for _, row := range []struct {
		options  string
		protocol string // what a client gets that offers HTTP/2 and HTTP/1.1
		oldest   uint16 // the oldest version of TLS that is accepted
	}{
		{"", "h2", tls.VersionTLS12},
		{"alpn h2,http/1.1 no-sslv3", "h2", tls.VersionTLS12},
		{"alpn http/1.1", "http/1.1", tls.VersionTLS12},
		{"no-alpn", "http/1.1", tls.VersionTLS12},
		{"ssl-min-ver TLSv1.1", "h2", tls.VersionTLS12},
		{"ssl-min-ver TLSv1.3 no-tls-tickets", "h2", tls.VersionTLS13},
	} {
		r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2 ssl crt /ide.pem " + row.options, servers: hostsNamed(t, "one")})
		state, err := r.shake(&tls.Config{NextProtos: []string{"h2", "http/1.1"}})
		if err != nil || state.NegotiatedProtocol != row.protocol {
			t.Errorf("%s: got %q, %v, want %q", row.options, state.NegotiatedProtocol, err, row.protocol)
		}
		if state.PeerCertificates[0].VerifyHostname("ide.example.com") != nil {
			t.Errorf("%s: a client that names no server isn't shown the certificate", row.options)
		}
		if state, err := r.shake(&tls.Config{NextProtos: []string{"http/1.1"}}); err != nil || state.NegotiatedProtocol != "http/1.1" {
			t.Errorf("%s: a client of HTTP/1.1 alone got %q, %v", row.options, state.NegotiatedProtocol, err)
		}
		for version := uint16(tls.VersionTLS11); version <= tls.VersionTLS13; version++ {
			_, err := r.shake(&tls.Config{MinVersion: version, MaxVersion: version})
			if (err == nil) != (version >= row.oldest) {
				t.Errorf("%s: TLS %x: %v", row.options, version, err)
			}
		}
	}
	r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2 ssl crt /ide.pem\n  bind 127.0.0.1:3 ssl crt /ide.pem ssl-min-ver TLSv1.3", servers: hostsNamed(t, "one")})
	for i, refused := range map[int]bool{1: false, 2: true} {
		if _, err := r.shakeAt(i, &tls.Config{MaxVersion: tls.VersionTLS12}); (err != nil) != refused {
			t.Errorf("TLS 1.2 at listener %d: %v", i, err)
		}
	}
}

// shake makes a TLS handshake with the second listener.
func (r *imported) shake(cfg *tls.Config) (tls.ConnectionState, error) { return r.shakeAt(1, cfg) }

// shakeAt makes a TLS handshake with the i-th listener.
func (r *imported) shakeAt(i int, cfg *tls.Config) (tls.ConnectionState, error) {
	cfg.InsecureSkipVerify = true
	conn, err := tls.Dial("tcp", r.at[i], cfg)
	if err != nil {
		return tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

// claimListens: lb listens on TCP addresses. It accepts HTTP/1.1 there, and neither the
// PROXY protocol nor HTTP/2 without TLS. Other addresses aren't in listen.
func claimListens(t *testing.T) {
	r := runLines(t, cfgLines{
		front: `  bind unix@/run/lb.sock
  bind quic4@127.0.0.1:5 ssl crt /ide.pem alpn h3
  bind 127.0.0.1:6 accept-netscaler-cip 1
  bind 127.0.0.1:7-9
  bind 127.0.0.1:1000-60000
  bind nowhere`,
		servers: hostsNamed(t, "one"),
	})
	if len(r.at) != 4 {
		t.Errorf("listens on %d addresses, want that of the first line and three ports of a range:\n%s", len(r.at), r.yaml)
	}
	for i := range r.at {
		if resp := r.raw(i, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 200 {
			t.Errorf("listener %d: got %s", i, resp.Status)
		}
	}
	for _, text := range []string{"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		if resp := r.raw(0, text); resp.StatusCode < 400 {
			t.Errorf("%q: got %s", text, resp.Status)
		}
	}
}

// claimAdmin: the admin endpoint asks for its token; it has hosts and metrics.
func claimAdmin(t *testing.T) {
	r := runLines(t, cfgLines{global: "  stats socket /run/haproxy.sock level admin", servers: hostsNamed(t, "one")})
	if !strings.Contains(r.yaml, `admin:  # 2`) {
		t.Errorf("lb.yaml doesn't say where admin comes from:\n%s", r.yaml)
	}
	token := strings.TrimSpace(readFile(t, r.cfg.StateDir+"/admin.token"))
	for _, path := range []string{"/v1/hosts", "/metrics"} {
		for field, want := range map[string]int{"": 401, "Bearer " + token: 200} {
			req, err := http.NewRequest("GET", "http://"+r.edge.sockets.Admin.Addr().String()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", field)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s: got %s, want %d", path, resp.Status, want)
			}
		}
	}
}

// claimLogs: the log has a line of JSON for each request, with its id, and none of the
// formats that the file asks for.
func claimLogs(t *testing.T) {
	r := runLines(t, cfgLines{defaults: "  log global\n  option httplog\n  log-format %ci", servers: hostsNamed(t, "one")})
	r.get("/x", "")
	r.wait("the request is logged", func() bool {
		text := r.access.String()
		return strings.HasPrefix(text, "{") && strings.Contains(text, `"end":"done"`) && strings.Count(text, "\n") == 1
	})
	r = runLines(t, cfgLines{defaults: "  log global\n  option httplog", servers: hostsNamed(t, "one")})
	r.get("/x?token=secret", "")
	r.wait("the request is logged as HAProxy does", func() bool {
		text := r.access.String()
		return strings.HasPrefix(text, "127.0.0.1:") && strings.Contains(text, "pool/one") && strings.HasSuffix(text, "\"GET /x HTTP/1.1\"\n")
	})
}

// claimState: operators' overrides are on disk in state_dir, and in force after a restart.
func claimState(t *testing.T) {
	r := runLines(t, cfgLines{global: "  server-state-file /var/lib/haproxy/state", servers: hostsNamed(t, "one", "two")})
	if !strings.Contains(r.yaml, "\nstate_dir: /var/lib/lb\n") {
		t.Errorf("lb.yaml names no state_dir:\n%s", r.yaml)
	}
	if err := r.edge.pool.Override(t.Context(), route.Override{Host: "one", State: route.Drain, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	r.stopped()
	r.run()
	for i := range 20 {
		if name := r.name(fmt.Sprintf("/?token=t%d", i), ""); name != "two" {
			t.Errorf("after a restart a token went to %q, and one is drained", name)
		}
	}
}

// claimFillIn: lb check refuses a value that a note asks to be filled in, and names its
// line. It finds no other errors.
func claimFillIn(t *testing.T) {
	pem := fstest.MapFS{"ide.pem": {Data: []byte("-----BEGIN PRIVATE KEY-----")}}
	for _, row := range []struct {
		lines cfgLines
		at    string // the key that is refused
	}{
		{cfgLines{back: `  balance url_param "$P"`}, "hash.key[0].query"},
		{cfgLines{back: `  hash-type "$T"`}, "hash.haproxy.type"},
		{cfgLines{back: `  hash-type consistent "$F"`}, "hash.haproxy.function"},
		{cfgLines{back: `  timeout tunnel "$T"`}, "timeouts.tunnel"},
		{cfgLines{back: `  timeout check "$T"`}, "health.timeout"},
		{cfgLines{back: `  option httpchk GET "/$P"`}, "health.path"},
		{cfgLines{back: `  cookie "$C" insert`}, "affinity.cookie.name"},
		{cfgLines{back: `  hash-balance-factor "$F"`}, "hash.bounded_load"},
		{cfgLines{back: `  default-server inter "$I"`}, "health.interval"},
		{cfgLines{back: `  default-server weight "$W"`}, "pool.hosts[0].weight"},
		{cfgLines{front: `  bind "127.0.0.1:$P"`}, "listen[1].address"},
		{cfgLines{front: `  bind "$A:80"`}, "listen[1].address"},
		{cfgLines{front: `  bind 127.0.0.1:2 accept-proxy`}, "listen[1].proxy_protocol"},
		{cfgLines{global: `  maxconn "$M"`}, "limits.connections"},
		{cfgLines{servers: `  server a "${HOST}:80"`}, "pool.hosts[0].address"},
		{cfgLines{servers: `  server a ${HOST}:80`}, "pool.hosts[0].address"},
		{cfgLines{servers: `  server a $(id):80`}, "pool.hosts[0].address"},
		{cfgLines{servers: `  server a abns@a`}, "pool.hosts[0].address"},
		{cfgLines{servers: `  server a 10.0.0.1:80 id "$ID"`}, "pool.hosts[0].id"},
		{cfgLines{servers: `  server-template a 100 a.example.com:80`}, "pool"},
	} {
		if row.lines.servers == "" {
			row.lines.servers = "  server a 10.0.0.1:80"
		}
		result := importLines(t, row.lines, pem)
		_, err := config.Parse("lb.yaml", result.YAML)
		errs, _ := err.(config.Errors)
		if len(errs) != 1 || errs[0].Key != row.at || errs[0].Line == 0 {
			t.Errorf("%+v: got %v, want one error about %s\n%s", row.lines, err, row.at, result.YAML)
		}
		if result.Report.Count(haproxycfg.Decide) == 0 {
			t.Errorf("%+v: the report leaves nothing to decide", row.lines)
		}
	}
}
