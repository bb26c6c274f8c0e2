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
)

// byDefault is the configuration of those who say nothing about freezes.
func byDefault() Config { return Config{Freeze: FreezeConfig{}.WithDefaults()} }

// gossiped returns a life with hosts that have joined and pass their checks.
func gossiped(t *testing.T, cfg Config, o Options, hosts ...string) *life {
	t.Helper()
	l := live(t, cfg, o)
	for _, host := range hosts {
		l.gossips(hostMeta(host), false)
	}
	l.see(Up, hosts...)
	return l
}

// dies lets gossip and checks lose hosts.
func (l *life) dies(hosts ...string) {
	for _, host := range hosts {
		l.gossips(hostMeta(host), true)
	}
	l.see(Down, hosts...)
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

func TestAnEndlessLossIsServedAfterTheFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := new(logBuffer)
		l := gossiped(t, byDefault(), Options{Logger: logged.logger()}, "a", "b", "c", "d", "e", "f")
		defer l.stop()
		key := keyOf(t, l.Snapshot(), "a")
		began := time.Now()
		l.dies("a", "b", "c", "d")
		s := l.Snapshot()
		if got, ok := s.Choose(key, nil); ok || got.Rule != RuleFrozen || !s.Frozen {
			t.Errorf("frozen %t, a's key goes to %+v %t, want none", s.Frozen, got, ok)
		}
		if d := s.FrozenUntil.Sub(s.FrozenSince); d != 2*time.Minute || s.FrozenSince.Sub(began) > time.Second {
			t.Errorf("frozen from %v to %v", s.FrozenSince, s.FrozenUntil)
		}
		if e := s.Explain(key, "", Placement{}, time.Now()); !strings.HasSuffix(e.Reason, " The freeze ends at "+s.FrozenUntil.UTC().Format(time.TimeOnly)+" UTC at the latest.") {
			t.Errorf("it is explained by %q", e.Reason)
		}
		l.wantAlarm("frozen", "4 of the 6 hosts", "(a, b, c, d)", s.FrozenUntil.UTC().Format(time.RFC3339), "503", "lb ctl maint")
		l.pass(2 * time.Minute)
		s = l.Snapshot()
		if got, ok := s.Choose(key, nil); !ok || s.Frozen || !s.FrozenUntil.IsZero() || s.FreezesExpired != 1 {
			t.Errorf("after two minutes: frozen %t until %v, %d expired, a's key goes to %+v %t", s.Frozen, s.FrozenUntil, s.FreezesExpired, got, ok)
		}
		l.wantAlarm("its time is over", "4 hosts of the ring vanished", "(a, b, c, d)", "2m0s without their return", "two hosts")
		if lines := logged.lines(`"level":"error"`); len(lines) != 2 {
			t.Errorf("errors in the log: %q, want one for the begin and one for the end", lines)
		}
		l.pass(defaultPatience.settle)
		l.wantRing("e f", "and they have left the ring")
		l.pass(noticeFor - defaultPatience.settle - time.Second)
		l.wantAlarm("nearly a quarter of an hour later", "4 hosts of the ring vanished")
		l.pass(time.Second)
		l.wantAlarm("a quarter of an hour later")
	})
}

// TestAFreezeThatBeginsAnewIsTold: the log and the alarm name the hosts for which it
// does, and no longer those of the freeze that has ended.
func TestAFreezeThatBeginsAnewIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []string
		for i := range 14 {
			all = append(all, fmt.Sprintf("h%02d", i))
		}
		logged := new(logBuffer)
		l := gossiped(t, byDefault(), Options{Logger: logged.logger()}, all...)
		defer l.stop()
		l.dies(all[:8]...)
		l.pass(118 * time.Second)
		l.dies(all[8:12]...)
		l.pass(2 * time.Second)
		l.wantFrozen(true, "four of the six that were left vanished just now")
		l.wantAlarm("frozen anew", "4 of the 6 hosts", "(h08, h09, h10, h11)")
		var told []string
		for _, line := range logged.lines(`"level":"error"`) {
			told = append(told, regexp.MustCompile(`"vanished":\d+,"ring":\d+`).FindString(line))
		}
		if want := []string{`"vanished":8,"ring":14`, `"vanished":8,"ring":14`, `"vanished":4,"ring":6`}; !slices.Equal(told, want) {
			t.Errorf("the errors in the log are about %q, want %q: frozen, ended by itself, frozen anew", told, want)
		}
	})
}

func TestTheNoticeEndsWhenEverybodyIsBackOrDecidedAbout(t *testing.T) {
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
			if got, ok := l.Snapshot().Choose(fmt.Appendf(nil, "key-%d", i), nil); !ok || got.Host.Name != "c" {
				t.Fatalf("a key goes to %+v %t, want c", got, ok)
			}
		}
		l.wantAlarm("two of three", "2 hosts of the ring vanished", "(a, b)", "fewer than 6 hosts", "two hosts")
		l.pass(time.Minute)
		l.wantRing("c", "they are gone")
		l.comes("a")
		l.wantAlarm("one is back", "2 hosts of the ring vanished")
		if err := l.decide("b", Maint); err != nil {
			t.Fatal(err)
		}
		l.pass(patrol)
		l.wantAlarm("and an operator has decided about the other")
	})
}

// TestKeysOfAHostThatFailedLongBeforeStayWhereTheyWent: the freeze is about those
// that vanished together.
func TestKeysOfAHostThatFailedLongBeforeStayWhereTheyWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b", "c", "d", "e"), quiet())
		defer l.stop()
		l.see(Up, "a", "b", "c", "d", "e")
		l.see(Down, "a")
		l.pass(time.Hour)
		before := l.places()
		l.see(Down, "b", "c", "d")
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
		ofA := keyThat(t, l.Snapshot(), "a", func(c Choice, ok bool) bool { return ok })
		if e := l.Snapshot().Explain(ofA, "", Placement{}, time.Now()); e.Rule != balancer.RuleFallback || e.Host.Name != "e" {
			t.Errorf("a key of a that e has had is explained by %+v", e.Choice)
		}
		lost := keyThat(t, l.Snapshot(), "a", func(c Choice, ok bool) bool { return !ok })
		if e := l.Snapshot().Explain(lost, "", Placement{}, time.Now()); !strings.Contains(e.Reason, "has had this token since a failed") {
			t.Errorf("a key of a whose heir vanished is explained by %q", e.Reason)
		}
		if served == 0 {
			t.Error("no key was e's")
		}
	})
}

// keyThat returns a key that owner owns and that goes where want says.
func keyThat(t *testing.T, s *Snapshot, owner string, want func(Choice, bool) bool) []byte {
	t.Helper()
	for i := range 10_000 {
		key := fmt.Appendf(nil, "key-%d", i)
		if c, ok := s.Choose(key, nil); s.Table.Hosts()[s.Table.Owner(key)].Name == owner && want(c, ok) {
			return key
		}
	}
	t.Fatal("there is no such key")
	return nil
}

// TestABalancerThatStartsWaitsForMissingHostsAsLongAsOthers and then serves their keys.
func TestABalancerThatStartsWaitsForMissingHostsAsLongAsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []remembered
		for _, host := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			all = append(all, in(host, time.Minute))
		}
		l := liveFrom(t, byDefault(), quiet(), func(p *Pool) {
			p.keeper.quiet = lanPace.quiet
			p.keeper.expect(p.roster.recall(all))
		})
		defer l.stop()
		l.comes("a", "b", "c")
		l.pass(awaitLimit)
		l.wantFrozen(true, "four of seven haven't come")
		l.pass(2 * time.Minute)
		l.wantFrozen(false, "they haven't come for two minutes")
		l.pass(defaultPatience.settle)
		l.wantRing("a b c", "and are given up")
	})
}
