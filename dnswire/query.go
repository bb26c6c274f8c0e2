package dnswire

import (
	"encoding/binary"
)

// A Query is a query that Read has read. It refers to no other memory than its message, and may be
// used again: reading into it doesn't allocate.
type Query struct {
	ID    uint16
	Type  Type
	Class Class
	EDNS  EDNS

	// Rcode is what is wrong with the query; NoError if nothing. A query that is wrong has no
	// question, unless HasQuestion.
	Rcode       Rcode
	HasQuestion bool

	opcode, rd, cd byte
	question       []byte // of the message: the name, in its case, with type and class
	name           [maxName]byte
	nameBytes      int
}

// Name returns the name that is asked for, in lower case. It is valid until q is read into again.
func (q *Query) Name() []byte { return q.name[:q.nameBytes] }

// Read reads a message. It reports false for a message that gets no answer: one that isn't a
// query, which would make two servers answer each other for ever, or has no header. An answer to
// any other is due, if only with q.Rcode. q refers to message afterwards.
//
// It wants one question with a name without compression, no answers and no authority (RFC 1035
// §4.1.1, RFC 9619; but for IXFR, RFC 1995 §3), at most one OPT (RFC 6891 §6.1.1), and nothing
// behind the last record. A query for a server's cookie alone has no question (RFC 7873 §5.4).
func (q *Query) Read(message []byte) (answer bool) {
	*q = Query{name: q.name} // its bytes count only up to nameBytes
	if len(message) < headerBytes || message[2]&flagQR != 0 {
		return false
	}
	q.ID = binary.BigEndian.Uint16(message)
	q.opcode, q.rd, q.cd = message[2]&opcodeMask, message[2]&flagRD, message[3]&flagCD
	if q.opcode != 0 {
		q.Rcode = NotImp
		return true
	}
	q.Rcode = q.read(message)
	return true
}

// read reads the sections.
func (q *Query) read(message []byte) Rcode {
	questions, answers := binary.BigEndian.Uint16(message[4:]), binary.BigEndian.Uint16(message[6:])
	authorities, additional := binary.BigEndian.Uint16(message[8:]), binary.BigEndian.Uint16(message[10:])
	if questions > 1 || answers > 0 {
		return FormErr
	}
	at := headerBytes
	if questions == 1 {
		if at = q.readQuestion(message); at == 0 {
			return FormErr
		}
	}
	if authorities > 0 && (q.Type != TypeIXFR || authorities > 1) {
		return FormErr
	}
	if authorities == 1 {
		if at = skipRecord(message, at); at == 0 {
			return FormErr
		}
	}
	for range additional {
		if at = q.readAdditional(message, at); at == 0 {
			return FormErr
		}
	}
	switch {
	case at != len(message):
		return FormErr
	case q.EDNS.Present && q.EDNS.version != ednsVersion: // RFC 6891 §6.1.3
		return BadVers
	case q.EDNS.bad:
		return FormErr
	case questions == 0 && len(q.EDNS.Cookie) == 0:
		return FormErr
	}
	return NoError
}

// readQuestion reads the question and returns where it ends, 0 if it is broken.
func (q *Query) readQuestion(message []byte) (end int) {
	at := headerBytes
	for {
		if at >= len(message) {
			return 0
		}
		size := int(message[at])
		if size > maxLabel { // a pointer has nothing before it to point to
			return 0
		}
		if q.nameBytes+1+size > maxName || at+1+size > len(message) {
			return 0
		}
		q.name[q.nameBytes] = byte(size)
		for i, c := range message[at+1 : at+1+size] {
			q.name[q.nameBytes+1+i] = lower(c)
		}
		q.nameBytes += 1 + size
		at += 1 + size
		if size == 0 {
			break
		}
	}
	end = at + questionTail
	if end > len(message) {
		return 0
	}
	q.Type = Type(binary.BigEndian.Uint16(message[at:]))
	q.Class = Class(binary.BigEndian.Uint16(message[at+2:]))
	q.question, q.HasQuestion = message[headerBytes:end], true
	return end
}

// readAdditional reads the record at at and returns where it ends, 0 if it is broken. Records
// other than OPT, such as a signature by a key that nobody here has, are passed over.
func (q *Query) readAdditional(message []byte, at int) (end int) {
	nameEnd := skipName(message, at)
	end = skipRecord(message, at)
	if end == 0 || Type(binary.BigEndian.Uint16(message[nameEnd:])) != TypeOPT {
		return end
	}
	if q.EDNS.Present || message[at] != 0 { // RFC 6891 §6.1.1 and §6.1.2
		return 0
	}
	fixed := message[nameEnd:]
	q.EDNS = EDNS{Present: true, UDPSize: binary.BigEndian.Uint16(fixed[2:]), version: fixed[5], DO: fixed[6]&flagDO != 0}
	q.EDNS.readOptions(message[nameEnd+recordFixed : end])
	return end
}

// recordFixed are the bytes of a record between its name and its data: type, class, TTL, length.
const recordFixed = 10

// skipRecord returns where the record at at ends, 0 if it is broken.
func skipRecord(message []byte, at int) (end int) {
	if at = skipName(message, at); at == 0 || at+recordFixed > len(message) {
		return 0
	}
	end = at + recordFixed + int(binary.BigEndian.Uint16(message[at+8:]))
	if end > len(message) {
		return 0
	}
	return end
}

// skipName returns where the name at at ends, 0 if it is broken. A pointer must point backwards;
// what it points to isn't read.
func skipName(message []byte, at int) (end int) {
	for size := 0; at < len(message); {
		c := int(message[at])
		switch {
		case c == 0:
			return at + 1
		case c >= pointer:
			if at+2 > len(message) || int(binary.BigEndian.Uint16(message[at:])&^(pointer<<8)) >= at {
				return 0
			}
			return at + 2
		case c > maxLabel:
			return 0
		}
		at += 1 + c
		if size += 1 + c; size >= maxName {
			return 0
		}
	}
	return 0
}
