package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/builder"
	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/route"
	"tokenring/testlog"
)

// another gives the Pool another balancer, as gossip shows it.
func (l *life) another(name, digest string, lost bool) {
	l.lbs.set(gossip.Member{Metadata: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: name}, Digest: digest}, Lost: lost})
	l.pass(0)
}

func TestBalancersThatDisagreeForLongRaiseAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged testlog.Buffer
		l := live(t, statics("a", "b"), Options{Logger: zerolog.New(&logged)})
		defer l.stop()
		l.see(route.Up, "a", "b")
		ours := l.Snapshot().Table.Digest()
		l.another("lb-2", ours, false)
		l.pass(time.Minute)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().IsZero() {
			t.Errorf("they agree: alarm %q, since %v", s.Alarm, s.DisagreeSince())
		}

		l.another("lb-2", "another", false)
		since := time.Now()
		l.pass(10*time.Second - time.Millisecond)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().Equal(since) {
			t.Errorf("not for long: alarm %q, since %v, want %v", s.Alarm, s.DisagreeSince(), since)
		}
		l.pass(time.Millisecond)
		s := l.Snapshot()
		for _, part := range []string{"lb-2 (since " + since.UTC().Format(time.RFC3339) + ")", "GET /v1/ring", "hash in lb.yaml"} {
			if !strings.Contains(s.Alarm, part) {
				t.Errorf("alarm %q, want %q in it", s.Alarm, part)
			}
		}
		if strings.Count(logged.String(), "another balancer places tokens by another ring") != 1 {
			t.Errorf("the log: %s", &logged)
		}

		l.another("lb-2", ours, false)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().IsZero() {
			t.Errorf("they agree again: alarm %q, since %v", s.Alarm, s.DisagreeSince())
		}
		if !strings.Contains(logged.String(), "any more") {
			t.Errorf("the log doesn't say that it is over: %s", &logged)
		}
	})
}

// TestAHostThatJoinsRaisesNoAlarm, though balancers learn of it at different times.
func TestAHostThatJoinsRaisesNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(route.Up, "a")
		l.another("lb-2", l.Snapshot().Table.Digest(), false)
		l.see(route.Up, "b") // here first
		l.pass(10 * time.Second / 2)
		if l.Snapshot().DisagreeSince().IsZero() {
			t.Error("the tables differ, and that isn't seen")
		}
		l.another("lb-2", l.Snapshot().Table.Digest(), false)
		l.pass(time.Hour)
		for _, s := range l.shots {
			if s.Alarm != "" {
				t.Fatalf("alarm %q", s.Alarm)
			}
		}
	})
}

func TestALostBalancerDoesNotDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		defer l.stop()
		l.see(route.Up, "a")
		l.another("lb-2", "another", false)
		l.pass(2 * 10 * time.Second)
		if l.Snapshot().Alarm == "" {
			t.Fatal("no alarm at first")
		}
		l.another("lb-2", "another", true)
		if s := l.Snapshot(); !strings.HasPrefix(s.Alarm, "gossip has lost balancers: lb-2") || strings.Contains(s.Alarm, "another ring") || !s.DisagreeSince().IsZero() {
			t.Errorf("lost: alarm %q, since %v", s.Alarm, s.DisagreeSince())
		}
	})
}

// TestAllEmptyRingsAgree: the hosts of two balancers are all drained, and one of the two has
// started since.
func TestAllEmptyRingsAgree(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a"), o)
		l.see(route.Up, "a")
		if err := l.override("a", route.Drain); err != nil {
			t.Fatal(err)
		}
		emptied := l.Snapshot().Table.Digest()
		l.stop()
		l = live(t, statics("a"), o)
		defer l.stop()
		l.another("lb-2", emptied, false)
		l.see(route.Up, "a")
		if s := l.Snapshot(); s.Table.Digest() != emptied || !s.DisagreeSince().IsZero() {
			t.Errorf("the ring is %q, that of the one before was %q", s.Table.Digest(), emptied)
		}
	})
	synctest.Test(t, func(t *testing.T) { // no host has ever come
		l := live(t, Config{}, quiet())
		defer l.stop()
		l.pass(readyLimit + 2*builder.GatherTime)
		if s := l.Snapshot(); s.Table.Digest() == "" || s.Rebuilding {
			t.Errorf("the ring is %q, rebuilding %t", s.Table.Digest(), s.Rebuilding)
		}
	})
}

// TestAlarmsDontHideOneAnother: a partition freezes the ring, and the balancers
// have different rings.
func TestAlarmsDontHideOneAnother(t *testing.T) {
	m := &machine{
		records:  records{registers: peers.NewSet(nil)},
		freezing: freezing{freeze: eligibility.Freeze{Frozen: true, Gone: 2, Ring: 3}},
		peerList: peerList{divergent: []route.Peer{{Name: "lb-2", Since: at(0)}}},
	}
	if got := m.alarm(time.Now()); !strings.HasPrefix(got, "2 of the 3 hosts") || !strings.Contains(got, "lb-2") {
		t.Errorf("got %q, want the freeze first, and lb-2", got)
	}
}
