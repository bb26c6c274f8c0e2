package inspect

import (
	"bytes"
	"encoding/binary"
)

// Ping returns a message for a stream that asks a member whether it is a node. Only the
// node of that name answers it.
func (i *Inspector) Ping(node string, number uint32) []byte {
	plain := []byte{ping, 0x82, 0xa0 | byte(len("SeqNo"))}
	plain = binary.BigEndian.AppendUint32(append(append(plain, "SeqNo"...), 0xce), number)
	plain = append(append(plain, 0xa0|byte(len("Node"))), "Node"...)
	node = node[:min(len(node), maxName)]
	plain = append(append(plain, 0xda, 0, byte(len(node))), node...)
	return i.sealFrame((*i.Keys.list.Load())[0], plain)
}

// Question returns an exchange of state that tells nothing. A member answers it with all
// nodes that it knows.
func (i *Inspector) Question() []byte {
	return i.sealFrame((*i.Keys.list.Load())[0], joinExchange(nil, nil, false))
}

// IsAck reports whether a message that Answer has let pass answers a Ping of a number.
func (i *Inspector) IsAck(b []byte, number uint32) bool {
	plain, _, refusal := i.Keys.open(b[FrameHeader:], i.frameData(b))
	if refusal != nil || plain[0] != ack {
		return false
	}
	var values [maxForm]value
	r := reader{plain[1:]}
	excess, broken := r.read(ackForm, values[:])
	return excess == nil && broken == nil && values[0].number == uint64(number)
}

// MetadataOf returns what a message that Answer has let pass says that a node announces,
// nil if it says nothing of the node.
func (i *Inspector) MetadataOf(b []byte, node string) []byte {
	plain, _, refusal := i.Keys.open(b[FrameHeader:], i.frameData(b))
	if refusal != nil || plain[0] != pushPull {
		return nil
	}
	var head [maxForm]value
	r := reader{plain[1:]}
	if excess, broken := r.read(exchangeForm, head[:]); excess != nil || broken != nil {
		return nil
	}
	for range head[atNodes].number {
		var values [maxForm]value
		if _, broken := r.read(nodeForm, values[:]); broken != nil {
			return nil
		}
		if string(values[atNode].bytes) == node {
			return bytes.Clone(values[atMeta].bytes)
		}
	}
	return nil
}
