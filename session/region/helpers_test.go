package region

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

const linger = 10 * time.Minute

var digester = balancer.NewDigester([]byte("0123456789abcdef"))

func digest(token string) balancer.Digest { return digester.Digest([]byte(token)) }

// on is what a peer reports of a key that has terminals on a host; without any, what it
// reports of a key that lingers there.
func on(token, host string, terminals int32) session.Report {
	return session.Report{Digest: digest(token), Host: host, Address: "10.0.0.1:4000", Hashed: true, Terminals: terminals}
}

func closed(token string) session.Report { return session.Report{Digest: digest(token)} }

// A tunnel does nothing.
type tunnel struct{}

func (tunnel) End(string)    {}
func (tunnel) Retired() bool { return false }

func (tunnel) Detail() (session.Detail, bool) { return session.Detail{}, false }

// open opens a terminal of this balancer.
func open(s *session.Sessions, token, host string) *session.Terminal {
	t := &session.Terminal{Tunnel: tunnel{}}
	s.Add(session.Key{Digest: digest(token)}, &route.Endpoint{Name: host}, t, func(string) bool { return false })
	return t
}

// begin returns a stream of a peer that has told all that it has.
func begin(r *Region, peer string, reports ...session.Report) *Stream {
	s := r.Begin(peer)
	s.Reports(reports)
	s.SnapshotEnd()
	return s
}

// wants checks where a key goes: "ide-1 live lb-2", "ide-1 lingers lb-2", "ide-1 lingers" for
// one of this balancer, or "".
func wants(t *testing.T, r *Region, token, want string) {
	t.Helper()
	got := ""
	if w, ok := r.Host(digest(token), time.Now()); ok {
		got = w.Host + map[bool]string{true: " live", false: " lingers"}[w.Live] + strings.TrimRight(" "+w.Peer, " ")
	}
	if got != want {
		t.Errorf("%s: got %q, want %q", token, got, want)
	}
	counted(t, r)
}

// counted checks that the counts are those of the keys that there are.
func counted(t *testing.T, r *Region) {
	t.Helper()
	keys, lingers := int64(0), 0
	live, terminals := map[string]int{}, map[string]int{}
	for i := range r.shards {
		s := &r.shards[i]
		keys += int64(len(s.linger.index))
		lingers += len(s.linger.index)
		for slot, table := range s.peers {
			keys += int64(len(table))
			for _, e := range table {
				if e.cut {
					lingers++
					continue
				}
				live[(*r.peers.Load())[slot].name]++
				terminals[r.names.text(e.host)] += int(e.terminals)
			}
		}
	}
	for _, p := range r.Peers() {
		if p.Keys != live[p.Name] {
			t.Errorf("%s has %d keys live, counted %d", p.Name, live[p.Name], p.Keys)
		}
	}
	for host := range r.names.byText {
		if got := r.Terminals(host); got != terminals[host] {
			t.Errorf("%s has %d terminals, counted %d", host, terminals[host], got)
		}
	}
	if r.keys.Load() != keys || r.Count() != lingers {
		t.Errorf("%d keys, %d of them linger; counted %d and %d", keys, lingers, r.keys.Load(), r.Count())
	}
}

// in runs a test on a Region in a bubble, where time passes at once.
func in(t *testing.T, linger time.Duration, test func(*testing.T, *Region, *session.Sessions)) {
	synctest.Test(t, func(t *testing.T) {
		s := session.New()
		test(t, New(linger, s), s)
	})
}

// waitFor returns what a Watch has next, or an error if that is nothing for a time.
func waitFor(t *testing.T, w *session.Watch, limit time.Duration) ([]session.Report, error) {
	ctx, cancel := contextWithin(t, limit)
	defer cancel()
	return w.Next(ctx)
}
