package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tokenring/proxy/quota"
)

// quotas returns the quotas of two configurations.
func quotas(t *testing.T, source *quota.SourceConfig, key *quota.KeyConfig) *quota.Quotas {
	t.Helper()
	q, err := quota.New(source, key)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// limited has a lab with quotas.
func limited(t *testing.T, source *quota.SourceConfig, key *quota.KeyConfig) func(*lab) {
	return func(l *lab) { l.cfg.Quotas = quotas(t, source, key) }
}

// metLimit checks how often a limit was met.
func (l *lab) metLimit(limit quota.Limit, want float64) {
	l.t.Helper()
	if n := l.counts("lb_limited_total")[limit.String()]; n != want {
		l.t.Errorf("%s was met %v times, want %v", limit, n, want)
	}
}

func TestRequestsBeyondTheRateOfTheirSourceGet429(t *testing.T) {
	l := start(t, limited(t, &quota.SourceConfig{Requests: "2/h", Burst: time.Hour}, nil), newHost(t, "a"))
	w := l.dial()
	w.send(get("/one")).want(200)
	w.send(get("/two")).want(200)
	a := w.send(get("/three")).want(429)
	if got := a.Header.Get("Retry-After"); got != "1800" && got != "1799" {
		t.Errorf("Retry-After is %q", got)
	}
	w.send(get("/four")).want(429) // on the same connection
	if e := l.logged("/three"); e["end"] != endLimited || e["reason"] != quota.SourceRequests.Detail() {
		t.Errorf("the log says %v", e)
	}
	l.metLimit(quota.SourceRequests, 2)
}

// TestARequestWithABodyBeyondTheLimitEndsItsConnection: nobody has read the body.
func TestARequestWithABodyBeyondTheLimitEndsItsConnection(t *testing.T) {
	l := start(t, limited(t, &quota.SourceConfig{Requests: "1/h"}, nil), newHost(t, "a"))
	l.ask(get("/one"), 200)
	w := l.dial().send("POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
	w.want(429)
	w.expectEnd()
}

func TestRequestsOfHTTP2BeyondALimitGet429(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Quotas = quotas(t, &quota.SourceConfig{Requests: "2/h", Burst: time.Hour}, nil)
	}, newHost(t, "a"))
	client := l.h2client()
	for i, want := range []int{200, 200, 429} {
		resp, err := client.Get("https://" + l.addr + "/page")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.ProtoMajor != 2 || (resp.Header.Get("Retry-After") != "") != (want == 429) {
			t.Errorf("request %d: got %d, HTTP/%d, Retry-After %q, want %d", i+1, resp.StatusCode, resp.ProtoMajor, resp.Header.Get("Retry-After"), want)
		}
	}
	l.metLimit(quota.SourceRequests, 1)
}

// TestClientsBehindATrustedProxyHaveQuotasOfTheirOwn, and the proxy itself has none.
func TestClientsBehindATrustedProxyHaveQuotasOfTheirOwn(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		l.cfg.Quotas = quotas(t, &quota.SourceConfig{Requests: "1/h", Connections: 1, NewConnections: "1/h"}, nil)
	}, newHost(t, "a"))
	from := func(addr string) string {
		return "GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + addr + "\r\n\r\n"
	}
	l.ask(from("198.51.100.1"), 200)
	l.ask(from("198.51.100.1"), 429)
	l.ask(from("203.0.113.9, 198.51.100.1"), 429)
	l.ask(from("198.51.100.2"), 200)
	l.ask(get("/page"), 200)
	l.ask(get("/page"), 200)
	l.metLimit(quota.SourceRequests, 2)
	l.metLimit(quota.SourceConnections, 0)
}

// TestConnectionsBeyondALimitAreClosed before anything is read from them.
func TestConnectionsBeyondALimitAreClosed(t *testing.T) {
	l := start(t, limited(t, &quota.SourceConfig{Connections: 2}, nil), newHost(t, "a").on("/ws", accept(echo)))
	first := l.dial().send(get("/page"))
	first.want(200)
	terminal := l.dial().open("/ws", mark)
	l.dial().send(get("/page")).expectEnd()
	terminal.ping()
	terminal.Close() // which counts as a connection to its end
	eventually(t, "the end of the terminal", func() bool { return l.p.Connections() == 1 })
	second := l.dial().send(get("/page"))
	second.want(200)
	l.metLimit(quota.SourceConnections, 1)
}

func TestNewConnectionsBeyondARateAreClosed(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.cfg.Quotas = quotas(t, &quota.SourceConfig{NewConnections: "1/h"}, nil)
	}, newHost(t, "a"))
	resp, err := l.h2client().Get("https://" + l.addr + "/page")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	l.dial().expectEnd() // before TLS
	l.metLimit(quota.SourceNewConnections, 1)
	if n := l.counts("lb_tls_handshake_errors_total"); len(n) > 0 && n["eof"] > 0 {
		t.Errorf("a handshake has begun: %v", n)
	}
}

// TestTheHeaderOfTheProxyProtocolSaysWhoseConnectionItIs, so that others can still connect.
func TestTheHeaderOfTheProxyProtocolSaysWhoseConnectionItIs(t *testing.T) {
	l := start(t, func(l *lab) {
		l.listener.ProxyHeader = true
		l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		l.cfg.Quotas = quotas(t, &quota.SourceConfig{Connections: 1, Requests: "2/h", Burst: time.Hour}, nil)
	}, newHost(t, "a"))
	from := func(addr string) string { return "PROXY TCP4 " + addr + " 192.0.2.200 5000 80\r\n" }
	first := l.dial().send(from("198.51.100.1") + get("/page"))
	first.want(200)
	l.dial().send(from("198.51.100.1") + get("/page")).expectEnd()
	l.dial().send(from("198.51.100.2") + get("/page")).want(200)
	first.send(get("/page")).want(200)
	first.send(get("/page")).want(429)
	l.metLimit(quota.SourceConnections, 1)
}

func TestHandshakesBeyondTheTerminalsOfAKeyGet429(t *testing.T) {
	l := start(t, limited(t, &quota.SourceConfig{Terminals: 3}, &quota.KeyConfig{Terminals: 1}), newHost(t, "a").on("/ws", accept(echo)).on("/no", says("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", true)))
	first := l.dial().open("/ws", mark+"-1")
	refused := l.dial().send(upgrade("/ws", mark+"-1"))
	refused.want(429)
	refused.expectEnd()
	l.dial().send(upgrade("/no", mark+"-2")).want(403) // gives its slot back
	second := l.dial().open("/ws", mark+"-2")
	third := l.dial().open("/ws", "")
	l.ask(upgrade("/ws", mark+"-3"), 429)
	l.metLimit(quota.KeyTerminals, 1)
	l.metLimit(quota.SourceTerminals, 1)
	for _, w := range []*wire{first, second, third} {
		w.ping()
	}
	first.Close()
	eventually(t, "the end of the first", func() bool { n, _ := l.p.Session(l.digest(mark + "-1")); return n == "" })
	eventually(t, "a free slot", func() bool {
		w := l.dial().send(upgrade("/ws", mark+"-1"))
		defer w.Close()
		return w.answer("GET").StatusCode == 101
	})
}

func TestRequestsOfAKeyHaveARateWhereverTheyComeFrom(t *testing.T) {
	l := start(t, limited(t, nil, &quota.KeyConfig{Requests: "2/h", Burst: time.Hour}), newHost(t, "a"))
	l.ask(get("/one?token="+mark), 200)
	l.ask(get("/two?token="+mark), 200)
	l.ask(get("/three?token="+mark), 429)
	l.ask(get("/one?token="+mark+"-2"), 200)
	for range 3 {
		l.ask(get("/one"), 200) // without a key
	}
	l.metLimit(quota.KeyRequests, 1)
	if strings.Contains(l.log.String(), "three?") {
		t.Error("a query is in the log")
	}
}

// TestTheRateOfASourceBeginsAnewAfterAReload, also for a connection that is passed on.
func TestTheRateOfASourceBeginsAnewAfterAReload(t *testing.T) {
	source := &quota.SourceConfig{Requests: "2/h", Burst: time.Hour}
	a := newHost(t, "a")
	l := start(t, all(limited(t, source, nil), fronts), a)
	w := l.dial()
	ask := func() {
		w.send(get("/page")).want(200)
		w.send(get("/page")).want(200)
		w.send(get("/page")).want(429)
	}
	ask()
	young := l.retire().begin(limited(t, source, nil), a)
	ask()
	young.metLimit(quota.SourceRequests, 1)
	w.Close()
	l.outlived()
}

// TestQuotasAfterAReload: rates begin anew, since the newer process knows nothing of what came before. Open
// connections that it takes over count for their sources, and terminals of the older one for their keys.
func TestQuotasAfterAReload(t *testing.T) {
	source := &quota.SourceConfig{Connections: 3, Requests: "20/h", Terminals: 2, Burst: time.Hour}
	key := &quota.KeyConfig{Requests: "4/h", Terminals: 1, Burst: time.Hour}
	a := newHost(t, "a").on("/ws", accept(echo))
	l := start(t, all(limited(t, source, key), fronts), a)
	terminal := l.dial().open("/ws", mark+"-1")
	kept := l.dial()
	for range 4 {
		kept.send(get("/old?token=" + mark + "-2")).want(200)
	}
	kept.send(get("/old?token=" + mark + "-2")).want(429)
	young := l.retire().begin(limited(t, source, key), a)
	for range 4 {
		kept.send(get("/new?token=" + mark + "-2")).want(200)
	}
	kept.send(get("/new?token=" + mark + "-2")).want(429)
	young.metLimit(quota.KeyRequests, 1)

	refused := young.dial().send(upgrade("/ws", mark+"-1")) // the key's terminal is with the older process
	refused.want(429)
	refused.expectEnd()
	young.metLimit(quota.KeyTerminals, 1)
	eventually(t, "the end of the refused one", func() bool { return young.p.Connections() == 1 })

	second, third := young.dial().open("/ws", mark+"-3"), young.dial().open("/ws", mark+"-4")
	young.dial().send(get("/new")).expectEnd() // kept, second and third are three connections: the older process's terminal isn't one here
	young.metLimit(quota.SourceConnections, 1)
	kept.send(upgrade("/ws", mark+"-5")).want(429)
	young.metLimit(quota.SourceTerminals, 1)
	for _, w := range []*wire{terminal, second, third} {
		w.ping()
		w.Close()
	}
	l.outlived()
	eventually(t, "the end of the older process's terminal", func() bool { n, _ := young.p.Session(young.digest(mark + "-1")); return n == "" })
}
