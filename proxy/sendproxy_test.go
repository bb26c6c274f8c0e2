package proxy

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"tokenring/proxy/proxyheader"
)

// headers is a listener of a host that takes headers of the PROXY protocol, and keeps what they tell.
type headers struct {
	net.Listener
	t    testing.TB
	mu   sync.Mutex
	told []netip.AddrPort
}

func (h *headers) Accept() (net.Conn, error) {
	nc, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	from, err := proxyheader.Read(nc)
	_ = nc.SetReadDeadline(time.Time{})
	if err != nil {
		h.t.Errorf("a connection begins without a header: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, from)
	return nc, nil
}

// want compares whom the host was told, one for each connection.
func (h *headers) want(what string, clients ...netip.AddrPort) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.told, clients) {
		h.t.Errorf("%s: the host was told %v, want %v", what, h.told, clients)
	}
}

func sendsProxy(l *lab) { l.cfg.SendProxy = true }

// local returns the address of w's end.
func (w *wire) local() netip.AddrPort { return w.LocalAddr().(*net.TCPAddr).AddrPort() }

// TestHostsAreToldTheClientOfEachConnection, which carries the requests of no other client.
func TestHostsAreToldTheClientOfEachConnection(t *testing.T) {
	h := &headers{Listener: listen(t), t: t}
	l := start(t, sendsProxy, newHostOn(t, "a", h).on("/ws", accept(echo)))
	one, two := l.dial(), l.dial()
	for range 2 {
		one.send(get("/page?token=" + mark)).want(200)
		l.waitUntilIdle()
	}
	h.want("one client", one.local())
	two.send(get("/page?token=" + mark)).want(200)
	l.waitUntilIdle()
	one.send(get("/page?token=" + mark)).want(200)
	h.want("two clients", one.local(), two.local())
	terminal := l.dial().send(upgrade("/ws", mark))
	if a := terminal.answer("GET"); a.StatusCode != 101 {
		t.Fatal(a.Status)
	}
	h.want("a terminal", one.local(), two.local(), terminal.local())
}

// TestTheHeaderComesBeforeTLSToHosts, and the streams of one client share its connections.
func TestTheHeaderComesBeforeTLSToHosts(t *testing.T) {
	h := &headers{Listener: listen(t), t: t}
	l := start(t, all(speaksH2(t), hostsSpeakTLS, sendsProxy), newHostOn(t, "a", tls.NewListener(h, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})))
	w := l.dialH2()
	w.wantGet("/page")
	l.waitUntilIdle()
	w.wantGet("/page")
	h.want("HTTP/2", w.nc.LocalAddr().(*net.TCPAddr).AddrPort())
}

// TestHostsAreToldTheClientBehindAProxy, whose port isn't known.
func TestHostsAreToldTheClientBehindAProxy(t *testing.T) {
	h := &headers{Listener: listen(t), t: t}
	l := start(t, all(behindProxies, sendsProxy), newHostOn(t, "a", h))
	w := l.dial()
	for _, client := range []string{"198.51.100.7", "198.51.100.8", "198.51.100.7"} {
		w.send("GET /page HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + client + "\r\n\r\n").want(200)
		l.waitUntilIdle()
	}
	h.want("three requests of a proxy", netip.MustParseAddrPort("198.51.100.7:0"), netip.MustParseAddrPort("198.51.100.8:0"))
}
