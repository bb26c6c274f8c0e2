package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

var sameAddress = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

// noted is a member as a file has it.
func noted(m meta, ms int) remembered {
	return remembered{
		Node: m.node(), Gossip: netip.MustParseAddrPort("[2001:db8::1]:7946"), Seen: at(ms),
		ID: m.ID, Address: m.Address, Weight: m.Weight, Zone: m.Zone,
	}
}

func TestMembersSurviveTheDisk(t *testing.T) {
	dir := t.TempDir()
	if m, _, err := loadMembership(dir); err != nil || len(m.Pool)+len(m.Peers) != 0 {
		t.Fatalf("without a file: got %v, %v", m, err)
	}
	lb := noted(meta{Role: roleLB, Name: "lb-2"}, 0)
	host := noted(hostMeta("ide-1"), 1)
	host.InRing = true
	want := membership{Version: stateVersion, Pool: []remembered{host, lb}, Peers: []remembered{lb}}
	for range 2 { // the second time there is a file to replace
		if err := want.save(dir, leftover{}); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := loadMembership(dir)
	if diff := cmp.Diff(want, got, sameAddress); err != nil || diff != "" {
		t.Errorf("%v, the disk changed it (-want +got):\n%s", err, diff)
	}
	info, err := os.Stat(filepath.Join(dir, membersName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode().Perm(), err)
	}
}

func TestTooManyMembersAreAnError(t *testing.T) {
	peer := noted(meta{Role: roleLB, Name: "lb-2"}, 0)
	b, err := json.Marshal(membership{Version: stateVersion, Peers: slices.Repeat([]remembered{peer}, maxRemembered+1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parseMembership(b); err == nil || !strings.Contains(err.Error(), "at most 4096") {
		t.Errorf("got %v", err)
	}
}

func TestWhoIsRemembered(t *testing.T) {
	gossip := netip.MustParseAddrPort("10.0.0.1:7946")
	leaving := hostMeta("a")
	leaving.Leaving = true
	inRing, notInRing := &Host{InRing: true}, &Host{}
	lb := meta{Role: roleLB, Name: "a"}
	for name, row := range map[string]struct {
		m    member
		host *Host
		want string // when it was seen, and whether it was in the ring; "" for not remembered
	}{
		"a host of the ring":              {member{meta: hostMeta("a"), at: gossip}, inRing, "now ring"},
		"a host beside the ring":          {member{meta: hostMeta("a"), at: gossip}, notInRing, "now"},
		"a host that nobody knows yet":    {member{meta: hostMeta("a"), at: gossip}, nil, "now"},
		"a balancer with a host's name":   {member{meta: lb, at: gossip}, inRing, "now"},
		"a lost host":                     {member{meta: hostMeta("a"), at: gossip, lost: true, lostAt: at(0)}, notInRing, "then"},
		"a lost host of a frozen ring":    {member{meta: hostMeta("a"), at: gossip, lost: true, lostAt: at(0)}, inRing, "now ring"},
		"a missing host of a frozen ring": {member{meta: hostMeta("a"), at: gossip, lost: true, lostAt: at(0), recalled: true}, inRing, "then ring"},
		"a host that is leaving":          {member{meta: leaving, at: gossip}, notInRing, ""},
		"a host that has left":            {member{meta: leaving, at: gossip, lost: true, lostAt: at(0)}, notInRing, ""},
		"a member without an address":     {member{meta: lb}, nil, ""},
	} {
		now, got := at(1000), ""
		for _, r := range remember(map[string]member{row.m.meta.node(): row.m}, func(string) *Host { return row.host }, now) {
			if got = "then"; r.Seen.Equal(now) {
				got = "now"
			}
			if r.InRing {
				got += " ring"
			}
			if r.Node != row.m.meta.node() || r.Gossip != gossip || r.Address != row.m.meta.Address || r.Weight != row.m.meta.Weight {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestWhoWasSeenLastIsRememberedIfThereAreTooMany(t *testing.T) {
	members := map[string]member{}
	for i := range maxRemembered + 2 {
		m := localHost(fmt.Sprintf("h-%d", i), "10.0.0.1:80")
		members[m.node()] = member{meta: m, at: netip.MustParseAddrPort("10.0.0.1:7946"), lost: true, lostAt: at(i)}
	}
	all := remember(members, func(string) *Host { return nil }, at(1e6))
	if len(all) != maxRemembered {
		t.Fatalf("%d are remembered, want %d", len(all), maxRemembered)
	}
	for _, r := range all {
		if r.Seen.Before(at(2)) {
			t.Errorf("%s is remembered, one of the two seen first", r.Node)
		}
	}
}

func TestNobodyOfLongAgoIsRecalled(t *testing.T) {
	now := at(10_000)
	var got []int64 // how many milliseconds ago they were seen
	for _, r := range recent([]remembered{noted(hostMeta("a"), 8999), noted(hostMeta("b"), 9000), noted(hostMeta("c"), 10_000), noted(hostMeta("d"), 1e9)}, now, time.Second) {
		got = append(got, now.Sub(r.Seen).Milliseconds())
	}
	if diff := cmp.Diff([]int64{1000, 0, 0}, got); diff != "" {
		t.Errorf("recalled (-want +got):\n%s", diff)
	}
}

func TestTheFileIsWrittenAnewOnlyForNews(t *testing.T) {
	one := membership{Pool: []remembered{noted(hostMeta("a"), 0)}}
	changed := func(change func(*remembered)) membership {
		r := one.Pool[0]
		change(&r)
		return membership{Pool: []remembered{r}}
	}
	for name, row := range map[string]struct {
		m    membership
		want bool
	}{
		"the same":             {changed(func(*remembered) {}), true},
		"seen a bit later":     {changed(func(r *remembered) { r.Seen = r.Seen.Add(noteStale - 1) }), true},
		"seen long after":      {changed(func(r *remembered) { r.Seen = r.Seen.Add(noteStale) }), false},
		"the clock was set":    {changed(func(r *remembered) { r.Seen = r.Seen.Add(-noteStale) }), false},
		"not in the ring":      {changed(func(r *remembered) { r.InRing = true }), false},
		"at another address":   {changed(func(r *remembered) { r.Gossip = netip.MustParseAddrPort("10.0.0.2:1") }), false},
		"with another weight":  {changed(func(r *remembered) { r.Weight++ }), false},
		"nobody":               {membership{}, false},
		"a peer besides":       {membership{Pool: one.Pool, Peers: one.Pool}, false},
		"among another gossip": {membership{Peers: one.Pool}, false},
	} {
		if got := one.same(row.m, noteStale); got != row.want {
			t.Errorf("%s: the same %t, want %t", name, got, row.want)
		}
	}
}

func TestRecalledMembersPassTheDoor(t *testing.T) {
	door := doorman{
		networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
	}
	r := newRoster("lb/lb-1", door, zerolog.Nop())
	r.members["host/here"] = member{meta: hostMeta("here")}
	elsewhere := hostMeta("elsewhere")
	elsewhere.Address = "192.0.2.1:80"
	var names []string
	for _, taken := range r.recall([]remembered{
		noted(hostMeta("a"), 0),
		noted(hostMeta("here"), 0),
		noted(elsewhere, 0),
		noted(meta{Role: roleLB, Name: "lb-1"}, 0),
		noted(meta{Role: roleLB, Name: "lb-2"}, 0),
	}) {
		names = append(names, taken.Node)
	}
	if diff := cmp.Diff([]string{"host/a", "lb/lb-2"}, names); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if m := r.list()["host/a"]; !m.lost || !m.recalled || !m.lostAt.Equal(at(0)) {
		t.Errorf("a is %+v, want it recalled as lost", m)
	}
	if m := r.list()["host/here"]; m.lost {
		t.Error("a host that has come is lost again")
	}
}

func FuzzMembership(f *testing.F) {
	b, err := json.Marshal(membership{Version: stateVersion, Pool: []remembered{noted(hostMeta("a"), 0)}, Peers: []remembered{noted(meta{Role: roleLB, Name: "b"}, 1)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		want, _, err := parseMembership(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := parseMembership(again)
		if err != nil {
			t.Fatalf("what was read can't be read back: %v", err)
		}
		if !got.same(want, 1) {
			t.Errorf("the file changed %+v to %+v", want, got)
		}
	})
}

// startPoolIn is startPool of lb-1 with a state directory.
func startPoolIn(t *testing.T, dir string, cfg Config, pc PeersConfig) (p *Pool, stop func()) {
	t.Helper()
	return startPoolWith(t, cfg, pc, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop()})
}

func TestARestartFindsTheMembersWithoutSeeds(t *testing.T) {
	t.Parallel()
	key, peersKey, dir := secretFile(t, 1), secretFile(t, 2), t.TempDir()
	silent := fastPace // calls nobody after its start
	silent.rejoin, silent.lonely, silent.pushPull = time.Hour, time.Hour, 0
	host, _ := startGossip(t, localHost("ide-1", "127.0.0.1:4000"), gossipConfig{secretFile: key, pace: silent})
	peer, _ := startGossip(t, meta{Role: roleLB, Name: "lb-2"}, gossipConfig{secretFile: peersKey, pace: silent})
	cfg := Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test", Join: []string{host.addr()}}
	pc := PeersConfig{Bind: "127.0.0.1:0", SecretFile: peersKey, Label: "test", Join: []string{peer.addr()}}

	first, stop := startPoolIn(t, dir, cfg, pc)
	eventually(t, "the host is known", func() bool { return first.Snapshot().Host("ide-1") != nil })
	first.checked("ide-1", Up, "", time.Now())
	<-first.Settled()
	eventually(t, "the peer is known", func() bool { return len(first.Snapshot().Peers) == 1 })
	stop()
	stranger, _ := startGossip(t, localHost("stranger", "127.0.0.1:1"), gossipConfig{secretFile: secretFile(t, 3), pace: silent})
	forge(t, dir, "host/gone", stranger.addr())
	forge(t, dir, "host/moved", host.addr())

	cfg.Join, pc.Join = nil, nil
	second, _ := startPoolIn(t, dir, cfg, pc)
	eventually(t, "the host is found again", func() bool { h := second.Snapshot().Host("ide-1"); return h != nil && h.Contact == Alive })
	eventually(t, "the peer is found again", func() bool { peers := second.Snapshot().Peers; return len(peers) == 1 && peers[0].Alive })
	second.checked("ide-1", Up, "", time.Now())
	<-second.Settled()
	for _, h := range second.Snapshot().Hosts {
		if h.Name != "ide-1" {
			t.Errorf("an address that is somebody else's made a host of %+v", h)
		}
	}
	if stranger.sees("lb/lb-1") {
		t.Error("the stranger has let us in")
	}
}

// forge adds a host that wasn't in the ring to a file of members.
func forge(t *testing.T, dir, name, gossip string) {
	t.Helper()
	m, _, err := loadMembership(dir)
	if err != nil || len(m.Pool) == 0 {
		t.Fatalf("nobody is remembered in %s: %v", dir, err)
	}
	r := m.Pool[0]
	r.Node, r.Gossip, r.InRing = name, netip.MustParseAddrPort(gossip), false
	m.Pool = append(m.Pool, r)
	if err := m.save(dir, leftover{}); err != nil {
		t.Fatal(err)
	}
}

func TestAMemberThatCannotBeWrittenDownIsLoggedOnce(t *testing.T) {
	var logged logBuffer
	o := Options{Name: "lb-1", StateDir: filepath.Join(t.TempDir(), "nowhere"), Hash: small, Logger: zerolog.New(&logged)}
	p, err := New(Config{Bind: "127.0.0.1:0", SecretFile: secretFile(t, 1)}, PeersConfig{}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.roster.recall([]remembered{in("a", 0)})
	for range 3 {
		p.diary.note()
	}
	if n := strings.Count(logged.String(), "can't be remembered on disk"); n != 1 {
		t.Errorf("%d lines about it, want 1:\n%s", n, logged.String())
	}
	if err := os.Mkdir(o.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	p.diary.note()
	if m, _, err := loadMembership(o.StateDir); err != nil || len(m.Pool) != 1 || errors.Is(err, errCorrupt) {
		t.Errorf("once it can be: %+v, %v", m, err)
	}
}
