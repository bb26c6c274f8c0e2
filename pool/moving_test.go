package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
)

// moves has the host of the gossip announce another address, and nobody check it.
func (l *life) moves(m meta) meta {
	m.Address = "10.0.0.99:4000"
	l.gossips(m, false)
	return m
}

// wantChoice says which host a key has, or by which rule none.
func (l *life) wantChoice(key []byte, want, why string) {
	l.t.Helper()
	choice, ok := l.Snapshot().Choose(key, nil)
	got := string(choice.Rule)
	if ok {
		got = choice.Host.Name
	}
	if got != want {
		l.t.Errorf("%s: the key has %q, want %q", why, got, want)
	}
}

func TestKeysOfAHostThatMovesWaitForItsFirstCheck(t *testing.T) {
	for name, row := range map[string]struct {
		verdict Verdict // of the new address; Unchecked: none
		heir    bool    // whether the heir gets the key then
	}{
		"it passes":    {Up, false},
		"it fails":     {Down, true},
		"none is made": {Unchecked, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := statics("s1", "s2")
				cfg.SlowStart = 30 * time.Second
				l := live(t, cfg, Options{Logger: zerolog.Nop()})
				defer l.stop()
				m := hostMeta("ide-1")
				l.gossips(m, false)
				l.see(Up, "s1", "s2", "ide-1")
				l.pass(time.Minute)
				key := keyOf(t, l.Snapshot(), "ide-1")
				l.wantChoice(key, "ide-1", "before")
				m = l.moves(m)
				l.wantChoice(key, string(RuleMoving), "it has moved")
				if h := l.Snapshot().Host("ide-1"); h.Serving() || h.Verdict != Unchecked || !h.Moving {
					t.Errorf("got %+v, want it unchecked, moving, and serving nothing", h)
				}
				l.Hear("ide-1", CheckResult{Address: m.Address, Verdict: Unchecked, Error: "out of files", At: time.Now()})
				l.pass(staleness)
				l.wantChoice(key, string(RuleMoving), "a check that doesn't count")
				if row.verdict != Unchecked {
					l.see(row.verdict, "ide-1")
				} else {
					l.pass(moveGrace)
				}
				h := l.Snapshot().Host("ide-1")
				if choice, ok := l.Snapshot().Choose(key, nil); !ok || (choice.Host.Name != "ide-1") != row.heir || h.Moving {
					t.Errorf("got %+v, %v; want the heir: %v", choice, ok, row.heir)
				}
				if h.Warming != (Warming{}) {
					t.Errorf("it warms up for having moved: %+v", h.Warming)
				}
			})
		})
	}
}

// TestHostThatDidNotServeDoesNotKeepKeysWaiting: one that was down, or that is being
// taken out, and moves.
func TestHostThatDidNotServeDoesNotKeepKeysWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		m := hostMeta("ide-1")
		l.gossips(m, false)
		l.see(Up, "s1", "s2", "ide-1")
		key := keyOf(t, l.Snapshot(), "ide-1")
		l.see(Down, "ide-1")
		heir, _ := l.Snapshot().Choose(key, nil)
		m = l.moves(m)
		l.wantChoice(key, heir.Host.Name, "it was down and has moved")
		l.see(Up, "ide-1")
		m.Address = "10.0.0.98:4000"
		l.gossips(m, false)
		l.wantChoice(key, string(RuleMoving), "it was up and has moved")
		if err := l.decide("ide-1", Drain); err != nil {
			t.Fatal(err)
		}
		if h := l.Snapshot().Host("ide-1"); h.Moving {
			t.Errorf("drained: got %+v, want it not to keep keys waiting", h)
		}
	})
}

func TestMovingHostIsExplainedAndHoldsPlacedKeys(t *testing.T) {
	hosts := func(moving string) []*Host {
		var all []*Host
		for _, name := range []string{"a", "b"} {
			h := &Host{Name: name, Weight: 1, State: Ready, Verdict: Up, InRing: true, Gauges: new(Gauges)}
			if name == moving {
				h.Moving, h.Verdict = true, Unchecked
			}
			all = append(all, h)
		}
		return all
	}
	builder, err := balancer.NewBuilder(small)
	if err != nil {
		t.Fatal(err)
	}
	table, err := builder.Build([]balancer.Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("k")
	owner := table.Hosts()[table.Owner(key)].Name
	other := map[string]string{"a": "b", "b": "a"}[owner]

	s := NewSnapshot(table, hosts(owner))
	e := s.Explain(key, "", Placement{}, time.Now())
	if e.Rule != RuleMoving || e.Host != nil || !strings.Contains(e.Reason, owner+" has this token, and got another address") {
		t.Errorf("got %+v", e)
	}
	s = NewSnapshot(table, hosts(other))
	s.BoundedLoad = 1.25
	if choice, ok := s.Place(key, Placement{Host: other, Away: true}, nil, time.Now()); ok || choice.Rule != RuleMoving || choice.Host.Name != other {
		t.Errorf("placed on the host that moves: got %+v, %v", choice, ok)
	}
	if choice, ok := s.Place(key, Placement{}, nil, time.Now()); !ok || choice.Host.Name != owner {
		t.Errorf("a key of the other: got %+v, %v", choice, ok)
	}
	for range 4 {
		if choice, ok := s.Choose(nil, nil); !ok || choice.Host.Name != owner {
			t.Errorf("without a key: got %+v, %v", choice, ok)
		}
	}
}
