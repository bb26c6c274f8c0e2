package upstream

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/http1"
	"tokenring/proxy/deadline"
)

// TestARequestThatAHostHasNotTakenIsDropped with its connection, in whatever way that ends.
func TestARequestThatAHostHasNotTakenIsDropped(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Conn){
		"close": func(c *Conn) { _ = c.Close() },
		"cut":   func(c *Conn) { c.Cut(); _ = c.Close() },
	} {
		c, far := pair(t)
		_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		for { // until the kernel takes nothing more
			if _, err := c.Write(make([]byte, 1<<20)); deadline.Exceeded(err) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		end(c)
		if n, err := io.Copy(io.Discard, far); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: the host got %d bytes and %v, want a reset", name, n, err)
		}
	}
}

func TestARequestThatAHostHasTakenIsNoReason(t *testing.T) {
	t.Parallel()
	c, far := pair(t)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write(got); err != nil { // it takes the acknowledgement along
		t.Fatal(err)
	}
	if err := c.WaitReadable(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(got); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if n, err := far.Read(got); err != io.EOF {
		t.Errorf("the host got %d bytes and %v, want the end", n, err)
	}
}

// pair returns a connection to a host, and the host's end of it.
func pair(t *testing.T) (c *Conn, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	_ = far.SetDeadline(time.Now().Add(20 * time.Second))
	return newConn(near, http1.Limits{}), far
}
