package edge

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/session"
	"tokenring/session/claims"
	"tokenring/session/region"
	"tokenring/stream"
)

// An asked is one of two balancers with a stream between them, as far as claims need them.
type asked struct {
	hub    *stream.Hub
	claims *claims.Claims

	mu      sync.Mutex
	stopped chan struct{} // answers wait until it is closed; nil if they don't wait
}

func (a *asked) answer(ctx context.Context, peer, _ string, question []byte) ([]byte, error) {
	a.mu.Lock()
	stopped := a.stopped
	a.mu.Unlock()
	if stopped != nil {
		select {
		case <-stopped:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return a.claims.Answer(peer, question, func(balancer.Digest) claims.Answer { return claims.Answer{} })
}

func (a *asked) stop(stopped chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = stopped
}

// startAsked starts two balancers that can ask each other over real streams.
func startAsked(t testing.TB, options ...func(*stream.Options)) (first, second *asked) {
	t.Helper()
	var all []*asked
	var peers []stream.Peer
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	for _, name := range []string{"lb-1", "lb-2"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		a, known, identity := &asked{}, region.New(time.Minute, session.New()), stream.NewIdentity()
		o := stream.Options{
			Name: name, Identity: identity, Answer: a.answer,
			Sources: func() stream.Source { return known.Watch() }, Sink: sink{known},
		}
		for _, set := range options {
			set(&o)
		}
		a.hub = stream.New(o)
		a.claims = claims.New(name, claimPeers{&Edge{components: components{streams: a.hub}}})
		running.Go(func() { _ = a.hub.Run(ctx, ln) })
		running.Go(func() { _ = a.claims.Run(ctx) })
		all, peers = append(all, a), append(peers, stream.Peer{Name: name, Address: ln.Addr().String(), Fingerprint: identity.Fingerprint()})
	}
	for _, a := range all {
		a.hub.SetPeers(peers)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		up := 0
		for _, a := range all {
			if s := a.hub.Status(); len(s) == 1 && s[0].Up && s[0].Heard {
				up++
			}
		}
		if up == 2 {
			return all[0], all[1]
		}
		if time.Now().After(end) {
			t.Fatal("the balancers have no streams")
		}
	}
}

// claim claims a key for a host, and releases it.
func (a *asked) claim(t testing.TB, key int) claims.Result {
	t.Helper()
	var h claims.Hold
	defer a.claims.Release(&h)
	wish := claims.Wish{Key: balancer.Digest{byte(key), byte(key >> 8)}, Host: "a", Binds: func(claims.Where) (bool, bool) { return true, false }}
	_, result, err := a.claims.Claim(t.Context(), &h, wish)
	if err != nil {
		t.Error(err)
	}
	return result
}

// TestAStoppedPeerDelaysNewTokensOnce: for a second, and then nobody. When it goes on, it is
// asked again.
func TestAStoppedPeerDelaysNewTokensOnce(t *testing.T) {
	t.Parallel()
	first, second := startAsked(t)
	stopped := make(chan struct{})
	second.stop(stopped)
	began := time.Now()
	if result := first.claim(t, 0); result != claims.Late || time.Since(began) < 900*time.Millisecond {
		t.Errorf("the first token: %d after %v", result, time.Since(began))
	}
	began = time.Now()
	for i := range 50 {
		if result := first.claim(t, 1+i); result != claims.Late {
			t.Errorf("token %d: %d", i, result)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("50 tokens have taken %v", took)
	}
	second.stop(nil)
	close(stopped)
	for end := time.Now().Add(time.Minute); first.claim(t, 100) != claims.Agreed; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it isn't asked again")
		}
	}
}

// BenchmarkClaimOverAStream is a claim that one peer has to be asked about, over loopback.
func BenchmarkClaimOverAStream(b *testing.B) {
	first, _ := startAsked(b)
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		if result := first.claim(b, i); result != claims.Agreed {
			b.Fatalf("got %d", result)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "µs-p99")
}

// BenchmarkClaimsOverAStream is claims of many requests at a time.
func BenchmarkClaimsOverAStream(b *testing.B) {
	first, _ := startAsked(b)
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			first.claim(b, i)
		}
	})
}
