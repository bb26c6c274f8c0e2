package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/balancer"
)

// A region is some balancers that can ask each other.
type region struct {
	trip  time.Duration // of a question and its answer
	nodes map[string]*Claims

	mu        sync.Mutex
	stuck     map[string]chan struct{} // a peer answers when the channel is closed
	missing   map[string]time.Time     // a peer can't be asked, and is worth waiting for until then
	lose      int                      // how many questions are lost
	questions int
	known     map[string]Answer // by balancer: what it knows besides its claims
}

// startRegion returns balancers that run until the test ends.
func startRegion(t *testing.T, trip time.Duration, names ...string) *region {
	r := &region{trip: trip, nodes: map[string]*Claims{}, stuck: map[string]chan struct{}{}, missing: map[string]time.Time{}, known: map[string]Answer{}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, name := range names {
		c := New(name, link{r, name})
		r.nodes[name] = c
		running.Go(func() { _ = c.Run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return r
}

// A link is how one balancer asks the others.
type link struct {
	*region
	from string
}

func (l link) Open() (names []string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.nodes {
		switch end, missing := l.missing[name]; {
		case name == l.from:
		case missing:
			until = end
		default:
			names = append(names, name)
		}
	}
	return names, until
}

func (l link) Ask(ctx context.Context, peer string, question []byte) ([]byte, error) {
	l.mu.Lock()
	l.questions++
	stuck := l.stuck[peer]
	if l.lose > 0 {
		l.lose--
		l.mu.Unlock()
		return nil, ErrLost
	}
	l.mu.Unlock()
	time.Sleep(l.trip / 2)
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	answer, err := l.nodes[peer].Answer(l.from, question, func(balancer.Digest) Answer {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.known[peer]
	})
	time.Sleep(l.trip - l.trip/2)
	return answer, err
}

func keyOf(i int) (key balancer.Digest) {
	copy(key[:], fmt.Sprintf("%c%d", i, i))
	return key
}

// claim claims a key, and returns the host that it gets and how. All other hosts bind.
func (r *region) claim(t *testing.T, name string, h *Hold, key int, host string) (string, Result) {
	t.Helper()
	w, result, err := r.nodes[name].Claim(t.Context(), h, Wish{Key: keyOf(key), Host: host, Binds: binds})
	if err != nil {
		t.Error(err)
	}
	return w.Host, result
}

func binds(Where) (bool, bool) { return true, false }

func TestAFreeKeyCostsOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 3*time.Millisecond, "lb-1", "lb-2", "lb-3")
		var h Hold
		began := time.Now()
		if host, result := r.claim(t, "lb-2", &h, 1, "a"); host != "a" || result != Agreed || time.Since(began) != r.trip {
			t.Errorf("got %s, %d after %v", host, result, time.Since(began))
		}
		for _, name := range []string{"lb-1", "lb-3"} {
			var other Hold
			if host, result := r.claim(t, name, &other, 1, "b"); host != "a" || result != Taken {
				t.Errorf("%s: got %s, %d", name, host, result)
			}
			r.nodes[name].Release(&other)
		}
		r.nodes["lb-2"].Release(&h)
		if host, result := r.claim(t, "lb-3", &h, 1, "b"); host != "b" || result != Agreed {
			t.Errorf("when its requests have ended: got %s, %d", host, result)
		}
	})
}

// TestBalancersThatClaimAKeyAtOnceGetOneHost, and soon.
func TestBalancersThatClaimAKeyAtOnceGetOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"lb-1", "lb-2", "lb-3"}
		r := startRegion(t, 2*time.Millisecond, names...)
		const keys = 300
		var got [keys][3]string
		var claiming sync.WaitGroup
		for i := range keys {
			for n, name := range names {
				claiming.Go(func() {
					time.Sleep(time.Duration((i*7+n*3)%5) * time.Millisecond / 2)
					var h Hold
					began := time.Now()
					got[i][n], _ = r.claim(t, name, &h, i, fmt.Sprintf("host-%d", n))
					if took := time.Since(began); took > 100*time.Millisecond {
						t.Errorf("a claim has taken %v", took)
					}
				})
			}
		}
		claiming.Wait()
		for i := range keys {
			if got[i][0] != got[i][1] || got[i][1] != got[i][2] {
				t.Fatalf("key %d is on %v", i, got[i])
			}
		}
	})
}

// TestAPeerThatDoesNotAnswerIsWaitedForOnce: for a second, and then by nobody until it answers.
func TestAPeerThatDoesNotAnswerIsWaitedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 0, "lb-1", "lb-2", "lb-3")
		r.stuck["lb-3"] = make(chan struct{})
		began := time.Now()
		var claiming sync.WaitGroup
		for i := range 10 {
			claiming.Go(func() {
				time.Sleep(time.Duration(i) * 90 * time.Millisecond)
				if _, result := r.claim(t, "lb-1", new(Hold), i, "a"); result != Late || time.Since(began) != time.Second {
					t.Errorf("claim %d ended after %v with %d", i, time.Since(began), result)
				}
			})
		}
		claiming.Wait()
		if _, result := r.claim(t, "lb-1", new(Hold), 20, "a"); result != Late || time.Since(began) != time.Second {
			t.Errorf("a later claim ended after %v with %d", time.Since(began), result)
		}
		close(r.stuck["lb-3"])
		delete(r.stuck, "lb-3")
		synctest.Wait()
		if _, result := r.claim(t, "lb-1", new(Hold), 21, "a"); result != Agreed {
			t.Errorf("when it answers again: %d", result)
		}
	})
}

// TestRequestsOfOneBalancerShareAClaim: the second one waits for what the first one asks.
func TestRequestsOfOneBalancerShareAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 10*time.Millisecond, "lb-1", "lb-2")
		var claiming sync.WaitGroup
		for i := range 5 {
			claiming.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if host, _ := r.claim(t, "lb-1", new(Hold), 1, fmt.Sprintf("host-%d", i)); host != "host-0" {
					t.Errorf("request %d gets %s", i, host)
				}
			})
		}
		claiming.Wait()
		if r.questions != 1 {
			t.Errorf("%d questions", r.questions)
		}
	})
}

// TestAnotherRequestGoesOnWhenTheClientOfTheFirstLeaves while the peers are asked.
func TestAnotherRequestGoesOnWhenTheClientOfTheFirstLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 10*time.Millisecond, "lb-1", "lb-2")
		c := r.nodes["lb-1"]
		ctx, leave := context.WithCancelCause(t.Context())
		left := errors.New("it has left")
		var claiming sync.WaitGroup
		claiming.Go(func() {
			var h Hold
			defer c.Release(&h)
			if _, _, err := c.Claim(ctx, &h, Wish{Key: keyOf(1), Host: "a", Binds: binds}); !errors.Is(err, left) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		claiming.Go(func() {
			if host, result := r.claim(t, "lb-1", new(Hold), 1, "b"); host != "b" || result != Agreed {
				t.Errorf("got %s, %d", host, result)
			}
		})
		synctest.Wait()
		leave(left)
		claiming.Wait()
	})
}

func TestManyClaimsShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, time.Millisecond, "lb-1", "lb-2")
		var claiming sync.WaitGroup
		for i := range 2000 {
			claiming.Go(func() { r.claim(t, "lb-1", new(Hold), i, "a") })
		}
		claiming.Wait()
		if r.questions > 6 {
			t.Errorf("%d questions about 2000 keys", r.questions)
		}
	})
}

// TestAClaimWaitsForAPeerThatIsBeingConnected, as long as that is worth it.
func TestAClaimWaitsForAPeerThatIsBeingConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 0, "lb-1", "lb-2")
		r.claim(t, "lb-2", new(Hold), 1, "b")
		began := time.Now()
		r.missing["lb-2"] = began.Add(time.Second)
		time.AfterFunc(300*time.Millisecond, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.missing, "lb-2")
		})
		if host, _ := r.claim(t, "lb-1", new(Hold), 1, "a"); host != "b" || time.Since(began) > 310*time.Millisecond {
			t.Errorf("got %s after %v", host, time.Since(began))
		}
		r.missing["lb-2"] = time.Now().Add(time.Second)
		began = time.Now()
		if _, result := r.claim(t, "lb-1", new(Hold), 2, "a"); result != Own || time.Since(began) > 1100*time.Millisecond {
			t.Errorf("a peer that doesn't come: %d after %v", result, time.Since(began))
		}
	})
}

func TestAPeerWhoseConnectionWasLostIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 0, "lb-1", "lb-2")
		r.claim(t, "lb-2", new(Hold), 1, "b")
		r.lose = 2
		if host, _ := r.claim(t, "lb-1", new(Hold), 1, "a"); host != "b" {
			t.Errorf("got %s", host)
		}
	})
}

// TestWhatAPeerKnowsCountsByItsKind, and a host that doesn't bind doesn't count.
func TestWhatAPeerKnowsCountsByItsKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 0, "lb-1", "lb-2", "lb-3")
		r.known["lb-2"], r.known["lb-3"] = Answer{Lingers, "b"}, Answer{Live, "c"}
		c := r.nodes["lb-1"]
		for _, row := range []struct {
			dead []string
			want Where
		}{
			{nil, Where{"c", Live, "lb-3"}},
			{[]string{"c"}, Where{"b", Lingers, "lb-2"}},
			{[]string{"c", "b"}, Where{Host: "a"}},
		} {
			var h Hold
			w, _, err := c.Claim(t.Context(), &h, Wish{Key: keyOf(1), Host: "a", Binds: func(w Where) (bool, bool) { return !slices.Contains(row.dead, w.Host), true }})
			if w != row.want || err != nil {
				t.Errorf("without %v: got %v, %v", row.dead, w, err)
			}
			c.Release(&h)
		}
	})
}

// TestAClaimMovesOnlyIfNobodyUsesIt, unless its host is gone.
func TestAClaimMovesOnlyIfNobodyUsesIt(t *testing.T) {
	c := New("lb-1", nil)
	var first, second, third Hold
	notA := func(gone bool) func(Where) (bool, bool) {
		return func(w Where) (bool, bool) { return w.Host != "a", gone }
	}
	claim := func(h *Hold, host string, binds func(Where) (bool, bool)) (string, error) {
		w, _, err := c.Claim(t.Context(), h, Wish{Key: keyOf(1), Host: host, Binds: binds})
		return w.Host, err
	}
	if !c.Try(&first, keyOf(1), "a") || !c.Send(&first, "a") {
		t.Fatal("a free key can't be used")
	}
	if c.Try(&second, keyOf(1), "b") {
		t.Error("two hosts at once")
	}
	if host, err := claim(&second, "b", notA(false)); !errors.Is(err, ErrUsed) {
		t.Errorf("got %s, %v", host, err)
	}
	if host, err := claim(&first, "c", notA(false)); host != "c" || err != nil {
		t.Errorf("the only one that uses it: got %s, %v", host, err)
	}
	if c.Send(&second, "a") {
		t.Error("something can be sent to the host that was given up")
	}
	c.Send(&first, "c")
	c.Send(&second, "c")
	if host, err := claim(&third, "d", func(w Where) (bool, bool) { return w.Host != "c", true }); host != "d" || err != nil {
		t.Errorf("its host is gone: got %s, %v", host, err)
	}
	for _, h := range []*Hold{&first, &second, &third} {
		c.Release(h)
	}
	c.Used(func(_ balancer.Digest, host string) { t.Errorf("%s is still claimed", host) })
}

// TestAClaimTakesTheHostOfOneThatIsStillDeciding when it has waited for two seconds. Here the
// other balancer waits for a third one.
func TestAClaimTakesTheHostOfOneThatIsStillDeciding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 0, "lb-1", "lb-2")
		first := r.nodes["lb-1"]
		var deciding Hold
		first.table.enter(&deciding, keyOf(1), "a", false) // and it never concludes
		began := time.Now()
		if host, result := r.claim(t, "lb-2", new(Hold), 1, "b"); host != "a" || result != Late || time.Since(began) != 2*time.Second {
			t.Errorf("got %s, %d after %v", host, result, time.Since(began))
		}
		if host, result := r.claim(t, "lb-1", new(Hold), 1, "c"); host != "a" || result != Late {
			t.Errorf("another request of the balancer that decides: got %s, %d", host, result)
		}
	})
}

func TestMoreClaimsThanCanWaitGoOnUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRegion(t, 0, "lb-1", "lb-2")
		r.stuck["lb-2"] = make(chan struct{})
		a := r.nodes["lb-1"].asker
		claimed := func(i int) *inquiry {
			q := &inquiry{key: keyOf(i), left: 1, done: make(chan struct{})}
			a.add("lb-2", q)
			return q
		}
		claimed(0)
		synctest.Wait()
		for i := range maxWaiting {
			claimed(i)
		}
		if q := claimed(1); q.result != Unasked || q.left != 0 {
			t.Errorf("got %d, %d peers are awaited", q.result, q.left)
		}
		close(r.stuck["lb-2"])
	})
}

func TestAClaimWithoutPeersAllocatesNothing(t *testing.T) {
	c, key := New("lb-1", nil), keyOf(3)
	var h Hold
	if n := testing.AllocsPerRun(1000, func() {
		if !c.Try(&h, key, "a") || !c.Send(&h, "a") {
			t.Error("a free key can't be used")
		}
		c.Release(&h)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkClaim is a claim without peers, from its beginning to its end.
func BenchmarkClaim(b *testing.B) {
	c := New("lb-1", nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var h Hold
		for i := 0; pb.Next(); i++ {
			key := balancer.Digest{byte(i), byte(i >> 8)}
			c.Try(&h, key, "a")
			c.Send(&h, "a")
			c.Release(&h)
		}
	})
}
