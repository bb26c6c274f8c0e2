package pool

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// in returns what is remembered of a host of the ring that was seen so long ago.
func in(name string, ago time.Duration) remembered {
	m := hostMeta(name)
	return remembered{
		Node: m.node(), Gossip: netip.MustParseAddrPort("10.0.0.1:7946"), Seen: time.Now().Add(-ago),
		InRing: true, ID: m.ID, Address: m.Address, Weight: m.Weight, Zone: m.Zone,
	}
}

// out is in of a host that didn't belong in the ring.
func out(name string, ago time.Duration) remembered {
	r := in(name, ago)
	r.InRing = false
	return r
}

// relive is live in a balancer that has been here before.
func relive(t *testing.T, o Options, all ...remembered) *life {
	t.Helper()
	return liveFrom(t, Config{}, o, func(p *Pool) {
		p.keeper.quiet = lanPace.quiet
		p.keeper.expect(p.roster.recall(all))
	})
}

// comes has a host join and pass its checks.
func (l *life) comes(hosts ...string) {
	for _, host := range hosts {
		l.gossips(hostMeta(host), false)
		l.see(Up, host)
	}
}

func TestHowLongMoreHostsAreWaitedFor(t *testing.T) {
	const never = -1
	for name, row := range map[string]struct {
		o    outset
		want int // milliseconds after the start
	}{
		"nothing is remembered, and nobody has come": {outset{quiet: 2 * time.Second}, never},
		"nothing is remembered, and one has come":    {outset{quiet: 2 * time.Second, met: at(500)}, 2500},
		"there is no gossip":                         {outset{met: at(500)}, never},
		"one of two has come":                        {outset{quiet: 2 * time.Second, recalls: true, met: at(500), awaited: []remembered{in("a", 0)}}, 8000},
		"all have come":                              {outset{quiet: 2 * time.Second, recalls: true, met: at(500)}, never},
	} {
		row.o.started = t0
		want := at(row.want)
		if row.want == never {
			want = time.Time{}
		}
		if got := row.o.until(); !got.Equal(want) {
			t.Errorf("%s: until %v, want %v", name, got, want)
		}
	}
}

func TestSettledWaitsForTheHostsThatWereInTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), in("a", time.Minute), in("b", time.Hour), out("c", time.Minute))
		defer l.stop()
		l.comes("a")
		l.pass(awaitLimit / 2)
		if l.isSettled() {
			t.Error("settled though a host is missing")
		}
		l.comes("b")
		if !l.isSettled() {
			t.Error("not settled though everybody who was in the ring has come")
		}
		l.wantRing("a b", "settled")
	})
}

func TestSettledWaitsForQuietWhereNobodyIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), out("c", time.Minute))
		defer l.stop()
		for _, name := range []string{"a", "b", "c"} {
			l.comes(name)
			if l.pass(lanPace.quiet / 2); l.isSettled() {
				t.Fatalf("settled soon after %s has come", name)
			}
		}
		l.pass(lanPace.quiet / 2)
		if !l.isSettled() {
			t.Error("not settled after a while in which nobody has come")
		}
		l.wantRing("a b c", "settled")
	})
}

func TestSettledDoesNotWaitForHostsThatOperatorsTookOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), in("a", time.Minute), in("b", time.Minute))
		defer l.stop()
		l.comes("a")
		told, err := encodeMemory([]Decision{{Host: "b", State: Maint, At: time.Now(), Origin: "lb-2"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.peers.NotifyMsg(told)
		l.pass(2 * gather)
		if !l.isSettled() {
			t.Error("not settled: a host in maintenance is waited for")
		}
	})
}

func TestHostsOfLongAgoAreNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := defaultPatience.forgetLost
		var logged logBuffer
		l := relive(t, Options{Logger: zerolog.New(&logged)}, in("a", old), in("b", old), in("c", old))
		defer l.stop()
		l.comes("a")
		l.pass(awaitLimit)
		if strings.Contains(logged.String(), "missing") {
			t.Errorf("they are missed:\n%s", logged.String())
		}
		if s := l.Snapshot(); !l.isSettled() || s.Frozen || len(s.Hosts) != 1 {
			t.Errorf("settled %t, frozen %t, hosts %d; want it to go on with the one that came", l.isSettled(), s.Frozen, len(s.Hosts))
		}
	})
}

func TestFewMissingHostsAreTakenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), in("a", time.Minute), in("b", time.Minute), in("c", time.Minute))
		defer l.stop()
		l.comes("a", "b")
		l.pass(awaitLimit)
		l.wantRing("a b c", "c is missing just now")
		if s := l.Snapshot(); !l.isSettled() || s.Frozen || s.Host("c").Contact != Missing {
			t.Errorf("settled %t, frozen %t, c's contact %v", l.isSettled(), s.Frozen, s.Host("c").Contact)
		}
		key := keyOf(t, l.Snapshot(), "c")
		if got, ok := l.Snapshot().Choose(key, nil); !ok || got.Host.Name == "c" {
			t.Errorf("c's key goes to %+v %t, want another", got, ok)
		}
		l.pass(defaultPatience.settle)
		l.wantRing("a b", "c has been missing for a while")
		l.pass(defaultPatience.forgetLost)
		if l.Snapshot().Host("c") != nil {
			t.Error("c isn't forgotten")
		}
	})
}

// amidstAPartition is a balancer that starts and finds one host of three.
func amidstAPartition(t *testing.T, o Options) *life {
	t.Helper()
	l := relive(t, o, in("a", time.Minute), in("b", time.Minute), in("c", time.Minute))
	l.comes("a")
	l.pass(awaitLimit)
	return l
}

func TestMostOfTheRingIsMissingAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged logBuffer
		l := amidstAPartition(t, Options{Logger: zerolog.New(&logged)})
		defer l.stop()
		l.wantRing("a b c", "frozen")
		s := l.Snapshot()
		if !l.isSettled() || !s.Frozen || !strings.HasPrefix(s.Alarm, "2 of the 3 hosts") {
			t.Errorf("settled %t, frozen %t, alarm %q", l.isSettled(), s.Frozen, s.Alarm)
		}
		if n := strings.Count(logged.String(), `"level":"error"`); n != 1 {
			t.Errorf("%d alarms in the log, want 1: there is none before the hosts are missing", n)
		}
		if got, ok := s.Choose(keyOf(t, s, "b"), nil); ok || got.Rule != RuleFrozen {
			t.Errorf("b's key goes to %+v %t, want none by %s", got, ok, RuleFrozen)
		}
		l.see(Up, "b") // somebody answers at its address
		if l.Snapshot().Host("b").Serving() {
			t.Error("b serves though gossip hasn't found it")
		}
		l.gossips(hostMeta("b"), false)
		s = l.Snapshot()
		if got, ok := s.Choose(keyOf(t, s, "b"), nil); !s.Frozen || ok || got.Rule != RuleFrozen {
			t.Errorf("gossip has found b, and nobody has checked it: frozen %t, its key goes to %+v %t", s.Frozen, got, ok)
		}
		l.comes("b")
		if s := l.Snapshot(); s.Frozen || !s.Host("b").Serving() || s.Host("b").Contact != Alive {
			t.Errorf("b has come: frozen %t, %+v", s.Frozen, s.Host("b"))
		}
		l.pass(defaultPatience.settle)
		l.wantRing("a b", "thawed, and c is missing still")
	})
}

func TestOperatorsThawARingOfMissingHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := amidstAPartition(t, quiet())
		defer l.stop()
		if err := l.decide("b", Maint); err != nil {
			t.Fatal(err)
		}
		if l.Snapshot().Frozen {
			t.Error("frozen with one of two")
		}
		l.wantRing("a c", "an operator decided")
	})
}

func TestARingOfMissingHostsThawsWhenTheyAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := amidstAPartition(t, quiet())
		defer l.stop()
		l.pass(defaultPatience.forgetLost - time.Minute - 2*awaitLimit)
		if !l.Snapshot().Frozen {
			t.Error("thawed too early")
		}
		l.comes("a") // once more: it is no news of the others
		l.pass(2 * awaitLimit)
		if s := l.Snapshot(); s.Frozen || len(s.Hosts) != 1 {
			t.Errorf("frozen %t, %d hosts; want the one that is there", s.Frozen, len(s.Hosts))
		}
		l.wantRing("a", "the others are forgotten")
	})
}

func TestAnUnsettledBalancerThatStopsForgetsNobody(t *testing.T) {
	// It is stopped while it waits: what it would write down then is that
	// nobody is in the ring.
	dir := t.TempDir()
	want := membership{Version: stateVersion, Pool: []remembered{in("a", 0)}}
	want.Pool[0].Seen = want.Pool[0].Seen.UTC().Round(0)
	if err := want.save(dir, leftover{}); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1), Label: "test"}
	p, stop := startPoolIn(t, dir, cfg, PeersConfig{})
	<-p.gossip.joined
	stop()
	if got, _, err := loadMembership(dir); err != nil || !got.same(want, 1) {
		t.Errorf("it remembers %+v, %v; want %+v", got, err, want)
	}
}
