package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"tokenring/proxy/clienttls"
	"tokenring/proxy/tunnel"
)

// terminalOf returns the key's one terminal, whose sockets it gives small send
// buffers: what isn't taken soon waits in the tunnel.
func (l *lab) terminalOf(key string) *terminal {
	l.t.Helper()
	l.srv.mu.Lock()
	defer l.srv.mu.Unlock()
	var t *terminal
	for c := range l.srv.conns {
		if open, ok := c.(*terminal); ok && open.session.Digest() == l.digest(key) {
			t = open
		}
	}
	t.Stats() // waits: the client has its 101 before the tunnel is quite open
	if n := shrinkSendBuffers(portOf(l.addr), portOf(t.upstream.Address)); n != 2 {
		l.t.Fatalf("the terminal has %d sockets", n)
	}
	return t
}

func portOf(address string) int { return int(netip.MustParseAddrPort(address).Port()) }

// shrinkSendBuffers gives this process's sockets small send buffers, if they were
// accepted at one port or connected to the other. It returns how many these are.
func shrinkSendBuffers(accepted, connected int) (n int) {
	for fd := range 1 << 12 {
		here, err := syscall.Getsockname(fd)
		there, err2 := syscall.Getpeername(fd)
		if err != nil || err2 != nil {
			continue
		}
		a, ok := here.(*syscall.SockaddrInet4)
		b, ok2 := there.(*syscall.SockaddrInet4)
		if ok && ok2 && (a.Port == accepted || b.Port == connected) {
			_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4<<10)
			n++
		}
	}
	return n
}

// push writes b until it is gone or the connection takes nothing for a while. It
// returns what is left.
func push(nc net.Conn, b []byte) []byte {
	for len(b) > 0 {
		_ = nc.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := nc.Write(b[:min(len(b), 64<<10)])
		if b = b[n:]; err != nil {
			break
		}
	}
	return b
}

// newTerminalHost returns a host whose terminals do that until the test ends.
func newTerminalHost(t *testing.T, does func(*wire)) *host {
	over := make(chan bool)
	h := newHost(t, "a").on("/ws", accept(func(w *wire) { does(w); <-over }))
	t.Cleanup(func() { close(over) })
	return h
}

// nothing is what a terminal does that neither reads nor writes.
func nothing(*wire) {}

// sink runs a terminal on the host that reads everything.
func sink(w *wire) { _, _ = io.Copy(io.Discard, w.in) }

// TestBuffersOfATunnelAreBounded has clients and hosts that send without end to
// somebody who takes nothing, be it the other side or themselves.
func TestBuffersOfATunnelAreBounded(t *testing.T) {
	t.Parallel()
	const bound = tunnel.MaxUnsent + 4<<10 // of what one side doesn't take
	much := []byte(strings.Repeat("x", 8<<20))
	for _, tt := range []struct {
		name string
		host func(*wire)
		does func(k *keyUpdater)
	}{
		{"data that the host doesn't take", nothing, func(k *keyUpdater) { push(k.Conn, much) }},
		{"data that the client doesn't take", func(w *wire) { push(w.Conn, much) }, func(*keyUpdater) {}},
		{"answers to key updates", sink, func(k *keyUpdater) { push(k.tls.NetConn(), k.manyUpdates(1000)) }},
		{"answers to key updates, among data that comes back", echo, func(k *keyUpdater) { push(k.tls.NetConn(), k.manyUpdates(1000)) }},
		{"a message that is never whole", sink, func(k *keyUpdater) { push(k.tls.NetConn(), k.neverWhole()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := start(t, withTLS(t, nil), newTerminalHost(t, tt.host))
			k := l.dialKeyUpdater()
			k.open("/ws", mark)
			k.take(1)
			terminal, most := l.terminalOf(mark), 0
			done := make(chan bool)
			go func() { defer close(done); tt.does(k) }()
			for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
				most = max(most, terminal.Stats().Buffered)
			}
			<-done
			if most > bound {
				t.Errorf("%d bytes were kept, want at most %d", most, bound)
			}
		})
	}
}

// TestClientThatTakesItsKeyUpdatesAgainGoesOn: nothing is lost because the client
// wasn't read for a while.
func TestClientThatTakesItsKeyUpdatesAgainGoesOn(t *testing.T) {
	t.Parallel()
	const turns = 400
	got := make(chan string, 1)
	l := start(t, withTLS(t, nil), newTerminalHost(t, func(w *wire) {
		_ = w.SetDeadline(time.Now().Add(2 * time.Minute))
		b := make([]byte, turns)
		_, _ = io.ReadFull(w.in, b)
		got <- string(b)
	}))
	k := l.dialKeyUpdater()
	k.open("/ws", mark)
	k.take(1)
	terminal := l.terminalOf(mark)
	raw := k.tls.NetConn()
	sent := make(chan bool)
	go func() { defer close(sent); _, _ = raw.Write(k.manyUpdates(turns)) }()
	eventually(t, "a client that isn't read", func() bool { return terminal.Stats().Buffered > tunnel.MaxUnsent })
	select {
	case <-got:
		t.Fatal("the client was read to the end")
	default:
	}
	taken := make(chan bool)
	go func() { defer close(taken); _, _ = io.Copy(io.Discard, raw) }()
	if want := strings.Repeat("x", turns); <-got != want {
		t.Error("the host didn't get what the client sent")
	}
	<-sent
	reset(raw)
	<-taken
}

// TestConnectionThatHasFailedEndsItsTunnel has a side be reset while the other
// takes nothing, so that nothing is read or written that would show it.
func TestConnectionThatHasFailedEndsItsTunnel(t *testing.T) {
	t.Parallel()
	much := []byte(strings.Repeat("x", 8<<20))
	for _, secure := range []bool{false, true} {
		dial, change := (*lab).dial, func(*lab) {}
		if secure {
			dial, change = (*lab).dialTLS, withTLS(t, nil)
		}
		t.Run(fmt.Sprintf("client, TLS %t", secure), func(t *testing.T) {
			l := start(t, change, newTerminalHost(t, nothing))
			w := dial(l).open("/ws", mark)
			l.terminalOf(mark)
			push(w.Conn, much)
			reset(w.Conn)
			l.ends("/ws", string(tunnel.ByClient))
		})
		t.Run(fmt.Sprintf("client that has closed its half, TLS %t", secure), func(t *testing.T) {
			l := start(t, change, newTerminalHost(t, nothing))
			w := dial(l).open("/ws", mark)
			l.terminalOf(mark)
			_ = clienttls.CloseWrite(w.Conn)
			reset(w.Conn)
			l.ends("/ws", string(tunnel.ByClient))
		})
		t.Run(fmt.Sprintf("host, TLS %t", secure), func(t *testing.T) {
			l := start(t, change, newTerminalHost(t, func(w *wire) {
				push(w.Conn, much)
				reset(w.Conn)
			}))
			dial(l).open("/ws", mark)
			l.terminalOf(mark)
			l.ends("/ws", string(tunnel.ByHost))
		})
	}
}

func reset(nc net.Conn) {
	tcp := tcpBelow(nc)
	_ = tcp.SetLinger(0)
	tcp.Close()
}

// ends wants the terminal at path to end, for that reason.
func (l *lab) ends(path, why string) {
	l.t.Helper()
	if e := l.logged(path); e["end"] != why {
		l.t.Errorf("the log says %v, want the end %q", e, why)
	}
}

// TestTunnelOfAClientThatLeavesEndsSooner: one that has closed its direction, behind
// bytes that its host doesn't take, doesn't keep its tunnel for Timeouts.Tunnel.
func TestTunnelOfAClientThatLeavesEndsSooner(t *testing.T) {
	l := start(t, func(l *lab) { l.cfg.Timeouts.Idle = 50 * time.Millisecond }, newTerminalHost(t, nothing))
	w := l.dial().open("/ws", mark)
	terminal := l.terminalOf(mark)
	eventually(t, "a host that takes no more", func() bool {
		w.send(strings.Repeat("x", 4<<10)) // little by little, so that the end isn't behind what can't be sent
		return terminal.Stats().Buffered > 0
	})
	w.Close()
	l.ends("/ws", endTimeout)
}
