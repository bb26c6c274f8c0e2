package clientcert

import (
	"encoding/asn1"
	"fmt"
	"slices"
	"unicode/utf16"
)

// A relativeSET is a relative distinguished name (RFC 5280 §4.1.2.4). encoding/asn1 knows by its name
// that it is a SET.
type relativeSET []attribute

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// keywords are the types of attributes that have a name: those of RFC 4514 §3, and more that
// certificates have.
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.42": "GN",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
}

// appendName appends a distinguished name in DER as RFC 4514 writes it: the last part comes first.
// Two names that differ in more than the encoding of a string give texts that differ: nothing is left
// out, and no part is put in order.
// OpenSSL's -nameopt RFC2253 and nginx's $ssl_client_s_dn write names in the same way. It appends
// nothing for a name without parts, or if der is no name.
func appendName(dst, der []byte) []byte {
	var name []relativeSET
	if rest, err := asn1.Unmarshal(der, &name); err != nil || len(rest) > 0 {
		return dst
	}
	for i, part := range slices.Backward(name) {
		if i < len(name)-1 {
			dst = append(dst, ',')
		}
		for j, a := range slices.Backward(part) {
			if j < len(part)-1 {
				dst = append(dst, '+')
			}
			dst = a.append(dst)
		}
	}
	return dst
}

func (a attribute) append(dst []byte) []byte {
	keyword, known := keywords[a.Type.String()]
	if !known {
		keyword = a.Type.String()
	}
	dst = append(append(dst, keyword...), '=')
	text, ok := textOf(a.Value)
	if !known || !ok { // RFC 4514 §2.4
		return fmt.Appendf(dst, "#%X", a.Value.FullBytes)
	}
	for i, c := range text {
		first, last := i == 0, i == len(text)-1
		dst = appendEscaped(dst, c, c == ' ' && (first || last) || c == '#' && first)
	}
	return dst
}

// appendEscaped appends a byte of a value. What RFC 4514 §2.4 lists is escaped, and what the value of a
// field can't have, or is beyond ASCII.
func appendEscaped(dst []byte, c byte, escape bool) []byte {
	const digits = "0123456789ABCDEF"
	switch {
	case c < ' ' || c >= 0x7f:
		return append(dst, '\\', digits[c>>4], digits[c&15])
	case escape, slices.Contains([]byte(`,+"\<>;`), c):
		return append(dst, '\\', c)
	}
	return append(dst, c)
}

// textOf returns a string of ASN.1 in UTF-8. ok is false if v is of another type, or malformed.
func textOf(v asn1.RawValue) (text []byte, ok bool) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return nil, false
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString:
		return v.Bytes, true
	case asn1.TagT61String: // in practice it is Latin 1
		runes := make([]rune, len(v.Bytes))
		for i, c := range v.Bytes {
			runes[i] = rune(c)
		}
		return []byte(string(runes)), true
	case asn1.TagBMPString:
		runes := make([]rune, len(v.Bytes)/2)
		for i := range runes {
			runes[i] = rune(v.Bytes[2*i])<<8 | rune(v.Bytes[2*i+1])
		}
		return []byte(string(runes)), len(v.Bytes)%2 == 0 && !slices.ContainsFunc(runes, utf16.IsSurrogate)
	}
	return nil, false
}
