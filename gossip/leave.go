package gossip

import (
	"context"
	"time"
)

// spread is how many rounds of gossip the news that a host is leaving is given
// to reach all balancers. A balancer that gets the news of the departure first ignores
// the announcement, and takes the host for lost until its checks fail.
const spread = 5

// Close ends the gossip at once and announces nothing, so that the others take the
// process for crashed, unless another process goes on with the sockets under the same
// name. When it returns, nothing is read from the sockets any more. Run returns soon
// after.
func (g *Gossip) Close() {
	g.closed.Store(true) // first: else Run might still leave
	g.calls.end()
	g.ending.Lock()
	defer g.ending.Unlock()
	g.shutLocked()
}

// shutLocked closes the sockets. It may be called more than once.
func (g *Gossip) shutLocked() {
	if g.list == nil {
		g.sockets.Close()
		return
	}
	g.list.Shutdown() // returns no error
}

// leave announces that we leave, first in the metadata, so that the others can tell it
// from a crash, then after a pause by memberlist's departure, and ends the gossip.
// Balancers get the metadata over TCP as well: packets may be lost, and a balancer that
// takes us for dead at that moment ignores them. leave doesn't wait for members that
// are leaving themselves: they don't need the news. Once the gossip is closed there is
// nothing to do.
func (g *Gossip) leave(pause time.Duration) {
	g.ending.Lock()
	defer g.ending.Unlock()
	if g.closed.Load() {
		return
	}
	defer g.shutLocked()
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.closed.Store(true)
	last := g.announced
	last.Leaving = true
	announce := g.announceLocked
	if pause > 0 { // for the news; memberlist would wait in vain if all members leave at once
		announce = g.setLocked
	}
	if err := announce(last); err != nil {
		g.log.Debug().Err(err).Msg("departure not announced")
	}
	g.calls.leaving.Store(true)
	telling, cancel := context.WithTimeout(context.Background(), g.timing.Stream) // for the calls to begin
	g.callAll(telling, addressesToTell(g.members.list()))
	cancel()
	g.calls.leaving.Store(false)
	if anyStays(g.members.list()) {
		<-time.After(pause)
	}
	if anyStays(g.members.list()) {
		if err := g.list.Leave(g.timing.Leave); err != nil {
			g.log.Debug().Err(err).Msg("departure not confirmed")
		}
	}
}
