package inspect

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// errIncarnation is what is wrong with an incarnation.
type errIncarnation uint64

func (e errIncarnation) Error() string {
	return fmt.Sprintf("its incarnation is %d, which no node reaches", uint64(e))
}

// FrameHeader is the size of what stands before a message on a stream: its type, and the
// size of what follows, 4 bytes.
const FrameHeader = 5

// The least size of a node in an exchange of state, and what there is room for on average.
const (
	minNode = 60
	avgNode = 576 // of one with much metadata
)

// MaxStream returns the greatest size of a message on a stream after its FrameHeader.
func (i *Inspector) MaxStream() int {
	return overhead + 1024 + i.MaxNodes*avgNode + i.MaxState
}

// Frame inspects a FrameHeader, and returns the size of what follows.
func (i *Inspector) Frame(head []byte) (int, *Refusal) {
	if head[0] != encrypted {
		return 0, &Refusal{Reason: Unencrypted, Why: errUnencrypted}
	}
	size := binary.BigEndian.Uint32(head[1:FrameHeader])
	if size <= overhead || uint64(size) > uint64(i.MaxStream()) {
		return 0, malformed("a message of %d bytes on a stream", size)
	}
	return int(size), nil
}

// Call inspects the first message on a stream that another member has opened, with its
// FrameHeader.
func (i *Inspector) Call(b []byte) Result {
	return i.frame(b, func(plain []byte) ([]byte, []*Refusal, *Refusal) {
		if plain[0] == ping {
			return plain, nil, whole(plain[1:], pingForm)
		}
		return i.exchange(plain)
	})
}

// Answer inspects what another member answers on a stream that we have opened, with its
// FrameHeader.
func (i *Inspector) Answer(b []byte) Result {
	return i.frame(b, func(plain []byte) ([]byte, []*Refusal, *Refusal) {
		switch plain[0] {
		case ack:
			return plain, nil, whole(plain[1:], ackForm)
		case failure:
			return plain, nil, whole(plain[1:], errorForm)
		}
		return i.exchange(plain)
	})
}

// frame decrypts a message and has it inspected; it isn't empty then.
func (i *Inspector) frame(b []byte, inspect func(plain []byte) ([]byte, []*Refusal, *Refusal)) Result {
	plain, key, refusal := i.Keys.open(b[FrameHeader:], i.frameData(b))
	if refusal != nil {
		return allRefused(refusal)
	}
	r := Result{Rest: b, Secret: key.secret}
	less, refused, refusal := inspect(plain)
	switch r.Refused = refused; {
	case refusal != nil:
		r.Rest, r.Refused = nil, []*Refusal{refusal}
	case len(refused) > 0:
		r.Rest = i.sealFrame(key, less)
	}
	return r
}

// frameData returns what is authenticated beside a message with this FrameHeader.
func (i *Inspector) frameData(head []byte) []byte {
	return append(append([]byte(nil), head[:FrameHeader]...), i.Label...)
}

// sealFrame returns a message as it stands on a stream.
func (i *Inspector) sealFrame(k key, plain []byte) []byte {
	head := make([]byte, FrameHeader, FrameHeader+overhead+len(plain))
	head[0] = encrypted
	binary.BigEndian.PutUint32(head[1:], uint32(overhead+len(plain)))
	return k.seal(head, plain, i.frameData(head))
}

// Failure returns the answer to a message that was refused. A sender that has our secret
// can read it. Another sender learns from it that it has another secret.
func (i *Inspector) Failure(text string) []byte {
	plain := append([]byte{failure, 0x81, 0xa0 | byte(len("Error"))}, "Error"...)
	text = text[:min(len(text), 0xff)]
	plain = append(plain, 0xda, 0, byte(len(text)))
	return i.sealFrame((*i.Keys.list.Load())[0], append(plain, text...))
}

// exchange inspects an exchange of state: its head, as many nodes as that says, and as many
// bytes of further state.
func (i *Inspector) exchange(b []byte) (less []byte, refused []*Refusal, all *Refusal) {
	if b[0] != pushPull {
		return nil, nil, malformed("a message of type %d on a stream", b[0])
	}
	r := reader{b[1:]}
	var head [maxForm]value
	excess, broken := r.read(exchangeForm, head[:])
	if all = cmp.Or(broken, excess); all != nil {
		return nil, nil, all
	}
	nodes, state := head[atNodes].number, head[atState].number
	switch {
	case nodes > uint64(i.MaxNodes) || nodes*minNode > uint64(len(r.rest)):
		return nil, nil, malformed("%d nodes in %d bytes", nodes, len(r.rest))
	case state > uint64(i.MaxState):
		return nil, nil, malformed("%d bytes of state", state)
	}
	var kept [][]byte
	for range nodes {
		from := r.rest
		part, all := i.node(&r, nodeForm)
		switch {
		case all != nil:
			return nil, nil, all
		case part != nil:
			refused = append(refused, part)
		default:
			kept = append(kept, from[:len(from)-len(r.rest)])
		}
	}
	if uint64(len(r.rest)) != state {
		return nil, nil, malformed("%d bytes of state, but %d follow", state, len(r.rest))
	}
	if len(refused) == 0 {
		return b, nil, nil
	}
	return joinExchange(kept, r.rest, head[atJoin].number != 0), refused, nil
}

// joinExchange returns an exchange of state of these nodes, as members write it.
func joinExchange(nodes [][]byte, state []byte, isJoin bool) []byte {
	b := []byte{pushPull, 0x83}
	for _, f := range []struct {
		name string
		n    int
	}{{"Nodes", len(nodes)}, {"UserStateLen", len(state)}} {
		b = append(b, 0xa0|byte(len(f.name)))
		b = append(b, f.name...)
		b = binary.BigEndian.AppendUint32(append(b, 0xce), uint32(f.n))
	}
	b = append(append(b, 0xa0|byte(len("Join"))), "Join"...)
	flagged := byte(0xc2)
	if isJoin {
		flagged = 0xc3
	}
	b = append(b, flagged)
	for _, node := range nodes {
		b = append(b, node...)
	}
	return append(b, state...)
}
