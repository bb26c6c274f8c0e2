package pool

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/peers"
	"tokenring/pool/eligibility"
	"tokenring/route"
	"tokenring/testlog"
)

// in returns the cached member of a host that was in the ring and was seen so long ago.
func in(name string, ago time.Duration) gossip.CachedMember {
	m := hostMeta(name)
	return gossip.CachedMember{
		Node: m.Node(), Gossip: netip.MustParseAddrPort("10.0.0.1:7946"), Seen: time.Now().Add(-ago),
		InRing: true, Spec: m.Spec,
	}
}

// out returns the cached member of a host that wasn't in the ring.
func out(name string, ago time.Duration) gossip.CachedMember {
	r := in(name, ago)
	r.InRing = false
	return r
}

// relive is live for a balancer that remembers members of its last run.
func relive(t *testing.T, o Options, all ...gossip.CachedMember) *life {
	t.Helper()
	return liveFrom(t, Config{}, o, func(p *Pool) {
		p.machine.quiet = startupQuiet
		p.machine.expect(p.gossips.Members.AddCached(all))
	})
}

// comes makes hosts join and pass their checks.
func (l *life) comes(hosts ...string) {
	for _, host := range hosts {
		l.announces(hostMeta(host), false)
		l.see(route.Up, host)
	}
}

func TestHowLongABalancerWaitsForMoreHosts(t *testing.T) {
	const never = -1
	for name, row := range map[string]struct {
		o    startup
		want int // milliseconds after the start
	}{
		"nothing is remembered, and no host has come": {startup{quiet: 2 * time.Second}, never},
		"nothing is remembered, and one has come":     {startup{quiet: 2 * time.Second, cameAt: at(500)}, 2500},
		"there is no gossip":                          {startup{cameAt: at(500)}, never},
		"one of two has come":                         {startup{quiet: 2 * time.Second, remembersHosts: true, cameAt: at(500), awaited: []gossip.CachedMember{in("a", 0)}}, 8000},
		"all have come":                               {startup{quiet: 2 * time.Second, remembersHosts: true, cameAt: at(500)}, never},
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

func TestReadyWaitsForTheHostsThatWereInTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), in("a", time.Minute), in("b", time.Hour), out("c", time.Minute))
		defer l.stop()
		l.comes("a")
		l.pass(awaitLimit / 2)
		if l.isReady() {
			t.Error("ready though a host is missing")
		}
		l.comes("b")
		if !l.isReady() {
			t.Error("not ready though all hosts of the ring have come")
		}
		l.wantRing("a b", "ready")
	})
}

func TestReadyWaitsUntilNoNewHostComesIfNoneIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), out("c", time.Minute))
		defer l.stop()
		for _, name := range []string{"a", "b", "c"} {
			l.comes(name)
			if l.pass(startupQuiet / 2); l.isReady() {
				t.Fatalf("ready soon after %s has come", name)
			}
		}
		l.pass(startupQuiet / 2)
		if !l.isReady() {
			t.Error("not ready after a while in which no host has come")
		}
		l.wantRing("a b c", "ready")
	})
}

func TestReadyDoesNotWaitForHostsThatOperatorsTookOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), in("a", time.Minute), in("b", time.Minute))
		defer l.stop()
		l.comes("a")
		l.tells([]peers.Override{{Override: route.Override{Host: "b", State: route.Maint}, At: time.Now(), Origin: "lb-2"}})
		if !l.isReady() {
			t.Error("not ready: a host in maintenance is waited for")
		}
	})
}

func TestHostsOfLongAgoAreNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := eligibility.DefaultDelays.ForgetLost
		var logged testlog.Buffer
		l := relive(t, Options{Logger: zerolog.New(&logged)}, in("a", old), in("b", old), in("c", old))
		defer l.stop()
		l.comes("a")
		l.pass(awaitLimit)
		if strings.Contains(logged.String(), "missing") {
			t.Errorf("they are missed:\n%s", logged.String())
		}
		if s := l.Snapshot(); !l.isReady() || s.Frozen || len(s.Hosts) != 1 {
			t.Errorf("ready %t, frozen %t, hosts %d; want it to go on with the one that came", l.isReady(), s.Frozen, len(s.Hosts))
		}
	})
}

func TestAFewMissingHostsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := relive(t, quiet(), in("a", time.Minute), in("b", time.Minute), in("c", time.Minute))
		defer l.stop()
		l.comes("a", "b")
		l.pass(awaitLimit)
		l.wantRing("a b c", "c is missing just now")
		if s := l.Snapshot(); !l.isReady() || s.Frozen || s.Host("c").Contact != route.Missing {
			t.Errorf("ready %t, frozen %t, c's contact %v", l.isReady(), s.Frozen, s.Host("c").Contact)
		}
		key := keyOf(t, l.Snapshot(), "c")
		if got, ok := l.Snapshot().Choose(l.Snapshot().Key(key), nil); !ok || got.Host.Name == "c" {
			t.Errorf("c's key goes to %+v %t, want another", got, ok)
		}
		l.pass(eligibility.DefaultDelays.LossWindow)
		l.wantRing("a b", "c has been missing for a while")
		l.pass(eligibility.DefaultDelays.ForgetLost)
		if l.Snapshot().Host("c") != nil {
			t.Error("c isn't forgotten")
		}
	})
}

// amidstAPartition returns a balancer that starts and finds only one host of three.
func amidstAPartition(t *testing.T, o Options) *life {
	t.Helper()
	l := relive(t, o, in("a", time.Minute), in("b", time.Minute), in("c", time.Minute))
	l.comes("a")
	l.pass(awaitLimit)
	return l
}

func TestTheRingFreezesIfMostHostsAreMissingAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged testlog.Buffer
		l := amidstAPartition(t, Options{Logger: zerolog.New(&logged)})
		defer l.stop()
		l.wantRing("a b c", "frozen")
		s := l.Snapshot()
		if !l.isReady() || !s.Frozen || !strings.HasPrefix(s.Alarm, "2 of the 3 hosts") {
			t.Errorf("ready %t, frozen %t, alarm %q", l.isReady(), s.Frozen, s.Alarm)
		}
		if n := strings.Count(logged.String(), `"level":"error"`); n != 1 {
			t.Errorf("%d alarms in the log, want 1: there is none before the hosts are missing", n)
		}
		if got, ok := s.Choose(s.Key(keyOf(t, s, "b")), nil); ok || got.Rule != route.RuleFrozen {
			t.Errorf("b's key goes to %+v %t, want none by %s", got, ok, route.RuleFrozen)
		}
		l.see(route.Up, "b") // another service answers at its address
		if l.Snapshot().Host("b").Serving() {
			t.Error("b serves though gossip hasn't found it")
		}
		l.announces(hostMeta("b"), false)
		s = l.Snapshot()
		if got, ok := s.Choose(s.Key(keyOf(t, s, "b")), nil); !s.Frozen || ok || got.Rule != route.RuleFrozen {
			t.Errorf("gossip has found b, and b isn't checked yet: frozen %t, its key goes to %+v %t", s.Frozen, got, ok)
		}
		l.comes("b")
		if s := l.Snapshot(); s.Frozen || !s.Host("b").Serving() || s.Host("b").Contact != route.Alive {
			t.Errorf("b has come: frozen %t, %+v", s.Frozen, s.Host("b"))
		}
		l.pass(eligibility.DefaultDelays.LossWindow)
		l.wantRing("a b", "thawed, and c is missing still")
	})
}

func TestOperatorsThawARingOfMissingHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := amidstAPartition(t, quiet())
		defer l.stop()
		if err := l.override("b", route.Maint); err != nil {
			t.Fatal(err)
		}
		if l.Snapshot().Frozen {
			t.Error("frozen with one of two")
		}
		l.wantRing("a c", "an operator took it out")
	})
}

func TestARingOfMissingHostsThawsWhenTheyAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := amidstAPartition(t, quiet())
		defer l.stop()
		l.pass(eligibility.DefaultDelays.ForgetLost - time.Minute - 2*awaitLimit)
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

func TestABalancerThatStopsBeforeItIsReadyForgetsNoHost(t *testing.T) {
	// It is stopped while it waits. If it wrote the cache then, no host would be
	// in the ring.
	dir := t.TempDir()
	want := gossip.NewCachedMembers([]gossip.CachedMember{in("a", 0)}, nil)
	want.Pool[0].Seen = want.Pool[0].Seen.UTC().Round(0)
	writeCache(t, dir, want)
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1), Label: "test"}}
	p, stop := startPoolIn(t, dir, cfg, gossip.Config{})
	eventually(t, "it has joined", p.gossips.Hosts.Joined)
	stop()
	if got := readCache(t, dir); !slices.Equal(got.Pool, want.Pool) || len(got.Peers) > 0 {
		t.Errorf("it remembers %+v; want %+v", got, want)
	}
}
