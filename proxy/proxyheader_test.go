package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/proxy/fields"
	"tokenring/proxy/metrics"
)

// needsProxyHeader has the listener take headers of the PROXY protocol from loopback.
func needsProxyHeader(l *lab) {
	l.listener.ProxyHeader = true
	l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// header1 is what a balancer in front sends for a client.
const header1 = "PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n"

// proxied connects as a balancer in front does.
func (l *lab) proxied(header string) net.Conn {
	l.t.Helper()
	nc, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := nc.Write([]byte(header)); err != nil {
		l.t.Fatal(err)
	}
	return nc
}

func TestTheProxyHeaderTellsTheClient(t *testing.T) {
	for _, row := range []struct{ name, header, client, forwarded string }{
		{"version 1", header1, "192.0.2.7", "192.0.2.7"},
		{"version 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x30\x39\x01\xbb", "192.0.2.7", "192.0.2.7"},
		// the other balancer's own, which is trusted: it may tell the client by fields
		{"LOCAL", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "203.0.113.9", "203.0.113.9, 127.0.0.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			heads := make(chan *http.Request, 1)
			l := start(t, needsProxyHeader, newHost(t, "a").on("/m", mirror(heads)))
			w := newWire(t, l.proxied(row.header+"GET /m?token="+mark+" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"))
			w.want(200)
			if got := (<-heads).Header.Get("X-Forwarded-For"); got != row.forwarded {
				t.Errorf("got X-Forwarded-For %q, want %q", got, row.forwarded)
			}
			if got := l.logged("/m")["client"]; got != row.client {
				t.Errorf("the log has the client %v, want %s", got, row.client)
			}
		})
	}
}

func TestTheProxyHeaderComesBeforeTLS(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, all(speaksH2(t), needsProxyHeader), newHost(t, "a").on("/m", mirror(heads)))
	for _, proto := range []string{"http/1.1", "h2"} {
		t.Run(proto, func(t *testing.T) {
			transport := &http.Transport{
				ForceAttemptHTTP2: proto == "h2",
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}},
			}
			transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return l.proxied(header1), nil }
			defer transport.CloseIdleConnections()
			resp, err := (&http.Client{Transport: transport}).Get("https://" + l.addr + "/m?token=" + mark)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := (<-heads).Header.Get("X-Forwarded-For"); got != "192.0.2.7" || (resp.ProtoMajor == 2) != (proto == "h2") {
				t.Errorf("got X-Forwarded-For %q over %s", got, resp.Proto)
			}
		})
	}
}

func TestConnectionsWithoutAGoodProxyHeaderAreClosed(t *testing.T) {
	for _, row := range []struct {
		reason, sent string
		change       func(*lab)
	}{
		{metrics.ProxyHeaderUntrusted, "", func(l *lab) { l.cfg.TrustedNetworks = nil }},
		{metrics.ProxyHeaderMalformed, "GET / HTTP/1.1\r\n", func(*lab) {}},
		{metrics.ProxyHeaderTimeout, header1[:20], func(l *lab) { l.cfg.Timeouts.Handshake = 1 }},
	} {
		t.Run(row.reason, func(t *testing.T) {
			l := start(t, all(needsProxyHeader, row.change), newHost(t, "a"))
			newWire(t, l.proxied(row.sent)).expectEnd()
			if got := testutil.ToFloat64(l.p.opt.Metrics.Connections.ProxyHeaders.WithLabelValues(row.reason)); got != 1 {
				t.Errorf("%v connections count as %s, want 1", got, row.reason)
			}
		})
	}
}

func TestTheToldClientIsPassedOn(t *testing.T) {
	heads := make(chan *http.Request, 1)
	a := newHost(t, "a").on("/m", mirror(heads))
	tellsPort := func(l *lab) {
		l.cfg.Fields = &fields.Config{Request: fields.Changes{Set: fields.Values{{Name: "X-Port", Text: "{client_port}"}}}}
	}
	l := start(t, all(needsProxyHeader, fronts, lingersShortly, tellsPort), a)
	w := newWire(t, l.proxied(header1))
	w.send(get("/one?token=" + mark)).want(200)
	r := l.retire()
	w.send(get("/m?token=" + mark))
	young := r.begin(nil, a)
	w.want(200)
	if got := (<-heads).Header; got.Get("X-Forwarded-For") != "192.0.2.7" || got.Get("X-Port") != "12345" {
		t.Errorf("got X-Forwarded-For %q, port %q", got.Get("X-Forwarded-For"), got.Get("X-Port"))
	}
	if got := young.logged("/m")["client"]; got != "192.0.2.7" {
		t.Errorf("the newest process logs the client %v", got)
	}
	w.Close()
	l.outlived()
}
