package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
	"tokenring/session"
)

func TestLiveTellsWhereEachKeyIs(t *testing.T) {
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	l := start(t, nil, a, b)
	onA, onB := l.token("a"), l.token("b")
	hash := func(token string) uint64 { return l.p.pools.Main.Snapshot().Table.Hash([]byte(token)) }
	if live := l.p.Live(); len(live) != 0 {
		t.Errorf("before there is a tunnel: got %v", live)
	}
	for _, token := range []string{onA, onA, onB, ""} {
		l.dial().open("/ws", token).ping()
	}
	turn := "" // of the host that got the tunnel without a key
	got := map[uint64]session.Session{}
	for _, s := range l.p.Live() {
		if got[s.Hash] = s; !s.Keyed {
			turn = s.Host
		}
	}
	want := map[uint64]session.Session{
		hash(onA): {Host: "a", Hash: hash(onA), Keyed: true, Tunnels: 2},
		hash(onB): {Host: "b", Hash: hash(onB), Keyed: true, Tunnels: 1},
		0:         {Host: turn, Tunnels: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" || turn == "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestASessionFromBeforeTheTableGetsItsHashLater has the only host drain, where a
// cookie keeps its client though there is no table to hash the key by.
func TestASessionFromBeforeTheTableGetsItsHashLater(t *testing.T) {
	l := start(t, affine(nil), newHost(t, "a").on("/ws", accept(echo)))
	l.hosts[0].State, l.hosts[0].InRing = route.Drain, false
	l.use()
	first := l.dial().send(strings.Replace(upgrade("/ws", mark), "Host:", "Cookie: "+l.cookieFor("a")+"\r\nHost:", 1))
	first.opened()
	if got, want := l.p.Live(), []session.Session{{Host: "a", Tunnels: 1}}; !cmp.Equal(got, want) {
		t.Errorf("without a table: got %v, want %v", got, want)
	}
	l.hosts[0].State, l.hosts[0].InRing = route.Ready, true
	l.use()
	l.dial().open("/ws", mark).ping()
	hash := l.p.pools.Main.Snapshot().Table.Hash([]byte(mark))
	if got, want := l.p.Live(), []session.Session{{Host: "a", Hash: hash, Keyed: true, Tunnels: 2}}; !cmp.Equal(got, want) {
		t.Errorf("with a table: got %v, want %v", got, want)
	}
	first.ping()
}

// TestATerminalStaysInItsSizeClass guards what each idle terminal costs.
func TestATerminalStaysInItsSizeClass(t *testing.T) {
	const class = 512 // of Go's allocator; the next one is 576
	if size := unsafe.Sizeof(terminal{}); size > class {
		t.Errorf("a terminal has %d bytes, want up to %d", size, class)
	}
}

// TestTunnelsWithoutAKeyAreSeparateSessions has a trusted proxy in front
// that gives two of them the same id.
func TestTunnelsWithoutAKeyAreSeparateSessions(t *testing.T) {
	l := start(t, func(l *lab) {
		l.cfg.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo)), newHost(t, "c").on("/ws", accept(echo)))
	handshake := strings.Replace(upgrade("/ws", ""), "Host:", "X-Request-Id: again\r\nHost:", 1)
	var open []*wire
	for range 4 {
		w := l.dial().send(handshake)
		w.opened()
		open = append(open, w)
	}
	for _, w := range open {
		w.ping()
	}
}
