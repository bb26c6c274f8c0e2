package quota

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"tokenring/balancer"
)

func TestRatesHaveANumberAndAPeriod(t *testing.T) {
	for text, want := range map[string]Rate{
		"": {}, "50/s": {50, time.Second}, "300/m": {300, time.Minute}, "1000000/h": {1000000, time.Hour},
	} {
		if got, err := ParseRate(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"50", "/s", "50/", "50/d", "0/s", "-1/s", "1000001/s", "1.5/s", "50/s/s", " 50/s"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// TestPaces has some come at once, and then one every so often. A row says when each comes, in
// milliseconds, and for how long it has to wait.
func TestPaces(t *testing.T) {
	type one struct{ at, wait int }
	for _, row := range []struct {
		what  string
		rate  Rate
		burst time.Duration
		come  []one
	}{
		{"no rate", Rate{}, 0, []one{{0, 0}, {0, 0}, {0, 0}}},
		{"those of a second at once", Rate{2, time.Second}, 0, []one{{0, 0}, {0, 0}, {0, 500}, {499, 1}, {500, 0}, {500, 500}, {1000, 0}}},
		{"those of two seconds at once", Rate{1, time.Second}, 2 * time.Second, []one{{0, 0}, {0, 0}, {0, 1000}}},
		{"one at once, though the burst is shorter", Rate{1, time.Minute}, time.Second, []one{{0, 0}, {0, 60000}, {59999, 1}, {60000, 0}}},
		{"evenly", Rate{2, time.Second}, time.Millisecond, []one{{0, 0}, {500, 0}, {1000, 0}, {1400, 100}}},
		{"a pause gives no more than the burst", Rate{2, time.Second}, 0, []one{{0, 0}, {60000, 0}, {60000, 0}, {60000, 500}}},
		{"who comes too early pushes nothing back", Rate{1, time.Second}, 0, []one{{0, 0}, {1, 999}, {2, 998}, {1000, 0}}},
	} {
		p, due := row.rate.pace(row.burst), time.Duration(0)
		for i, c := range row.come {
			if got := p.take(&due, time.Duration(c.at)*time.Millisecond); got != time.Duration(c.wait)*time.Millisecond {
				t.Errorf("%s: number %d waits for %v, want %d ms", row.what, i+1, got, c.wait)
			}
		}
	}
}

func quotas(t *testing.T, source *SourceConfig, key *KeyConfig) *Quotas {
	t.Helper()
	q, err := New(source, key)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

var (
	one, two = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	keyOne   = balancer.Digest{1}
	keyTwo   = balancer.Digest{2}
	nobody   netip.Addr
	noKey    balancer.Digest
)

// wants checks which limit was met.
func wants(t *testing.T, what string, got Refusal, want Limit) {
	t.Helper()
	if got.Limit != want {
		t.Errorf("%s: met limit %d, want %d", what, got.Limit, want)
	}
}

func TestSourcesAreNetworks(t *testing.T) {
	q := quotas(t, &SourceConfig{Requests: "1/s"}, nil)
	now := q.began
	for _, row := range []struct {
		from string
		want Limit
	}{
		{"192.0.2.1", None},
		{"192.0.2.1", SourceRequests},
		{"::ffff:192.0.2.1", SourceRequests},
		{"192.0.2.2", None},
		{"2001:db8::1", None},
		{"2001:db8::ffff:1", SourceRequests},
		{"2001:db8::2%eth0", SourceRequests},
		{"2001:db8:0:1::1", None},
	} {
		wants(t, row.from, q.Request(netip.MustParseAddr(row.from), noKey, now), row.want)
	}
	for range 3 {
		wants(t, "a client without limits", q.Request(nobody, noKey, now), None)
	}
}

func TestConnectionsCountUntilTheyAreClosed(t *testing.T) {
	q := quotas(t, &SourceConfig{Connections: 2, NewConnections: "3/s"}, nil)
	now := q.began
	owners := make([]int, 9)
	wants(t, "the first", q.Connect(&owners[0], one, now), None)
	wants(t, "the second", q.Connect(&owners[1], one, now), None)
	wants(t, "the third", q.Connect(&owners[2], one, now), SourceConnections)
	wants(t, "another source's", q.Connect(&owners[3], two, now), None)
	wants(t, "one without limits", q.Connect(&owners[4], nobody, now), None)
	q.Closed(&owners[2]) // has none
	q.Closed(&owners[0])
	q.Closed(&owners[0])
	wants(t, "after one was closed", q.Connect(&owners[5], one, now), None)
	q.Closed(&owners[5])
	early := q.Connect(&owners[6], one, now)
	wants(t, "the fourth in a second", early, SourceNewConnections)
	if early.Seconds() != 1 {
		t.Errorf("it waits for %d s", early.Seconds())
	}
	q.Passed(&owners[7], one, now)
	wants(t, "while one from another process counts", q.Connect(&owners[8], one, now.Add(time.Minute)), SourceConnections)
	q.Move(&owners[7], &owners[8])
	q.Closed(&owners[7])
	wants(t, "when it has become something else", q.Connect(&owners[0], one, now.Add(time.Minute)), SourceConnections)
	q.Ended(&owners[8])
	wants(t, "which was no terminal", q.Connect(&owners[0], one, now.Add(time.Minute)), SourceConnections)
	q.Closed(&owners[8])
	wants(t, "when that is closed", q.Connect(&owners[0], one, now.Add(time.Minute)), None)
	for i := range owners {
		q.Closed(&owners[i])
	}
	if len(q.held.all) != 0 {
		t.Errorf("%d owners are left", len(q.held.all))
	}
}

func TestTerminalsCountUntilTheyEnd(t *testing.T) {
	q := quotas(t, &SourceConfig{Terminals: 2}, &KeyConfig{Terminals: 2})
	now := q.began
	owners := make([]int, 9)
	wants(t, "the first", q.Open(&owners[0], one, keyOne, 0, now), None)
	wants(t, "of the key, from elsewhere", q.Open(&owners[1], two, keyOne, 1, now), None)
	wants(t, "the key's third", q.Open(&owners[2], one, keyOne, 2, now), KeyTerminals)
	wants(t, "of another key", q.Open(&owners[3], one, keyTwo, 0, now), None)
	wants(t, "the source's third", q.Open(&owners[4], one, noKey, 0, now), SourceTerminals)
	wants(t, "one without a source or a key", q.Open(&owners[5], nobody, noKey, 7, now), None)
	wants(t, "of a key with others in an older process", q.Open(&owners[6], two, keyTwo, 2, now), KeyTerminals)
	q.Move(&owners[0], &owners[7])
	q.Closed(&owners[0])
	wants(t, "when the first has turned into something else", q.Open(&owners[0], one, noKey, 0, now), SourceTerminals)
	q.Ended(&owners[7])
	wants(t, "when that has ended", q.Open(&owners[0], one, keyOne, 1, now), None)
	for i := range owners {
		q.Closed(&owners[i])
	}
	if len(q.held.all) != 0 {
		t.Errorf("%d owners are left", len(q.held.all))
	}
	q.sources.each(0, func(e *entry) {
		if e.open != [2]uint32{} {
			t.Errorf("%v are open", e.open)
		}
	})
}

func TestRequestsOfAKeyCountWhereverTheyComeFrom(t *testing.T) {
	q := quotas(t, &SourceConfig{Requests: "2/s"}, &KeyConfig{Requests: "1/m"})
	now := q.began
	wants(t, "the first", q.Request(one, keyOne, now), None)
	r := q.Request(two, keyOne, now)
	wants(t, "from elsewhere", r, KeyRequests)
	if r.Seconds() != 60 {
		t.Errorf("it waits for %d s", r.Seconds())
	}
	wants(t, "without a key", q.Request(one, noKey, now), None)
	wants(t, "the source's third", q.Request(one, keyTwo, now), SourceRequests)
	wants(t, "the key's next", q.Request(two, keyOne, now.Add(time.Minute)), None)
}

func TestWithoutConfigurationThereAreNoLimits(t *testing.T) {
	q := quotas(t, nil, nil)
	if q != nil {
		t.Error("there are quotas")
	}
	now, o := time.Now(), new(int)
	wants(t, "a connection", q.Connect(o, one, now), None)
	wants(t, "a request", q.Request(one, keyOne, now), None)
	wants(t, "a terminal", q.Open(o, one, keyOne, 1000, now), None)
	q.Passed(o, one, now)
	q.Move(o, new(int))
	q.Ended(o)
	q.Closed(o)
	if _, err := New(&SourceConfig{Requests: "many"}, nil); err == nil {
		t.Error("a rate that is none isn't an error")
	}
}

// TestAMillionSourcesAreBounded in memory, and who is at a limit stays so.
func TestAMillionSourcesAreBounded(t *testing.T) {
	q := quotas(t, &SourceConfig{Connections: 1, Requests: "10/m", Burst: time.Minute}, nil)
	now := q.began
	attacker, connected, o := one, two, new(int)
	for range 10 {
		wants(t, "the attacker's first", q.Request(attacker, noKey, now), None)
	}
	wants(t, "a connection", q.Connect(o, connected, now), None)
	before := heap()
	sources := 1_000_000
	if racing {
		sources = 4 * MostKnown // one goroutine computes
	}
	for i := range sources {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if r := q.Request(from, noKey, now.Add(time.Duration(i)*time.Microsecond)); r.Refused() {
			t.Fatalf("the first request of %s: met limit %d", from, r.Limit)
		}
	}
	const bound = MostKnown * 200 // bytes
	if grown := heap() - before; grown > bound {
		t.Errorf("%d bytes for %d sources, want up to %d", grown, sources, bound)
	}
	now = now.Add(time.Duration(sources) * time.Microsecond)
	wants(t, "the attacker, afterwards", q.Request(attacker, noKey, now), SourceRequests)
	wants(t, "who is connected", q.Connect(new(int), connected, now), SourceConnections)
	if n := len(q.entries(now)); n > MostKnown {
		t.Errorf("%d entries", n)
	}
	runtime.KeepAlive(q)
}

// entries returns the names of sources that differ from new ones.
func (q *Quotas) entries(now time.Time) (names []string) {
	q.sources.each(now.Sub(q.began), func(e *entry) { names = append(names, fmt.Sprint(e.id)) })
	return names
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWhatWasForgottenIsNotGivenBackTwice: an entry that was forgotten while it had a connection, since all
// others had more, begins anew, and the old connection's end doesn't count for the new one.
func TestWhatWasForgottenIsNotGivenBackTwice(t *testing.T) {
	tb := newTable()
	s := tb.lock(id{1})
	old := s.entryLocked(id{1}, 0).openLocked(tb, openConnections)
	delete(s.at, id{1})
	s.at[id{2}] = 0
	s.made++
	s.entries[0] = entry{id: id{2}, made: s.made}
	s.at[id{1}] = 1
	s.made++
	s.entries = append(s.entries, entry{id: id{1}, made: s.made, open: [2]uint32{1, 0}})
	s.mu.Unlock()
	old.giveBack()
	if got := s.entries[1].open[openConnections]; got != 1 {
		t.Errorf("%d are open, want 1", got)
	}
}

func TestARequestAllocatesNothing(t *testing.T) {
	q := quotas(t, &SourceConfig{Requests: "1000000/s"}, &KeyConfig{Requests: "1000000/s"})
	now := q.began
	if n := testing.AllocsPerRun(1000, func() { q.Request(one, keyOne, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	q, _ := New(&SourceConfig{Requests: "1000000/s"}, &KeyConfig{Requests: "1000000/s"})
	now := q.began
	for b.Loop() {
		q.Request(one, keyOne, now)
	}
}
