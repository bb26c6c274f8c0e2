package proxy

import (
	"crypto/tls"
	"net/netip"
	"testing"
	"time"

	h2 "golang.org/x/net/http2"
)

func TestSourceIsForgivenWithTime(t *testing.T) {
	now := time.Now()
	s := newSources()
	a := netip.MustParseAddr("192.0.2.1")
	from := s.enter(a, now)
	from.cancelled(cancelBurst, now)
	if s.restless(a, now) {
		t.Error("restless with what it may have")
	}
	from.cancelled(100*cancelBurst, now)
	s.leave(a, from, now)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true},
		{9 * time.Second, true}, // it was counted up to twice what is allowed
		{11 * time.Second, false},
	} {
		if got := s.restless(a, now.Add(tt.after)); got != tt.want {
			t.Errorf("restless after %v: %t", tt.after, got)
		}
	}
	if s.restless(netip.MustParseAddr("192.0.2.2"), now) {
		t.Error("its neighbour is restless")
	}
	if again := s.enter(a, now); again != from {
		t.Error("it was forgotten too soon")
	}
	s.leave(a, from, now.Add(time.Minute))
	if n := s.kept(); n != 0 {
		t.Errorf("%d sources are kept", n)
	}
}

// kept returns how many sources there are.
func (s *sources) kept() (n int) {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += len(s.shards[i].all)
		s.shards[i].mu.Unlock()
	}
	return n
}

func TestSourcesThatHaveGoneAreForgotten(t *testing.T) {
	now := time.Now()
	s := newSources()
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		from := s.enter(a, now)
		from.cancelled(cancelBurst, now)
		s.leave(a, from, now)
		now = now.Add(time.Millisecond)
	}
	const bound = 2*10_000 + 64*64 // twice those of the last ten seconds, and a few for each shard
	if n := s.kept(); n > bound {
		t.Errorf("%d sources are kept, want up to %d", n, bound)
	}
}

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
	before := l.dialH2()
	before.wantGet("/before")
	for floods := 0; offered().ConnectionState().NegotiatedProtocol == "h2"; floods++ {
		if floods > cancelBurst/floodCost {
			t.Fatalf("HTTP/2 is offered after %d floods", floods)
		}
		w := l.dialH2()
		ended := drain(w)
		for range 400 {
			w.check(w.WriteRSTStream(w.get("/left"), h2.ErrCodeCancel))
		}
		w.send(atOnce)
		eventually(t, "the connection's end", ended.Load)
	}
	newWire(t, offered()).send(get("/neighbour")).want(200)
	before.wantGet("/after")
	if gaugeValue(l, "lb_http2_withheld_total") == 0 {
		t.Error("the metric says that HTTP/2 is offered to all")
	}
	addr := netip.MustParseAddr("127.0.0.1")
	from := l.p.sources.enter(addr, time.Now())
	defer l.p.sources.leave(addr, from, time.Now())
	from.mu.Lock()
	from.at = from.at.Add(-time.Minute)
	from.mu.Unlock()
	if got := offered().ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("a minute later: got %q", got)
	}
}
