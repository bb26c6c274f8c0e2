package gossip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/gossip/inspect/forge"
)

// isMember reports whether an address is in 10.9.0.0/16.
func isMember(at netip.Addr) bool { return netip.MustParsePrefix("10.9.0.0/16").Contains(at) }

// admitOne has a limiter admit a stream.
func admitOne(l *streamLimiter, from string) (*permit, error) {
	return l.admit(netip.MustParseAddr(from), time.Now())
}

func TestStreamsOfOneSourceAreBounded(t *testing.T) {
	l := newStreamLimiter(1000, isMember)
	var permits []*permit
	for range maxSourceStreams {
		p, err := admitOne(l, "10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		permits = append(permits, p)
	}
	if _, err := admitOne(l, "10.0.0.1"); err == nil {
		t.Error("one more was admitted")
	}
	if _, err := admitOne(l, "::ffff:10.0.0.1"); err == nil {
		t.Error("the same address in another form was admitted")
	}
	if _, err := admitOne(l, "10.0.0.2"); err != nil {
		t.Errorf("another source: %v", err)
	}
	permits[0].free()
	if _, err := admitOne(l, "10.0.0.1"); err != nil {
		t.Errorf("after the end of one: %v", err)
	}
	if l.others.streams != maxSourceStreams+1 {
		t.Errorf("%d are open, want %d", l.others.streams, maxSourceStreams+1)
	}
}

// TestOthersLeaveRoomForMembers has strangers open as many streams as they can.
func TestOthersLeaveRoomForMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newStreamLimiter(1000, isMember)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for i := range maxStreams {
			p, err := admitOne(l, gossipAt(i).Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if i < largeMessages {
				if err := p.reserve(ctx, 1000); err != nil {
					t.Fatal(err)
				}
			}
		}
		p, err := admitOne(l, "10.9.0.1")
		if err == nil {
			err = p.reserve(ctx, 1000)
		}
		if err != nil {
			t.Errorf("a member has no room: %v", err)
		}
		if _, err := admitOne(l, "10.8.0.1"); !errors.Is(err, errAll) {
			t.Errorf("one more of others: %v", err)
		}
	})
}

func TestSourcesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newStreamLimiter(1000, isMember)
		open, err := admitOne(l, "10.9.9.9")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 * maxSources {
			p, err := admitOne(l, gossipAt(i).Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			p.free()
		}
		if n := len(l.sources); n > maxSources+1 || l.sources[netip.MustParsePrefix("10.9.9.9/32")] == nil {
			t.Errorf("%d sources, among them the one with a stream: %v", n, l.sources[netip.MustParsePrefix("10.9.9.9/32")])
		}
		open.free()
	})
}

func TestMemoryForMessagesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newStreamLimiter(1000, isMember)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		reserve := func(from string, size int) (*permit, error) {
			p, err := admitOne(l, from)
			if err != nil {
				t.Fatal(err)
			}
			return p, p.reserve(ctx, size)
		}
		first, err := reserve("10.0.0.1", 600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reserve("10.0.0.1", 600); err == nil {
			t.Error("one source has more than the largest message")
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := reserve("10.0.0.2", 1000); err != nil {
			t.Fatal(err)
		}
		came := make(chan error)
		go func() {
			_, err := reserve("10.0.0.5", 1000)
			came <- err
		}()
		synctest.Wait()
		first.free()
		if err := <-came; err != nil {
			t.Errorf("after the end of another: %v", err)
		}
		if _, err := reserve("10.0.0.6", 1000); err == nil {
			t.Error("more than there is memory for")
		}
	})
}

func TestTheRateOfASourceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newStreamLimiter(sourceRate, isMember)
		p, err := admitOne(l, "10.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began, sent := time.Now(), 0
		for p.received(ctx, 1<<20) == nil {
			sent++
		}
		if took := time.Since(began); sent < 16 || sent > 24 || took > 3*time.Second { // 8 at once, and 4 a second
			t.Errorf("%d MB in %s", sent, took)
		}
	})
}

// lateContext is a context that hasn't noticed yet that its time is over.
type lateContext struct{ context.Context }

func (lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

// TestWhoseTimeIsOverIsNotTooFast on a busy machine either.
func TestWhoseTimeIsOverIsNotTooFast(t *testing.T) {
	p, err := admitOne(newStreamLimiter(sourceRate, isMember), "10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.received(lateContext{t.Context()}, 1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want that the time is over", err)
	}
}

// TestASlowStreamIsClosed: whoever sends a message byte by byte has no more time for it
// than others.
func TestASlowStreamIsClosed(t *testing.T) {
	t.Parallel()
	to := newCarrier(t)
	conn, err := net.Dial("tcp", to.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	for _, b := range tester.Call(make([]byte, 100)) {
		if _, err := conn.Write([]byte{b}); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if took := time.Since(began); took > 4*to.patience {
		t.Errorf("it was open for %s, want %s", took, to.patience)
	}
	if to.refused.counts()[Unfinished] != 1 {
		t.Errorf("refused %v", to.refused.counts())
	}
}

// TestACallEndsWithItsMessage: memberlist reads one message on a stream, and what its
// sender says after that isn't for it.
func TestACallEndsWithItsMessage(t *testing.T) {
	to := newCarrier(t)
	conn, err := net.Dial("tcp", to.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	message := tester.Call(forge.Message(forge.Ping, "SeqNo", 1))
	if _, err := conn.Write(append(message, "and more"...)); err != nil {
		t.Fatal(err)
	}
	in := <-to.StreamCh()
	b := make([]byte, 1000)
	total := 0
	for n, err := 0, error(nil); err == nil; total += n {
		n, err = in.Read(b)
	}
	if total != len(message) {
		t.Errorf("got %d bytes, want %d", total, len(message))
	}
	if to.limiter.others.streams != 1 {
		t.Errorf("%d are open, want one", to.limiter.others.streams)
	}
	for range 2 {
		_ = in.Close()
	}
	if to.limiter.others.streams != 0 {
		t.Errorf("%d are open after its end", to.limiter.others.streams)
	}
}
