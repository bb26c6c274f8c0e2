package poller

import (
	"net"
	"testing"
	"time"
)

// A listener passes its events on.
type listener chan Event

func (l listener) Tick(time.Time) {}
func (l listener) Ready(_ int, e Event) bool {
	if e.HangUp {
		l <- e
	}
	return false
}

// TestEventTellsAResetFromTheEndOfADirection distinguishes a peer that has closed its
// direction, which may still be written to, from one that has reset the connection.
func TestEventTellsAResetFromTheEndOfADirection(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn) error{
		"end":   (*net.TCPConn).CloseWrite,
		"reset": func(c *net.TCPConn) error { _ = c.SetLinger(0); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, time.Hour)
			near, far := connected(t)
			raw, err := near.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			events := make(listener, 8)
			_ = raw.Control(func(fd uintptr) { err = p.Add(int(fd), Both, events) })
			if err != nil {
				t.Fatal(err)
			}
			if err := end(far); err != nil {
				t.Fatal(err)
			}
			select {
			case e := <-events:
				if want := name == "reset"; e.Failed != want {
					t.Errorf("failed is %t, want %t", e.Failed, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("no event")
			}
		})
	}
}

// connected returns both ends of a TCP connection.
func connected(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b.(*net.TCPConn), a.(*net.TCPConn)
}
