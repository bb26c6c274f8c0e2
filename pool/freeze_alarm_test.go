package pool

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tokenring/balancer"
	"tokenring/gossip"
	"tokenring/pool/eligibility"
	"tokenring/route"
	"tokenring/testlog"
)

// byDefault is a configuration without the section freeze.
func byDefault() Config { return Config{Freeze: eligibility.FreezeConfig{}.WithDefaults()} }

// gossiped returns a life with hosts that have joined by gossip and pass their checks.
func gossiped(t *testing.T, cfg Config, o Options, hosts ...string) *life {
	t.Helper()
	l := live(t, cfg, o)
	for _, host := range hosts {
		l.announces(hostMeta(host), false)
	}
	l.see(route.Up, hosts...)
	return l
}

// dies makes gossip lose hosts, and their checks fail.
func (l *life) dies(hosts ...string) {
	for _, host := range hosts {
		l.announces(hostMeta(host), true)
	}
	l.see(route.Down, hosts...)
}

func (l *life) wantAlarm(why string, parts ...string) {
	l.t.Helper()
	alarm := l.Snapshot().Alarm
	for _, part := range parts {
		if !strings.Contains(alarm, part) {
			l.t.Errorf("%s: the alarm is %q, want %q in it", why, alarm, part)
		}
	}
	if len(parts) == 0 && alarm != "" {
		l.t.Errorf("%s: the alarm is %q, want none", why, alarm)
	}
}

func TestOtherHostsServeTheKeysOfLostHostsAfterTheFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := new(testlog.Buffer)
		l := gossiped(t, byDefault(), Options{Logger: logged.Logger()}, "a", "b", "c", "d", "e", "f")
		defer l.stop()
		key := keyOf(t, l.Snapshot(), "a")
		began := time.Now()
		l.dies("a", "b", "c", "d")
		s := l.Snapshot()
		if got, ok := s.Choose(s.Key(key), nil); ok || got.Rule != route.RuleFrozen || !s.Frozen {
			t.Errorf("frozen %t, a's key goes to %+v %t, want none", s.Frozen, got, ok)
		}
		if d := s.FrozenUntil.Sub(s.FrozenSince); d != 2*time.Minute || s.FrozenSince.Sub(began) > time.Second {
			t.Errorf("frozen from %v to %v", s.FrozenSince, s.FrozenUntil)
		}
		if e := s.Explain(s.Key(key), route.Stay{}, route.Placement{}, time.Now()); !strings.HasSuffix(e.Reason, " The freeze ends at "+s.FrozenUntil.UTC().Format(time.TimeOnly)+" UTC at the latest.") {
			t.Errorf("it is explained by %q", e.Reason)
		}
		l.wantAlarm("frozen", "4 of the 6 hosts", "(a, b, c, d)", s.FrozenUntil.UTC().Format(time.RFC3339), "503", "lb ctl maint")
		l.pass(2 * time.Minute)
		s = l.Snapshot()
		if got, ok := s.Choose(s.Key(key), nil); !ok || s.Frozen || !s.FrozenUntil.IsZero() || s.FreezesExpired != 1 {
			t.Errorf("after two minutes: frozen %t until %v, %d expired, a's key goes to %+v %t", s.Frozen, s.FrozenUntil, s.FreezesExpired, got, ok)
		}
		l.wantAlarm("its time is over", "4 hosts of the ring vanished", "(a, b, c, d)", "2m0s, and they had not returned", "two hosts")
		if lines := logged.Lines(`"level":"error"`); len(lines) != 2 {
			t.Errorf("errors in the log: %q, want one for the begin and one for the end", lines)
		}
		l.pass(eligibility.DefaultDelays.LossWindow)
		l.wantRing("e f", "and they have left the ring")
		l.pass(noticeFor - eligibility.DefaultDelays.LossWindow - time.Second)
		l.wantAlarm("nearly a quarter of an hour later", "4 hosts of the ring vanished")
		l.pass(time.Second)
		l.wantAlarm("a quarter of an hour later")
	})
}

// TestASecondFreezeNamesItsOwnHosts: the log and the alarm name the hosts for
// which the ring has frozen again, and no longer the hosts of the first freeze.
func TestASecondFreezeNamesItsOwnHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []string
		for i := range 14 {
			all = append(all, fmt.Sprintf("h%02d", i))
		}
		logged := new(testlog.Buffer)
		l := gossiped(t, byDefault(), Options{Logger: logged.Logger()}, all...)
		defer l.stop()
		l.dies(all[:8]...)
		l.pass(118 * time.Second)
		l.dies(all[8:12]...)
		l.pass(2 * time.Second)
		l.wantFrozen(true, "four of the six that were left vanished just now")
		l.wantAlarm("frozen anew", "4 of the 6 hosts", "(h08, h09, h10, h11)")
		var told []string
		for _, line := range logged.Lines(`"level":"error"`) {
			told = append(told, regexp.MustCompile(`"vanished":\d+,"ring":\d+`).FindString(line))
		}
		if want := []string{`"vanished":8,"ring":14`, `"vanished":8,"ring":14`, `"vanished":4,"ring":6`}; !slices.Equal(told, want) {
			t.Errorf("the errors in the log are about %q, want %q: frozen, ended by itself, frozen anew", told, want)
		}
	})
}

func TestTheNoticeEndsWhenAllHostsAreBackOrOverridden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := gossiped(t, byDefault(), quiet(), "a", "b", "c")
		defer l.stop()
		l.dies("a")
		l.pass(3 * time.Second)
		l.dies("b")
		if s := l.Snapshot(); s.Frozen {
			t.Error("a ring of three is frozen although one is left")
		}
		for i := range 100 {
			if got, ok := l.Snapshot().Choose(l.Snapshot().Key(fmt.Appendf(nil, "key-%d", i)), nil); !ok || got.Host.Name != "c" {
				t.Fatalf("a key goes to %+v %t, want c", got, ok)
			}
		}
		l.wantAlarm("two of three", "2 hosts of the ring vanished", "(a, b)", "fewer than 6 hosts", "two hosts")
		l.pass(time.Minute)
		l.wantRing("c", "they are gone")
		l.comes("a")
		l.wantAlarm("one is back", "2 hosts of the ring vanished")
		if err := l.override("b", route.Maint); err != nil {
			t.Fatal(err)
		}
		l.pass(maxIdle)
		l.wantAlarm("and there is an override for the other")
	})
}

// TestKeysOfAHostThatFailedLongBeforeStayWhereTheyWent: the freeze is only for
// hosts that vanished together.
func TestKeysOfAHostThatFailedLongBeforeStayWhereTheyWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c", "d", "e"), quiet())
		defer l.stop()
		l.see(route.Up, "a", "b", "c", "d", "e")
		l.see(route.Down, "a")
		l.pass(time.Hour)
		before := l.places()
		l.see(route.Down, "b", "c", "d")
		l.wantFrozen(true, "three of the four that served")
		if h := l.Snapshot().Host("a"); !h.FailedBefore {
			t.Errorf("a counts as one of those that vanished: %+v", h)
		}
		served := 0
		for i, now := range l.places() {
			switch before[i] {
			case "e":
				if now != "e" {
					t.Fatalf("a key of e's is on %q", now)
				}
				served++
			default:
				if now != "" {
					t.Fatalf("a key that was on %s, which vanished, is on %s", before[i], now)
				}
			}
		}
		ofA := keyThat(t, l.Snapshot(), "a", func(c route.Choice, ok bool) bool { return ok })
		if e := l.Snapshot().Explain(l.Snapshot().Key(ofA), route.Stay{}, route.Placement{}, time.Now()); e.Rule != balancer.RuleFallback || e.Host.Name != "e" {
			t.Errorf("a key of a that e has had is explained by %+v", e.Choice)
		}
		lost := keyThat(t, l.Snapshot(), "a", func(c route.Choice, ok bool) bool { return !ok })
		if e := l.Snapshot().Explain(l.Snapshot().Key(lost), route.Stay{}, route.Placement{}, time.Now()); !strings.Contains(e.Reason, "has had this token since a failed") {
			t.Errorf("a key of a whose successor vanished is explained by %q", e.Reason)
		}
		if served == 0 {
			t.Error("no key was e's")
		}
	})
}

// keyThat returns a key of owner that goes to the host want.
func keyThat(t *testing.T, s *route.Snapshot, owner string, want func(route.Choice, bool) bool) []byte {
	t.Helper()
	for i := range 10_000 {
		key := fmt.Appendf(nil, "key-%d", i)
		if c, ok := s.Choose(s.Key(key), nil); s.Table.Hosts()[s.Table.Owner(key)].Name == owner && want(c, ok) {
			return key
		}
	}
	t.Fatal("there is no such key")
	return nil
}

// TestABalancerThatStartsWaitsForMissingHostsAsLongAsOthers and then serves their keys.
func TestABalancerThatStartsWaitsForMissingHostsAsLongAsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []gossip.CachedMember
		for _, host := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			all = append(all, in(host, time.Minute))
		}
		l := liveFrom(t, byDefault(), quiet(), func(p *Pool) {
			p.machine.quiet = startupQuiet
			p.machine.expect(p.gossips.Members.AddCached(all))
		})
		defer l.stop()
		l.comes("a", "b", "c")
		l.pass(awaitLimit)
		l.wantFrozen(true, "four of seven haven't come")
		l.pass(2 * time.Minute)
		l.wantFrozen(false, "they haven't come for two minutes")
		l.pass(eligibility.DefaultDelays.LossWindow)
		l.wantRing("a b c", "they are removed")
	})
}
