package session

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/balancer"
	"tokenring/route"
)

// A memory is Placements and the hosts they are on, which never answer.
type memory struct {
	*Placements
	t          testing.TB
	s          *route.Snapshot
	now        time.Time
	home, away prometheus.Gauge
}

var digester = balancer.NewDigester([]byte("0123456789abcdef"))

// digest returns what stands for a token.
func digest(token string) balancer.Digest { return digester.Digest([]byte(token)) }

// key returns what a request with this token is admitted as.
func (m *memory) key(token string) Key {
	return Key{Digest: digest(token), Key: m.s.Key([]byte(token))}
}

// enter has a terminal of the token on a host.
func (m *memory) enter(token, host string) *Terminal {
	t := &Terminal{Tunnel: new(fakeTunnel)}
	m.sessions.Add(m.key(token), &route.Endpoint{Name: host}, t, nil)
	return t
}

// remember returns the memory of hosts named a, b, … with loads bounded.
func remember(t testing.TB, hosts int) *memory {
	t.Helper()
	gauge := func() prometheus.Gauge { return prometheus.NewGauge(prometheus.GaugeOpts{Name: "keys"}) }
	m := &memory{t: t, now: time.Now(), home: gauge(), away: gauge()}
	m.Placements = NewPlacements(New(), m.home, m.away)
	var names []string
	for i := range hosts {
		names = append(names, string(rune('a'+i)))
	}
	m.s = bounded(t, names, nil)
	return m
}

// bounded returns a snapshot of serving hosts after change, with loads bounded.
func bounded(t testing.TB, names []string, change func(map[string]*route.Host)) *route.Snapshot {
	t.Helper()
	var hosts []*route.Host
	var ring []balancer.Host
	byName := map[string]*route.Host{}
	for _, name := range names {
		h := &route.Host{Spec: route.Spec{Name: name, Weight: 1}, AdminState: route.AdminState{State: route.Ready}, Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}, Gauges: new(route.Gauges)}
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
	s := route.NewSnapshot(table, hosts)
	s.BoundedLoad = 1.25
	return s
}

// change makes the next snapshot of the same table and gauges.
func (m *memory) change(change func(map[string]*route.Host)) {
	var hosts []*route.Host
	byName := map[string]*route.Host{}
	for _, h := range m.s.Hosts {
		next := *h
		hosts, byName[h.Name] = append(hosts, &next), &next
	}
	change(byName)
	s := route.NewSnapshot(m.s.Table, hosts)
	s.BoundedLoad = m.s.BoundedLoad
	m.s = s
}

// wants asks where a key goes, and checks it.
func (m *memory) wants(key, host string, rule balancer.Rule) {
	m.t.Helper()
	c, _, ok := m.Choose(m.s, m.key(key), nil, m.now)
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
	gotHome, gotAway := testutil.ToFloat64(m.home), testutil.ToFloat64(m.away)
	if keys != home+away || queued != keys || gotHome != float64(home) || gotAway != float64(away) {
		m.t.Errorf("%d keys, %d in queues, the metrics say %v home and %v away; want %d and %d", keys, queued, gotHome, gotAway, home, away)
	}
}

func (m *memory) expected(host string) int64 { return m.s.Loads(m.now)[host].Expected }
