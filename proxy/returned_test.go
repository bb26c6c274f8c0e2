package proxy

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"tokenring/route"
)

// TestTerminalsAreProbedWhenTheirHostReturns: a host has lost its power, and its users have been
// elsewhere. What it knows nothing of must not count.
func TestTerminalsAreProbedWhenTheirHostReturns(t *testing.T) {
	t.Parallel()
	hosts, over := make(chan *wire, 1), make(chan struct{})
	defer close(over)
	a := newHost(t, "a").on("/ws", accept(func(w *wire) {
		hosts <- w
		<-over
	}))
	l := start(t, nil, a)
	w := l.dial().open("/ws", mark)
	defer w.Close()
	if !forget(t, (<-hosts).Conn) {
		t.Skip("only root can close a connection without a word")
	}
	l.change("a", func(h *route.Host) { h.Own, h.Verdict = route.Down, route.Down })
	l.change("a", func(h *route.Host) { h.Own, h.Verdict = route.Up, route.Up })
	if e := l.logged("/ws"); e["end"] != "host" {
		t.Errorf("the log says %v", e)
	}
}

// forget closes a connection without telling the other end. It reports false if this user may not.
func forget(t *testing.T, nc net.Conn) bool {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		return false
	}
	nc.Close()
	return true
}
