package gossip

import (
	"fmt"
	"maps"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"tokenring/netaddr"
)

// The bounds of the packets of one source. A member sends some dozens a second.
const (
	packetRate  = 4096           // a second
	packetBurst = 2 * packetRate // at once
	packetUnit  = 1500           // bytes; a larger packet counts as several
	reportPause = time.Second    // between two reports about a source
	mostSources = 4 * maxSources // that have rates of their own, with those of members
	sweepPause  = time.Second    // between two looks for sources to forget
)

var errPackets = fmt.Errorf("it sends more than %d packets a second", packetRate)

// A packetLimiter bounds how many packets of a source are decrypted. Packets can have false
// addresses, so it remembers few sources: further ones have one rate together, unless they
// are members'. One goroutine uses it.
type packetLimiter struct {
	member  func(netip.Addr) bool
	sources map[netip.Prefix]*packetSource
	swept   time.Time // when idle sources were forgotten
	others  *packetSource
}

// A packetSource is where packets come from.
type packetSource struct {
	rate     *rate.Limiter
	last     time.Time // when a packet came
	dropped  int       // packets since the last report
	reported time.Time
}

func newPacketLimiter(member func(netip.Addr) bool) *packetLimiter {
	return &packetLimiter{member: member, sources: map[netip.Prefix]*packetSource{}, others: newPacketSource()}
}

func newPacketSource() *packetSource {
	return &packetSource{rate: rate.NewLimiter(packetRate, packetBurst)}
}

// admit reports whether a packet is within the rate of its source. If it isn't, dropped is
// how many packets are to be reported now.
func (l *packetLimiter) admit(from netip.Addr, size int, now time.Time) (ok bool, dropped int) {
	s := l.source(from, now)
	s.last = now
	if s.rate.AllowN(now, 1+size/packetUnit) {
		return true, 0
	}
	s.dropped++
	if now.Sub(s.reported) < reportPause {
		return false, 0
	}
	dropped = s.dropped
	s.dropped, s.reported = 0, now
	return false, dropped
}

func (l *packetLimiter) source(from netip.Addr, now time.Time) *packetSource {
	at := netaddr.Source(from)
	if s := l.sources[at]; s != nil {
		return s
	}
	if len(l.sources) >= maxSources && now.Sub(l.swept) >= sweepPause {
		l.swept = now
		maps.DeleteFunc(l.sources, func(_ netip.Prefix, s *packetSource) bool { return now.Sub(s.last) > idleSource })
	}
	if n := len(l.sources); n >= mostSources || n >= maxSources && !l.member(from) {
		return l.others
	}
	s := newPacketSource()
	l.sources[at] = s
	return s
}
