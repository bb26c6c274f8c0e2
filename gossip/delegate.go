package gossip

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"tokenring/gossip/announcement"
)

// Messages is what a gossip carries beside metadata. memberlist's goroutines call it:
// its methods must not block, and must not call the Gossip.
type Messages interface {
	// Receive takes a message or the state of another member. It keeps no part of b.
	Receive(b []byte)
	// State returns what there is to say, for an exchange of state with a member: limit
	// bytes at most, because members refuse more. It must not change afterwards.
	State(limit int) []byte
}

// A delegate is what memberlist asks about ourselves: it implements
// memberlist.Delegate.
type delegate struct {
	signer   signer
	metadata atomic.Pointer[[]byte]
	messages Messages // nil: there are none
	queue    memberlist.TransmitLimitedQueue
}

// A signer signs what an agent announces. The zero value signs nothing.
type signer struct {
	identity *announcement.Identity
	label    string         // of the gossip
	at       netip.AddrPort // of our gossip
	log      zerolog.Logger
}

// retransmit multiplies how often a message is sent; memberlist's preset for a LAN.
const retransmit = 4

// newDelegate returns a delegate that has announced nothing yet. nodes returns the
// number of members, ourselves among them.
func newDelegate(messages Messages, signer signer, nodes func() int) *delegate {
	return &delegate{signer: signer, messages: messages, queue: memberlist.TransmitLimitedQueue{RetransmitMult: retransmit, NumNodes: nodes}}
}

// announce sets what is announced from the next UpdateNode on. What metadata can't
// hold of the version is replaced.
func (d *delegate) announce(m announcement.Metadata) error {
	m.Version = announcement.Printable(m.Version)
	b, err := d.signer.encode(m)
	if err != nil {
		return fmt.Errorf("announce %s: %w", m.Node(), err)
	}
	d.metadata.Store(&b)
	return nil
}

// encode returns the wire form of m, signed with another number.
func (s signer) encode(m announcement.Metadata) ([]byte, error) {
	if s.identity == nil {
		return m.MarshalBinary()
	}
	b, err := s.identity.Sign(m, s.label, s.at)
	if b != nil && err != nil {
		s.log.Error().Err(err).Msg("the number of this announcement can't be kept: the clock of this machine must not be set back")
		err = nil
	}
	return b, err
}

// broadcast queues a message.
func (d *delegate) broadcast(topic string, message []byte) {
	d.queue.QueueBroadcast(&broadcast{topic: topic, message: message})
}

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte { return *d.metadata.Load() }

// NotifyMsg implements memberlist.Delegate.
func (d *delegate) NotifyMsg(b []byte) {
	if d.messages != nil {
		d.messages.Receive(b)
	}
}

// MergeRemoteState implements memberlist.Delegate.
func (d *delegate) MergeRemoteState(b []byte, _ bool) { d.NotifyMsg(b) }

// LocalState implements memberlist.Delegate.
func (d *delegate) LocalState(bool) []byte {
	if d.messages == nil {
		return nil
	}
	return d.messages.State(maxState)
}

// GetBroadcasts implements memberlist.Delegate.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

// A broadcast is a message on one topic. A later one on the same topic takes its place
// in the queue.
type broadcast struct {
	topic   string
	message []byte
}

func (b *broadcast) Name() string                          { return b.topic }
func (b *broadcast) Message() []byte                       { return b.message }
func (b *broadcast) Finished()                             {}
func (b *broadcast) Invalidates(memberlist.Broadcast) bool { return false } // by Name
