package session

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

const takersLinger = 10 * time.Minute

// enters has s count a terminal of a key on a host until leave is called.
func enters(s *Sessions, key, host string) (leave func()) {
	t := &Terminal{Tunnel: new(fakeTunnel)}
	s.Add(Key{Digest: digest(key)}, &route.Endpoint{Name: host}, t, func(string) bool { return true })
	return func() { s.Remove(t) }
}

// wantsTaker checks which host has taken a key, "" for none.
func wantsTaker(t *testing.T, k *Takers, key string, now time.Time, want string) {
	t.Helper()
	if got := k.Host(digest(key), now); got != want {
		t.Errorf("%s is taken by %q, want %q", key, got, want)
	}
}

func TestAKeyStaysWithItsTakerUntilItIsIdle(t *testing.T) {
	now := time.Now()
	s := New()
	k := NewTakers(s, takersLinger)
	wantsTaker(t, k, "k", now, "")
	k.Took(digest("k"), "a", now)
	k.Took(digest("k"), "b", now) // a has given it away as well
	for range 3 {
		now = now.Add(takersLinger)
		wantsTaker(t, k, "k", now, "b")
		k.Used(digest("k"), now)
	}
	leave := enters(s, "k", "b")
	now = now.Add(24 * time.Hour)
	wantsTaker(t, k, "k", now, "b") // it has a terminal
	leave()
	k.Used(digest("k"), now)
	wantsTaker(t, k, "k", now.Add(takersLinger), "b")
	wantsTaker(t, k, "k", now.Add(takersLinger+1), "")
	wantsTaker(t, k, "k", now, "") // it is forgotten
}

func TestATerminalOutweighsTheTaker(t *testing.T) {
	now := time.Now()
	s := New()
	k := NewTakers(s, takersLinger)
	defer enters(s, "live", "a")()
	k.Took(digest("live"), "b", now)
	wantsTaker(t, k, "live", now, "")
	k.Took(digest("live"), "a", now)
	wantsTaker(t, k, "live", now, "a")
	k.Opened(digest("live"), "a")
	wantsTaker(t, k, "live", now, "a")
	k.Opened(digest("live"), "c")
	wantsTaker(t, k, "live", now, "")
}

func TestTakersAreBounded(t *testing.T) {
	now := time.Now()
	k := NewTakers(New(), takersLinger)
	key := func(i int) (d balancer.Digest) { // all in one shard
		copy(d[1:], fmt.Sprint(i))
		return d
	}
	most := maxTakers / shards
	for i := range most {
		k.Took(key(i), "a", now)
	}
	k.Used(key(0), now)
	k.Took(key(most), "a", now)
	if n := k.known.Load(); n != int64(most) {
		t.Errorf("%d keys are known, want %d", n, most)
	}
	for i, want := range map[int]string{0: "a", 1: "", 2: "a", most: "a"} {
		if got := k.Host(key(i), now); got != want {
			t.Errorf("key %d is taken by %q, want %q", i, got, want)
		}
	}
}

func TestTakersGoToAnotherProcess(t *testing.T) {
	now := time.Now()
	old, next := NewTakers(New(), takersLinger), NewTakers(New(), takersLinger)
	old.Took(digest("idle"), "a", now.Add(-takersLinger))
	old.Took(digest("k"), "b", now)
	old.Took(digest("ahead"), "c", now.Add(time.Hour)) // the clock was set back
	next.Took(digest("stale"), "a", now)
	text, err := json.Marshal(old.State())
	if err != nil {
		t.Fatal(err)
	}
	var all []TakerState
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	next.Restore(all, now.Add(time.Second))
	for key, want := range map[string]string{"idle": "", "k": "b", "ahead": "c", "stale": ""} {
		wantsTaker(t, next, key, now.Add(time.Second), want)
	}
	wantsTaker(t, next, "ahead", now.Add(time.Minute+takersLinger), "")
}

func TestNilTakersKnowNothing(t *testing.T) {
	var k *Takers
	k.Used(digest("k"), time.Now())
	k.Opened(digest("k"), "a")
	k.Restore([]TakerState{{Host: "a"}}, time.Now())
	if k.Host(digest("k"), time.Now()) != "" || k.State() != nil {
		t.Error("they know a key")
	}
}
