package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/gossip/announcement"
	"tokenring/route"
)

// moves has the host of the gossip announce another address, which isn't checked yet.
func (l *life) moves(m announcement.Metadata) announcement.Metadata {
	m.Address = "10.0.0.99:4000"
	l.announces(m, false)
	return m
}

// wantChoice fails the test unless a key has that host, or no host by that rule.
func (l *life) wantChoice(key []byte, want, why string) {
	l.t.Helper()
	choice, ok := l.Snapshot().Choose(l.Snapshot().Key(key), nil)
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
		verdict   route.Verdict // of the new address; Unchecked: none
		successor bool          // whether the successor gets the key then
	}{
		"it passes":    {route.Up, false},
		"it fails":     {route.Down, true},
		"none is made": {route.Unchecked, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := statics("s1", "s2")
				cfg.SlowStart = 30 * time.Second
				l := live(t, cfg, Options{Logger: zerolog.Nop()})
				defer l.stop()
				m := hostMeta("ide-1")
				l.announces(m, false)
				l.see(route.Up, "s1", "s2", "ide-1")
				l.pass(time.Minute)
				key := keyOf(t, l.Snapshot(), "ide-1")
				l.wantChoice(key, "ide-1", "before")
				m = l.moves(m)
				l.wantChoice(key, string(route.RuleMoving), "it has moved")
				if h := l.Snapshot().Host("ide-1"); h.Serving() || h.Verdict != route.Unchecked || !h.Moving {
					t.Errorf("got %+v, want it unchecked, moving, and serving nothing", h)
				}
				l.Checked("ide-1", CheckResult{Address: m.Address, Verdict: route.Unchecked, Error: "out of files", At: time.Now()})
				l.pass(staleness)
				l.wantChoice(key, string(route.RuleMoving), "a check that doesn't count")
				if row.verdict != route.Unchecked {
					l.see(row.verdict, "ide-1")
				} else {
					l.pass(moveGrace)
				}
				h := l.Snapshot().Host("ide-1")
				if choice, ok := l.Snapshot().Choose(l.Snapshot().Key(key), nil); !ok || (choice.Host.Name != "ide-1") != row.successor || h.Moving {
					t.Errorf("got %+v, %v; want the successor: %v", choice, ok, row.successor)
				}
				if h.SlowStart != (route.Progress{}) {
					t.Errorf("it starts slowly for having moved: %+v", h.SlowStart)
				}
			})
		})
	}
}

// TestHostThatDidNotServeDoesNotKeepKeysWaiting: a host that is down, or
// that an operator takes out, moves.
func TestHostThatDidNotServeDoesNotKeepKeysWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s1", "s2"), quiet())
		defer l.stop()
		m := hostMeta("ide-1")
		l.announces(m, false)
		l.see(route.Up, "s1", "s2", "ide-1")
		key := keyOf(t, l.Snapshot(), "ide-1")
		l.see(route.Down, "ide-1")
		successor, _ := l.Snapshot().Choose(l.Snapshot().Key(key), nil)
		m = l.moves(m)
		l.wantChoice(key, successor.Host.Name, "it was down and has moved")
		l.see(route.Up, "ide-1")
		m.Address = "10.0.0.98:4000"
		l.announces(m, false)
		l.wantChoice(key, string(route.RuleMoving), "it was up and has moved")
		if err := l.override("ide-1", route.Drain); err != nil {
			t.Fatal(err)
		}
		if h := l.Snapshot().Host("ide-1"); h.Moving {
			t.Errorf("drained: got %+v, want it not to keep keys waiting", h)
		}
	})
}

func TestMovingHostIsExplainedAndHoldsPlacedKeys(t *testing.T) {
	hosts := func(moving string) []*route.Host {
		var all []*route.Host
		for _, name := range []string{"a", "b"} {
			h := &route.Host{Spec: route.Spec{Name: name, Weight: 1}, AdminState: route.AdminState{State: route.Ready}, Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}, Gauges: new(route.Gauges)}
			if name == moving {
				h.Moving, h.Verdict = true, route.Unchecked
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

	s := route.NewSnapshot(table, hosts(owner))
	e := s.Explain(s.Key(key), route.Stay{}, route.Placement{}, time.Now())
	if e.Rule != route.RuleMoving || e.Host != nil || !strings.Contains(e.Reason, owner+" has this token, and has just got another address") {
		t.Errorf("got %+v", e)
	}
	s = route.NewSnapshot(table, hosts(other))
	s.BoundedLoad = 1.25
	if choice, ok := s.Place(s.Key(key), route.Placement{Host: other, Away: true}, nil, time.Now()); ok || choice.Rule != route.RuleMoving || choice.Host.Name != other {
		t.Errorf("placed on the host that moves: got %+v, %v", choice, ok)
	}
	if choice, ok := s.Place(s.Key(key), route.Placement{}, nil, time.Now()); !ok || choice.Host.Name != owner {
		t.Errorf("a key of the other: got %+v, %v", choice, ok)
	}
	for range 4 {
		if choice, ok := s.Choose(route.Key{}, nil); !ok || choice.Host.Name != owner {
			t.Errorf("without a key: got %+v, %v", choice, ok)
		}
	}
}
