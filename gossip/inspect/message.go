package inspect

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// The types of messages that members write; memberlist knows more.
const (
	ping         = 0
	indirectPing = 1
	ack          = 2
	suspect      = 3
	alive        = 4
	dead         = 5
	pushPull     = 6
	compound     = 7
	user         = 8
	nack         = 11
	hasCRC       = 12
	failure      = 13
)

// The bounds of fields.
const (
	maxName     = 255
	maxAddress  = 16
	maxMetadata = 512 // memberlist.MetaMaxSize
	maxPayload  = 64  // of an answer to a ping; members send none
	maxError    = 4096
	versions    = 6 // bytes of the protocol versions
	states      = 3 // the greatest state of a node
)

// The positions of fields in the forms of messages about a node. Those of a suspect or
// dead node have only the first two.
const (
	atIncarnation = iota
	atNode
	atAddress
	atPort
	atMeta
	atVersions
)

// The positions of fields in the head of an exchange of state.
const (
	atNodes = iota
	atState
	atJoin
)

var (
	pingForm = form{
		{"SeqNo", number, math.MaxUint32},
		{"Node", text, maxName},
		{"SourceAddr", text, maxAddress},
		{"SourcePort", number, math.MaxUint16},
		{"SourceNode", text, maxName},
	}
	indirectPingForm = append(form{{"Target", text, maxAddress}, {"Port", number, math.MaxUint16}, {"Nack", flag, 1}}, pingForm...)
	ackForm          = form{{"SeqNo", number, math.MaxUint32}, {"Payload", text, maxPayload}}
	nackForm         = form{{"SeqNo", number, math.MaxUint32}}
	deadForm         = form{{"Incarnation", number, math.MaxUint32}, {"Node", text, maxName}, {"From", text, maxName}}
	aliveForm        = form{
		{"Incarnation", number, math.MaxUint32},
		{"Node", text, maxName},
		{"Addr", text, maxAddress},
		{"Port", number, math.MaxUint16},
		{"Meta", text, maxMetadata},
		{"Vsn", text, versions},
	}
	errorForm    = form{{"Error", text, maxError}}
	exchangeForm = form{{"Nodes", number, math.MaxUint32}, {"UserStateLen", number, math.MaxUint32}, {"Join", flag, 1}}
	nodeForm     = form{
		{"Incarnation", number, math.MaxUint32},
		{"Name", text, maxName},
		{"Addr", text, maxAddress},
		{"Port", number, math.MaxUint16},
		{"Meta", text, maxMetadata},
		{"Vsn", text, versions},
		{"State", number, states},
	}
)

// packet inspects a decrypted packet. It returns what is left without the parts that are
// refused, or why all of it is.
func (i *Inspector) packet(b []byte) (less []byte, refused []*Refusal, all *Refusal) {
	if len(b) > 0 && b[0] == hasCRC {
		if len(b) <= 5 || crc32.ChecksumIEEE(b[5:]) != binary.BigEndian.Uint32(b[1:5]) {
			return nil, nil, malformed("its checksum is wrong")
		}
		b = b[5:]
	}
	if len(b) == 0 || b[0] != compound {
		part, all := i.message(b)
		if part != nil {
			return nil, []*Refusal{part}, nil
		}
		return b, nil, all
	}
	parts, all := split(b[1:])
	if all != nil {
		return nil, nil, all
	}
	kept := parts[:0]
	for _, b := range parts {
		part, all := i.message(b)
		switch {
		case all != nil:
			return nil, nil, all
		case part != nil:
			refused = append(refused, part)
		default:
			kept = append(kept, b)
		}
	}
	if len(refused) == 0 {
		return b, nil, nil
	}
	return join(kept), refused, nil
}

// split returns the parts of a compound message: their number 1 byte, their lengths 2
// bytes each, then the parts.
func split(b []byte) (parts [][]byte, refusal *Refusal) {
	if len(b) == 0 || b[0] == 0 || len(b) < 1+2*int(b[0]) {
		return nil, malformed("a compound message without parts")
	}
	lengths, rest := b[1:1+2*int(b[0])], b[1+2*int(b[0]):]
	for ; len(lengths) > 0; lengths = lengths[2:] {
		n := int(binary.BigEndian.Uint16(lengths))
		if n > len(rest) {
			return nil, malformed("a compound message is cut short")
		}
		parts = append(parts, rest[:n])
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return nil, malformed("%d bytes follow a compound message", len(rest))
	}
	return parts, nil
}

// join returns a compound message of parts, at most 255, nil of none.
func join(parts [][]byte) []byte {
	if len(parts) == 0 {
		return nil
	}
	b := []byte{compound, byte(len(parts))}
	for _, part := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
	}
	for _, part := range parts {
		b = append(b, part...)
	}
	return b
}

// message inspects a message that isn't a compound one. It returns why this part, or the
// whole packet, is refused.
func (i *Inspector) message(b []byte) (part, all *Refusal) {
	if len(b) == 0 {
		return nil, malformed("it is empty")
	}
	switch b[0] {
	case user:
		return nil, nil // bounded by the packet; who gets it decodes it
	case ping:
		return nil, whole(b[1:], pingForm)
	case indirectPing:
		return nil, whole(b[1:], indirectPingForm)
	case ack:
		return nil, whole(b[1:], ackForm)
	case nack:
		return nil, whole(b[1:], nackForm)
	case suspect, dead:
		return i.aboutNode(b[1:], deadForm)
	case alive:
		return i.aboutNode(b[1:], aliveForm)
	}
	return nil, malformed("a message of type %d", b[0])
}

// whole inspects a message of a form.
func whole(b []byte, f form) *Refusal {
	var values [maxForm]value
	r := reader{b}
	excess, broken := r.read(f, values[:])
	if broken == nil {
		broken = r.end()
	}
	return cmp.Or(broken, excess)
}

// maxForm is at least the length of any form.
const maxForm = 16

// end refuses what follows a message.
func (r *reader) end() *Refusal {
	if len(r.rest) > 0 {
		return malformed("%d bytes follow the message", len(r.rest))
	}
	return nil
}

// aboutNode inspects a message about a node.
func (i *Inspector) aboutNode(b []byte, f form) (part, all *Refusal) {
	r := reader{b}
	if part, all = i.node(&r, f); all == nil {
		all = r.end()
	}
	return part, all
}

// node reads what a message says about a node, and refuses it if memberlist must not
// believe it. An honest member of an earlier version may pass such a message on, so the
// rest of what it sends isn't refused with it.
func (i *Inspector) node(r *reader, f form) (part, all *Refusal) {
	var values [maxForm]value
	part, all = r.read(f, values[:])
	if all != nil {
		return nil, all
	}
	name := string(values[atNode].bytes[:min(len(values[atNode].bytes), maxName)])
	part = cmp.Or(part, i.checkNode(name, values[:len(f)]))
	if part != nil {
		part = &Refusal{part.Reason, name, part.Why}
	}
	return part, nil
}

// checkNode says what is wrong with what a message says about a node.
func (i *Inspector) checkNode(name string, values []value) *Refusal {
	if name == "" {
		return malformed("it is about a node without a name")
	}
	if len(values) > atVersions {
		if n := len(values[atAddress].bytes); n != 4 && n != maxAddress || values[atPort].number == 0 {
			return malformed("no node gossips at an address of %d bytes, port %d", n, values[atPort].number)
		}
		if n := len(values[atVersions].bytes); n != versions {
			return malformed("protocol versions of %d bytes", n)
		}
	}
	limit := uint64(MaxIncarnation)
	if name == i.Self {
		limit = maxRefuted
	}
	if n := values[atIncarnation].number; n > limit {
		return &Refusal{Reason: Incarnation, Why: errIncarnation(n)}
	}
	return nil
}
