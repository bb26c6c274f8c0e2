package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// take returns near as a raw socket, which is closed when the test ends.
func take(t *testing.T, near net.Conn) *Raw {
	t.Helper()
	s, err := TakeOver(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &s
}

// readSoon reads when there is something, as after an event.
func readSoon(t *testing.T, s *Raw, p []byte) (int, error) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		n, err := s.Read(p)
		if !errors.Is(err, ErrAgain) {
			return n, err
		}
		if time.Now().After(end) {
			t.Fatal("nothing came")
		}
		s.Wake(false)
	}
}

func TestARawSocketReadsWhatIsThereAndNeverBlocks(t *testing.T) {
	far, near := connected(t)
	s := take(t, near)
	p := make([]byte, 8)
	if n, err := s.Read(p); n != 0 || !errors.Is(err, ErrAgain) {
		t.Errorf("got %d bytes, %v, want none and to try again", n, err)
	}
	_, _ = far.Write([]byte("text"))
	if n, err := readSoon(t, s, p); string(p[:n]) != "text" || err != nil {
		t.Errorf("got %q, %v", p[:n], err)
	}
	if !s.Drained() {
		t.Error("less than was asked for has come, and the socket isn't drained")
	}
	_ = far.CloseWrite()
	if _, err := readSoon(t, s, p); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
}

// TestTheEndAfterBytesIsRead: no event tells of it again.
func TestTheEndAfterBytesIsRead(t *testing.T) {
	far, near := connected(t)
	s := take(t, near)
	_, _ = far.Write([]byte("bye"))
	_ = far.CloseWrite()
	p := make([]byte, 8)
	s.Wake(true)
	if n, err := readSoon(t, s, p); string(p[:n]) != "bye" || err != nil || s.Drained() {
		t.Errorf("got %q, %v, drained %t", p[:n], err, s.Drained())
	}
	if _, err := readSoon(t, s, p); err != io.EOF {
		t.Errorf("got %v, want the end", err)
	}
}

// TestWhatTheKernelDoesNotTakeIsSentLater, in order, and isn't kept any longer.
func TestWhatTheKernelDoesNotTakeIsSentLater(t *testing.T) {
	far, near := connected(t)
	s := take(t, near)
	var want []byte
	for i := 0; s.Unsent() == 0 || i%7 != 0; i++ {
		piece := bytes.Repeat([]byte{byte(i)}, 64<<10)
		if n, err := s.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("took %d bytes, %v", n, err)
		}
		want = append(want, piece...)
	}
	got := make([]byte, len(want))
	done := make(chan error)
	go func() { _, err := io.ReadFull(far, got); done <- err }()
	for s.Unsent() > 0 {
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if err := <-done; err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes have come, %v", err)
	}
	if s.unsent != nil {
		t.Error("a buffer is kept for nothing")
	}
}

func TestAConnectionWithoutASocketIsRefused(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := TakeOver(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("taken over: %v", err)
	}
	if _, ok := Descriptor(a); ok {
		t.Error("it has a descriptor")
	}
}
