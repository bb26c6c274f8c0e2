package stream

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/session"
)

// same waits until what a has to tell is what b has heard of it.
func same(t *testing.T, a, b *node) {
	t.Helper()
	var want, got map[balancer.Digest]session.Report
	defer func() {
		if t.Failed() {
			t.Logf("%s has %d, and %s knows %d of them", a.self.Name, len(want), b.self.Name, len(got))
		}
	}()
	eventually(t, b.self.Name+" knows what "+a.self.Name+" has", func() bool {
		want, got = a.src.reports(), b.sink.of(a)
		return cmp.Equal(want, got)
	})
}

func TestThreeBalancersKnowEachOthersSessions(t *testing.T) {
	t.Parallel()
	a, b, c := newNode(t, "lb-a"), newNode(t, "lb-b"), newNode(t, "lb-c")
	for i := range 1200 {
		a.src.report(on(i, "ide-1", 1))
	}
	b.src.report(on(1, "ide-2", 3))
	a.with(func(x *times) { x.ping = 20 * time.Millisecond }).start(b, c)
	b.start(a, c)
	c.start(a, b)
	connected(t, a, b, c)
	for _, from := range []*node{a, b, c} {
		for _, to := range []*node{a, b, c} {
			if from != to {
				same(t, from, to)
			}
		}
	}
	a.src.report(on(7, "", 0))
	a.src.report(on(8, "ide-3", 2))
	c.src.report(on(9, "ide-4", 1))
	same(t, a, b)
	same(t, a, c)
	same(t, c, a)
	eventually(t, "all is acknowledged", func() bool { s := a.status(b); return s.Pending == 0 && s.RTT > 0 })
	if s := a.status(b); s.Boot != 1 || s.Since.IsZero() || s.Address != b.self.Address {
		t.Errorf("got %+v", s)
	}
	c.stop()
	failing(t, a, c, "connection refused")
	if s := a.status(b); !s.Up || !s.Heard {
		t.Errorf("another peer has gone, and the stream that stays is %+v", s)
	}
}

// TestAReportIsThereAtOnce: while a user changes balancers, the next one has to know where the
// terminal is.
func TestAReportIsThereAtOnce(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	come := make(chan time.Time, 1)
	b.sink.hook = func([]session.Report) { come <- time.Now() }
	a.start(b)
	b.start(a)
	connected(t, a, b)
	median := func() time.Duration {
		var took []time.Duration
		for i := range 50 {
			began := time.Now()
			a.src.report(on(i, "ide-1", 1))
			took = append(took, (<-come).Sub(began))
		}
		slices.Sort(took)
		t.Logf("median %v, longest %v", took[len(took)/2], took[len(took)-1])
		return took[len(took)/2]
	}
	const want = 20 * time.Millisecond
	for range 20 { // a machine that has something else to do is slow at times, a report that waits for a timer always
		if median() <= want {
			return
		}
	}
	t.Errorf("reports take more than %v, however often they are sent", want)
}

func TestReportsComeInOrder(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	const keys, last = 7, 5000
	var got []session.Report
	b.sink.hook = func(reports []session.Report) { got = append(got, reports...) }
	a.start(b)
	b.start(a)
	for i := range last {
		a.src.report(on(i%keys, hostName(i%13), int32(i)+1))
	}
	same(t, a, b)
	b.stop() // no more reports come
	before := map[balancer.Digest]int32{}
	for _, r := range got {
		if r.Terminals < before[r.Digest] {
			t.Fatalf("a key has %d terminals after %d", r.Terminals, before[r.Digest])
		}
		before[r.Digest] = r.Terminals
	}
	if len(before) != keys {
		t.Errorf("%d keys", len(before))
	}
}

func TestAPeerThatComesBackIsToldAll(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.src.report(on(1, "ide-1", 1))
	a.src.report(on(2, "ide-1", 1))
	a.start(b)
	b.start(a)
	connected(t, a, b)
	b.stop()
	failing(t, a, b, "refused")
	a.src.report(on(1, "", 0))
	a.src.report(on(3, "ide-2", 1))

	ln, err := net.Listen("tcp", b.self.Address)
	if err != nil {
		t.Fatal(err)
	}
	again := newNode(t, "lb-b", func(o *Options) { o.Identity, o.Boot = b.hub.options.Identity, 2 })
	again.ln.Close()
	again.ln, again.self = ln, b.self
	again.start(a)
	connected(t, a, again)
	same(t, a, again)
	if s := a.status(b); s.Boot != 2 {
		t.Errorf("got %+v", s)
	}
	want := "begin lb-b, complete lb-b, end lb-b, begin lb-b, complete lb-b"
	if got := a.sink.story(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := a.src.opened(); n != 1 {
		t.Errorf("%d sources are open", n)
	}
}

// TestWhoComesIsCalledBackAtOnce: a balancer that starts needn't wait until its peers try
// again.
func TestWhoComesIsCalledBackAtOnce(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	var down atomic.Bool
	down.Store(true)
	dial := a.hub.options.Dial
	a.hub.options.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		if down.Load() {
			return nil, errors.New("it is down")
		}
		return dial(ctx, address)
	}
	a.with(func(x *times) { x.minPause, x.maxPause = time.Hour, time.Hour }).start(b)
	failing(t, a, b, "it is down")
	down.Store(false)
	b.start(a)
	connected(t, a, b)
}

// TestANewerStreamEndsTheOlderOne: the next generation of a balancer opens its stream before
// the last one has closed its own.
func TestANewerStreamEndsTheOlderOne(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	slow := func(x *times) { x.minPause, x.maxPause = time.Hour, time.Hour } // the older one doesn't come back
	newer := newNode(t, "lb-b", func(o *Options) { o.Identity, o.Boot = b.hub.options.Identity, 2 }).with(slow)
	a.start(b)
	b.with(slow).start(a)
	eventually(t, "the first one is heard", func() bool { return a.status(b).Heard })
	newer.src.report(on(1, "ide-1", 1))
	newer.start(a)
	same(t, newer, a)
	eventually(t, "the newer one is complete", func() bool { return strings.Count(a.sink.story(), "complete") == 2 })
	if got, want := a.sink.story(), "begin lb-b, complete lb-b, end lb-b, begin lb-b, complete lb-b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	failing(t, b, a, "it refuses this balancer: \"a newer stream with the same name and key has been opened\"")
	if s := a.status(b); !s.Heard {
		t.Errorf("the end of the older one has become that of the newer one: %+v", s)
	}
}

func TestWhoIsNoPeerAnyMoreIsDisconnected(t *testing.T) {
	t.Parallel()
	a, b, c := newNode(t, "lb-a"), newNode(t, "lb-b"), newNode(t, "lb-c")
	a.start(b, c)
	b.start(a)
	c.start(a)
	connected(t, a, b)
	connected(t, a, c)
	a.hub.Changed().Clear()
	a.know(c)
	eventually(t, "its stream ends", func() bool { return strings.Contains(a.sink.story(), "end lb-b") })
	failing(t, b, a, "doesn't accept this balancer's key")
	select {
	case <-a.hub.Changed():
	default:
		t.Error("there is no note of the change")
	}
	if all := a.hub.Status(); len(all) != 1 || !all[0].Up || !all[0].Heard {
		t.Errorf("got %+v", all)
	}
	eventually(t, "it is counted", func() bool { return a.hub.Refused()[UnknownKey] > 0 })
	a.know(b, c)
	connected(t, a, b)
}

// TestRunEndsAllThatItHasStarted: who has called Run may throw away all that he has given it.
func TestRunEndsAllThatItHasStarted(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.start(b)
	b.start(a)
	connected(t, a, b)
	a.stop()
	if n := a.src.opened(); n != 0 {
		t.Errorf("%d sources are open", n)
	}
	if got := a.sink.story(); !strings.HasSuffix(got, "end lb-b") {
		t.Errorf("got %s", got)
	}
	a.know(b, newNode(t, "lb-c")) // nothing begins any more
	eventually(t, "the other one hears the end", func() bool { return strings.HasSuffix(b.sink.story(), "end lb-a") })
	if err := New(a.hub.options).Run(t.Context(), a.ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("with a listener that is closed: %v", err)
	}
}

func TestPeersWithoutAnAddressOrAKeyAreShown(t *testing.T) {
	t.Parallel()
	a, b := newNode(t, "lb-a"), newNode(t, "lb-b")
	a.hub.options.Dial = func(context.Context, string) (net.Conn, error) { panic("it is dialled") }
	noKey, noAddress := b.self, b.self
	noKey.Fingerprint, noAddress.Address, noAddress.Name = Fingerprint{}, "", "lb-c"
	a.hub.SetPeers([]Peer{a.self, noKey, noAddress, {Name: "lb-c", Address: "twice"}})
	a.run()
	var got []string
	for _, s := range a.hub.Status() {
		got = append(got, s.Name+": "+s.Err)
	}
	if diff := cmp.Diff([]string{"lb-b: " + errNoKey.Error(), "lb-c: " + errNoAddress.Error()}, got); diff != "" {
		t.Error(diff)
	}
}
