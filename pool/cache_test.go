package pool

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/pool/hostlist"
	"tokenring/route"
)

// startPoolIn starts the Pool of lb-1 with a state directory.
func startPoolIn(t *testing.T, dir string, cfg Config, pc gossip.Config) (p *Pool, stop func()) {
	t.Helper()
	return startPoolWith(t, cfg, pc, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop()})
}

func TestARestartFindsTheMembersWithoutSeeds(t *testing.T) {
	t.Parallel()
	key, peersKey, dir := secretFile(t, 1), secretFile(t, 2), t.TempDir()
	silent := fast // calls no member after its start
	silent.Rejoin, silent.RejoinAlone, silent.PushPull = time.Hour, time.Hour, 0
	host, _ := startGossip(t, localHost("ide-1", "127.0.0.1:4000"), gossip.Config{SecretFile: key}, silent)
	peer, _ := startGossip(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, gossip.Config{SecretFile: peersKey}, silent)
	cfg := Config{Config: gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test", Join: []string{host.Addr()}}}
	pc := gossip.Config{Bind: "127.0.0.1:0", SecretFile: peersKey, Label: "test", Join: []string{peer.Addr()}}

	first, stop := startPoolIn(t, dir, cfg, pc)
	eventually(t, "the host is known", func() bool { return first.Snapshot().Host("ide-1") != nil })
	first.checked("ide-1", route.Up, "", time.Now())
	<-first.Ready()
	eventually(t, "the peer is known", func() bool { return len(first.Snapshot().Peers) == 1 })
	stop()
	stranger, _ := startGossip(t, localHost("stranger", "127.0.0.1:1"), gossip.Config{SecretFile: secretFile(t, 3)}, silent)
	forge(t, dir, "host/gone", stranger.Addr())
	forge(t, dir, "host/moved", host.Addr())

	cfg.Join, pc.Join = nil, nil
	second, _ := startPoolIn(t, dir, cfg, pc)
	eventually(t, "the host is found again", func() bool { h := second.Snapshot().Host("ide-1"); return h != nil && h.Contact == route.Alive })
	eventually(t, "the peer is found again", func() bool { peers := second.Snapshot().Peers; return len(peers) == 1 && peers[0].Alive })
	second.checked("ide-1", route.Up, "", time.Now())
	<-second.Ready()
	for _, h := range second.Snapshot().Hosts {
		if h.Name != "ide-1" {
			t.Errorf("the address of another member made a host of %+v", h)
		}
	}
	if sees(stranger, "lb/lb-1") {
		t.Error("the stranger has let us in")
	}
}

// forge adds a host that wasn't in the ring to the file of a cache.
func forge(t *testing.T, dir, name, addr string) {
	t.Helper()
	m := readCache(t, dir)
	if len(m.Pool) == 0 {
		t.Fatalf("no member is cached in %s", dir)
	}
	c := m.Pool[0]
	c.Node, c.Gossip, c.InRing = name, netip.MustParseAddrPort(addr), false
	m.Pool = append(m.Pool, c)
	writeCache(t, dir, m)
}

func readCache(t *testing.T, dir string) (m gossip.CachedMembers) {
	t.Helper()
	if err := json.Unmarshal([]byte(content(t, dir, gossip.CacheName)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func writeCache(t *testing.T, dir string, m gossip.CachedMembers) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, gossip.CacheName, string(b))
}

// TestABalancerOfTheLastRunThatIsGoneIsMissing, for as long as changes wait.
func TestABalancerOfTheLastRunThatIsGoneIsMissing(t *testing.T) {
	t.Parallel()
	key, dir := secretFile(t, 2), t.TempDir()
	peer, leave := startGossip(t, announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}}, gossip.Config{SecretFile: key}, fast)
	cfg := Config{Hosts: []hostlist.Host{{Spec: route.Spec{Name: "a", Address: "127.0.0.1:1", Weight: 1}}}}
	pc := gossip.Config{Bind: "127.0.0.1:0", SecretFile: key, Label: "test", Join: []string{peer.Addr()}}
	start := func(dir string) (*Pool, func()) {
		p, stop := startPoolWith(t, cfg, pc, Options{Name: "lb-1", StateDir: dir, Hash: small, Logger: zerolog.Nop(), AgreeWithin: time.Hour})
		p.checked("a", route.Up, "", time.Now())
		<-p.Ready()
		return p, stop
	}
	first, stop := start(dir)
	eventually(t, "the peer is known", func() bool { return len(first.Snapshot().Peers) == 1 })
	stop()
	leave()
	pc.Join = nil
	second, _ := start(dir)
	eventually(t, "lb-2 is missing", func() bool {
		w := second.Snapshot().Waiting
		return w.Missing == 1 && slices.Equal(w.For, []string{"lb-2"})
	})
	other, _ := start(t.TempDir())
	if w := other.Snapshot().Waiting; w.Missing != 0 {
		t.Errorf("a balancer without an earlier run misses %v", w.For)
	}
}
