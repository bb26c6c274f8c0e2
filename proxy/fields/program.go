package fields

import (
	"bytes"
	"slices"
	"strings"
)

// A Program is what several Changes come to, one after the other. It is immutable, and its methods
// are safe for concurrent use. A nil Program changes nothing.
type Program struct {
	hidden [][]byte // names of fields that aren't passed on
	proofs [][]byte // names of fields that prove: what hosts may take for one isn't passed on either
	fields []field  // that are appended
	host   []part   // of the field Host; nil leaves it alone
}

type field struct {
	name  []byte
	value []part
	proof bool // it isn't there for a client without a certificate
}

// Compile returns what changes come to, in their order: what is set or removed later wins. They must be
// such that Check has accepted. It returns nil if they change nothing.
func Compile(all ...Changes) *Program {
	p := &Program{}
	for _, c := range all {
		for _, name := range c.Remove {
			p.hide(name)
		}
		for _, v := range c.Set {
			if strings.EqualFold(v.Name, "Host") {
				p.host, _ = parse(v.Text)
				continue
			}
			p.hide(v.Name)
			p.append(v)
		}
		for _, v := range c.Add {
			p.append(v)
		}
	}
	if len(p.hidden)+len(p.fields) == 0 && p.host == nil {
		return nil
	}
	return p
}

// hide has fields of a name not passed on, also those that were set before.
func (p *Program) hide(name string) {
	is := func(n []byte) bool { return strings.EqualFold(string(n), name) }
	p.fields = slices.DeleteFunc(p.fields, func(f field) bool { return is(f.name) })
	if !slices.ContainsFunc(p.hidden, is) {
		p.hidden = append(p.hidden, []byte(name))
	}
}

func (p *Program) append(v Value) {
	parts, _ := parse(v.Text)
	f := field{[]byte(v.Name), parts, proves(parts)}
	p.fields = append(p.fields, f)
	if f.proof {
		p.proofs = append(p.proofs, f.name)
	}
}

// Hides reports whether a message's own fields of a name aren't passed on.
func (p *Program) Hides(name []byte) bool {
	if p == nil {
		return false
	}
	for _, h := range p.hidden {
		if len(h) == len(name) && bytes.EqualFold(h, name) {
			return true
		}
	}
	for _, proof := range p.proofs {
		if looksLike(name, proof) {
			return true
		}
	}
	return false
}

// looksLike reports whether hosts may take one name for the other: many have environment variables for
// fields (RFC 3875 §4.1.18), in which hyphens and underscores are the same.
func looksLike(name, other []byte) bool {
	if len(name) != len(other) {
		return false
	}
	for i := range name {
		if a, b := plain(name[i]), plain(other[i]); a != b {
			return false
		}
	}
	return true
}

func plain(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	}
	return c
}

// left reports whether f is left out: it would prove nothing.
func (f *field) left(v *Vars) bool { return f.proof && len(v.CertificateSubject) == 0 }

// Host returns the value of the field Host of a request; ok is false if it stays as it is. It appends
// the value to dst.
func (p *Program) Host(dst []byte, v *Vars) (value []byte, ok bool) {
	if p == nil || p.host == nil {
		return nil, false
	}
	return appendParts(dst, p.host, v), true
}

// Append appends the fields that are set or added, each with its line break.
func (p *Program) Append(dst []byte, v *Vars) []byte {
	if p == nil {
		return dst
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.left(v) {
			continue
		}
		dst = append(append(dst, f.name...), ": "...)
		dst = append(appendParts(dst, f.value, v), "\r\n"...)
	}
	return dst
}

// Each calls do with the fields that are set or added. The bytes are valid until do returns.
func (p *Program) Each(v *Vars, do func(name, value []byte)) {
	if p == nil {
		return
	}
	var value []byte
	for i := range p.fields {
		if f := &p.fields[i]; !f.left(v) {
			value = appendParts(value[:0], f.value, v)
			do(f.name, value)
		}
	}
}
