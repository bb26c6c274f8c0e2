package netaddr

import (
	"net/netip"
	"strings"
)

// HostLike reports whether text can be an IP address or a host name.
func HostLike(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	last := text[strings.LastIndexByte(text, '.')+1:]
	if last != "" && strings.Trim(last, "0123456789") == "" {
		return false // all digits: an IP address with a mistake, not a name
	}
	for _, label := range strings.Split(strings.TrimSuffix(text, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(text) <= 253
}
