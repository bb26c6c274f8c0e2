package health

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// handedOver returns s as it comes out of JSON.
func handedOver(t *testing.T, s State) (got State) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// inTwoBubbles runs before with a monitor over r, and then after with another one that goes
// on from what the first knew, changed by change.
func inTwoBubbles(t *testing.T, cfg Config, before func(*Monitor, *region), change func(State), after func(*Monitor, *region, *book)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		run := func(b *book, s State, story func(*Monitor)) State {
			m := New(cfg, zerolog.Nop(), b.report)
			m.dial = r.dial
			m.Restore(State{"stale": {Address: "stale:1", Known: true}}) // the next one replaces it
			m.Restore(s)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- m.Run(ctx) }()
			story(m)
			cancel()
			<-ended
			return m.State()
		}
		state := handedOver(t, run(&book{seen: map[string][]Status{}}, nil, func(m *Monitor) { before(m, r) }))
		change(state)
		b := &book{seen: map[string][]Status{}}
		run(b, state, func(m *Monitor) { after(m, r, b) })
	})
}

func TestAnotherProcessGoesOnFromTheVerdicts(t *testing.T) {
	cfg := Config{Interval: 2 * time.Second, Fall: 3, Rise: 2}
	targets := []Target{{Name: "up", Address: "up:1"}, {Name: "doubtful", Address: "doubtful:1"}, {Name: "down", Address: "down:1"}, {Name: "moved", Address: "moved:1"}}
	var since time.Time
	inTwoBubbles(t, cfg, func(m *Monitor, r *region) {
		for _, host := range []string{"up", "doubtful", "moved"} {
			r.set(host+":1", ok200)
		}
		r.set("down:1", refuses)
		m.Watch(targets)
		synctest.Wait()
		since = time.Now()
		r.set("doubtful:1", bad503)
		time.Sleep(2230 * time.Millisecond) // one failure, from 1.8 to 2.2 s; the next one is at 2.25 s at the earliest
	}, func(s State) {
		if _, ok := s["stale"]; ok || len(s) != 4 || s["doubtful"].Against != 1 {
			t.Errorf("handed over: %+v", s)
		}
	}, func(m *Monitor, r *region, b *book) {
		r.set("up:1", bad503)
		r.set("down:1", ok200)
		r.set("moved:2", refuses)
		targets[3].Address = "moved:2"
		m.Watch(targets)
		time.Sleep(200 * time.Millisecond)
		if s := b.last("up"); !s.Up || s.Error != "status 503" || !s.Since.Equal(since) {
			t.Errorf("up: one failure gives %+v, want up since %v", s, since)
		}
		if s := b.last("down"); s.Up || s.Error != "" {
			t.Errorf("down: one pass gives %+v", s)
		}
		if s := b.last("moved"); !s.Known || s.Up {
			t.Errorf("at another address: got %+v, want the verdict of its first check", s)
		}
		time.Sleep(500 * time.Millisecond) // the third failure in a row
		if s := b.last("doubtful"); s.Up {
			t.Errorf("doubtful: two more failures give %+v", s)
		}
	})
}

func TestAClockThatWasSetBackDelaysNoCheck(t *testing.T) {
	target := []Target{{Name: "h", Address: "h:1"}}
	inTwoBubbles(t, Config{}, func(m *Monitor, r *region) {
		r.set("h:1", ok200)
		m.Watch(target)
		time.Sleep(time.Second)
	}, func(s State) {
		ahead := s["h"]
		ahead.At = ahead.At.Add(time.Hour)
		s["h"] = ahead
	}, func(m *Monitor, r *region, b *book) {
		m.Watch(target)
		time.Sleep(time.Second)
		if len(b.all("h")) == 0 {
			t.Error("it isn't checked")
		}
	})
}
