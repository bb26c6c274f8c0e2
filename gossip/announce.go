package gossip

import (
	"errors"

	"github.com/hashicorp/memberlist"

	"tokenring/gossip/announcement"
)

// maxPushes is how often one announcement is handed to memberlist at once.
const maxPushes = 20

// errClosed is what Announce returns once the gossip has left.
var errClosed = errors.New("the gossip has ended")

// Announce replaces what the process announces about itself, and waits for a bounded
// time until the news is on its way. An error of that wait is no failure: the news
// spreads with the next exchanges of state.
func (g *Gossip) Announce(m announcement.Metadata) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() {
		return errClosed
	}
	return g.announceLocked(m)
}

func (g *Gossip) announceLocked(m announcement.Metadata) error {
	if err := g.setLocked(m); err != nil || g.list == nil {
		return err // without a list, Start announces it
	}
	return g.list.UpdateNode(g.timing.Leave)
}

// setLocked replaces what is announced, and doesn't wait.
func (g *Gossip) setLocked(m announcement.Metadata) error {
	if err := g.delegate.announce(m); err != nil {
		return err
	}
	g.announced = m
	if g.list != nil {
		g.pushLocked()
	}
	return nil
}

// pushLocked has memberlist take the announcement. It drops one without a word if it
// handles a message about us meanwhile, which anybody may send.
func (g *Gossip) pushLocked() {
	for range maxPushes {
		if g.members.announces(g.delegate.NodeMeta(memberlist.MetaMaxSize)) {
			return
		}
		_ = g.list.UpdateNode(1) // whether it was taken is seen above; there is no time to wait
	}
}

// pushAgain has memberlist take the announcement if it hasn't.
func (g *Gossip) pushAgain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed.Load() {
		g.pushLocked()
	}
}
