package pool

import (
	"time"

	"tokenring/balancer"
)

// RuleMoving is the Rule of a Choice that was refused because the host that has the
// key has got another address a moment ago, which no check has reached yet. No other
// host gets the key meanwhile: the check is under way, and whoever is sent elsewhere
// would be on two hosts within a second.
const RuleMoving balancer.Rule = "moving"

// moveGrace is how long the keys of a host that has moved wait at the longest. Then
// they go where they go if it fails its checks.
const moveGrace = 3 * time.Second

// move takes down that h is at another address. What is known of it is about the
// old one: it is unchecked until the new one has passed a check.
func (k *keeper) move(h *known, address string, now time.Time) {
	switch h.address {
	case address:
		return
	case "":
		k.log.Info().Str("host", h.name).Str("name", h.said.Address).Str("address", address).Msg("the name of a host resolves")
	default:
		k.log.Info().Str("host", h.name).Str("from", h.address).Str("address", address).Msg("host moved")
	}
	h.moving = h.serving
	h.address, h.heard, h.moved = address, CheckResult{}, now
}

// giveUpMoves lets the keys of hosts go of whose new address nothing is known after a
// while, and returns when that is for the next one; zero if there is none.
func (k *keeper) giveUpMoves(now time.Time) (next time.Time) {
	for _, h := range k.hosts {
		if !h.moving {
			continue
		}
		if due := h.moved.Add(moveGrace); now.Before(due) {
			next = earliest(next, due)
		} else {
			h.moving = false
		}
	}
	return next
}

// has reports whether h has its keys: it serves, or they wait for it.
func (h *Host) has() bool { return h.Serving() || h.Moving }

// give returns the choice of h, which has the key, and whether h can serve it now.
func give(h *Host, rule balancer.Rule) (Choice, bool) {
	if h.Moving {
		return Choice{h, RuleMoving}, false
	}
	return Choice{h, rule}, true
}
