package inspect

import (
	"encoding/binary"
	"slices"
)

// A form says which fields a message has: a map, in msgpack.
type form []field

// A field is a field of a message. memberlist knows it by the name alone.
type field struct {
	name string
	kind kind
	max  uint64 // of a number; of a text or bytes, the length
}

type kind byte

const (
	number kind = iota // not negative
	text               // or bytes
	flag
)

// A value is that of a field: a number, or bytes. The zero value is that of a field that
// is absent or nil.
type value struct {
	number uint64
	bytes  []byte
}

// The bounds of fields that this version doesn't know.
const (
	maxFields  = 32
	maxUnknown = 1024 // bytes
)

// A reader reads msgpack, as much of it as members write: maps of texts, numbers, bools
// and nil. It is stricter than memberlist, so that both always read the same: a field
// comes once, under its own name.
type reader struct{ rest []byte }

// read reads a map of a form into values, in the form's order. excess says that a value is
// out of its bounds, and broken that the map can't be read at all.
func (r *reader) read(f form, values []value) (excess, broken *Refusal) {
	count, broken := r.mapLength()
	var seen uint64
	for ; broken == nil && count > 0; count-- {
		var name []byte
		if name, broken = r.name(); broken != nil {
			break
		}
		i := slices.IndexFunc(f, func(f field) bool { return f.name == string(name) })
		if i < 0 {
			broken = r.skip()
			continue
		}
		if seen&(1<<i) != 0 {
			return nil, malformed("the field %s comes twice", f[i].name)
		}
		seen |= 1 << i
		if values[i], broken = r.value(f[i].kind); broken == nil && !f[i].bounds(values[i]) {
			excess = malformed("%s has %d bytes, or is %d", f[i].name, len(values[i].bytes), values[i].number)
		}
	}
	return excess, broken
}

// bounds reports whether a value is in the bounds of a field.
func (f field) bounds(v value) bool { return uint64(len(v.bytes)) <= f.max && v.number <= f.max }

// mapLength reads the number of fields of a map.
func (r *reader) mapLength() (int, *Refusal) {
	b, ok := r.cut(1)
	if !ok {
		return 0, errShort
	}
	count := 0
	switch {
	case b[0]&0xf0 == 0x80:
		count = int(b[0] & 0x0f)
	case b[0] == 0xde:
		if b, ok = r.cut(2); !ok {
			return 0, errShort
		}
		count = int(binary.BigEndian.Uint16(b))
	default:
		return 0, malformed("a map was expected, not 0x%02x", b[0])
	}
	if count > maxFields {
		return 0, malformed("%d fields", count)
	}
	return count, nil
}

// name reads the name of a field.
func (r *reader) name() ([]byte, *Refusal) {
	b, ok := r.cut(1)
	if !ok {
		return nil, errShort
	}
	if b[0]&0xe0 != 0xa0 {
		return nil, malformed("the name of a field was expected, not 0x%02x", b[0])
	}
	name, ok := r.cut(int(b[0] & 0x1f))
	if !ok {
		return nil, errShort
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return nil, malformed("the field %q", name)
		}
	}
	return name, nil
}

// value reads the value of a field of a kind.
func (r *reader) value(k kind) (v value, broken *Refusal) {
	if len(r.rest) > 0 && r.rest[0] == 0xc0 {
		r.rest = r.rest[1:]
		return value{}, nil
	}
	switch k {
	case number:
		v.number, broken = r.number()
	case text:
		v.bytes, broken = r.text()
	case flag:
		b, ok := r.cut(1)
		if !ok {
			return v, errShort
		}
		if b[0]&0xfe != 0xc2 {
			return v, malformed("true or false was expected, not 0x%02x", b[0])
		}
		v.number = uint64(b[0] & 1)
	}
	return v, broken
}

// skip reads a value of a field that this version doesn't know.
func (r *reader) skip() *Refusal {
	if len(r.rest) == 0 {
		return errShort
	}
	switch c := r.rest[0]; {
	case c == 0xc0, c&0xfe == 0xc2:
		r.rest = r.rest[1:]
		return nil
	case c <= 0x7f, c >= 0xcc && c <= 0xd3:
		_, refusal := r.number()
		return refusal
	}
	b, refusal := r.text()
	if refusal == nil && len(b) > maxUnknown {
		return malformed("an unknown field has %d bytes", len(b))
	}
	return refusal
}

// number reads a number that isn't negative.
func (r *reader) number() (uint64, *Refusal) {
	b, ok := r.cut(1)
	if !ok {
		return 0, errShort
	}
	c := b[0]
	switch {
	case c <= 0x7f:
		return uint64(c), nil
	case c < 0xcc || c > 0xd3:
		return 0, malformed("a number was expected, not 0x%02x", c)
	}
	size := 1 << ((c - 0xcc) % 4) // uint8 to uint64, then int8 to int64
	if b, ok = r.cut(size); !ok {
		return 0, errShort
	}
	if c >= 0xd0 && b[0] > 0x7f {
		return 0, malformed("a negative number")
	}
	var n uint64
	for _, digit := range b {
		n = n<<8 | uint64(digit)
	}
	return n, nil
}

// text reads a text or bytes. memberlist takes either for the other.
func (r *reader) text() ([]byte, *Refusal) {
	b, ok := r.cut(1)
	if !ok {
		return nil, errShort
	}
	c, size := b[0], 0
	switch {
	case c&0xe0 == 0xa0:
		size = int(c & 0x1f)
	case c == 0xd9 || c == 0xc4:
		b, ok = r.cut(1)
		if ok {
			size = int(b[0])
		}
	case c == 0xda || c == 0xc5:
		b, ok = r.cut(2)
		if ok {
			size = int(binary.BigEndian.Uint16(b))
		}
	default: // longer ones have no place in a message
		return nil, malformed("a text was expected, not 0x%02x", c)
	}
	if ok {
		b, ok = r.cut(size)
	}
	if !ok {
		return nil, errShort
	}
	return b, nil
}

// cut cuts n bytes off, false if there aren't as many.
func (r *reader) cut(n int) (b []byte, ok bool) {
	if len(r.rest) < n {
		return nil, false
	}
	b, r.rest = r.rest[:n], r.rest[n:]
	return b, true
}

var errShort = malformed("it is cut short")
