package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestASpliceMovesTheBytesThatItIsAskedFor(t *testing.T) {
	host, from := connected(t)
	client, to := connected(t)
	_, _ = host.Write([]byte("some bytes, and more"))
	var s Splicer
	if n, ok, err := s.Move(to, from, 10); n != 10 || !ok || err != nil {
		t.Fatalf("moved %d bytes, %t, %v", n, ok, err)
	}
	got := make([]byte, 10)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "some bytes" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestASpliceBeyondTheLimitMovesNothing(t *testing.T) {
	for range maxSplices {
		splices <- struct{}{}
	}
	defer func() {
		for range maxSplices {
			<-splices
		}
	}()
	_, from := connected(t)
	_, to := connected(t)
	if n, ok, err := new(Splicer).Move(to, from, 1); n != 0 || ok || err != nil {
		t.Errorf("moved %d bytes, %t, %v", n, ok, err)
	}
}

func TestWhichSideOfASpliceHasFailed(t *testing.T) {
	reset := func(nc *net.TCPConn) { _ = nc.SetLinger(0); nc.Close() }
	for name, row := range map[string]struct {
		fail   func(host, from, client, to *net.TCPConn)
		source bool
	}{
		"the source is reset":       {func(host, _, _, _ *net.TCPConn) { reset(host) }, true},
		"the source sends too late": {func(_, from, _, _ *net.TCPConn) { _ = from.SetReadDeadline(time.Unix(1, 0)) }, true},
		"the client is reset":       {func(host, _, client, _ *net.TCPConn) { reset(client) }, false},
		"the client takes too long": {func(_, _, _, to *net.TCPConn) { _ = to.SetWriteDeadline(time.Unix(1, 0)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			host, from := connected(t)
			client, to := connected(t)
			_ = from.SetReadDeadline(time.Now().Add(10 * time.Second))
			row.fail(host, from, client, to)
			time.Sleep(10 * time.Millisecond) // for a reset to get there
			if !row.source {
				_, _ = host.Write(make([]byte, 1<<20))
			}
			_, _, err := new(Splicer).Move(to, from, 1<<20)
			if err == nil {
				t.Fatal("it hasn't failed")
			}
			if got := SourceFailed(from, err); got != row.source {
				t.Errorf("after %v (a timeout: %t) got %t, want %t", err, errors.Is(err, os.ErrDeadlineExceeded), got, row.source)
			}
		})
	}
}
