package pool

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// peers is the gossip among balancers: operators' decisions, hosts' warm-ups, and
// the digests of the tables. Hosts don't hold its key. Without a gossip it is just
// silent.
//
// As a memberlist.Delegate it is called by memberlist's goroutines, so it only
// copies and leaves notes; what it has heard waits in inbox for take.
type peers struct {
	voice
	gossip *gossip // nil: there are no peers
	roster *roster
	log    zerolog.Logger

	queue   memberlist.TransmitLimitedQueue
	state   atomic.Pointer[[]byte] // all that we remember, for state exchanges
	heard   chan struct{}          // room for one: there is something to take
	digests chan string            // room for one: the newest digest to announce

	mu    sync.Mutex
	inbox memory
}

// newPeers returns silent peers of the balancer that goes by the name of self's
// node.
func newPeers(self meta, log zerolog.Logger) *peers {
	p := &peers{
		roster:  newRoster(self.node(), doorman{only: roleLB}, log),
		log:     log,
		heard:   make(chan struct{}, 1),
		digests: make(chan string, 1),
		inbox:   newMemory(),
	}
	p.queue.RetransmitMult = 4
	p.queue.NumNodes = func() int { return 1 + len(p.roster.list()) }
	p.state.Store(new([]byte))
	return p
}

// run announces digests and looks for peers until ctx ends, then leaves.
func (p *peers) run(ctx context.Context, self meta) {
	if p.gossip == nil {
		return
	}
	var searching sync.WaitGroup
	searching.Go(func() { p.gossip.run(ctx) })
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case self.Digest = <-p.digests:
			if err := p.gossip.announce(self); err != nil {
				p.log.Debug().Err(err).Msg("digest not announced yet")
			}
		}
	}
	searching.Wait()
	p.gossip.leave(self, 0)
}

// show announces the digest of our table. It never blocks; one goroutine alone
// may call it.
func (p *peers) show(digest string) {
	select {
	case <-p.digests:
	default:
	}
	p.digests <- digest
}

// tell spreads d.
func (p *peers) tell(d Decision) {
	for _, part := range d.parts() {
		p.spread(part.topic(), []Decision{part}, nil)
	}
}

// tellWarmUp spreads w.
func (p *peers) tellWarmUp(w warmUp) {
	p.spread(topic{w.Host, aboutWarmUp}, nil, []warmUp{w})
}

// spread sends what there is to say on one topic.
func (p *peers) spread(about topic, decided []Decision, warming []warmUp) {
	if p.gossip == nil {
		return
	}
	b, err := encodeMemory(decided, warming)
	if err != nil {
		p.log.Error().Err(err).Str("host", about.host).Str("about", string(about.what)).Msg("this can't be told the peers")
		return
	}
	p.queue.QueueBroadcast(&news{topic: about, message: b})
}

// hold keeps all of m ready for state exchanges.
func (p *peers) hold(m memory) {
	b, err := m.encode()
	if err != nil {
		p.log.Error().Err(err).Msg("decisions can't be exchanged")
		return
	}
	p.state.Store(&b)
}

// take returns what has been heard since the last take; the caller owns it.
func (p *peers) take() memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.inbox
	p.inbox = newMemory()
	return taken
}

// NotifyMsg implements memberlist.Delegate. It keeps no part of b.
func (p *peers) NotifyMsg(b []byte) {
	decided, warming, err := decodeMemory(b)
	if err != nil {
		if f, tell := p.roster.told.again("decisions", time.Now()); tell {
			f.on(p.log.Warn()).Err(err).Msg("a peer's decisions can't be read")
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, d := range decided {
		if p.takes(d.Host, cmp.Or(d.check(), d.checkOverrulable(now)), len(p.inbox.decided), maxDecisions) {
			p.inbox.decided.merge(d)
		}
	}
	for _, w := range warming {
		if p.takes(w.Host, w.check(), len(p.inbox.warmUps), maxWarmUps) {
			p.inbox.warmUps.merge(w)
		}
	}
	note(p.heard)
}

// takes reports whether what a peer says about a host has nothing wrong with it, and
// is within the limit of what can wait. What isn't taken is logged, each host rarely.
func (p *peers) takes(host string, wrong error, waiting, limit int) bool {
	if wrong == nil && waiting >= limit {
		wrong = fmt.Errorf("%d others wait to be taken in", waiting)
	}
	if wrong == nil {
		return true
	}
	if f, tell := p.roster.told.again("word on "+clip(host), time.Now()); tell {
		f.on(p.log.Warn()).Str("host", clip(host)).Err(wrong).Msg("what a peer says about a host isn't taken")
	}
	return false
}

// MergeRemoteState implements memberlist.Delegate.
func (p *peers) MergeRemoteState(b []byte, _ bool) { p.NotifyMsg(b) }

// LocalState implements memberlist.Delegate.
func (p *peers) LocalState(bool) []byte { return *p.state.Load() }

// GetBroadcasts implements memberlist.Delegate.
func (p *peers) GetBroadcasts(overhead, limit int) [][]byte {
	return p.queue.GetBroadcasts(overhead, limit)
}

// news is a broadcast on one topic. A later one on the same takes its place in the
// queue.
type news struct {
	topic   topic
	message []byte
}

func (n *news) Name() string                          { return string(n.topic.what) + " " + n.topic.host }
func (n *news) Message() []byte                       { return n.message }
func (n *news) Finished()                             {}
func (n *news) Invalidates(memberlist.Broadcast) bool { return false } // by Name

// view lists the peers of this run, sorted by name. before is the list as it was, ours the
// digest of our table.
func view(members map[string]member, ours string, before []Peer, now time.Time) []Peer {
	var list []Peer
	for _, m := range members {
		if m.left() || m.recalled {
			continue
		}
		peer := Peer{
			Name:    m.meta.Name,
			Address: m.at.String(),
			Version: m.meta.Version,
			Digest:  m.meta.Digest,
			Alive:   !m.lost,
			Agrees:  m.meta.Digest == ours,
			Since:   now,
		}
		for _, old := range before {
			if old.Name == peer.Name && old.Alive == peer.Alive && old.Agrees == peer.Agrees {
				peer.Since = old.Since
			}
		}
		list = append(list, peer)
	}
	slices.SortFunc(list, func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
