package proxy

import (
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"

	"tokenring/proxy/limit"
)

// TestSourceThatFloodsIsNotOfferedHTTP2 has a client come again and again with
// requests that it leaves. Others at its address are served.
func TestSourceThatFloodsIsNotOfferedHTTP2(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		l.listener.TLS.NextProtos = []string{"http/1.1"}
	}, newHost(t, "a"))
	offered := func() *tls.Conn {
		nc, err := tls.Dial("tcp", l.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.NetConn().Close() })
		return nc
	}
	const burst, forgiven = 3000, 300 // cancelled requests, and how many each second
	before := l.dialH2()
	before.wantGet("/before")
	begun, floods := time.Now(), 0
	neighbour := offered()
	for neighbour.ConnectionState().NegotiatedProtocol == "h2" {
		if got, most := floods*limit.FloodCost, burst+forgiven*time.Since(begun).Seconds(); float64(got) > most {
			t.Fatalf("HTTP/2 is offered after %d floods", floods)
		}
		var ended []*atomic.Bool // several floods at once, or a slow machine has time to forgive them
		for range burst / limit.FloodCost {
			w := l.overH2(neighbour)
			ended = append(ended, drain(w))
			for range 400 {
				w.check(w.WriteRSTStream(w.get("/left"), h2.ErrCodeCancel))
			}
			w.send(atOnce)
			if neighbour = offered(); neighbour.ConnectionState().NegotiatedProtocol != "h2" {
				break
			}
		}
		floods += len(ended)
		for _, end := range ended {
			eventually(t, "the connection's end", end.Load)
		}
		if neighbour.ConnectionState().NegotiatedProtocol == "h2" {
			neighbour = offered()
		}
	}
	newWire(t, neighbour).send(get("/neighbour")).want(200)
	before.wantGet("/after")
	if gaugeValue(l, "lb_http2_withheld_total") == 0 {
		t.Error("the metric says that HTTP/2 is offered to all")
	}
	addr := netip.MustParseAddr("127.0.0.1")
	from := l.p.sources.Add(addr, time.Now())
	defer l.p.sources.Remove(addr, from, time.Now())
	from.Cancelled(-2*burst, time.Now()) // as a minute would forgive them
	if got := offered().ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("once it is forgiven: got %q", got)
	}
}
