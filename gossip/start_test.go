package gossip

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
	"tokenring/route"
)

// duplicate returns sockets that share theirs with s, as another process has them.
func duplicate(t *testing.T, s Sockets) Sockets {
	t.Helper()
	streams, err := s.Streams.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer streams.Close()
	packets, err := s.Packets.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	var copied Sockets
	if copied.Streams, err = net.FileListener(streams); err != nil {
		t.Fatal(err)
	}
	if copied.Packets, err = net.FilePacketConn(packets); err != nil {
		t.Fatal(err)
	}
	return copied
}

// TestAnotherProcessGoesOnWithTheSockets: members see the same node all the time, and a
// message that came in between is answered.
func TestAnotherProcessGoesOnWithTheSockets(t *testing.T) {
	key := secretFile(t, 3)
	host, _ := node{cfg: Config{SecretFile: key}}.start(t, localHost("ide-1", "127.0.0.1:1"))
	self := announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}, Version: "1"}
	cfg := Config{SecretFile: key, Label: "test", Join: []string{host.Addr()}}
	open := func(s Sockets, self announcement.Metadata) *Gossip {
		g, err := New(cfg, s, Options{Self: self, Timing: fast, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	run := func(g *Gossip) (ended chan struct{}) {
		ended = make(chan struct{})
		if err := g.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(ended)
			g.Run(context.Background())
		}()
		return ended
	}
	first := listen(t)
	second := duplicate(t, first)
	before := open(first, self)
	ended := run(before)
	eventually(t, "the first meets the host", func() bool { return before.sees("host/ide-1") && host.sees("lb/lb-1") })

	self.Version = "2"
	after := open(second, self)
	cached := ToCache(before.Members(), func(string) bool { return true }, time.Now())
	if added := after.AddCached(cached); len(added) != 1 {
		t.Fatalf("added %+v, want the host", added)
	}
	self.Version = "3"
	if err := after.Announce(self); err != nil {
		t.Errorf("announced before the start: %v", err)
	}
	if after.sees("host/ide-1") || after.Joined() {
		t.Error("it has met the host before its start")
	}
	before.Close()
	<-ended
	lost := func() bool { return !host.sees("lb/lb-1") }
	if lost() {
		t.Error("the host sees a departure")
	}
	start := time.Now()
	ended = run(after)
	defer func() {
		after.Close()
		<-ended
	}()
	eventually(t, "the second meets the host", func() bool {
		return after.sees("host/ide-1") && host.Members()["lb/lb-1"].Metadata.Version == "3"
	})
	t.Logf("members are known %v after the start", time.Since(start))
	if lost() {
		t.Error("the host has lost the balancer")
	}
}

func TestAGossipThatIsNotStartedClosesItsSockets(t *testing.T) {
	s := listen(t)
	g, err := New(Config{SecretFile: secretFile(t, 1)}, s, Options{Self: localHost("ide-1", "127.0.0.1:1"), Timing: fast, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	if _, err := s.Streams.Accept(); err == nil {
		t.Error("the socket is open")
	}
	if err := g.Start(); err == nil {
		t.Error("it starts after it was closed")
	}
}

func TestAdmitsAsksTheFilter(t *testing.T) {
	s := listen(t)
	g, err := New(Config{SecretFile: secretFile(t, 1)}, s, Options{
		Self: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-1"}}, Filter: Filter{Listed: func(host string) bool { return host == "ide-2" }}, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	at := netip.MustParseAddrPort("127.0.0.1:7946")
	for _, row := range []struct {
		m    announcement.Metadata
		want bool
	}{
		{localHost("ide-1", "127.0.0.1:1"), true},
		{localHost("ide-2", "127.0.0.1:1"), false},
		{localHost("ide-1", "192.0.2.1:1"), false},
		{localHost("ide-1", "nowhere"), false},
	} {
		if got := g.Admits(row.m, at); got != row.want {
			t.Errorf("%s at %s: %t, want %t", row.m.Name, row.m.Address, got, row.want)
		}
	}
}
