package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// claimPassesRequests: no rule of the file stops or answers a request, or changes its
// method, target or fields.
func claimPassesRequests(t *testing.T) {
	host := newRecorder(t, plainAnswer)
	r := runLines(t, cfgLines{
		front: `  acl office src 10.0.0.0/8
  tcp-request connection reject if { src 127.0.0.0/8 } { dst_port 1 }
  filter spoe engine e config f
  http-request deny if !office { path_end / }
  http-request auth unless { http_auth(u) }
  http-request use-service lua.metrics
  http-request set-path /elsewhere
  http-request set-query token=other
  http-request set-method GET
  http-request set-header X-User 10.9.9.9 if !office
  http-request del-header X-Odd_Name if !office
  http-request wait-for-body time 5s
  reqadd X-Added:\ yes if !office
  use_backend other if { path_beg /api }
  redirect location /elsewhere if { path / }`,
		back:    "  option http-restrict-req-hdr-names reject\n  http-send-name-header X-Server\n  use-server one if TRUE",
		servers: host.one("one"),
	})
	for _, target := range []string{"/", "/api/x", "/a/../b%2fc?x=1;y&token=T%41&z"} {
		for _, method := range []string{"GET", "PATCH"} {
			resp := r.raw(0, method+" "+target+" HTTP/1.1\r\nHost: ide.example.com\r\nX-User: me\r\nX-Odd_Name: a\r\nAuthorization: Basic eA==\r\nContent-Length: 0\r\n\r\n")
			if resp.StatusCode != 200 {
				t.Errorf("%s %s: got %s", method, target, resp.Status)
			}
			requests, _ := host.got()
			last := requests[len(requests)-1]
			for _, want := range []string{method + " " + target + " HTTP/1.1\r\n", "X-User: me\r\n", "X-Odd_Name: a\r\n", "Authorization: Basic eA==\r\n"} {
				if !strings.Contains(last, want) {
					t.Errorf("%s %s: the host got no %q:\n%s", method, target, want, last)
				}
			}
			for _, not := range []string{"X-Added", "X-Server", "10.9.9.9"} {
				if strings.Contains(last, not) {
					t.Errorf("%s %s: the host got %s:\n%s", method, target, not, last)
				}
			}
		}
	}
	streamsBodies(t, r, host)
}

// streamsBodies fails the test unless a host gets a request before its body has come.
func streamsBodies(t *testing.T, r *imported, host *recorder) {
	t.Helper()
	r.send(0, "POST /streamed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
	r.wait("the host sees a request without its whole body", func() bool {
		requests, _ := host.got()
		return slices.ContainsFunc(requests, func(r string) bool { return strings.HasPrefix(r, "POST /streamed ") })
	})
}

// claimPassesAnswers: no rule changes or stops an answer. Nothing is compressed, and
// nothing is cached.
func claimPassesAnswers(t *testing.T) {
	const secret = "HTTP/1.1 500 Odd\r\nServer: ide\r\nCache-Control: max-age=60\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\nok"
	host := newRecorder(t, secret)
	r := runLines(t, cfgLines{
		front: `  acl office src 10.0.0.0/8
  http-response deny if { status 500 }
  http-response set-header Strict-Transport-Security max-age=9 if !office
  http-response del-header X-Secret if !office
  http-response set-status 200
  http-after-response del-header Server if !office
  rspadd X-Added:\ yes if !office
  compression algo gzip
  http-request cache-use c
  errorfile 503 /dev/null`,
		servers: host.one("one"),
	})
	for range 2 {
		resp := r.get("/cached", "Accept-Encoding: gzip\r\n")
		h := resp.Header
		if resp.StatusCode != 500 || h.Get("Server") != "ide" || h.Get("X-Secret") != "s" || h.Get("Strict-Transport-Security")+h.Get("X-Added")+h.Get("Content-Encoding") != "" {
			t.Errorf("got %s %v", resp.Status, h)
		}
	}
	if requests, _ := host.got(); len(requests) != 2 {
		t.Errorf("the host got %d requests of 2", len(requests))
	}
	host.set("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + secret)
	if resp := r.get("/hints", ""); resp.StatusCode != 103 || resp.Header.Get("Link") != "</a>" {
		t.Errorf("got %s %v, want the 103 of the host", resp.Status, resp.Header)
	}
}

// claimOwnFields: lb sets X-Forwarded-For, -Proto, -Host and X-Request-Id, and
// drops what a client says there.
func claimOwnFields(t *testing.T) {
	host := newRecorder(t, plainAnswer)
	r := runLines(t, cfgLines{
		front:   "  http-request set-header X-Forwarded-Proto https\n  no option forwardfor\n  unique-id-header X-Unique\n  option forwarded\n  option originalto",
		servers: host.one("one"),
	})
	r.get("/", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Request-Id: mine\r\nForwarded: for=9.9.9.9\r\n")
	requests, _ := host.got()
	for _, want := range []string{"X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: ide.example.com\r\n", "X-Request-Id: "} {
		if !strings.Contains(strings.ToLower(requests[0]), strings.ToLower(want)) {
			t.Errorf("the host got no %q:\n%s", want, requests[0])
		}
	}
	for _, not := range []string{"9.9.9.9", "evil", "mine", "X-Unique", "X-Original-To"} {
		if strings.Contains(requests[0], not) {
			t.Errorf("the host got %s:\n%s", not, requests[0])
		}
	}
}

// claimPlainHosts: hosts get HTTP/1.1 without a PROXY line. The server line
// doesn't change that.
func claimPlainHosts(t *testing.T) {
	host := newRecorder(t, plainAnswer)
	line := strings.TrimSpace(host.one("one")) + " no-check-send-proxy proto h2 source 127.0.0.9 maxconn 1 redir http://other"
	r := runLines(t, cfgLines{back: "  use-fcgi-app php", servers: "  " + line})
	for _, target := range []string{"/a", "/b"} {
		if resp := r.get(target, ""); resp.StatusCode != 200 {
			t.Errorf("got %s", resp.Status)
		}
	}
	requests, _ := host.got()
	if len(requests) != 2 || !strings.HasPrefix(requests[0], "GET /a HTTP/1.1\r\n") {
		t.Errorf("the host got %q", requests)
	}
}

// claimStrict: a message that can be read in two ways is refused.
func claimStrict(t *testing.T) {
	host := newRecorder(t, plainAnswer)
	r := runLines(t, cfgLines{front: "  option accept-invalid-http-request", servers: host.one("one")})
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		if resp := r.raw(0, text); resp.StatusCode != 400 {
			t.Errorf("%q: got %s, want 400", text, resp.Status)
		}
	}
	if requests, _ := host.got(); len(requests) != 0 {
		t.Errorf("the host got %q", requests)
	}
	host.set("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")
	if resp := r.get("/", ""); resp.StatusCode != 502 {
		t.Errorf("an answer with two lengths: got %s, want 502", resp.Status)
	}
}

// claimKeepsConnections: option httpclose and its like close nothing.
func claimKeepsConnections(t *testing.T) {
	r := runLines(t, cfgLines{defaults: "  option httpclose", servers: hostsNamed(t, "one")})
	conn := r.send(0, "")
	for range 3 {
		resp := r.answer(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp.StatusCode != 200 || resp.Close {
			t.Errorf("got %s, close: %t", resp.Status, resp.Close)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
	}
}

// claimTimeouts: timeouts.response ends a request to a silent host, timeouts.head the
// connection of a silent client, timeouts.idle a connection between two requests.
func claimTimeouts(t *testing.T) {
	silent := newRecorder(t, plainAnswer)
	r := runLines(t, cfgLines{
		defaults: "  timeout http-request 300ms\n  timeout http-keep-alive 300ms",
		back:     "  timeout server 200ms\n  timeout connect 500ms\n  timeout queue 9s\n  timeout client-fin 9s",
		servers:  silent.one("one"),
	})
	idle := r.send(0, "")
	r.answer(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	r.closes(idle, "it is idle")
	silent.set("HTTP/1.1 100 Continue\r\n\r\n") // and nothing then
	if resp := r.get("/", ""); resp.StatusCode != 504 {
		t.Errorf("a silent host: got %s, want 504", resp.Status)
	}
	r.closes(r.send(0, "GET / HT"), "its head doesn't end")
	stopsInTime(t)
}

// stopsInTime fails the test unless a stop ends open requests after shutdown.grace.
func stopsInTime(t *testing.T) {
	t.Helper()
	r := runLines(t, cfgLines{global: "  hard-stop-after 200ms\n  close-spread-time 9s", back: "  timeout server 20s", servers: slowHost(t, time.Minute)})
	r.send(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	begun := time.Now()
	r.stopped()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("a stop with a request under way took %s, want shutdown.grace", took)
	}
}

// claimLimits: heads that HAProxy accepts by default are passed on in both directions,
// and larger heads with tune.bufsize. maxconn of the section global bounds the
// connections of all listeners together. maxconn of a frontend bounds nothing.
func claimLimits(t *testing.T) {
	long := "X: " + strings.Repeat("x", 14<<10) + "\r\n"
	many := strings.Repeat("Y: y\r\n", 90)
	host := newRecorder(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"+long+many+"\r\nok")
	r := runLines(t, cfgLines{front: "  bind 127.0.0.1:2\n  maxconn 1", servers: host.one("one")})
	for range 3 { // connections of one frontend, all of them open
		if resp := r.get("/", long+many); resp.StatusCode != 200 || len(resp.Header.Get("X")) != 14<<10 {
			t.Errorf("a head of 15 KB: got %s", resp.Status)
		}
	}
	longer := "Z: " + strings.Repeat("z", 40<<10) + "\r\n"
	if resp := r.get("/", longer); resp.StatusCode != 431 {
		t.Errorf("a head of 40 KB by default: got %s, want 431", resp.Status)
	}
	r = runLines(t, cfgLines{global: "  tune.bufsize 65536\n  tune.http.maxhdr 300\n  maxconn 2", front: "  bind 127.0.0.1:2", servers: host.one("one")})
	if resp := r.get("/", longer+strings.Repeat(many, 2)); resp.StatusCode != 200 {
		t.Errorf("a head of 40 KB and 180 fields with tune.bufsize 65536: got %s", resp.Status)
	}
	second := r.raw(1, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if second.StatusCode != 200 {
		t.Errorf("the second connection of two: got %s", second.Status)
	}
	r.mustWait(1)
	claimSources(t)
}

// claimSources: a source that does more than a stick table lets it do is refused.
func claimSources(t *testing.T) {
	r := runLines(t, cfgLines{
		front:   "  stick-table type ip size 1k store http_req_rate(1h)\n  http-request track-sc0 src\n  http-request deny if { sc_http_req_rate(0) gt 3 }",
		servers: hostsNamed(t, "one"),
	})
	for i, want := range []int{200, 200, 200, 429} {
		if resp := r.get("/", ""); resp.StatusCode != want {
			t.Errorf("request %d of an hour that may have 3: got %s, want %d", i+1, resp.Status, want)
		}
	}
}

// mustWait fails the test if a connection to the i-th listener gets an answer while two
// others are open.
func (r *imported) mustWait(i int) {
	r.t.Helper()
	for range 2 { // the first is that of the last answer, perhaps
		conn := r.send(i, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			r.t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return
		}
	}
	r.t.Error("three connections are served although maxconn is 2")
}

// closes fails the test unless the balancer ends the connection, perhaps after an answer.
func (r *imported) closes(conn net.Conn, because string) {
	r.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
		r.t.Errorf("the connection isn't closed although %s", because)
	}
}

// claimHalfClose: a client that has closed its direction of a plain connection is served.
// With option abortonclose it isn't.
func claimHalfClose(t *testing.T) {
	answers := map[bool]time.Duration{true: 500 * time.Millisecond, false: 20 * time.Second}
	for option, served := range map[string]bool{"  option abortonclose": false, "  no option abortonclose": true, "": true} {
		r := runLines(t, cfgLines{back: option, servers: slowHost(t, answers[served])})
		conn := r.send(0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if got := err == nil && resp.StatusCode == 200; got != served {
			t.Errorf("%q: served is %t, want %t (%v)", option, got, served, err)
		}
	}
}

// slowHost answers after a while, or not at all if the client leaves first.
func slowHost(t *testing.T, after time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(after):
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return "  server one " + ln.Addr().String() + "\n"
}
