package pool

import (
	"fmt"
	"time"

	"tokenring/balancer"
)

// RuleSession is the Rule of a key that stays with its live session, whatever
// the table says.
const RuleSession balancer.Rule = "session"

// RoleOutside is the Role of a host that the table doesn't hold.
const RoleOutside balancer.Role = "outside"

// An Explanation says where a new request with a key goes, and why. It holds
// nothing from which the key could be told but its slot.
type Explanation struct {
	Choice        // Host is nil if nobody serves the key
	Reason string // the rule in plain words, with the names that matter

	Owner string  // of the slot; "" if the table has no hosts
	Slot  int     // -1 if the table has no hosts
	Slots int     // of the table
	Share float64 // of the key space that lies in the slot
	Point *uint32 // on a ring of 2^32, the owner's point to which the key belongs; else nil

	// Candidates are all hosts: those of the table in the order in which the key
	// tries them, then the others by name.
	Candidates []Candidate

	due  string // with RuleWarming, the host that the key waits for, and until when
	gone string // with RuleFrozen, the host that has vanished with the key
}

// A Candidate is a host as one key sees it.
type Candidate struct {
	Name   string
	Host   *Host // nil if the table still holds it, but it is no longer known
	Role   balancer.Role
	Load   Load
	Chosen bool
	WhyNot string // why it isn't the one; "" if it is
}

// Explain says where a new request with key, which isn't empty, goes, as Place
// decides, and why no other host gets it. session is the host of the key's open
// terminals, "" if it has none: they go before the table. before and now are
// Place's.
func (s *Snapshot) Explain(key []byte, session string, before Placement, now time.Time) Explanation {
	t := s.Table.Explain(key, func(h balancer.Host) string { return s.whyNot(h.Name, key) })
	e := Explanation{Slot: t.Slot, Slots: t.Slots, Share: t.Share, Point: t.Point}
	e.decide(s, key, session, before, now)
	if t.Owner >= 0 {
		e.Owner = s.Table.Hosts()[t.Owner].Name
	}
	for _, c := range t.Candidates {
		name := s.Table.Hosts()[c.Host].Name
		e.Candidates = append(e.Candidates, Candidate{Name: name, Host: s.Host(name), Role: c.Role, WhyNot: c.WhyNot})
	}
	for _, h := range s.Hosts {
		if _, placed := s.index[h.Name]; !placed {
			e.Candidates = append(e.Candidates, Candidate{Name: h.Name, Host: h, Role: RoleOutside, WhyNot: whyNoTraffic(h)})
		}
	}
	loads := s.Loads(now)
	for i := range e.Candidates {
		e.Candidates[i].Load = loads[e.Candidates[i].Name]
		e.settle(&e.Candidates[i])
	}
	e.Reason = e.reason(s, session, before)
	return e
}

// decide chooses as the proxy does for a key whose terminals are on session.
func (e *Explanation) decide(s *Snapshot, key []byte, session string, before Placement, now time.Time) {
	if h := s.Host(session); h != nil && h.Keeps() {
		e.Choice = Choice{h, RuleSession}
		return
	}
	choice, ok := s.Place(key, before, nil, now)
	switch {
	case !ok && (choice.Rule == RuleFrozen || choice.Rule == RuleMoving):
		e.gone = choice.Host.Name
	case choice.Rule == RuleWarming:
		i := s.awaited(key)
		e.due = fmt.Sprintf("%s, which is %s", s.ring[i].Name, s.warmsUp(i, key))
	}
	if e.Choice = choice; !ok {
		e.Host = nil
	}
}

// awaited returns the index of the host for which a key waits: in a frozen ring that
// may be one that has vanished.
func (s *Snapshot) awaited(key []byte) int {
	able := s.up
	if s.Frozen {
		able = s.there
	}
	i, _ := s.Table.Pick(key, able, -1)
	return i
}

// whyNot says why a host of the table doesn't get a new key, "" if it may.
func (s *Snapshot) whyNot(host string, key []byte) string {
	if why := whyNoTraffic(s.Host(host)); why != "" {
		return why
	}
	return s.warmsUp(s.index[host], key)
}

// warmsUp says when the host at index i takes the key, "" if it has.
func (s *Snapshot) warmsUp(i int, key []byte) string {
	hash := s.Table.Hash(key)
	if !s.waits(i, hash) {
		return ""
	}
	return fmt.Sprintf("warming up: takes this token by %s UTC at the latest", s.warm[i].takes(hash).UTC().Format(time.TimeOnly))
}

// whyNoTraffic says why h gets no new requests at all, "" if it does. Whatever
// else makes Choose pass over a host that serves needs its line here.
func whyNoTraffic(h *Host) string {
	switch {
	case h == nil:
		return "no longer known"
	case !h.InRing:
		return h.WhyNot
	case h.Verdict == Unchecked:
		return "not checked since its address changed"
	case h.Verdict == Down:
		return h.failing()
	}
	return ""
}

// whyNotKept says why live sessions don't stay on h, which doesn't keep them.
func whyNotKept(h *Host) string {
	switch {
	case h == nil:
		return "no longer known"
	case h.State == Maint:
		return WhyMaint
	}
	return h.failing()
}

// failing says that h's checks fail, and why, if that is known.
func (h *Host) failing() string {
	if h.CheckError == "" {
		return "its checks fail"
	}
	return "its checks fail: " + h.CheckError
}

// settle says of a candidate whether it is the one, and else why not, if nothing
// speaks against the host itself.
func (e *Explanation) settle(c *Candidate) {
	switch {
	case e.Host != nil && e.Host.Name == c.Name:
		c.Chosen, c.WhyNot = true, ""
	case c.WhyNot != "":
	case e.Rule == RuleSession:
		c.WhyNot = "the live session is on " + e.Host.Name
	case e.Rule == RuleFrozen:
		c.WhyNot = "the ring is frozen, and the owner may still have the session"
	case e.Rule == RuleMoving:
		c.WhyNot = "the token waits for " + e.gone
	case e.Rule == RulePlaced:
		c.WhyNot = "the token has been sent to " + e.Host.Name + " before, and stays"
	case e.Rule == RuleWarming:
		c.WhyNot = "the token stays on " + e.Host.Name + " for now"
	case c.Load.Full():
		c.WhyNot = c.Load.full()
	case c.Role == RoleOutside:
		c.WhyNot = "not in the table yet; the next one is being built"
	default:
		c.WhyNot = "a host before it serves"
	}
}

// reason puts the outcome into sentences.
func (e *Explanation) reason(s *Snapshot, session string, before Placement) string {
	text := e.rule(s) + s.untilThaw(e.Rule)
	if e.Rule == RuleFrozen && before.Away && e.gone == before.Host {
		text = fmt.Sprintf("The ring is frozen, and %s, to which this token was sent because its host was full, is among the hosts that vanished. "+
			"Its session may live on there, so no other host gets the token; requests are answered with 503.", before.Host) + s.untilThaw(e.Rule)
	}
	if session != "" && e.Rule != RuleSession {
		text += fmt.Sprintf(" Its live session on %s doesn't hold it there: %s.", session, whyNotKept(s.Host(session)))
	}
	return text
}

// untilThaw says when the freeze that rule tells of ends by itself.
func (s *Snapshot) untilThaw(rule balancer.Rule) string {
	if rule != RuleFrozen || s.FrozenUntil.IsZero() {
		return ""
	}
	return fmt.Sprintf(" The freeze ends at %s UTC at the latest.", s.FrozenUntil.UTC().Format(time.TimeOnly))
}

// rule puts the rule into a sentence.
func (e *Explanation) rule(s *Snapshot) string {
	slot := fmt.Sprintf("slot %d of %d", e.Slot, e.Slots)
	switch e.Rule {
	case RuleSession:
		text := fmt.Sprintf("%s has a live session of this token, which stays where it is.", e.Host.Name)
		if e.Owner != "" && e.Owner != e.Host.Name {
			text += fmt.Sprintf(" Without it, %s would own the token.", e.Owner)
		}
		return text
	case balancer.RuleOwner:
		return fmt.Sprintf("%s owns %s, and serves.", e.Owner, slot)
	case balancer.RuleFallback:
		return fmt.Sprintf("%s owns %s, but can't serve: %s. %s is next in line.", e.Owner, slot, whyNoTraffic(s.Host(e.Owner)), e.Host.Name)
	case RuleWarming:
		return fmt.Sprintf("By %s, this token goes to %s. Until then it stays on %s, where it is without that host.", slot, e.due, e.Host.Name)
	case RuleOverflow:
		return fmt.Sprintf("%s owns %s, but %s. %s is the first in line that serves and isn't full.", e.Owner, slot, e.obstacle(s), e.Host.Name)
	case RulePlaced:
		return fmt.Sprintf("%s has got this token before, when the host that the ring has for it was full, and keeps it. By the ring, %s owns %s.", e.Host.Name, e.Owner, slot)
	case RuleFrozen:
		has := "owns " + slot
		switch owner := s.Host(e.Owner); {
		case e.gone == e.Owner:
		case owner != nil && owner.FailedBefore:
			has = "has had this token since " + e.Owner + " failed"
		default:
			has = "has this token until " + e.Owner + " takes it"
		}
		return fmt.Sprintf("The ring is frozen, and %s, which %s, is among the hosts that vanished. "+
			"Its session may live on there, so no other host gets the token; requests are answered with 503.", e.gone, has)
	}
	switch {
	case e.Rule == RuleMoving:
		return fmt.Sprintf("%s has this token, and got another address a moment ago: requests wait for the first check of that.", e.gone)
	case len(s.Hosts) == 0:
		return "No hosts are known, so requests are answered with 503."
	case len(s.serving) > 0:
		return "The ring in force has none of the hosts that serve, and there is no other yet, so requests are answered with 503."
	}
	return "None of the hosts can serve, so requests are answered with 503."
}

// obstacle says why the owner of a key that has overflowed doesn't get it.
func (e *Explanation) obstacle(s *Snapshot) string {
	why := e.Candidates[0].WhyNot
	if whyNoTraffic(s.Host(e.Owner)) != "" {
		return "can't serve: " + why
	}
	return "is " + why
}

// full says what fills a host.
func (l Load) full() string {
	expected := ""
	if l.Expected > 0 {
		expected = fmt.Sprintf(" and %d expected", l.Expected)
	}
	return fmt.Sprintf("full: %d terminals%s, the bound is %d", l.Sessions, expected, l.Bound)
}
