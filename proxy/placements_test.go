package proxy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/balancer"
	"tokenring/pool"
)

// A memory is placements without a proxy, in front of hosts that never answer.
type memory struct {
	*placements
	t   testing.TB
	s   *pool.Snapshot
	now time.Time
}

// remember returns the memory of hosts named a, b, … with loads bounded.
func remember(t testing.TB, hosts int) *memory {
	t.Helper()
	m := &memory{placements: newPlacements(newSessions(), NewMetrics(prometheus.NewRegistry())), t: t, now: time.Now()}
	var names []string
	for i := range hosts {
		names = append(names, string(rune('a'+i)))
	}
	m.s = bounded(t, names, nil)
	return m
}

// bounded returns a snapshot of serving hosts after change, with loads bounded.
func bounded(t testing.TB, names []string, change func(map[string]*pool.Host)) *pool.Snapshot {
	t.Helper()
	var hosts []*pool.Host
	var ring []balancer.Host
	byName := map[string]*pool.Host{}
	for _, name := range names {
		h := &pool.Host{Name: name, Weight: 1, State: pool.Ready, Verdict: pool.Up, InRing: true, Gauges: new(pool.Gauges)}
		hosts, byName[name] = append(hosts, h), h
		ring = append(ring, balancer.Host{Name: name, Weight: 1})
	}
	b, err := balancer.NewBuilder(balancer.Config{Consistent: balancer.ConsistentConfig{Partitions: 257, Replicas: 20}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build(ring)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(byName)
	}
	s := pool.NewSnapshot(table, hosts)
	s.BoundedLoad = 1.25
	return s
}

// change makes the next snapshot of the same table and gauges.
func (m *memory) change(change func(map[string]*pool.Host)) {
	var hosts []*pool.Host
	byName := map[string]*pool.Host{}
	for _, h := range m.s.Hosts {
		next := *h
		hosts, byName[h.Name] = append(hosts, &next), &next
	}
	change(byName)
	s := pool.NewSnapshot(m.s.Table, hosts)
	s.BoundedLoad = m.s.BoundedLoad
	m.s = s
}

// wants asks where a key goes, and checks it.
func (m *memory) wants(key, host string, rule balancer.Rule) {
	m.t.Helper()
	c, _, ok := m.choose(m.s, []byte(key), nil, m.now)
	if !ok || c.Host.Name != host || c.Rule != rule {
		m.t.Errorf("%s: got %+v, %t, want %s by %s", key, c, ok, host, rule)
	}
}

// candidates returns the names of the hosts in the order in which a key tries them.
func (m *memory) candidates(key string) []string {
	var names []string
	for _, i := range m.s.Table.Candidates([]byte(key)) {
		names = append(names, m.s.Table.Hosts()[i].Name)
	}
	return names
}

// load puts terminals on a host.
func (m *memory) load(host string, terminals int64) {
	m.s.Host(host).Gauges.Sessions.Store(terminals)
}

// remembers checks how many keys there are, and that the metrics say so.
func (m *memory) remembers(home, away int) {
	m.t.Helper()
	keys, queued := 0, 0
	for i := range m.shards {
		keys += len(m.shards[i].keys)
		for _, q := range []*queue{&m.shards[i].home, &m.shards[i].away} {
			for e := q.newest; e != nil; e = e.older {
				queued++
			}
		}
	}
	gotHome, gotAway := testutil.ToFloat64(m.shards[0].home.length), testutil.ToFloat64(m.shards[0].away.length)
	if keys != home+away || queued != keys || gotHome != float64(home) || gotAway != float64(away) {
		m.t.Errorf("%d keys, %d in queues, the metrics say %v home and %v away; want %d and %d", keys, queued, gotHome, gotAway, home, away)
	}
}

func (m *memory) expected(host string) int64 { return m.s.Loads(m.now)[host].Expected }

func TestAPlacedKeyStays(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.load(order[0], 100)
	m.wants("k", order[1], pool.RuleOverflow)
	m.load(order[0], 0)
	m.wants("k", order[1], pool.RulePlaced)
	m.load(order[1], 100)
	m.wants("k", order[1], pool.RulePlaced)
	m.remembers(0, 1)
	if got := m.of([]byte("k"), m.now); got != (pool.Placement{Host: order[1], Away: true}) {
		t.Errorf("its placement is %+v", got)
	}
	if got := m.of([]byte("other"), m.now); got != (pool.Placement{}) {
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
		m.wants("k", order[1], pool.RuleOverflow)
		m.load(order[0], 0)
	}
	away()
	for range 5 {
		m.now = m.now.Add(rememberFor - time.Second)
		m.wants("k", order[1], pool.RulePlaced)
	}
	m.now = m.now.Add(rememberFor)
	m.wants("k", order[0], balancer.RuleOwner)
	m.remembers(1, 0)

	m.now = m.now.Add(rememberFor)
	away()
	tunnel := &tunnel{upstream: &upstream{name: order[1]}}
	m.sessions.enter([]byte("k"), tunnel, nil)
	m.now = m.now.Add(10 * rememberFor)
	m.wants("k", order[1], pool.RulePlaced) // it has a tunnel
	m.now = m.now.Add(rememberFor)
	m.sessions.leave(tunnel)
	m.closed(tunnel.hash, m.now)
	m.now = m.now.Add(rememberFor - time.Second)
	m.wants("k", order[1], pool.RulePlaced) // it had one yesterday
}

// TestTheLeastRecentlyUsedKeysAtHomeGoFirst fills one of the shards.
func TestTheLeastRecentlyUsedKeysAtHomeGoFirst(t *testing.T) {
	m := remember(t, 2)
	const room = maxPlacements / 64
	shard := &m.shards[0]
	home := pool.Choice{Host: m.s.Host("a"), Rule: balancer.RuleOwner}
	away := pool.Choice{Host: m.s.Host("b"), Rule: pool.RuleOverflow}
	for i := range uint64(room) {
		c := home
		if i < room/2 {
			c = away
		}
		shard.send(m.s, i, c, m.now)
	}
	live := &tunnel{upstream: &upstream{name: "a"}, hash: room / 2}
	m.sessions.shard(live.hash).live[live.hash] = live
	shard.use(shard.keys[room/2+1], m.now) // the second of those at home has just been used
	next := uint64(room)
	send := func(c pool.Choice, n uint64) {
		t.Helper()
		for range n {
			shard.send(m.s, next, c, m.now)
			next++
		}
		if len(shard.keys) != room {
			t.Errorf("%d keys are remembered, want %d", len(shard.keys), room)
		}
	}
	known := func(hash uint64, want bool) {
		t.Helper()
		if got := shard.keys[hash] != nil; got != want {
			t.Errorf("key %d is remembered: %t", hash, got)
		}
	}
	send(home, 1)
	known(room/2, true) // it has a tunnel
	known(room/2+1, true)
	known(room/2+2, false) // the oldest
	known(room/2+3, true)
	known(0, true) // older, but away
	send(home, room)
	known(0, true)
	known(room/2, true)
	known(room/2+1, false)
	send(away, room/2-1) // there is no other key at home any more but that with a tunnel
	known(0, true)
	send(away, 1)
	known(0, false)
	known(1, true)
	m.remembers(1, room-1)
}

func TestAKeyThatItsHostRefusesIsForgotten(t *testing.T) {
	m := remember(t, 1)
	m.wants("k", "a", balancer.RuleOwner)
	if n := m.expected("a"); n != 1 {
		t.Errorf("%d are expected, want 1", n)
	}
	m.refused([]byte("k"), m.s.Host("a"), m.now)
	m.remembers(0, 0)
	if n := m.expected("a"); n != 0 {
		t.Errorf("%d are expected of a key that was refused", n)
	}

	first := m.now
	m.wants("k", "a", balancer.RuleOwner)
	m.now = m.now.Add(time.Second)
	m.wants("k", "a", balancer.RuleOwner)
	m.refused([]byte("k"), m.s.Host("a"), first) // the second request has used it
	m.remembers(1, 0)
	m.sessions.enter([]byte("k"), &tunnel{upstream: &upstream{name: "a"}}, nil)
	m.refused([]byte("k"), m.s.Host("a"), m.now) // it has a tunnel
	m.remembers(1, 0)
}

// TestAKeyIsKeptThatAnotherRequestUses has a page whose head came slowly, so that
// it began before the request that made the key known and is refused.
func TestAKeyIsKeptThatAnotherRequestUses(t *testing.T) {
	m := remember(t, 1)
	m.wants("k", "a", balancer.RuleOwner)
	first := m.now
	for _, began := range []time.Duration{-time.Second, 0} {
		m.now = first.Add(began)
		m.wants("k", "a", balancer.RuleOwner)
		m.refused([]byte("k"), m.s.Host("a"), first)
		m.remembers(1, 0)
	}
}

func TestARetryTakesAlongWhatIsExpected(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.wants("k", order[0], balancer.RuleOwner)
	c, fresh, ok := m.choose(m.s, []byte("k"), m.s.Host(order[0]), m.now)
	if !ok || fresh || c.Host.Name != order[1] || c.Rule != balancer.RuleFallback {
		t.Errorf("got %+v, %t, %t, want the heir %s", c, fresh, ok, order[1])
	}
	if was, is := m.expected(order[0]), m.expected(order[1]); was != 0 || is != 1 {
		t.Errorf("%d are expected on the first host and %d on the second", was, is)
	}
	m.wants("k", order[0], balancer.RuleOwner) // which is there again, as without a bound
	m.remembers(1, 0)
}

func TestATunnelIsWhatWasExpected(t *testing.T) {
	m := remember(t, 2)
	owner := m.candidates("k")[0]
	m.wants("k", owner, balancer.RuleOwner)
	tunnel := &tunnel{upstream: &upstream{name: owner}}
	m.sessions.enter([]byte("k"), tunnel, nil)
	for range 2 { // the second is one more, which nobody expected
		m.opened(tunnel.hash, &upstream{name: owner, gauges: m.s.Host(owner).Gauges})
	}
	if l := m.s.Loads(m.now)[owner]; l.Expected != 0 || l.Sessions != 2 {
		t.Errorf("its load is %+v", l)
	}
}

func TestAHostThatReturnsDoesNotGetBackWhatWasPlacedElsewhere(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.wants("k", order[0], balancer.RuleOwner)
	m.load(order[1], 100)
	m.change(func(h map[string]*pool.Host) { h[order[0]].Verdict = pool.Down })
	m.wants("k", order[2], pool.RuleOverflow)
	m.change(func(h map[string]*pool.Host) { h[order[0]].Verdict = pool.Up })
	m.wants("k", order[2], pool.RulePlaced)
	m.change(func(h map[string]*pool.Host) { h[order[2]].State, h[order[2]].InRing = pool.Drain, false })
	m.wants("k", order[0], balancer.RuleOwner)
	m.remembers(1, 0)
}

func TestAFrozenRingForgetsNothing(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	m.load(order[0], 100)
	m.wants("k", order[1], pool.RuleOverflow)
	m.change(func(h map[string]*pool.Host) {
		for _, name := range order[1:] {
			h[name].Verdict = pool.Down
		}
	})
	m.s.Frozen = true
	if c, _, ok := m.choose(m.s, []byte("k"), nil, m.now); ok || c.Host.Name != order[1] || c.Rule != pool.RuleFrozen {
		t.Errorf("got %+v, %t, want nobody but %s", c, ok, order[1])
	}
	m.change(func(h map[string]*pool.Host) { h[order[1]].Verdict = pool.Up })
	m.wants("k", order[1], pool.RulePlaced)
}

func TestWhoComesWithACookieIsFoundByOthers(t *testing.T) {
	m := remember(t, 4)
	order := m.candidates("k")
	if !m.follow(m.s, []byte("k"), m.s.Host(order[2]), m.now) {
		t.Error("the key isn't new")
	}
	m.wants("k", order[2], pool.RulePlaced)
	if m.follow(m.s, []byte("k"), m.s.Host(order[2]), m.now) {
		t.Error("the key is new twice")
	}
	m.remembers(0, 1)
	m.follow(m.s, []byte("k"), m.s.Host(order[0]), m.now) // where the ring has it
	m.wants("k", order[0], balancer.RuleOwner)
	m.remembers(1, 0)
	if old, now := m.expected(order[2]), m.expected(order[0]); old != 0 || now != 1 {
		t.Errorf("%d are expected on the first host and %d on the second", old, now)
	}
}

// TestHoweverManyComeAtOnceTheBoundIsKept has goroutines place new keys, of which
// some open their terminals meanwhile.
func TestHoweverManyComeAtOnceTheBoundIsKept(t *testing.T) {
	const goroutines, each, hosts = 16, 250, 5
	m := remember(t, hosts)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				key := fmt.Appendf(nil, "key-%d-%d", g, i)
				c, fresh, ok := m.choose(m.s, key, nil, m.now)
				if !ok || !fresh {
					t.Errorf("got %+v, %t, %t", c, fresh, ok)
					return
				}
				if i%2 == 0 {
					tunnel := &tunnel{upstream: &upstream{name: c.Host.Name}}
					m.sessions.enter(key, tunnel, nil)
					m.opened(tunnel.hash, &upstream{name: c.Host.Name, gauges: c.Host.Gauges})
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
	m.remembers(int(testutil.ToFloat64(m.shards[0].home.length)), total-int(testutil.ToFloat64(m.shards[0].home.length)))
}
