package logqueue

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog/diode"
)

// A reader takes lines. If it has a gate, each waits until the gate is open.
type reader struct {
	gate  chan struct{}
	lines []string
}

func (r *reader) Write(line []byte) (int, error) {
	if r.gate != nil {
		<-r.gate
	}
	r.lines = append(r.lines, string(line))
	return len(line), nil
}

func never(t *testing.T) func(int) {
	return func(lines int) { t.Errorf("%d lines were dropped", lines) }
}

// TestEachLineIsOneWrite: in the order in which one goroutine has written them, as syslog
// takes each Write for a message.
func TestEachLineIsOneWrite(t *testing.T) {
	r := &reader{}
	q := Open(r, 1000, never(t))
	line := make([]byte, 0, 100)
	for n := range 1000 {
		line = fmt.Appendf(line[:0], "line %d %s\n", n, strings.Repeat("x", n%50))
		if got, err := q.Write(line); got != len(line) || err != nil {
			t.Fatalf("got %d, %v, want %d", got, err, len(line))
		}
	}
	q.Close()
	if len(r.lines) != 1000 {
		t.Fatalf("%d lines were written, want 1000", len(r.lines))
	}
	for n, got := range r.lines {
		if want := fmt.Sprintf("line %d %s\n", n, strings.Repeat("x", n%50)); got != want {
			t.Fatalf("line %d is %q, want %q", n, got, want)
		}
	}
}

// TestALineIsWrittenWithoutAnotherOne: it doesn't wait for the next one, or for Close, even
// if the writer was about to sleep when it came.
func TestALineIsWrittenWithoutAnotherOne(t *testing.T) {
	taken := make(chan struct{})
	q := Open(writes(func() { taken <- struct{}{} }), 10, never(t))
	defer q.Close()
	for range 20_000 {
		_, _ = q.Write([]byte("line\n"))
		<-taken
	}
}

// TestALineAtTheVeryEndIsNotLost: what Write has taken before Close is written, however
// close they are.
func TestALineAtTheVeryEndIsNotLost(t *testing.T) {
	for n := range 5_000 {
		r := &reader{}
		q := Open(r, 10, never(t))
		for range n % 3 {
			_, _ = q.Write([]byte("line\n"))
		}
		q.Close()
		if len(r.lines) != n%3 {
			t.Fatalf("%d lines were written, want %d", len(r.lines), n%3)
		}
	}
}

// TestEveryLineIsWrittenOrCounted: also those that come while the queue is closed.
func TestEveryLineIsWrittenOrCounted(t *testing.T) {
	const writers, lines = 4, 500
	for range 50 {
		r := &reader{}
		var dropped atomic.Int64
		q := Open(r, 100, func(lines int) { dropped.Add(int64(lines)) })
		var running sync.WaitGroup
		half := make(chan struct{}, writers)
		for range writers {
			running.Go(func() {
				for n := range lines {
					if n == lines/2 {
						half <- struct{}{}
					}
					_, _ = q.Write([]byte("line\n"))
				}
			})
		}
		<-half
		q.Close()
		written := len(r.lines)
		running.Wait()
		if got := int64(written) + dropped.Load(); got != writers*lines || len(r.lines) != written {
			t.Fatalf("%d lines were written, %d more after Close, and %d dropped, of %d", written, len(r.lines)-written, dropped.Load(), writers*lines)
		}
	}
}

// TestAFullQueueDropsWhatComes: it keeps as many lines as it may, with the one that the
// reader is about to take, and has room again once the reader goes on.
func TestAFullQueueDropsWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gate: make(chan struct{})}
		dropped := 0
		q := Open(r, 3, func(lines int) { dropped += lines })
		for n := range 5 {
			_, _ = fmt.Fprint(q, n)
			synctest.Wait() // the first has gone to the reader, which is stuck
		}
		if dropped != 2 {
			t.Errorf("%d lines were dropped, want 2", dropped)
		}
		r.gate <- struct{}{}
		synctest.Wait()
		_, _ = fmt.Fprint(q, 5)
		close(r.gate)
		q.Close()
		q.Close()
		_, _ = fmt.Fprint(q, 6)
		if got := strings.Join(r.lines, ""); got != "0125" || dropped != 3 {
			t.Errorf("%q was written and %d lines dropped, want 0125 and 3", got, dropped)
		}
	})
}

// TestABurstKeepsNoMemory: the buffer of lines that a slow reader has let wait is given back.
func TestABurstKeepsNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gate: make(chan struct{})}
		q := Open(r, 10, never(t))
		for range 10 {
			_, _ = q.Write(bytes.Repeat([]byte("x"), keptBytes/2))
		}
		close(r.gate)
		synctest.Wait()
		for range 3 { // each of the two buffers is in use at least once
			_, _ = q.Write([]byte("line\n"))
			synctest.Wait()
		}
		if got := cap(q.waiting.text); got > keptBytes {
			t.Errorf("a buffer of %d bytes is kept, want up to %d", got, keptBytes)
		}
		q.Close()
	})
}

// TestALineCostsNoAllocation: it is logged for each request.
func TestALineCostsNoAllocation(t *testing.T) {
	taken := make(chan struct{}, 1)
	q := Open(writes(func() { taken <- struct{}{} }), 10, never(t))
	defer q.Close()
	line := bytes.Repeat([]byte("x"), 400)
	if n := testing.AllocsPerRun(1000, func() { _, _ = q.Write(line); <-taken }); n > 0 {
		t.Errorf("a line costs %v allocations, want none", n)
	}
}

// A writes is called for each Write.
type writes func()

func (f writes) Write(line []byte) (int, error) {
	f()
	return len(line), nil
}

// BenchmarkLine is a line of the access log, for a reader that is fast enough, and
// BenchmarkDiode the same with the queue of zerolog, whose reader misses a line at times.
func BenchmarkLine(b *testing.B) {
	q := Open(io.Discard, 8192, func(int) {})
	defer q.Close()
	benchmark(b, q)
}

func BenchmarkDiode(b *testing.B) {
	d := diode.NewWriter(io.Discard, 8192, 0, func(int) {})
	defer func() { _ = d.Close() }()
	benchmark(b, d)
}

func benchmark(b *testing.B, w io.Writer) {
	line := bytes.Repeat([]byte("x"), 400)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = w.Write(line)
		}
	})
}
