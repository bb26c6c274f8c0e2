// Package inspect checks what comes by gossip before memberlist reads it: memberlist ends
// the process on some messages, takes up memory as others tell it to, and believes
// incarnations that nobody can outdo. What isn't exactly as a member of this software
// writes it is refused.
package inspect

import (
	"bytes"
	"errors"
	"fmt"
)

// A Reason says in a word why a message was refused.
type Reason string

// The reasons.
const (
	Label       Reason = "label"       // it has another label
	Secret      Reason = "secret"      // it is encrypted with another secret
	Unencrypted Reason = "unencrypted" // it has no secret at all
	Malformed   Reason = "malformed"   // no member writes such a message
	Incarnation Reason = "incarnation" // it is about a node, with an incarnation that nobody can outdo
)

// A Refusal is a message, or a part of one, that memberlist must not see.
type Refusal struct {
	Reason Reason
	Node   string // the node that it is about; "" if it isn't about one
	Why    error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Why.Error() }

// Unwrap returns what is wrong in detail.
func (r *Refusal) Unwrap() error { return r.Why }

var (
	errLabel       = errors.New("it has another label")
	errSecret      = errors.New("it has another secret: no key could decrypt it") // see noAnswerReason of package gossip
	errUnencrypted = errors.New("it has no secret")
)

func malformed(format string, args ...any) *Refusal {
	return &Refusal{Reason: Malformed, Why: fmt.Errorf(format, args...)}
}

// MaxIncarnation is the greatest incarnation of a node that is believed. memberlist counts
// them from 1, one for each announcement and each refutation of a node, and the greatest
// wins. One more than 1<<32 - 1 is 0, which wins over nothing.
const MaxIncarnation = 1 << 31

// maxRefuted is the greatest incarnation of ourselves that others may claim. memberlist
// refutes the claim with one more, which is still far below MaxIncarnation.
const maxRefuted = 1 << 30

// An Inspector inspects what comes by one gossip. Its methods are safe for concurrent
// use.
type Inspector struct {
	Label    string // of the gossip, at most 255 bytes
	Self     string // our node
	Keys     *Keys
	MaxNodes int // in an exchange of state
	MaxState int // bytes of state beside the nodes, in an exchange
}

const (
	hasLabel  = 244
	encrypted = 10

	// MaxPacket is the greatest size of a packet. Members fill packets up to 1,400
	// bytes, and a message that is longer is one packet.
	MaxPacket = 4096
)

// LabelHeader returns the header with the label. It is in front of each packet. On a stream
// it comes first, from the side that has opened the stream.
func (i *Inspector) LabelHeader() []byte {
	if i.Label == "" {
		return nil
	}
	return append([]byte{hasLabel, byte(len(i.Label))}, i.Label...)
}

// A Result is what an inspection has found.
type Result struct {
	Rest    []byte // what memberlist may see: as a rule all, less if only parts were refused, nil if nothing is left
	Refused []*Refusal
	Secret  []byte // that it was encrypted with; nil if it can't be decrypted
}

func allRefused(r *Refusal) Result { return Result{Refused: []*Refusal{r}} }

// Packet inspects a packet. It doesn't change b.
func (i *Inspector) Packet(b []byte) Result {
	if len(b) > MaxPacket {
		return allRefused(malformed("the packet has %d bytes", len(b)))
	}
	sealed, ok := bytes.CutPrefix(b, i.LabelHeader())
	if !ok {
		return allRefused(&Refusal{Reason: Label, Why: errLabel})
	}
	plain, key, refusal := i.Keys.open(sealed, []byte(i.Label))
	if refusal != nil {
		return allRefused(refusal)
	}
	r := Result{Rest: b, Secret: key.secret}
	less, refused, refusal := i.packet(plain)
	switch r.Refused = refused; {
	case refusal != nil:
		r.Rest, r.Refused = nil, []*Refusal{refusal}
	case len(refused) == 0:
	case len(less) == 0:
		r.Rest = nil
	default:
		r.Rest = key.seal(i.LabelHeader(), less, []byte(i.Label))
	}
	return r
}

// CheckLabel refuses what isn't the beginning of LabelHeader.
func (i *Inspector) CheckLabel(b []byte) *Refusal {
	if !bytes.HasPrefix(i.LabelHeader(), b) {
		return &Refusal{Reason: Label, Why: errLabel}
	}
	return nil
}
