package edge

import (
	"context"
	"time"

	"tokenring/balancer"
	"tokenring/proxy/elder"
	"tokenring/proxy/tunnel"
)

// splitTick is how often terminals are ended of tokens that are on two hosts, and splitParts in
// how many parts, so that not all clients connect again at one moment.
const (
	splitTick  = 500 * time.Millisecond
	splitParts = 4
)

// runSplits ends terminals of tokens that are on two hosts at once, until ctx ends. It happens
// after balancers have been cut off from one another. Each balancer ends its terminals on the
// host that a token doesn't keep.
func (e *Edge) runSplits(ctx context.Context) error {
	log := e.part("sessions")
	tick := time.NewTicker(splitTick)
	defer tick.Stop()
	for pace := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		var now []balancer.Digest
		now, pace = paced(e.proxy.SplitsToEnd(e.connected()), pace)
		if len(now) > 0 {
			log.Warn().Int("tokens", len(now)).Msg("ending terminals of tokens that have some on another host, too")
			e.proxy.End(elder.End{Keys: now, Why: string(tunnel.BySplit)})
		}
	}
}

// paced returns which of all keys are due in this tick, and the pace of the next one. The pace is
// a part of the most keys that there were; 0 before there are any.
func paced(all []balancer.Digest, pace int) (now []balancer.Digest, next int) {
	if len(all) == 0 {
		return nil, 0
	}
	next = max(pace, (len(all)+splitParts-1)/splitParts)
	return all[:min(next, len(all))], next
}

// connected returns a function that reports whether a peer and this balancer hear each other:
// both streams are up.
func (e *Edge) connected() func(peer string) bool {
	up := map[string]bool{}
	for _, s := range e.streamStatus() {
		up[s.Name] = s.Up && s.Heard
	}
	return func(peer string) bool { return up[peer] }
}
