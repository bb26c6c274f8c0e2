package gossips

import (
	"encoding/hex"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/notify"
	"tokenring/route"
)

// Members is the part of *gossip.Gossip that lists its members.
type Members interface {
	Members() map[string]gossip.Member
	Changed() notify.Note
	Forget(node string)
	AddCached(cached []gossip.CachedMember) (added []gossip.CachedMember)
}

// NoMembers are the Members of a gossip that isn't configured.
type NoMembers struct{}

// Members returns none.
func (NoMembers) Members() map[string]gossip.Member { return nil }

// Changed returns a note that is never left.
func (NoMembers) Changed() notify.Note { return nil }

// Forget does nothing.
func (NoMembers) Forget(string) {}

// AddCached adds none.
func (NoMembers) AddCached([]gossip.CachedMember) []gossip.CachedMember { return nil }

// Announced returns the peers that gossip has seen in this run, with what they announce.
func Announced(members map[string]gossip.Member) []route.Peer {
	var list []route.Peer
	for _, m := range members {
		if m.Left() || m.Cached {
			continue
		}
		p := route.Peer{
			Name:    m.Metadata.Name,
			Address: m.Addr.String(),
			Version: m.Metadata.Version,
			Digest:  m.Metadata.Digest,
			Alive:   !m.Lost,
			Leaving: m.Metadata.Leaving,
		}
		if stream := m.Metadata.Stream; stream != (announcement.Stream{}) {
			p.Stream, p.StreamKey = stream.At(m.Addr.Addr()).Address, hex.EncodeToString(stream.Key[:])
		}
		list = append(list, p)
	}
	return list
}
