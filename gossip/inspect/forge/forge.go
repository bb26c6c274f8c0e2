// Package forge writes the messages of a gossip for tests: such as members write, and such
// as only a hostile one does.
package forge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A Member has what members of a gossip share. A wrong Key or Label makes a stranger.
type Member struct {
	Label string
	Key   []byte // 16, 24 or 32 bytes
}

// Packet returns an encrypted packet.
func (m Member) Packet(plain []byte) []byte {
	return m.seal(m.Header(), 1, plain, []byte(m.Label))
}

// PacketOf returns a packet of an encryption version, without the padding that version 0
// has.
func (m Member) PacketOf(version byte, plain []byte) []byte {
	return m.seal(m.Header(), version, plain, []byte(m.Label))
}

// Frame returns an encrypted message as it stands on a stream, in an answer.
func (m Member) Frame(plain []byte) []byte { return m.FrameOf(1, plain) }

// FrameOf returns a Frame of an encryption version, see PacketOf.
func (m Member) FrameOf(version byte, plain []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{10}, uint32(29+len(plain)))
	return m.seal(head, version, plain, append(append([]byte{}, head...), m.Label...))
}

// Call returns what a member sends on a stream that it has opened: a Frame after the label.
func (m Member) Call(plain []byte) []byte { return m.CallOf(1, plain) }

// CallOf returns a Call of an encryption version, see PacketOf.
func (m Member) CallOf(version byte, plain []byte) []byte {
	return append(m.Header(), m.FrameOf(version, plain)...)
}

// OpenCall returns the message of a Call.
func (m Member) OpenCall(b []byte) ([]byte, error) {
	const nonce = 12
	head := len(m.Header()) + 5
	if len(b) < head+1+nonce {
		return nil, errors.New("it is cut short")
	}
	block, err := aes.NewCipher(m.Key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	data := append(append([]byte{}, b[head-5:head]...), m.Label...)
	return gcm.Open(nil, b[head+1:head+1+nonce], b[head+1+nonce:], data)
}

// Promise returns the beginning of a call whose message has so many bytes.
func (m Member) Promise(size uint32) []byte {
	return binary.BigEndian.AppendUint32(append(m.Header(), 10), size)
}

// Header returns the label as it stands before each packet and each call.
func (m Member) Header() []byte {
	if m.Label == "" {
		return nil
	}
	return append([]byte{244, byte(len(m.Label))}, m.Label...)
}

func (m Member) seal(head []byte, version byte, plain, data []byte) []byte {
	block, err := aes.NewCipher(m.Key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce)
	return gcm.Seal(append(append(head, version), nonce...), nonce, plain, data)
}

// The types of messages.
const (
	Ping         = 0
	IndirectPing = 1
	Ack          = 2
	Suspect      = 3
	Alive        = 4
	Dead         = 5
	Exchange     = 6
	User         = 8
	Compress     = 9
	Nack         = 11
	Failure      = 13
)

// Message returns a message of a type, with fields: names and values in turn; see Map.
func Message(kind byte, fields ...any) []byte { return append([]byte{kind}, Map(fields...)...) }

// Map returns a map in msgpack. Values are nil, bool, int, string or []byte, which is
// written like a string, or Raw.
func Map(fields ...any) []byte {
	b := []byte{0x80 | byte(len(fields)/2)}
	for _, f := range fields {
		b = appendValue(b, f)
	}
	return b
}

// Raw is a value of a Map that is msgpack already.
type Raw []byte

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0xc0)
	case bool:
		if v {
			return append(b, 0xc3)
		}
		return append(b, 0xc2)
	case int:
		if v <= 0x7f {
			return append(b, byte(v))
		}
		return binary.BigEndian.AppendUint64(append(b, 0xcf), uint64(v))
	case string:
		if len(v) < 32 {
			return append(append(b, 0xa0|byte(len(v))), v...)
		}
		return append(binary.BigEndian.AppendUint16(append(b, 0xda), uint16(len(v))), v...)
	case []byte:
		return appendValue(b, string(v))
	case Raw:
		return append(b, v...)
	}
	panic(fmt.Sprintf("forge: a value of type %T", v))
}

// Versions are the protocol versions that members announce.
var Versions = []byte{1, 5, 2, 0, 0, 0}

// AliveNode returns the message that a node is alive, at 127.0.0.1.
func AliveNode(node string, incarnation, port int, meta []byte) []byte {
	return Message(Alive, "Incarnation", incarnation, "Node", node, "Addr", []byte{127, 0, 0, 1}, "Port", port, "Meta", meta, "Vsn", Versions)
}

// NodeState returns what an exchange of state has about a node at 127.0.0.1. State 0 is
// alive, 1 suspect, 2 dead, 3 left.
func NodeState(node string, incarnation, port int, meta []byte, state int) []byte {
	return Map("Name", node, "Addr", []byte{127, 0, 0, 1}, "Port", port, "Meta", meta, "Incarnation", incarnation, "State", state, "Vsn", Versions)
}

// ExchangeOf returns an exchange of state that promises so many nodes and bytes of state,
// and has those.
func ExchangeOf(nodes, state int, join bool, rest ...[]byte) []byte {
	b := Message(Exchange, "Nodes", nodes, "UserStateLen", state, "Join", join)
	for _, part := range rest {
		b = append(b, part...)
	}
	return b
}

// Compound returns a message of messages, at most 255.
func Compound(parts ...[]byte) []byte {
	b := []byte{7, byte(len(parts))}
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Checked returns a message with a checksum.
func Checked(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{12}, crc32.ChecksumIEEE(b)), b...)
}
