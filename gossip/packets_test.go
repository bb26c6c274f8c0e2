package gossip

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestPacketsOfASourceAreBounded(t *testing.T) {
	quick, slow := netip.MustParseAddr("10.0.0.6"), netip.MustParseAddr("10.0.0.1")
	l := newPacketLimiter(func(netip.Addr) bool { return false })
	admitted, reported, reports := 0, 0, 0
	for i := range 10 * packetBurst { // within a second
		ok, dropped := l.admit(quick, 100, t0.Add(time.Duration(i)*time.Second/(10*packetBurst)))
		if ok {
			admitted++
		}
		if dropped > 0 {
			reports++
		}
		reported += dropped
	}
	if admitted < packetBurst || admitted > packetBurst+packetRate || reports != 1 || reported != 1 {
		t.Errorf("%d packets of a second are admitted, %d are reported in %d reports", admitted, reported, reports)
	}
	if ok, _ := l.admit(slow, 100, t0.Add(time.Second)); !ok {
		t.Error("another source is at its limit, too")
	}
	sent, ok, dropped := 10*packetBurst, true, 0
	for later := t0.Add(time.Second + reportPause/2); ok; sent++ {
		if ok, dropped = l.admit(quick, 100, later); ok {
			admitted++
		}
	}
	if got := reported + dropped; got != sent-admitted {
		t.Errorf("%d packets were dropped, %d are reported", sent-admitted, got)
	}
	large := 0
	for {
		if ok, _ := l.admit(netip.MustParseAddr("10.0.0.7"), 2*packetUnit, t0); !ok {
			break
		}
		large++
	}
	if large != packetBurst/3 {
		t.Errorf("%d large packets are admitted at once", large)
	}
}

// TestManySourcesOfPacketsAreOne: packets can have any address.
func TestManySourcesOfPacketsAreOne(t *testing.T) {
	member := netip.MustParseAddr("10.1.0.1")
	l := newPacketLimiter(func(at netip.Addr) bool { return at == member })
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 6, byte(i >> 8), byte(i)}) }
	admitted := 0
	for i := range maxSources + 2*packetBurst {
		if ok, _ := l.admit(at(i%60000), 100, t0); ok {
			admitted++
		}
	}
	if admitted != maxSources+packetBurst || len(l.sources) != maxSources {
		t.Errorf("%d packets of as many sources are admitted, and %d sources are known", admitted, len(l.sources))
	}
	if ok, _ := l.admit(member, 100, t0); !ok {
		t.Error("a member is at their limit")
	}
	if ok, _ := l.admit(at(50000), 100, t0.Add(2*idleSource)); !ok || len(l.sources) != 1 {
		t.Errorf("after a pause: %t, %d sources are known", ok, len(l.sources))
	}
}

// TestAPacketOfAnUnknownSourceCostsLittle: the sender of a packet is easily forged, so there
// may be as many sources as packets, and none of them makes the balancer look through all.
func TestAPacketOfAnUnknownSourceCostsLittle(t *testing.T) {
	l := newPacketLimiter(func(netip.Addr) bool { return false })
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 6, byte(i >> 8), byte(i)}) }
	for i := range maxSources {
		l.admit(at(i), 100, t0)
	}
	cost := func(first, sources int) time.Duration {
		least := time.Hour
		for range 10 {
			began := time.Now()
			for i := range 1000 {
				l.admit(at(first+i%sources), 100, t0)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	known, unknown := cost(0, 1), cost(maxSources, 1000)
	t.Logf("1000 packets take %v of a known source, %v of others", known, unknown)
	if unknown > 20*known {
		t.Errorf("1000 packets take %v of a known source, %v of others", known, unknown)
	}
}

// TestAFloodOfPacketsIsRefused unread, and what others send is read.
func TestAFloodOfPacketsIsRefused(t *testing.T) {
	c := newCarrier(t)
	conn, err := net.Dial("udp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	noise := make([]byte, 2*packetUnit)
	eventually(t, "packets are dropped", func() bool {
		for range packetRate {
			_, _ = conn.Write(noise) // it may be lost on its way, too
		}
		return c.refused.counts()[TooFast] > 0
	})
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other, err := dialer.Dial("udp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	eventually(t, "a packet of another source is read", func() bool {
		_, _ = other.Write(userMessage("hello"))
		select {
		case <-c.transport.packets:
			return true
		default:
			return false
		}
	})
}
