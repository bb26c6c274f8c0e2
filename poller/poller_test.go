package poller

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns two non-blocking sockets that are connected.
func pair(t *testing.T) (near, far int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// run returns a poller that runs until the test ends.
func run(t *testing.T, period time.Duration) *Poller {
	t.Helper()
	p, err := New(period)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p
}

// A reader reads a few bytes in each call.
type reader struct {
	mu    sync.Mutex
	gone  bool // it has been removed, and must not touch the socket any more; guarded by mu
	got   chan byte
	ended chan bool // gets whether the end was announced
	hung  bool
	ticks atomic.Int64
}

func newReader() *reader {
	return &reader{got: make(chan byte, 1<<16), ended: make(chan bool, 1)}
}

func (r *reader) Tick(time.Time) { r.ticks.Add(1) }

func (r *reader) Ready(fd int, e Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hung = r.hung || e.HangUp
	if r.gone {
		return false
	}
	var b [3]byte
	n, err := unix.Read(fd, b[:])
	for _, c := range b[:max(n, 0)] {
		r.got <- c
	}
	if n == 0 && err == nil {
		r.ended <- r.hung
		return false
	}
	return err == nil
}

func (r *reader) want(t *testing.T, text string) {
	t.Helper()
	for _, c := range []byte(text) {
		select {
		case got := <-r.got:
			if got != c {
				t.Fatalf("got %q, want %q", got, c)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing came where %q was due", c)
		}
	}
}

func write(t *testing.T, fd int, text string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestHandlerIsCalledUntilItHasReadEverything(t *testing.T) {
	p := run(t, time.Hour)
	near, far := pair(t)
	r := newReader()
	write(t, far, "there before it came")
	if err := p.Add(near, Both, r); err != nil {
		t.Fatal(err)
	}
	r.want(t, "there before it came")
	for range 3 {
		time.Sleep(time.Millisecond)
		write(t, far, "and something later")
		r.want(t, "and something later")
	}
	write(t, far, "the last")
	if err := unix.Shutdown(far, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	r.want(t, "the last")
	if !<-r.ended {
		t.Error("the end came without its event")
	}
}

func TestHandlersShareOneGoroutineInTurn(t *testing.T) {
	p := run(t, time.Hour)
	busyNear, busyFar := pair(t)
	near, far := pair(t)
	busy := &endless{}
	if err := p.Add(busyNear, Both, busy); err != nil {
		t.Fatal(err)
	}
	write(t, busyFar, "x")
	for busy.turns.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	r := newReader()
	if err := p.Add(near, Both, r); err != nil {
		t.Fatal(err)
	}
	write(t, far, "not starved")
	r.want(t, "not starved")
	busy.enough.Store(true)
}

// endless always has more to do.
type endless struct {
	turns  atomic.Int64
	enough atomic.Bool
}

func (e *endless) Tick(time.Time) {}
func (e *endless) Ready(int, Event) bool {
	e.turns.Add(1)
	return !e.enough.Load()
}

func TestSocketThatTakesBytesAgainIsAnEvent(t *testing.T) {
	p := run(t, time.Hour)
	near, far := pair(t)
	w := &writer{fd: near, stuck: make(chan bool, 100)}
	if err := p.Add(near, Both, w); err != nil {
		t.Fatal(err)
	}
	<-w.stuck
	read := 0
	for b := make([]byte, 1<<16); read < 4<<20; {
		n, err := unix.Read(far, b)
		if errors.Is(err, unix.EAGAIN) {
			<-w.stuck // until it has written more
			continue
		}
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		read += n
	}
}

// writer writes whenever it can.
type writer struct {
	fd    int
	stuck chan bool
}

func (w *writer) Tick(time.Time) {}
func (w *writer) Ready(int, Event) bool {
	_, err := unix.Write(w.fd, make([]byte, 1<<12))
	if errors.Is(err, unix.EAGAIN) {
		select {
		case w.stuck <- true:
		default:
		}
	}
	return err == nil
}

func TestRemovedHandlerIsCalledNoMore(t *testing.T) {
	p := run(t, time.Millisecond)
	near, far := pair(t)
	r := newReader()
	if err := p.Add(near, Both, r); err != nil {
		t.Fatal(err)
	}
	write(t, far, "a")
	r.want(t, "a")
	p.Remove(near, r)
	p.Remove(near, r)
	other, otherFar := pair(t)
	o := newReader()
	if err := p.Add(other, Both, o); err != nil {
		t.Fatal(err)
	}
	ticks := o.ticks.Load()
	for o.ticks.Load() < ticks+3 { // a round that had begun before is over
		time.Sleep(time.Millisecond)
	}
	before := r.ticks.Load()
	write(t, far, "b")
	write(t, otherFar, "c")
	o.want(t, "c")
	for ticks = o.ticks.Load(); o.ticks.Load() < ticks+3; {
		time.Sleep(time.Millisecond)
	}
	if r.ticks.Load() != before || len(r.got) > 0 {
		t.Error("called after it was removed")
	}
	if err := p.Add(near, Both, r); err != nil {
		t.Fatalf("it can't come back: %v", err)
	}
	r.want(t, "b")
}

func TestAllHandlersTick(t *testing.T) {
	const handlers = 1100 // more than are called together
	p := run(t, 5*time.Millisecond)
	var readers []*reader
	for range handlers / 2 {
		a, b := pair(t)
		for _, fd := range []int{a, b} {
			r := newReader()
			readers = append(readers, r)
			if err := p.Add(fd, Both, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	end := time.Now().Add(10 * time.Second)
	for i, r := range readers {
		for r.ticks.Load() < 2 {
			if time.Now().After(end) {
				t.Fatalf("handler %d of %d was forgotten", i, handlers)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestAddAndRemoveWhileEventsCome(t *testing.T) {
	p := run(t, time.Millisecond)
	var wg sync.WaitGroup
	for range 8 {
		near, far := pair(t)
		wg.Go(func() {
			for range 300 {
				r := newReader()
				if err := p.Add(near, Both, r); err != nil {
					t.Error(err)
					return
				}
				write(t, far, "x")
				r.want(t, "x")
				r.mu.Lock()
				r.gone = true
				r.mu.Unlock()
				p.Remove(near, r)
			}
		})
	}
	wg.Wait()
}

func TestBadDescriptorIsAnError(t *testing.T) {
	p := run(t, time.Hour)
	near, far := pair(t)
	r := newReader()
	if err := p.Add(near, Both, r); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(near, Both, newReader()); !errors.Is(err, unix.EEXIST) {
		t.Errorf("added twice: %v", err)
	}
	write(t, far, "still the first one's")
	r.want(t, "still the first one's")
	p.Remove(1<<20, r)
}

func TestPollerThatHasEndedTakesNoSocket(t *testing.T) {
	p, err := New(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	near, _ := pair(t)
	r := newReader()
	if err := p.Add(near, Both, r); err == nil {
		t.Error("taken")
	}
	p.Remove(near, r)
}

// TestHelpDoesWhatRunWouldDo tries a poller that doesn't run, and one that runs while
// many goroutines call Help.
func TestHelpDoesWhatRunWouldDo(t *testing.T) {
	alone, err := New(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	near, far := pair(t)
	r := newReader()
	if err := alone.Add(near, Both, r); err != nil {
		t.Fatal(err)
	}
	alone.Help()
	write(t, far, "helped")
	alone.Help()
	r.want(t, "helped")
	write(t, far, "a text that takes more turns than a helper has")
	alone.Help()
	r.want(t, "a text that ")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- alone.Run(ctx) }()
	r.want(t, "takes more turns than a helper has") // Run does the rest
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}

	p := run(t, time.Millisecond)
	var wg sync.WaitGroup
	for range 4 {
		near, far := pair(t)
		r := newReader()
		if err := p.Add(near, Both, r); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for range 300 {
				write(t, far, "some text")
				p.Help()
				r.want(t, "some text")
			}
		})
	}
	wg.Wait()
}

// BenchmarkEvent measures one message in the poller: the event, the read, and the
// return of the goroutine to its wait.
func BenchmarkEvent(b *testing.B) {
	p, err := New(time.Second)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	r := newReader()
	if err := p.Add(fds[0], Both, r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = unix.Write(fds[1], []byte("x"))
		<-r.got
	}
	cancel()
	<-done
	unix.Close(fds[0])
	unix.Close(fds[1])
}
