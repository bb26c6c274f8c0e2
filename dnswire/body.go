package dnswire

import (
	"encoding/binary"
	"slices"
)

// A Body is what stands behind the question of an answer, as bytes: it is rendered once, and then
// copied into answers to queries for its name, or for any name in its zone. It must not be
// changed.
type Body struct {
	Rcode         Rcode
	Authoritative bool

	records []byte
	zones   []uint16 // where in records pointers to the zone's name in the question are
	zone    int      // bytes of the zone's name
	counts  [sections]uint16
}

// A Section is where in an answer a record stands.
type Section uint8

// The sections of an answer.
const (
	Answer Section = iota
	Authority
	Additional
	sections = 3
)

// A Renderer makes a Body out of records. Its names are compressed by pointers into the question,
// whose name ends with Zone's.
type Renderer struct {
	Zone Name
	body Body
	at   Section
}

// Question is the owner of records whose owner is the name that is asked for, whatever it is.
const Question Name = ""

// Add adds a record to a section; sections come in their order. data is the record's, without
// compression.
func (r *Renderer) Add(section Section, owner Name, t Type, ttl uint32, data []byte) {
	if section < r.at {
		panic("dnswire: the sections aren't in their order")
	}
	r.at = section
	r.body.counts[section]++
	if owner == Question {
		r.body.records = append(r.body.records, pointer, headerBytes)
	} else {
		r.name(owner)
	}
	b := binary.BigEndian.AppendUint16(r.body.records, uint16(t))
	b = binary.BigEndian.AppendUint16(b, uint16(ClassIN))
	b = binary.BigEndian.AppendUint32(b, ttl)
	size := len(b)
	r.body.records = append(b, 0, 0)
	r.data(t, data)
	binary.BigEndian.PutUint16(r.body.records[size:], uint16(len(r.body.records)-size-2))
}

// data appends a record's data. Names in it are compressed only in types for which RFC 3597 §4
// allows it.
func (r *Renderer) data(t Type, data []byte) {
	names := 0
	switch t {
	case TypeNS, TypeCNAME, TypePTR:
		names = 1
	case TypeSOA:
		names = 2
	case TypeMX:
		r.body.records = append(r.body.records, data[:2]...)
		data, names = data[2:], 1
	}
	for range names {
		end := skipName(data, 0)
		r.name(Name(data[:end]))
		data = data[end:]
	}
	r.body.records = append(r.body.records, data...)
}

// name appends a name, with a pointer in the place of the zone's.
func (r *Renderer) name(n Name) {
	if !n.IsIn(r.Zone) || r.Zone == Root {
		r.body.records = append(r.body.records, n...)
		return
	}
	r.body.records = append(r.body.records, n[:len(n)-len(r.Zone)]...)
	r.body.zones = append(r.body.zones, uint16(len(r.body.records)))
	r.body.records = append(r.body.records, 0, 0)
}

// Body returns the body, with the rest of its header.
func (r *Renderer) Body(rcode Rcode, authoritative bool) *Body {
	b := r.body
	b.records, b.zones = slices.Clone(b.records), slices.Clone(b.zones)
	b.Rcode, b.Authoritative, b.zone = rcode, authoritative, len(r.Zone)
	return &b
}

// Status is the body of an answer without records, which isn't about a name of ours.
func Status(rcode Rcode) *Body { return &Body{Rcode: rcode} }

// minUDP is how large an answer by UDP may be without EDNS, RFC 1035 §2.3.4, and how large a
// client that speaks EDNS takes it at least, RFC 6891 §6.2.3.
const minUDP = 512

// AppendAnswer appends the answer to q with a body, whose zone must be one of those that the
// query's name is in, if it has names. An answer that is larger than the client takes, or than
// r.UDPSize, is truncated: it has no records but OPT, and TC (RFC 2181 §9). An answer by TCP has
// up to 64 KB, and no length before it.
func (q *Query) AppendAnswer(b []byte, body *Body, r *Reply) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, q.ID)
	b = append(b, flagQR|q.opcode|q.rd, q.cd|byte(body.Rcode&0xf), 0, 0, 0, 0, 0, 0, 0, 0)
	if body.Authoritative {
		b[start+2] |= flagAA
	}
	if q.HasQuestion {
		b[start+5] = 1
		b = append(b, q.question...)
	}
	records := len(b)
	b = append(b, body.records...)
	for i, n := range body.counts {
		binary.BigEndian.PutUint16(b[start+6+2*i:], n)
	}
	zone := uint16(pointer<<8 | headerBytes + q.nameBytes - body.zone)
	for _, at := range body.zones {
		binary.BigEndian.PutUint16(b[records+int(at):], zone)
	}
	opt := len(b)
	if q.EDNS.Present {
		b = q.appendOPT(b, body.Rcode, r)
	}
	if size := len(b) - start; size > q.most(r) {
		b = append(b[:records], b[opt:]...)
		b[start+2] |= flagTC
		clear(b[start+6 : start+10]) // answers and authorities
		binary.BigEndian.PutUint16(b[start+10:], 0)
	}
	if q.EDNS.Present {
		b[start+11]++
	}
	return b
}

// most returns how large an answer may be.
func (q *Query) most(r *Reply) int {
	switch {
	case r.TCP:
		return 1<<16 - 1
	case !q.EDNS.Present:
		return minUDP
	}
	return max(minUDP, min(int(q.EDNS.UDPSize), int(r.UDPSize)))
}
