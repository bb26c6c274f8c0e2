package pools

import "tokenring/http1"

// Upgrades are the protocols that clients of a pool may change to (RFC 9110 §7.8). nil stands for
// WebSocket alone.
type Upgrades [][]byte

// NewUpgrades returns the upgrades with these names; nil stands for WebSocket alone.
func NewUpgrades(names []string) Upgrades {
	if names == nil {
		return nil
	}
	all := make(Upgrades, len(names))
	for i, name := range names {
		all[i] = []byte(name)
	}
	return all
}

// Allow reports whether clients may change to a protocol.
func (u Upgrades) Allow(protocol []byte) bool {
	if u == nil {
		return http1.EqualFold(protocol, "websocket")
	}
	for _, allowed := range u {
		if http1.SameProtocol(protocol, allowed) {
			return true
		}
	}
	return false
}
