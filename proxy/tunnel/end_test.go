package tunnel

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// framed returns a tunnel that has carried no bytes but the head of the 101.
func framed(t *testing.T) *bench {
	b := newBench(t)
	b.tun.host.sent = frames{masked: true} // of "early" nothing is known
	return b
}

// rest reads to the end of a connection, while the tunnel handles events.
func (b *bench) rest(from *net.TCPConn) []byte {
	b.t.Helper()
	var got []byte
	piece := make([]byte, 1<<16)
	for end := time.Now().Add(10 * time.Second); ; {
		b.events(false)
		_ = from.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := from.Read(piece)
		got = append(got, piece[:n]...)
		switch {
		case errors.Is(err, io.EOF):
			return got
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(end):
			b.t.Fatalf("%v after %d bytes", err, len(got))
		}
	}
}

// waitForEnd waits until the end of a stream has come to a socket, and all before it.
func waitForEnd(t *testing.T, fd int) {
	t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 10000); n != 1 {
		t.Fatal(n, err)
	}
}

// closeFrame returns the client's close frame.
func closeFrame(why Reason) []byte {
	code, text := why.status()
	return new(frames).appendClose(nil, code, text)
}

func TestTheRestOfAFrameIsPassedOn(t *testing.T) {
	for name, begun := range map[string]int{"in the head": 3, "in the length": 1, "in the payload": 200} {
		b := framed(t)
		whole := frame(text, false, 1000, 126)
		b.say(b.host, b.client, string(whole[:begun]))
		_, _ = b.host.Write(append(whole[begun:], "\x81\x00"...))
		_ = b.host.CloseWrite()
		waitForEnd(t, b.tun.host.FD())
		b.tun.End(ByMaint)
		if got, want := b.rest(b.client), append(whole[begun:], closeFrame(ByMaint)...); !bytes.Equal(got, want) {
			t.Errorf("%s: the client got %d bytes, want %d", name, len(got), len(want))
		}
	}
}

func TestAFrameThatHasNotComeIsNotWaitedFor(t *testing.T) {
	b := framed(t)
	b.say(b.host, b.client, "\x81\x05he")
	b.tun.End(ByMaint)
	if got := b.rest(b.client); len(got) > 0 {
		t.Errorf("the client got %q", got)
	}
	if n := b.closed.Load(); n != 1 {
		t.Error("the client's connection is open")
	}
}

// TestASlowClientGetsItsCloseFrameBehindTheRest: what was kept for it comes first.
func TestASlowClientGetsItsCloseFrameBehindTheRest(t *testing.T) {
	b := framed(t)
	message, sent := frame(text, false, 1000, 126), 0
	for b.tun.client.Unsent() == 0 {
		_ = b.host.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := b.host.Write(message[sent%len(message):])
		if sent += n; err != nil {
			t.Fatal(err)
		}
		b.events(false)
	}
	b.tun.End(ByShutdown)
	if n := b.closed.Load(); n != 0 {
		t.Fatal("the client's connection is closed")
	}
	got := b.rest(b.client)
	for bytes.HasPrefix(got, message) {
		got = got[len(message):]
	}
	if want := closeFrame(ByShutdown); !bytes.Equal(got, want) {
		t.Errorf("at the end the client got %.100q, want %q", got, want)
	}
	b.client.Close()
	b.events(true)
	if n := b.closed.Load(); n != 1 {
		t.Errorf("the client's connection was closed %d times, want once", n)
	}
}

// TestWhatAHostHasNotTakenIsDropped when the key leaves the host: it must not arrive later.
func TestWhatAHostHasNotTakenIsDropped(t *testing.T) {
	for _, why := range []Reason{ByMaint, ByDrain, ByHostDown, ByMove, BySplit} {
		b := framed(t)
		b.stuff()
		b.tun.End(why)
		if n, err := io.Copy(io.Discard, b.host); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: the host got %d bytes and %v, want a reset", why, n, err)
		}
		if got, want := b.rest(b.client), closeFrame(why); !bytes.Equal(got, want) {
			t.Errorf("%s: the client got %q, want %q", why, got, want)
		}
	}
}

// TestAHostThatIsSlowGetsWhatWasSent when its client leaves, or the balancer does: the key is
// still the host's.
func TestAHostThatIsSlowGetsWhatWasSent(t *testing.T) {
	for _, why := range []Reason{ByClient, ByOperator, ByShutdown} {
		b := framed(t)
		b.stuff()
		fd, err := unix.FcntlInt(uintptr(b.tun.host.FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.tun.End(why)
		if ms, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); err != nil || ms != 3000 {
			t.Errorf("%s: the kernel tries for %d ms (%v), want 3000", why, ms, err)
		}
		_ = unix.Close(fd)
		if n, err := io.Copy(io.Discard, b.host); err != nil {
			t.Errorf("%s: the host got %d bytes and %v, want the end", why, n, err)
		}
	}
}

// stuff has the client send, until the kernel takes nothing more for the host.
func (b *bench) stuff() {
	b.t.Helper()
	_ = b.host.SetReadDeadline(time.Now().Add(20 * time.Second))
	message := frame(text, true, 1000, 126)
	for sent := 0; b.tun.host.Unsent() == 0; b.events(false) {
		_ = b.client.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := b.client.Write(message[sent%len(message):])
		if sent += n; err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestAClientThatNeverClosesIsCut: it has lingerTime.
func TestAClientThatNeverClosesIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := framed(t)
		b.tun.End(ByShutdown)
		time.Sleep(lingerTime - time.Nanosecond)
		synctest.Wait()
		if n := b.closed.Load(); n != 0 {
			t.Error("it was cut early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := b.closed.Load(); n != 1 {
			t.Errorf("it was closed %d times, want once", n)
		}
	})
}
