package idle

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/poller"
)

// A handler counts the calls for which it has got the connection.
type handler struct {
	w     *Wait
	woken chan bool
}

func (h *handler) Tick(time.Time) {}
func (h *handler) Ready(int, poller.Event) (more bool) {
	if h.w.Wake(h) {
		h.woken <- true
	}
	return false
}

// run returns a poller that runs until the test ends.
func run(t *testing.T) *poller.Poller {
	t.Helper()
	p, err := poller.New(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

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

func TestARegisteredConnectionIsWokenByWhatComes(t *testing.T) {
	p := run(t)
	near, far := pair(t)
	h := &handler{w: new(Wait), woken: make(chan bool, 10)}
	for range 3 {
		h.w.Begin()
		h.w.Quiet(time.Hour)
		if !h.w.Register(p, near, h) {
			t.Fatal("not registered")
		}
		if h.w.Cancel() || h.w.Request() {
			t.Error("a registered connection was taken for one that waits")
		}
		if _, err := unix.Write(far, []byte("x")); err != nil {
			t.Fatal(err)
		}
		<-h.woken
		if h.w.Wake(h) {
			t.Error("woken twice")
		}
		_, _ = unix.Read(near, make([]byte, 1))
	}
}

// TestAConnectionEndsOrIsServedButNotBoth: of a request and an end that come together, one is first.
func TestAConnectionEndsOrIsServedButNotBoth(t *testing.T) {
	for range 1000 {
		w := new(Wait)
		w.Begin()
		var served, ended bool
		var wg sync.WaitGroup
		wg.Go(func() { served = w.Request() })
		wg.Go(func() { ended = w.Cancel() })
		wg.Wait()
		if served == ended {
			t.Fatalf("served %t, ended %t", served, ended)
		}
	}
}

func TestACancelledWaitIsNotRegistered(t *testing.T) {
	p := run(t)
	near, _ := pair(t)
	h := &handler{w: new(Wait), woken: make(chan bool, 1)}
	h.w.Begin()
	if !h.w.Cancel() || h.w.Register(p, near, h) || h.w.Overdue(time.Now().Add(time.Hour)) {
		t.Error("a cancelled wait goes on")
	}
}

// TestOnlyARequestResetsTheTimeout: a connection that is woken without one has what was
// left.
func TestOnlyARequestResetsTheTimeout(t *testing.T) {
	const limit = time.Hour
	p := run(t)
	near, _ := pair(t)
	h := &handler{w: new(Wait), woken: make(chan bool, 1)}
	if left := h.w.Left(limit); left != limit {
		t.Errorf("%v are left of %v before it was quiet", left, limit)
	}
	h.w.Begin()
	h.w.Quiet(limit / 2)
	if !h.w.Register(p, near, h) {
		t.Fatal("not registered")
	}
	if now := time.Now(); h.w.Overdue(now) || !h.w.Overdue(now.Add(limit/2)) {
		t.Errorf("overdue now: %t, later: %t", h.w.Overdue(now), h.w.Overdue(now.Add(limit/2)))
	}
	if !h.w.Wake(h) {
		t.Fatal("not woken")
	}
	h.w.Begin()
	h.w.Quiet(limit)
	if left := h.w.Left(limit); left > limit/2 {
		t.Errorf("%v are left, want up to %v", left, limit/2)
	}
	if !h.w.Request() || h.w.Left(limit) != limit {
		t.Errorf("%v are left after a request, want %v", h.w.Left(limit), limit)
	}
}
