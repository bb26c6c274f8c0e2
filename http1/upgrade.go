package http1

import "bytes"

// ValidProtocol reports whether name can be that of a protocol in an Upgrade field: a token, and
// perhaps a version behind a slash (RFC 9110 §7.8).
func ValidProtocol[T string | []byte](name T) bool {
	protocol, version, versioned := bytes.Cut([]byte(name), []byte("/"))
	return isToken(protocol) && (!versioned || isToken(version))
}

// SameProtocol reports whether two names of protocols are the same: their case doesn't matter.
func SameProtocol(a, b []byte) bool { return sameFold(a, b) }

// offered returns the only protocol that the other side offers to change to, or has changed to;
// nil if there is none.
func (f *facts) offered() []byte {
	if !f.upgrade || f.upgrades != 1 || !ValidProtocol(f.protocol) {
		return nil
	}
	if EqualFold(f.protocol, "websocket") {
		return webSocket
	}
	return f.protocol
}

// webSocket is how the name is written in RFC 6455, whatever its case was.
var webSocket = []byte("websocket")
