package proxy

import (
	"fmt"
	"sync/atomic"
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// A hashCount is how often tokens were hashed.
type hashCount struct{ digests, places atomic.Int64 }

// countHashes has what the proxy hashes counted, before there is a connection.
func (l *lab) countHashes() *hashCount {
	n, real := new(hashCount), l.p.pools.Main.Hashing
	l.p.pools.Main.Digest = func(token []byte) balancer.Digest { n.digests.Add(1); return real.Digest(token) }
	l.p.pools.Main.Place = func(s *route.Snapshot, token []byte) route.Key { n.places.Add(1); return real.Place(s, token) }
	return n
}

// TestATokenIsHashedOncePerRequest counts what a page and a terminal cost, whatever
// becomes of them: one keyed digest, and one hash of the table's policy.
func TestATokenIsHashedOncePerRequest(t *testing.T) {
	for _, bound := range []float64{0, 1.25} {
		t.Run(fmt.Sprintf("bound=%v", bound), func(t *testing.T) {
			busy := says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true)
			dead := newHost(t, "c")
			l := start(t, func(l *lab) { l.bound = bound }, newHost(t, "a").on("/ws", accept(echo)).on("/busy", busy), newHost(t, "b").on("/ws", accept(echo)).on("/busy", busy), dead)
			onDead := l.token("c")
			dead.stop()
			n := l.countHashes()
			for _, row := range []struct {
				name            string
				does            func()
				digests, hashes int64
			}{
				{"a page", func() { l.ask(get("/?token="+mark), 200) }, 1, 1},
				{"a terminal", func() { l.dial().open("/ws", mark).ping() }, 1, 1},
				{"a page of a live session", func() { l.ask(get("/?token="+mark), 200) }, 1, 1},
				{"another terminal of it", func() { l.dial().open("/ws", mark).ping() }, 1, 1},
				{"a page that its host refuses", func() { l.ask(get("/busy?token=x"+mark), 404) }, 1, 1},
				{"a page that goes on to another host", func() { l.ask(get("/?token="+onDead), 200) }, 1, 1},
				{"a terminal that goes on to another host", func() { l.dial().open("/ws", onDead).ping() }, 1, 1},
				{"a page without a token", func() { l.ask(get("/"), 200) }, 0, 0},
				{"a terminal without a token, by its id", func() { l.dial().open("/ws", "").ping() }, 1, 0},
			} {
				row.does()
				if d, h := n.digests.Swap(0), n.places.Swap(0); d != row.digests || h != row.hashes {
					t.Errorf("%s: %d digests and %d hashes of the table, want %d and %d", row.name, d, h, row.digests, row.hashes)
				}
			}
		})
	}
}

func TestATokenIsHashedOncePerStreamOfHTTP2(t *testing.T) {
	l := start(t, speaksH2(t), newHost(t, "a"))
	n, c := l.countHashes(), l.h2client()
	const requests = 5
	for range requests {
		if a := l.do(c, "GET", "/?token="+mark, nil); a.err != nil {
			t.Fatal(a.err)
		}
	}
	if d, h := n.digests.Load(), n.places.Load(); d != requests || h != requests {
		t.Errorf("%d requests cost %d digests and %d hashes of the table", requests, d, h)
	}
}

// TestARequestThatCameBeforeTheTableIsHashedByIt has requests come while there is no
// table: what they find then is where their token belongs.
func TestARequestThatCameBeforeTheTableIsHashedByIt(t *testing.T) {
	l := start(t, nil, newHost(t, "a"), newHost(t, "b"), newHost(t, "c"))
	x := &exchange{srv: l.srv}
	for _, host := range []string{"a", "b", "c"} {
		x.token = []byte(l.token(host))
		x.pool = l.p.pools.Main
		x.key = l.p.pools.Main.KeyOf(route.NewSnapshot(nil, nil), x.token)
		if h, rule := x.pick(l.p.pools.Main.Hosts(), nil); h == nil || h.Name != host || rule != balancer.RuleOwner {
			t.Errorf("picked %+v by %s, want %s", h, rule, host)
		}
	}
}

// TestAProxyWithoutASecretUsesARandomOne has two proxies that were given none tell two tokens
// apart, each by digests that the other doesn't have.
func TestAProxyWithoutASecretUsesARandomOne(t *testing.T) {
	one, other := digester(balancer.Digester{}), digester(balancer.Digester{})
	a, b := []byte("alice"), []byte("bob")
	if one.Digest(a) == one.Digest(b) || one.Digest(a) == other.Digest(a) || one.Digest(a) == (balancer.Digest{}) {
		t.Errorf("got %s and %s, and by another proxy %s", one.Digest(a), one.Digest(b), other.Digest(a))
	}
}
