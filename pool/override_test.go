package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/builder"
	"tokenring/peers"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

func TestAnOverrideIsInForceWhenOverrideReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		if err := l.override("a", route.Drain); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b c", "drained")
		h := l.Snapshot().Host("a")
		if h.State != route.Drain || h.StateOverride.Reason != "disk" || h.StateOverride.By != "ops" || h.StateOverride.Since.IsZero() || h.WhyNot != route.WhyDrain {
			t.Errorf("got %+v", h)
		}
		if err := l.override("a", route.Ready); err != nil {
			t.Fatal(err)
		}
		l.wantRing("a b c", "ready again")
		if err := l.override("a", route.Ready); err != nil {
			t.Errorf("the same again: %v", err)
		}
	})
}

func TestAnOverrideSaysWhenAndWhereItWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		l.see(route.Up, "a")
		if err := l.override("a", route.Drain); err != nil {
			t.Fatal(err)
		}
		l.stop()
		if d := l.machine.registers.State("a"); d.Origin != "lb-1" || time.Since(d.At) > time.Second {
			t.Errorf("got %+v, want it of lb-1 and of now", d)
		}
	})
}

func TestOverrideRefusesUnknownHostsAndStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		if err := l.override("unknown", route.Drain); !errors.Is(err, route.ErrUnknownHost) {
			t.Errorf("unknown host: got %v", err)
		}
		if err := l.override("a", "gone"); !errors.Is(err, route.ErrOverride) {
			t.Errorf("unknown state: got %v", err)
		}
		l.stop()
		if err := l.override("a", route.Drain); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: got %v", err)
		}
	})
}

// TestAnErrorSaysHowFarAnOverrideHasCome: an override that has been taken stays in
// force though the operator doesn't wait for it.
func TestAnErrorSaysHowFarAnOverrideHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		l.see(route.Up, "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), builder.GatherTime/2)
		defer cancel()
		err := l.Override(ctx, route.Override{Host: "a", State: route.Drain})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has been taken") {
			t.Errorf("while the table is being built: got %v", err)
		}
		l.pass(2 * builder.GatherTime)
		l.wantRing("b", "taken")
		l.stop()
		err = l.Override(t.Context(), route.Override{Host: "a", State: route.Ready})
		if !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("after the end: got %v", err)
		}
	})
}

func TestOverridesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a", "b"), o)
		l.see(route.Up, "a", "b")
		if err := l.override("a", route.Maint); err != nil {
			t.Fatal(err)
		}
		l.stop()
		l = live(t, statics("a", "b"), o)
		defer l.stop()
		if got := l.shots[0].Host("a"); got.State != route.Maint || got.StateOverride.Reason != "disk" {
			t.Errorf("in the first snapshot: %+v", got)
		}
		l.see(route.Up, "a", "b")
		l.wantRing("b", "restarted")
	})
}

func TestABalancerThatStartsSendsItsRegistersToPeers(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, peers.FileName, string(message(t, []peers.Override{{Override: route.Override{Host: "a", State: route.Maint}, At: t0, Origin: "lb-1"}})))
	synctest.Test(t, func(t *testing.T) {
		old := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		other := live(t, statics("a", "b"), quiet())
		defer old.stop()
		defer other.stop()
		meet(t, old, other)
		if got := other.Snapshot().Host("a").State; got != route.Maint {
			t.Errorf("the peer takes a for %s", got)
		}
	})
}

func TestAnOverrideThatCannotBeSavedIsInForceAndReported(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(route.Up, "a", "b")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := l.override("a", route.Maint); err == nil || !strings.Contains(err.Error(), "not on disk") {
			t.Errorf("got %v", err)
		}
		l.pass(2 * builder.GatherTime)
		l.wantRing("b", "not saved")
	})
}

// weigh sets a weight as an operator, and waits until that has ended.
func (l *life) weigh(host string, weight int) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
	defer cancel()
	return l.Override(ctx, route.Override{Host: host, Weight: &weight, Reason: "slow disk", By: "eva"})
}

func TestAWeightMovesOnlyTheKeysThatItMust(t *testing.T) {
	for _, policy := range []string{
		balancer.PolicyConsistent, balancer.PolicyRendezvous, balancer.PolicyMaglev, balancer.PolicyKetama, balancer.PolicyHAProxy,
	} {
		t.Run(policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := statics("a", "b", "c", "d")
				for i := range cfg.Hosts {
					cfg.Hosts[i].ID, cfg.Hosts[i].Weight = uint32(i+1), 4
				}
				l := live(t, cfg, Options{Logger: zerolog.Nop(), Hash: balancer.Config{Policy: policy}})
				defer l.stop()
				l.see(route.Up, "a", "b", "c", "d")
				before := l.Snapshot()
				if err := l.weigh("b", 8); err != nil {
					t.Fatal(err)
				}
				s := l.Snapshot()
				h := s.Host("b")
				if h.Weight != 8 || h.Announced != 4 || h.WeightOverride.By != "eva" || h.WeightOverride.Reason != "slow disk" || h.WeightOverride.Since.IsZero() {
					t.Errorf("got %+v", h)
				}
				if h.State != route.Ready || h.StateOverride.By != "" || h.Share < 1.3*before.Host("b").Share {
					t.Errorf("got %+v, was %+v: want the same state and about 1.6 times the share", h, before.Host("b"))
				}
				m := balancer.Compare(before.Table, s.Table)
				if m.Astray > 0.005 || m.Moved < m.Ideal/2 || m.Moved > 1.5*m.Ideal {
					t.Errorf("moved %.4f, astray %.4f; %.4f would be ideal", m.Moved, m.Astray, m.Ideal)
				}
				if err := l.weigh("b", route.OwnWeight); err != nil {
					t.Fatal(err)
				}
				if h := l.Snapshot().Host("b"); h.Weight != 4 || h.WeightOverride != (route.Attribution{}) {
					t.Errorf("back to its own weight: %+v", h)
				}
				if got := l.Snapshot().Table.Digest(); got != before.Table.Digest() {
					t.Error("the table with its own weight is another one than before")
				}
			})
		})
	}
}

func TestAHostOfWeightZeroKeepsItsSessionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b")
		if err := l.weigh("a", 0); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b", "weight 0")
		if h := l.Snapshot().Host("a"); h.Serving() || h.WhyNot != route.WhyWeight || h.State == route.Maint {
			t.Errorf("got %+v, want it out of the ring for its weight, and not in maintenance", h)
		}
		if err := l.override("a", route.Drain); err != nil {
			t.Fatal(err)
		}
		if err := l.override("a", route.Ready); err != nil {
			t.Fatal(err)
		}
		l.wantRing("b", "ready, but still of weight 0")
		if err := l.weigh("a", route.OwnWeight); err != nil {
			t.Fatal(err)
		}
		l.wantRing("a b", "its own weight")
	})
}

func TestStateAndWeightCanBeSetAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a", "b"), o)
		l.see(route.Up, "a", "b")
		if err := l.Override(t.Context(), route.Override{Host: "a", State: route.Drain, Weight: new(3)}); err != nil {
			t.Fatal(err)
		}
		if err := l.override("a", route.Ready); err != nil {
			t.Fatal(err)
		}
		l.stop()
		l = live(t, statics("a", "b"), o)
		defer l.stop()
		if h := l.shots[0].Host("a"); h.Weight != 3 || h.State != route.Ready || h.WeightOverride.Since.IsZero() {
			t.Errorf("after a restart: %+v, want ready and of weight 3", h)
		}
	})
}

func TestAWeightForWhichThereIsNoRoomIsRefusedBeforeItIsInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fewSlots := balancer.Config{Policy: balancer.PolicyConsistent, Consistent: balancer.ConsistentConfig{Partitions: 101, Replicas: 2}}
		cfg := statics("a", "b", "c")
		cfg.Hosts[2].ConfiguredWeight = new(90)
		l := live(t, cfg, Options{Logger: zerolog.Nop(), Hash: fewSlots})
		defer l.stop()
		l.see(route.Up, "a", "b", "c")
		before := l.Snapshot().Table
		if err := l.override("b", route.Maint); err != nil {
			t.Fatal(err)
		}
		for _, weight := range []int{11, 256, 257, -2} { // 90 + 11, and 1 in maintenance
			if err := l.weigh("a", weight); !errors.Is(err, route.ErrOverride) {
				t.Errorf("weight %d: got %v, want it refused", weight, err)
			}
		}
		if h := l.Snapshot().Host("a"); h.Weight != 1 || h.WeightOverride != (route.Attribution{}) {
			t.Errorf("a refused weight is in force: %+v", h)
		}
		if err := l.weigh("a", 10); err != nil {
			t.Errorf("weight 10: %v", err)
		}
		if err := l.override("b", route.Ready); err != nil {
			t.Errorf("back from maintenance: %v", err)
		}
		l.wantRing("a b c", "101 of 101")
		if l.Snapshot().Table == before || l.Snapshot().Alarm != "" {
			t.Errorf("alarm %q", l.Snapshot().Alarm)
		}
	})
}

// TestALowerWeightMayBeTooMuchForAMap: a map is small if its
// weights have a common factor, and 99 and 100 have none.
func TestALowerWeightMayBeTooMuchForAMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		for i := range 210 {
			cfg.Hosts = append(cfg.Hosts, hostlist.Host{Spec: route.Spec{Name: fmt.Sprintf("h%d", i), ID: uint32(i + 1), Address: "10.0.0.1:4000"}, ConfiguredWeight: new(100)})
		}
		mapped := balancer.Config{Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}}
		l := live(t, cfg, Options{Logger: zerolog.Nop(), Hash: mapped})
		defer l.stop()
		if err := l.weigh("h7", 99); !errors.Is(err, route.ErrOverride) {
			t.Errorf("weight 99 among 209 of 100: got %v, want it refused", err)
		}
		if err := l.weigh("h7", 0); err != nil {
			t.Errorf("weight 0: %v", err)
		}
	})
}

func TestALowerWeightIsAcceptedWhileThereIsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fewSlots := balancer.Config{Policy: balancer.PolicyConsistent, Consistent: balancer.ConsistentConfig{Partitions: 101, Replicas: 2}}
		l := live(t, Config{}, Options{Logger: zerolog.Nop(), Hash: fewSlots})
		defer l.stop()
		l.announces(hostOf("a", 1, 60), false)
		l.announces(hostOf("b", 2, 90), false)
		l.see(route.Up, "a", "b")
		l.wantRing("a", "b announces too much")
		if err := l.weigh("b", 50); !errors.Is(err, route.ErrOverride) {
			t.Errorf("less, but still too much: got %v, want it refused", err)
		}
		if err := l.weigh("b", 41); err != nil {
			t.Errorf("enough less: %v", err)
		}
		l.wantRing("a b", "101 of 101")
		if err := l.weigh("a", 61); !errors.Is(err, route.ErrOverride) {
			t.Errorf("more than there is: got %v, want it refused", err)
		}
		if s := l.Snapshot(); s.Alarm != "" || s.Table.Hosts()[0].Weight != 60 || s.Table.Hosts()[1].Weight != 41 {
			t.Errorf("alarm %q, table of %v", s.Alarm, s.Table.Hosts())
		}
	})
}

func TestAnAnnouncedWeightIsTakenInWithoutLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("s"), quiet())
		defer l.stop()
		m := hostMeta("ide-1")
		l.announces(m, false)
		l.see(route.Up, "s", "ide-1")
		m.Weight = 9
		l.announces(m, false)
		if h := l.Snapshot().Host("ide-1"); h.Weight != 9 || h.Announced != 9 || !h.Serving() {
			t.Errorf("got %+v, want it to serve on with weight 9", h)
		}
		if err := l.weigh("ide-1", 2); err != nil {
			t.Fatal(err)
		}
		m.Weight = 8
		l.announces(m, false)
		if h := l.Snapshot().Host("ide-1"); h.Weight != 2 || h.Announced != 8 {
			t.Errorf("got %+v, want the operator's weight before the announced one", h)
		}
	})
}

// TestAFrozenRingKeepsItsWeights: another weight of a host would move keys of the
// hosts that vanished. The override is answered nevertheless.
func TestAFrozenRingKeepsItsWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c", "s"), quiet())
		defer l.stop()
		m := hostMeta("ide-1")
		l.announces(m, false)
		l.see(route.Up, "a", "b", "c", "s", "ide-1")
		l.must(l.override("s", route.Drain))
		l.see(route.Down, "a", "b", "c")
		l.wantFrozen(true, "three of four are gone")
		before := l.Snapshot().Table
		m.Weight = 9
		l.announces(m, false)
		l.must(l.weigh("a", 4))
		l.must(l.override("s", route.Ready))
		s := l.Snapshot()
		if s.Table != before || s.Rebuilding {
			t.Errorf("rebuilding %t, the ring is %v, want it as it was: %v", s.Rebuilding, s.Table.Hosts(), before.Hosts())
		}
		if h := s.Host("ide-1"); h.Weight != 9 || s.Host("a").Weight != 4 || s.Host("s").WhyNot != route.WhyFrozen {
			t.Errorf("got %+v, %+v, %+v: want them to say what counts after the thaw", h, s.Host("a"), s.Host("s"))
		}
		l.must(l.weigh("a", 0))
		l.wantRing("b c ide-1", "an operator has taken one out")
		l.must(l.weigh("a", 4))
		l.wantRing("b c ide-1", "and wants it back")
		l.see(route.Up, "a", "b", "c")
		weights := map[string]int{}
		for _, h := range l.Snapshot().Table.Hosts() {
			weights[h.Name] = h.Weight
		}
		if want := map[string]int{"a": 4, "b": 1, "c": 1, "ide-1": 9, "s": 1}; !maps.Equal(weights, want) {
			t.Errorf("thawed: weights %v, want %v", weights, want)
		}
	})
}
