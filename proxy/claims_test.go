package proxy

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/proxy/secondchance"
	"tokenring/route"
	"tokenring/session/claims"
)

// A gate is a script that answers when it is opened.
type gate struct{ came, opened chan struct{} }

func newGate() *gate { return &gate{came: make(chan struct{}, 100), opened: make(chan struct{})} }

func (g *gate) script(name string) script {
	return func(w *wire, _ *http.Request) bool {
		g.came <- struct{}{}
		select {
		case <-g.opened:
		case <-time.After(20 * time.Second): // the test has failed
		}
		w.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(name), name))
		return true
	}
}

// await waits until a request is in front of the gate.
func (g *gate) await(t testing.TB) {
	t.Helper()
	select {
	case <-g.came:
	case <-time.After(10 * time.Second):
		t.Fatal("the host has no request")
	}
}

// asks sends a request that a gate holds, and returns when its host has it. answered wants the
// answer of that host.
func (l *lab) asks(g *gate, path, token string) (answered func(host string)) {
	l.t.Helper()
	w := l.dial().send(get(path + "?token=" + token))
	g.await(l.t)
	return func(host string) {
		l.t.Helper()
		if got := w.want(200).body; got != host {
			l.t.Errorf("the request that was in progress: %s, want %s", got, host)
		}
		w.Close()
	}
}

// TestANewTokenGoesToOneHostThroughTwoBalancers whose rings differ, by pages and by terminals, though both use
// it for the first time at the same moment.
func TestANewTokenGoesToOneHostThroughTwoBalancers(t *testing.T) {
	t.Parallel()
	a, b := newHost(t, "a").on("/ws", accept(echo)), newHost(t, "b").on("/ws", accept(echo))
	both := startNeighbours(t, 2, lingering, a, b)
	tokens := both[0].tokens("a", 60)
	both[1].drains("a")
	var mu sync.Mutex
	got := map[string]map[string]bool{}
	var using sync.WaitGroup
	for i, token := range tokens {
		got[token] = map[string]bool{}
		for n, l := range both {
			using.Go(func() {
				var host string
				if (i+n)%3 == 0 {
					w, at := l.terminal(token)
					defer w.Close()
					host = at
				} else {
					host = l.page(token)
				}
				mu.Lock()
				defer mu.Unlock()
				got[token][host] = true
			})
		}
		if i%10 == 9 {
			using.Wait()
		}
	}
	using.Wait()
	for _, hosts := range got {
		if len(hosts) != 1 {
			t.Fatalf("a token was on %v", hosts)
		}
	}
	if both[0].counts("lb_claims_total")["free"]+both[1].counts("lb_claims_total")["free"] == 0 {
		t.Error("no claim is counted")
	}
}

// TestARequestInProgressKeepsItsTokenWhileTheRingChanges, through its own balancer and through
// another one.
func TestARequestInProgressKeepsItsTokenWhileTheRingChanges(t *testing.T) {
	t.Parallel()
	g := newGate()
	a, b := newHost(t, "a").on("/slow", g.script("a")), newHost(t, "b").on("/slow", g.script("b"))
	both := startNeighbours(t, 2, lingering, a, b)
	token := both[0].token("a")
	answered := both[0].asks(g, "/slow", token)
	for _, l := range both {
		l.drains("a")
	}
	for i, l := range both {
		if got := l.page(token); got != "a" {
			t.Errorf("through balancer %d: %s", i+1, got)
		}
		if got := l.page(l.tokens("b", 1)[0]); got != "b" {
			t.Errorf("another token: %s", got)
		}
	}
	if e := both[1].logged("/page"); e["why"] != "session-at-peer" {
		t.Errorf("the log says %v", e)
	}
	close(g.opened)
	answered("a")
}

// TestARequestInProgressKeepsItsTokenWithoutPeers, also when the time is over for which the
// token has stayed on the host.
func TestARequestInProgressKeepsItsTokenWithoutPeers(t *testing.T) {
	t.Parallel()
	for _, linger := range []time.Duration{0, time.Second, 4 * time.Second} {
		t.Run(linger.String(), func(t *testing.T) {
			t.Parallel()
			g := newGate()
			l := start(t, func(l *lab) { l.cfg.Linger = linger }, newHost(t, "a").on("/slow", g.script("a")), newHost(t, "b"))
			token := l.token("a")
			l.page(token)
			answered := l.asks(g, "/slow", token)
			if linger < endsSoon && l.claimed() != "a" {
				t.Error("the request isn't claimed from its beginning on")
			}
			eventuallyIn(t, 30*time.Second, "that the request is waited for, and the token lingers no more", func() bool {
				return l.claimed() == "a" && l.p.stay(l.digest(token), time.Now()).Host == ""
			})
			l.drains("a")
			if got := l.page(token); got != "a" {
				t.Errorf("got %s", got)
			}
			close(g.opened)
			answered("a")
		})
	}
}

// claimed returns the host of a claim.
func (l *lab) claimed() (host string) {
	l.p.claims.Used(func(_ balancer.Digest, at string) { host = at })
	return host
}

// TestARequestInProgressOnAHostThatIsDownKeepsNothing, though it can't be sent again.
func TestARequestInProgressOnAHostThatIsDownKeepsNothing(t *testing.T) {
	t.Parallel()
	g := newGate()
	both := startNeighbours(t, 2, nil, newHost(t, "a").on("/slow", g.script("a")), newHost(t, "b"))
	token := both[0].token("a")
	w := both[0].dial().send("POST /slow?token=" + token + " HTTP/1.1\r\nHost: ide.example\r\nContent-Length: 0\r\n\r\n")
	g.await(t)
	for _, l := range both {
		l.change("a", func(h *route.Host) { h.Verdict = route.Down })
		if got := l.page(token); got != "b" {
			t.Errorf("got %s", got)
		}
	}
	close(g.opened)
	w.want(200)
	w.Close()
}

// TestAnOlderProcessHandsOverWhichHostItsRequestsAreOn.
func TestAnOlderProcessHandsOverWhichHostItsRequestsAreOn(t *testing.T) {
	t.Parallel()
	g := newGate()
	a, b := newHost(t, "a").on("/slow", g.script("a")), newHost(t, "b")
	old := start(t, all(lingering, fronts), a, b)
	token := old.token("a")
	answered := old.asks(g, "/slow", token)
	r := old.retire()
	l := r.begin(lingering, a, b)
	l.p.Region().Restore(through(t, old.p.Region().State(time.Now())))
	l.drains("a")
	if got := l.page(token); got != "a" {
		t.Errorf("got %s", got)
	}
	close(g.opened)
	answered("a")
	old.outlived()
}

// TestAClaimMovesWhenItsHostRefusesConnections, and the peer follows.
func TestAClaimMovesWhenItsHostRefusesConnections(t *testing.T) {
	t.Parallel()
	g := newGate()
	a, b, c := newHost(t, "a"), newHost(t, "b").on("/slow", g.script("b")), newHost(t, "c").on("/slow", g.script("c"))
	both := startNeighbours(t, 2, lingering, a, b, c)
	token := both[0].token("a")
	a.stop()
	answered := both[0].asks(g, "/slow", token)
	first := both[0].inProgress()
	both[1].change("a", func(h *route.Host) { h.Verdict = route.Down })
	both[1].drains(first)
	if got := both[1].page(token); got != first {
		t.Errorf("the request in progress is on %s, and another one goes to %s", first, got)
	}
	close(g.opened)
	answered(first)
}

// inProgress returns the host that has a request.
func (l *lab) inProgress() string {
	for _, h := range l.hosts {
		if h.Gauges.InFlight.Load() > 0 {
			return h.Name
		}
	}
	return ""
}

// TestATokenThatIsGivenAwayGetsOneHost through two balancers, though both ask the wrong host
// first, several times at once.
func TestATokenThatIsGivenAwayGetsOneHost(t *testing.T) {
	t.Parallel()
	hosts := []*host{newHost(t, "a").on("/page", givesAway), newHost(t, "b"), newHost(t, "c")}
	both := startNeighbours(t, 2, all(lingering, chances(func(c *secondchance.Config) { c.PerHost = 1000 })), hosts...)
	tokens := both[0].tokens("a", 20)
	both[1].change("b", func(h *route.Host) { h.InRing = false })
	var mu sync.Mutex
	var using sync.WaitGroup
	for _, token := range tokens {
		got := map[string]bool{}
		for i := range 6 {
			using.Go(func() {
				host := both[i%2].page(token)
				mu.Lock()
				defer mu.Unlock()
				got[host] = true
			})
		}
		using.Wait()
		if len(got) != 1 || got["a"] {
			t.Fatalf("a token that a gives away is on %v", got)
		}
	}
}

// TestClaimsAreForgottenWithTheirRequests, however these end.
func TestClaimsAreForgottenWithTheirRequests(t *testing.T) {
	t.Parallel()
	refuses := says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true)
	cuts := func(*wire, *http.Request) bool { return false }
	a := newHost(t, "a").on("/404", refuses).on("/ws", accept(echo)).on("/cut", cuts)
	both := startNeighbours(t, 2, nil, a)
	l := both[0]
	l.ask(get("/404?token="+mark+"1"), 404)
	l.ask(get("/page?token="+mark+"2"), 200)
	l.ask(get("/cut?token="+mark+"3"), 502)
	w, _ := l.terminal(mark + "4")
	w.Close()
	a.stop()
	l.ask(get("/down?token="+mark+"5"), 502)
	eventually(t, "that no claim is left", func() bool { return l.claimed() == "" })
}

// BenchmarkFirstRequest is a small GET of a token that stays nowhere.
func BenchmarkFirstRequest(b *testing.B) {
	h := newHost(b, "a").on("/", says("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok", true))
	for _, lone := range []bool{true, false} {
		b.Run(fmt.Sprintf("alone=%t", lone), func(b *testing.B) {
			l := start(b, func(l *lab) {
				l.cfg.Linger = time.Minute
				if !lone {
					l.peers = nobody{}
				}
			}, h)
			w := l.dial()
			request, answer := []byte(get("/?token="+mark)), make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = w.Write(request)
				if n, err := w.Conn.Read(answer); err != nil || n == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// nobody are peers of which none can be asked.
type nobody struct{}

func (nobody) Open() ([]string, time.Time) { return nil, time.Time{} }

func (nobody) Ask(context.Context, string, []byte) ([]byte, error) { return nil, claims.ErrLost }
