package session

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/balancer"
	"tokenring/route"
)

func TestAPlacedKeyStays(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.load(order[0], 100)
	m.wants("k", order[1], route.RuleOverflow)
	m.load(order[0], 0)
	m.wants("k", order[1], route.RulePlaced)
	m.load(order[1], 100)
	m.wants("k", order[1], route.RulePlaced)
	m.remembers(0, 1)
	if got := m.Placement(digest("k"), m.now); got != (route.Placement{Host: order[1], Away: true}) {
		t.Errorf("its placement is %+v", got)
	}
	if got := m.Placement(digest("other"), m.now); got != (route.Placement{}) {
		t.Errorf("that of a key that never came is %+v", got)
	}
}

func TestAKeyAtHomeStaysThoughItsHostFills(t *testing.T) {
	m := remember(t, 4)
	owner := m.candidates("k")[0]
	m.wants("k", owner, balancer.RuleOwner)
	m.load(owner, 100)
	m.wants("k", owner, balancer.RuleOwner)
	m.remembers(1, 0)
}

func TestAKeyIsForgottenAfterADayWithoutUse(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	away := func() {
		t.Helper()
		m.load(order[0], 100)
		m.wants("k", order[1], route.RuleOverflow)
		m.load(order[0], 0)
	}
	away()
	for range 5 {
		m.now = m.now.Add(rememberFor - time.Second)
		m.wants("k", order[1], route.RulePlaced)
	}
	m.now = m.now.Add(rememberFor)
	m.wants("k", order[0], balancer.RuleOwner)
	m.remembers(1, 0)

	m.now = m.now.Add(rememberFor)
	away()
	live := m.enter("k", order[1])
	m.now = m.now.Add(10 * rememberFor)
	m.wants("k", order[1], route.RulePlaced) // it has a terminal
	m.now = m.now.Add(rememberFor)
	m.sessions.Remove(live)
	m.Closed(live.Digest(), m.now)
	m.now = m.now.Add(rememberFor - time.Second)
	m.wants("k", order[1], route.RulePlaced) // it had one yesterday
}

// TestTheLeastRecentlyUsedKeysAtHomeGoFirst fills one of the shards.
func TestTheLeastRecentlyUsedKeysAtHomeGoFirst(t *testing.T) {
	m := remember(t, 2)
	const capacity = maxPlacements / shards
	shard := &m.Placements.shards[0]
	key := func(i uint64) (key balancer.Digest) { // the first byte is the shard's
		binary.BigEndian.PutUint64(key[8:], i)
		return key
	}
	home := route.Choice{Host: m.s.Host("a"), Rule: balancer.RuleOwner}
	away := route.Choice{Host: m.s.Host("b"), Rule: route.RuleOverflow}
	for i := range uint64(capacity) {
		c := home
		if i < capacity/2 {
			c = away
		}
		shard.assign(m.s, key(i), c, m.now)
	}
	m.sessions.Add(Key{Digest: key(capacity / 2)}, &route.Endpoint{Name: "a"}, new(Terminal), nil)
	shard.use(shard.keys[key(capacity/2+1)], m.now) // the second of those at home has just been used
	next := uint64(capacity)
	send := func(c route.Choice, n uint64) {
		t.Helper()
		for range n {
			shard.assign(m.s, key(next), c, m.now)
			next++
		}
		if len(shard.keys) != capacity {
			t.Errorf("%d keys are remembered, want %d", len(shard.keys), capacity)
		}
	}
	known := func(i uint64, want bool) {
		t.Helper()
		if got := shard.keys[key(i)] != nil; got != want {
			t.Errorf("key %d is remembered: %t", i, got)
		}
	}
	send(home, 1)
	known(capacity/2, true) // it has a terminal
	known(capacity/2+1, true)
	known(capacity/2+2, false) // the oldest
	known(capacity/2+3, true)
	known(0, true) // older, but away
	send(home, capacity)
	known(0, true)
	known(capacity/2, true)
	known(capacity/2+1, false)
	send(away, capacity/2-1) // there is no other key at home any more but that with a terminal
	known(0, true)
	send(away, 1)
	known(0, false)
	known(1, true)
	m.remembers(1, capacity-1)
}

func TestAKeyThatItsHostRefusesIsForgotten(t *testing.T) {
	m := remember(t, 1)
	m.wants("k", "a", balancer.RuleOwner)
	if n := m.expected("a"); n != 1 {
		t.Errorf("%d are expected, want 1", n)
	}
	m.Refused(digest("k"), m.s.Host("a"), m.now)
	m.remembers(0, 0)
	if n := m.expected("a"); n != 0 {
		t.Errorf("%d are expected of a key that was refused", n)
	}

	first := m.now
	m.wants("k", "a", balancer.RuleOwner)
	m.now = m.now.Add(time.Second)
	m.wants("k", "a", balancer.RuleOwner)
	m.Refused(digest("k"), m.s.Host("a"), first) // the second request has used it
	m.remembers(1, 0)
	m.enter("k", "a")
	m.Refused(digest("k"), m.s.Host("a"), m.now) // it has a terminal
	m.remembers(1, 0)
}

// TestAKeyThatAnotherRequestUsesIsKept has a page whose head came slowly, so that
// it began before the request that made the key known and is refused.
func TestAKeyThatAnotherRequestUsesIsKept(t *testing.T) {
	m := remember(t, 1)
	m.wants("k", "a", balancer.RuleOwner)
	first := m.now
	for _, began := range []time.Duration{-time.Second, 0} {
		m.now = first.Add(began)
		m.wants("k", "a", balancer.RuleOwner)
		m.Refused(digest("k"), m.s.Host("a"), first)
		m.remembers(1, 0)
	}
}

func TestARetryMovesTheReservation(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.wants("k", order[0], balancer.RuleOwner)
	c, fresh, ok := m.Choose(m.s, m.key("k"), m.s.Host(order[0]), m.now)
	if !ok || fresh || c.Host.Name != order[1] || c.Rule != balancer.RuleFallback {
		t.Errorf("got %+v, %t, %t, want the successor %s", c, fresh, ok, order[1])
	}
	if was, is := m.expected(order[0]), m.expected(order[1]); was != 0 || is != 1 {
		t.Errorf("%d are expected on the first host and %d on the second", was, is)
	}
	m.wants("k", order[0], balancer.RuleOwner) // which is there again, as without a bound
	m.remembers(1, 0)
}

func TestATerminalTakesThePlaceOfItsReservation(t *testing.T) {
	m := remember(t, 2)
	owner := m.candidates("k")[0]
	m.wants("k", owner, balancer.RuleOwner)
	live := m.enter("k", owner)
	for range 2 { // the second is one more, which nobody expected
		m.Opened(live.Digest(), owner, m.s.Host(owner).Gauges)
	}
	if l := m.s.Loads(m.now)[owner]; l.Expected != 0 || l.Sessions != 2 {
		t.Errorf("its load is %+v", l)
	}
}

func TestAHostThatReturnsDoesNotGetBackKeysPlacedElsewhere(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.wants("k", order[0], balancer.RuleOwner)
	m.load(order[1], 100)
	m.change(func(h map[string]*route.Host) { h[order[0]].Verdict = route.Down })
	m.wants("k", order[2], route.RuleOverflow)
	m.change(func(h map[string]*route.Host) { h[order[0]].Verdict = route.Up })
	m.wants("k", order[2], route.RulePlaced)
	m.change(func(h map[string]*route.Host) { h[order[2]].State, h[order[2]].InRing = route.Drain, false })
	m.wants("k", order[0], balancer.RuleOwner)
	m.remembers(1, 0)
}

func TestAFrozenRingForgetsNothing(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.load(order[0], 100)
	m.wants("k", order[1], route.RuleOverflow)
	m.change(func(h map[string]*route.Host) {
		for _, name := range order[1:] {
			h[name].Verdict = route.Down
		}
	})
	m.s.Frozen = true
	if c, _, ok := m.Choose(m.s, m.key("k"), nil, m.now); ok || c.Host.Name != order[1] || c.Rule != route.RuleFrozen {
		t.Errorf("got %+v, %t, want nobody but %s", c, ok, order[1])
	}
	m.change(func(h map[string]*route.Host) { h[order[1]].Verdict = route.Up })
	m.wants("k", order[1], route.RulePlaced)
}

func TestACookieLeadsAllClientsOfItsKey(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	if !m.Follow(m.s, m.key("k"), m.s.Host(order[2]), m.now) {
		t.Error("the key isn't new")
	}
	m.wants("k", order[2], route.RulePlaced)
	if m.Follow(m.s, m.key("k"), m.s.Host(order[2]), m.now) {
		t.Error("the key is new twice")
	}
	m.remembers(0, 1)
	m.Follow(m.s, m.key("k"), m.s.Host(order[0]), m.now) // where the ring has it
	m.wants("k", order[0], balancer.RuleOwner)
	m.remembers(1, 0)
	if old, now := m.expected(order[2]), m.expected(order[0]); old != 0 || now != 1 {
		t.Errorf("%d are expected on the first host and %d on the second", old, now)
	}
}

// TestTheBoundHoldsWhenManyKeysComeAtOnce has goroutines place new keys, of which
// some open their terminals meanwhile.
func TestTheBoundHoldsWhenManyKeysComeAtOnce(t *testing.T) {
	const goroutines, each, hosts = 16, 250, 5
	m := remember(t, hosts)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("key-%d-%d", g, i)
				c, fresh, ok := m.Choose(m.s, m.key(key), nil, m.now)
				if !ok || !fresh {
					t.Errorf("got %+v, %t, %t", c, fresh, ok)
					return
				}
				if i%2 == 0 {
					m.Opened(m.enter(key, c.Host.Name).Digest(), c.Host.Name, c.Host.Gauges)
				}
			}
		})
	}
	wg.Wait()
	const total = goroutines * each
	const most = total * 5 / 4 / hosts
	sum := int64(0)
	for name, l := range m.s.Loads(m.now) {
		if n := l.Sessions + l.Expected; n > most {
			t.Errorf("%s has %+v, want up to %d", name, l, most)
		}
		sum += l.Sessions + l.Expected
	}
	if sum != total {
		t.Errorf("%d keys are counted, want %d", sum, total)
	}
	m.remembers(int(testutil.ToFloat64(m.home)), total-int(testutil.ToFloat64(m.home)))
}
