package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tokenring/session/claims"
	"tokenring/stream"
)

// claimPeers returns the peers that are asked before a key is sent to a host, nil without a
// peers section.
func (e *Edge) claimPeers() claims.Peers {
	if e.sockets.Streams == nil {
		return nil
	}
	return claimPeers{e}
}

// claimPeers implements claims.Peers.
type claimPeers struct{ edge *Edge }

// reconnect is how long claims wait for a stream to a peer that lives. A peer that reloads is
// back sooner.
const reconnect = time.Second

// Open implements claims.Peers.
func (c claimPeers) Open() (names []string, until time.Time) {
	names, lost := c.edge.streams.Open()
	if len(lost) == 0 {
		return names, time.Time{}
	}
	for _, p := range c.edge.pool.Snapshot().Peers {
		if since, missing := lost[p.Name]; missing && p.Alive && since.Add(reconnect).After(until) {
			until = since.Add(reconnect)
		}
	}
	return names, until
}

// Ask implements claims.Peers.
func (c claimPeers) Ask(ctx context.Context, peer string, question []byte) ([]byte, error) {
	answer, err := c.edge.streams.Ask(ctx, peer, askClaims, question)
	if errors.Is(err, stream.ErrNoStream) {
		return nil, fmt.Errorf("%w: %w", claims.ErrLost, err)
	}
	return answer, err
}
