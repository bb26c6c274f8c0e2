package proxy

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestConnectionsLeaveFilesForTheirHosts(t *testing.T) {
	for _, tt := range []struct {
		files uint64
		want  int
	}{
		{0, 1},
		{1, 1},
		{100, 37}, // a quarter is kept, and each connection may need two
		{1024, 384},
		{20000, 9872},
		{1 << 20, 524160},
		{^uint64(0), 1 << 30}, // no limit
	} {
		if got := connectionsFor(tt.files); got != tt.want {
			t.Errorf("%d connections for %d files, want %d", got, tt.files, tt.want)
		}
	}
}

// TestAllListenersWaitForOneRoom: each that waits goes on when there is room, and
// none does before.
func TestAllListenersWaitForOneRoom(t *testing.T) {
	r := newRoom(2)
	r.wait(t.Context(), func() { t.Error("it is full from the start") })
	r.enter()
	r.enter()
	full, on := make(chan bool, 3), make(chan bool, 3)
	for range 3 {
		go func() {
			r.wait(t.Context(), func() { full <- true })
			on <- true
		}()
	}
	for range 3 {
		<-full
	}
	if len(on) > 0 {
		t.Error("somebody goes on without room")
	}
	r.leave()
	for range 3 {
		<-on
	}
	r.enter()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.wait(ctx, func() {})
}

func TestWantsOfThisMachineAreNotTheHosts(t *testing.T) {
	wrap := func(err error) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", err)})
	}
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if !isOurs(wrap(err)) {
			t.Errorf("%v is taken for the host's", err)
		}
	}
	for _, err := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ETIMEDOUT, os.ErrDeadlineExceeded} {
		if isOurs(wrap(err)) {
			t.Errorf("%v is taken for ours", err)
		}
	}
}

// TestNothingIsKeptForAClientThatTakesNothing: the kernel would keep what it
// couldn't send for minutes after the connection was closed.
func TestNothingIsKeptForAClientThatTakesNothing(t *testing.T) {
	for name, head := range map[string]string{
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
		"long":    "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			endless := strings.Repeat("x", 1<<20)
			if name == "chunked" {
				endless += "\r\n100000\r\n"
			}
			h := newHost(t, "a").on("/endless", says(head+strings.Repeat(endless, 90), false))
			l := start(t, func(l *lab) { l.cfg.Timeouts.Body = 50 * time.Millisecond }, h)
			w := l.dial().send(get("/endless"))
			if e := l.logged("/endless"); e["end"] != "timeout" {
				t.Errorf("the log says %v", e)
			}
			eventually(t, "the kernel to forget the connection", func() bool { return !remembers(t, w.RemoteAddr(), w.LocalAddr()) })
		})
	}
}

// remembers tells whether this machine's kernel has a TCP connection between
// those addresses, as seen from the first.
func remembers(t *testing.T, near, far net.Addr) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	port := func(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 2 && strings.HasSuffix(f[1], port(near)) && strings.HasSuffix(f[2], port(far)) {
			return true
		}
	}
	return false
}
