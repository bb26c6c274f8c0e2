package stream

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

func tcp(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }

func TestHandshakesAreBounded(t *testing.T) {
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimiter()
	l.setPeers([]Peer{{Address: "10.0.0.2:7948"}, {Address: "lb-3.example:7948"}, {}})
	var one []*permit
	for i := range maxSourceHandshakes {
		p, err := l.admit(tcp("10.9.0.1"), t0)
		if err != nil {
			t.Fatalf("handshake %d of one source: %v", i, err)
		}
		one = append(one, p)
	}
	if _, err := l.admit(tcp("10.9.0.1"), t0); !errors.Is(err, errSource) {
		t.Errorf("one more of that source: %v", err)
	}
	for i := range maxHandshakes - maxSourceHandshakes {
		if _, err := l.admit(tcp(fmt.Sprintf("10.8.0.%d", i)), t0); err != nil {
			t.Fatalf("handshake of source %d: %v", i, err)
		}
	}
	if _, err := l.admit(tcp("10.7.0.1"), t0); !errors.Is(err, errAll) {
		t.Errorf("of one more source: %v", err)
	}
	if _, err := l.admit(tcp("10.0.0.2"), t0); err != nil {
		t.Errorf("of a peer, while others have taken all that they may: %v", err)
	}
	one[0].free()
	one[0].free() // once counts
	if _, err := l.admit(tcp("10.7.0.1"), t0); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	if _, err := l.admit(tcp("10.7.0.2"), t0); !errors.Is(err, errAll) {
		t.Errorf("one freed permit is two: %v", err)
	}
}

func TestConnectionsOfASourceAreRare(t *testing.T) {
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimiter()
	count := func(at time.Time) (n int) {
		for range 200 {
			if p, err := l.admit(tcp("10.9.0.1"), at); err == nil {
				p.free()
				n++
			}
		}
		return n
	}
	if n := count(t0); n != sourceBurst {
		t.Errorf("%d at once, want %d", n, sourceBurst)
	}
	if n := count(t0.Add(time.Second)); n != sourceRate {
		t.Errorf("%d a second later, want %d", n, sourceRate)
	}
}

func TestSourcesAreForgotten(t *testing.T) {
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := newLimiter()
	held, err := l.admit(tcp("10.0.0.1"), t0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 * maxSources {
		p, err := l.admit(&net.TCPAddr{IP: net.IPv4(11, 0, byte(i>>8), byte(i))}, t0)
		if err != nil {
			t.Fatal(err)
		}
		p.free()
		if len(l.sources) > maxSources+1 {
			t.Fatalf("%d sources are remembered", len(l.sources))
		}
	}
	held.free()
	if l.others != 0 {
		t.Errorf("%d handshakes are left", l.others)
	}
}
