package demo

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// fake is a program whose output a test writes.
type fake struct {
	*io.PipeReader
	out    *io.PipeWriter
	closed bool
}

func newFake() *fake {
	r, w := io.Pipe()
	return &fake{PipeReader: r, out: w}
}

func (f *fake) Write(p []byte) (int, error) { return len(p), nil }
func (f *fake) Resize(uint16, uint16)       {}
func (f *fake) Close() error                { f.closed = true; return f.out.Close() }

func TestShellOutlivesItsLastViewerForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var programs []*fake
		s := newShells(2*time.Minute, func() (program, error) {
			programs = append(programs, newFake())
			return programs[len(programs)-1], nil
		})
		join := func() (*session, *viewer) {
			v := newViewer(t.Context())
			one, err := s.join(t.Context(), "alice", v)
			if err != nil {
				t.Fatal(err)
			}
			return one, v
		}
		one, v := join()
		time.Sleep(10 * time.Minute) // watched, it lives
		one.leave(v)
		time.Sleep(119 * time.Second)
		again, w := join()
		if again != one {
			t.Error("a new session within the two minutes")
		}
		time.Sleep(10 * time.Minute)
		again.leave(w)
		time.Sleep(121 * time.Second)
		s.wait()
		if !programs[0].closed || s.count() != 0 || len(programs) != 1 {
			t.Errorf("closed %v, %d open, %d started", programs[0].closed, s.count(), len(programs))
		}
		last, x := join()
		if last == one || len(programs) != 2 {
			t.Error("the old session came back")
		}
		last.leave(x)
		programs[1].out.Close() // the shell's own end
		s.wait()
	})
}

func TestSlowViewerIsDroppedAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake()
		s := newShells(time.Minute, func() (program, error) { return p, nil })
		slow, quick := newViewer(t.Context()), newViewer(t.Context())
		one, err := s.join(t.Context(), "alice", slow)
		if err != nil || !one.add(quick) {
			t.Fatal(err)
		}
		var got int
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case b := <-quick.out:
					got += len(b)
				case <-quick.ctx.Done():
					return
				}
			}
		}()
		const chunks = 100
		for range chunks {
			_, _ = p.out.Write([]byte("x"))
		}
		synctest.Wait()
		if !errors.Is(context.Cause(slow.ctx), errSlow) || quick.ctx.Err() != nil || got != chunks {
			t.Errorf("slow: %v, quick: %v with %d of %d", context.Cause(slow.ctx), quick.ctx.Err(), got, chunks)
		}
		p.out.Close()
		s.wait()
		<-done
		if !errors.Is(context.Cause(quick.ctx), errShellEnded) {
			t.Errorf("cause %v", context.Cause(quick.ctx))
		}
	})
}

// The session may learn that the host stops before its viewers do, as their
// contexts end one after the other. Here they don't end by themselves at all.
func TestStopOfTheHostIsNotTheShellsOwnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShells(time.Minute, func() (program, error) { return newFake(), nil })
		host, stop := context.WithCancel(t.Context())
		v := newViewer(t.Context())
		if _, err := s.join(host, "alice", v); err != nil {
			t.Fatal(err)
		}
		stop()
		s.wait()
		if code, why := closing(context.Cause(v.ctx)); v.ctx.Err() == nil || code != websocket.StatusGoingAway {
			t.Errorf("ended: %v; closed with %d %q, want 1001", v.ctx.Err(), code, why)
		}
	})
}

func TestTailKeepsWholeLines(t *testing.T) {
	for _, row := range []struct{ in, want string }{
		{"short", "short"},
		{"0123456789", "0123456789"},
		{"abc\ndefgh\nij", "defgh\nij"},     // of the last ten bytes, the line that was cut goes too
		{"no line end in it", " end in it"}, // nothing to cut at
	} {
		if got := string(tail([]byte(row.in), 10)); got != row.want {
			t.Errorf("tail(%q) = %q, want %q", row.in, got, row.want)
		}
	}
}
