package route

import (
	"fmt"
	"time"

	"tokenring/balancer"
)

// Rules of keys that stay on a host, wherever the table has them.
const (
	// RuleSession is the Rule of a key that stays on the host of its live session through
	// this balancer.
	RuleSession balancer.Rule = "session"
	// RuleSessionAtPeer is the Rule of a key that stays on the host of its live session
	// through another balancer.
	RuleSessionAtPeer balancer.Rule = "session-at-peer"
	// RuleLingering is the Rule of a key that stays on the host that it has used last,
	// because that isn't long ago, while the ring has another host for it.
	RuleLingering balancer.Rule = "lingering"
)

// A Stay says on which host a key is to stay, and why. The zero Stay is that of a key that has
// no session and doesn't linger.
type Stay struct {
	Host  string
	Rule  balancer.Rule // RuleSession, RuleSessionAtPeer or RuleLingering
	Peer  string        // the balancer that has the session or has told the last use; "" is this one
	Since time.Time     // of a session at a peer, or of the last use
}

// Stay returns the host on which a key stays. avoid is as for Choose. The Rule is "" if the key
// needn't stay, or can't because its host is in maint, past the deadline of its drain, or down
// and not Host.KeepsSessionsOf the balancer that has the session: then another rule decides.
//
// Stay returns false if no host may serve the request. The Host is then the one that has the
// key, for the log. The Rule is
//
//	RuleSession, RuleSessionAtPeer  it can't be reached, and the session may live on there
//	RuleMoving                      it has moved, and its first check at the new address isn't over
//	RuleUnreachable                 it is held: others may serve there
//	RuleFrozen                      the ring is frozen, and it has failed together with many others
//
// A key that lingers on the host that it would have by the table, or by its placement last, has
// the Rule of that. Stay makes no allocation and takes no lock.
func (s *Snapshot) Stay(key Key, at Stay, last Placement, avoid *Host, now time.Time) (c Choice, ok bool) {
	if at.Host == "" {
		return Choice{}, false
	}
	h := s.Host(at.Host)
	failed := h != nil && sameHost(h, avoid)
	switch {
	case h == nil, h.State == Maint:
		return Choice{}, false
	case at.Rule == RuleSession && h.KeepsSessionsOf(""), at.Rule == RuleSessionAtPeer && (h.passes() || h.sendsTo(at.Peer)):
		return Choice{h, at.Rule}, !failed
	case at.Rule == RuleSession:
		return Choice{}, false
	case s.Frozen && (h.vanished() || failed):
		return Choice{h, RuleFrozen}, false
	case h.Moving:
		return Choice{h, RuleMoving}, false
	case h.Held:
		return Choice{h, RuleUnreachable}, false
	case !h.KeepsSessions():
		return Choice{}, false
	case at.Rule == RuleSessionAtPeer:
		return Choice{h, at.Rule}, !failed
	case failed, !h.KeepsLingering(now):
		return Choice{}, false
	case last.Taken && last.Host == h.Name: // another rule says why it has the key
		return Choice{}, false
	}
	if c, ok := s.Choose(key, nil); ok && c.Host == h {
		return c, true
	}
	if s.BoundedLoad > 0 && last.Away && last.Host == h.Name && h.Serving() {
		return Choice{h, RulePlaced}, true
	}
	return Choice{h, at.Rule}, true
}

// Holds reports whether a key has a live session on its host by a rule, so that no other host
// may serve it while that one can't be reached.
func Holds(rule balancer.Rule) bool { return rule == RuleSession || rule == RuleSessionAtPeer }

// told returns, for an explanation, who has told of a session at a peer, or when a key was used
// last.
func (s Stay) told() string {
	at := s.Since.UTC().Format(time.TimeOnly)
	switch {
	case s.Rule == RuleSession:
		return ""
	case s.Rule == RuleSessionAtPeer:
		return fmt.Sprintf(" The terminals are connected through the balancer %s, which has told of them at %s UTC.", s.Peer, at)
	case s.Peer != "":
		return fmt.Sprintf(" The token was used there last at %s UTC, as the balancer %s has told.", at, s.Peer)
	}
	return fmt.Sprintf(" The token was used there last at %s UTC.", at)
}

// has says what a key has on the host that follows.
func (s Stay) has() string {
	switch s.Rule {
	case RuleSessionAtPeer:
		return "has a live session, through the balancer " + s.Peer + ", on"
	case RuleLingering:
		return "was used last on"
	}
	return "has a live session on"
}
