package route

import (
	"cmp"
	"fmt"
	"time"

	"tokenring/balancer"
)

// RoleOutside is the Role of a host that isn't in the table.
const RoleOutside balancer.Role = "outside"

// An Explanation says where a new request with a key goes, and why. Of the key it
// reveals only the slot.
type Explanation struct {
	Choice        // Host is nil if no host serves the key
	Reason string // the rule in plain words, with the names of the hosts that matter
	Stays  bool   // a session or the last use decides, so a cookie doesn't

	Owner string  // of the slot; "" if the table has no hosts
	Slot  int     // -1 if the table has no hosts
	Slots int     // of the table
	Share float64 // the part of the key space that lies in the slot, 0..1
	Point *uint32 // the owner's point to which the key belongs, on a ring of 2^32 points; nil for other policies

	// Candidates are all hosts: those of the table in the order in which the key
	// tries them, then the others by name.
	Candidates []Candidate

	taker  string // with RuleSlowStart: the host that takes the key later
	takes  string // when, in words
	holder string // with RuleFrozen, RuleMoving and RuleUnreachable: the host that has the key and can't serve it
}

// A Candidate is a host, and what it is for one key.
type Candidate struct {
	Name   string
	Host   *Host // nil for a host of the table that is no longer known
	Role   balancer.Role
	Load   Load
	Chosen bool
	WhyNot string // why it isn't the chosen host; "" if it is
}

// Explain says where a new request with a key goes, and why it doesn't go to the other hosts.
// The key must be present. stay says where it is to stay: see Snapshot.Stay, which matters more
// than the table, and so does last if Taken is set there. last and now are the arguments of
// Place.
func (s *Snapshot) Explain(key Key, stay Stay, last Placement, now time.Time) Explanation {
	t := s.Table.ExplainHash(key.hash, func(h balancer.Host) string { return s.whyNot(h.Name, key.hash) })
	e := Explanation{Slot: t.Slot, Slots: t.Slots, Share: t.Share, Point: t.Point}
	e.choose(s, key, stay, last, now)
	if t.Owner >= 0 {
		e.Owner = s.Table.Hosts()[t.Owner].Name
	}
	for _, c := range t.Candidates {
		name := s.Table.Hosts()[c.Host].Name
		e.Candidates = append(e.Candidates, Candidate{Name: name, Host: s.Host(name), Role: c.Role, WhyNot: c.WhyNot})
	}
	for _, h := range s.Hosts {
		if s.find(h) < 0 {
			e.Candidates = append(e.Candidates, Candidate{Name: h.Name, Host: h, Role: RoleOutside, WhyNot: whyNoTraffic(h)})
		}
	}
	loads := s.Loads(now)
	for i := range e.Candidates {
		e.Candidates[i].Load = loads[e.Candidates[i].Name]
		e.mark(&e.Candidates[i])
	}
	e.Reason = e.reason(s, stay, last)
	return e
}

// choose chooses a host for the key as the proxy does.
func (e *Explanation) choose(s *Snapshot, key Key, stay Stay, last Placement, now time.Time) {
	if c, ok := s.Stay(key, stay, last, nil, now); c.Rule != "" {
		e.Choice, e.Stays = c, true
		if !ok {
			e.holder, e.Host = c.Host.Name, nil
		}
		return
	}
	choice, ok := e.taken(s, last)
	if choice.Rule == "" {
		choice, ok = s.Place(key, last, nil, now)
	}
	switch {
	case !ok && (choice.Rule == RuleFrozen || choice.Rule == RuleMoving || choice.Rule == RuleUnreachable):
		e.holder = choice.Host.Name
	case choice.Rule == RuleSlowStart:
		i := s.tableHost(key.hash)
		e.taker, e.takes = s.hosts[i].Name, s.slow[i].takes(key.hash)
	}
	if e.Choice = choice; !ok {
		e.Host = nil
	}
}

// taken returns the choice of the host that has taken the key. The Rule is "" if there is
// none, or if it doesn't decide.
func (e *Explanation) taken(s *Snapshot, last Placement) (Choice, bool) {
	if !last.Taken {
		return Choice{}, false
	}
	return s.Taken(last.Host, nil)
}

// tableHost returns the index of the host that the table in force has for the key of this
// hash, though the host may still be in slow start. In a frozen ring the host may have
// vanished.
func (s *Snapshot) tableHost(hash uint64) int {
	able := s.up
	if s.Frozen {
		able = s.upOrVanished
	}
	i, _ := s.Table.PickHash(hash, able, -1)
	return i
}

// whyNot says why a host of the table can't get the key of this hash, "" if it can.
func (s *Snapshot) whyNot(host string, hash uint64) string {
	if why := whyNoTraffic(s.Host(host)); why != "" {
		return why
	}
	return s.whyNotTaken(IndexOf(s.Table.Hosts(), host), hash)
}

// whyNotTaken says when the host at index i takes the key of this hash. It is "" if the
// host has taken the key already.
func (s *Snapshot) whyNotTaken(i int, hash uint64) string {
	if !s.waits(i, hash) {
		return ""
	}
	return "in slow start: takes this token " + s.slow[i].takes(hash)
}

// whyNoTraffic says why h gets no new requests at all, "" if it gets some. Each
// condition for which Choose skips a host must have a case here.
func whyNoTraffic(h *Host) string {
	switch {
	case h == nil:
		return "no longer known"
	case !h.InRing && (h.WhyNot != WhyFailing || h.Return == Return{}):
		return h.WhyNot
	case h.Verdict == Unchecked:
		return "not checked since its address changed"
	case h.Verdict == Down:
		return h.failing()
	case h.Waits:
		return "it passes its checks again, and " + WhyWaits
	}
	return ""
}

// whyNoSessions says why h doesn't keep its live sessions, or the keys that linger on it.
// KeepsSessions or KeepsLingering must have reported false.
func whyNoSessions(h *Host) string {
	switch {
	case h == nil:
		return "no longer known"
	case h.State == Maint:
		return WhyMaint
	case h.State == Drain && h.Verdict != Down:
		return "the deadline of its drain has passed"
	}
	return h.failing()
}

// failing says that the checks of h fail, and why if that is known; or that they pass again.
func (h *Host) failing() string {
	if (h.Return != Return{}) {
		return fmt.Sprintf("it was down, and returns at %s UTC if its checks pass until then", h.Return.At.UTC().Format(time.TimeOnly))
	}
	if h.CheckError == "" {
		return "its checks fail"
	}
	return "its checks fail: " + h.CheckError
}

// mark marks a candidate as chosen, or sets why it isn't. It leaves a WhyNot as it is
// that is about the host itself.
func (e *Explanation) mark(c *Candidate) {
	switch {
	case e.Host != nil && e.Host.Name == c.Name:
		c.Chosen, c.WhyNot = true, ""
	case c.WhyNot != "":
	case Holds(e.Rule):
		c.WhyNot = "the live session is on " + e.Host.Name
	case e.Rule == RuleLingering:
		c.WhyNot = "the token lingers on " + e.Host.Name
	case e.Rule == RuleFrozen:
		c.WhyNot = "the ring is frozen, and the owner may still have the session"
	case e.Rule == RuleMoving, e.Rule == RuleUnreachable:
		c.WhyNot = "the token waits for " + e.holder
	case e.Rule == RuleSecondChance:
		c.WhyNot = e.Host.Name + " has taken the token, which another host had given away"
	case e.Rule == RulePlaced:
		c.WhyNot = "the token has been sent to " + e.Host.Name + " before, and stays"
	case e.Rule == RuleSlowStart:
		c.WhyNot = "the token stays on " + e.Host.Name + " for now"
	case c.Load.Full():
		c.WhyNot = c.Load.full()
	case c.Role == RoleOutside:
		c.WhyNot = "not in the table yet; the next one is being built"
	default:
		c.WhyNot = "an earlier host in this order serves"
	}
}

// reason returns the text for Reason.
func (e *Explanation) reason(s *Snapshot, stay Stay, last Placement) string {
	text := e.rule(s) + s.freezeEnd(e.Rule)
	if e.Rule == RuleFrozen && (last.Away || last.Taken) && e.holder == last.Host {
		text = fmt.Sprintf("The ring is frozen, and %s, %s, is among the hosts that vanished. "+
			"Its session may live on there, so no other host gets the token; requests are answered with 503.", last.Host, last.why()) + s.freezeEnd(e.Rule)
	}
	if e.Stays {
		return text + stay.told()
	}
	if stay.Host != "" && !(last.Taken && last.Host == stay.Host) {
		text += fmt.Sprintf(" The token %s %s, but can't stay there: %s.", stay.has(), stay.Host, whyNoSessions(s.Host(stay.Host)))
	}
	return text
}

// why says why the host of p has a key that the ring has elsewhere.
func (p Placement) why() string {
	if p.Taken {
		return "which has taken this token when another host had given it away"
	}
	return "to which this token was sent because its host was full"
}

// freezeEnd says when the freeze ends by itself, "" if the rule isn't RuleFrozen.
func (s *Snapshot) freezeEnd(rule balancer.Rule) string {
	if rule != RuleFrozen || s.FrozenUntil.IsZero() {
		return ""
	}
	return fmt.Sprintf(" The freeze ends at %s UTC at the latest.", s.FrozenUntil.UTC().Format(time.TimeOnly))
}

// rule returns the rule as a sentence.
func (e *Explanation) rule(s *Snapshot) string {
	slot := fmt.Sprintf("slot %d of %d", e.Slot, e.Slots)
	switch e.Rule {
	case RuleSession, RuleSessionAtPeer:
		text := fmt.Sprintf("%s has a live session of this token, which stays where it is.", e.Host.Name)
		switch {
		case e.Host.passes():
			text += " The host was down, and its checks pass again."
		case e.Host.Sends():
			text += " Its checks fail, but it still sends bytes to terminals."
		}
		if e.Owner != "" && e.Owner != e.Host.Name {
			text += fmt.Sprintf(" Without it, %s would own the token.", e.Owner)
		}
		return text
	case RuleLingering:
		return fmt.Sprintf("This token stays on %s for a while after its last use. %s owns %s.", e.Host.Name, cmp.Or(e.Owner, "No host"), slot)
	case balancer.RuleOwner:
		return fmt.Sprintf("%s owns %s, and serves.", e.Owner, slot)
	case balancer.RuleFallback:
		return fmt.Sprintf("%s owns %s, but can't serve: %s. %s is the next host in the order of this token.", e.Owner, slot, whyNoTraffic(s.Host(e.Owner)), e.Host.Name)
	case RuleSlowStart:
		return fmt.Sprintf("%s is in slow start, and takes this token of %s %s. Until then the token stays on %s.",
			e.taker, slot, e.takes, e.Host.Name)
	case RuleOverflow:
		return fmt.Sprintf("%s owns %s, but %s. %s is the first host in the order of this token that serves and isn't full.", e.Owner, slot, e.whyNotOwner(s), e.Host.Name)
	case RuleSecondChance:
		return fmt.Sprintf("This token goes to %s, which has taken it when another host had given it away with 421. %s owns %s.", e.Host.Name, e.Owner, slot)
	case RulePlaced:
		return fmt.Sprintf("This token stays on %s, which got it because the host that the ring has for it was full. %s owns %s.", e.Host.Name, e.Owner, slot)
	case RuleFrozen:
		return e.frozen(s, slot)
	}
	switch {
	case e.Rule == RuleUnreachable:
		h := s.Host(e.holder)
		if h.AwaitsGate {
			return fmt.Sprintf("%s has this token, and most balancers say that it is down (%s). Its gate closes its terminals, and until that is certain no other host gets the token; requests are answered with 503.",
				e.holder, h.Views.Text(h.Own))
		}
		return fmt.Sprintf("%s has this token, and can't be reached from here (%s), but balancers don't agree that it is down (%s). "+
			"No other host gets the token meanwhile; requests are answered with 503.", e.holder, h.CheckError, h.Views.Text(Down))
	case e.Rule == RuleMoving:
		return fmt.Sprintf("%s has this token, and has just got another address: requests wait for the first check of the new address.", e.holder)
	case len(s.Hosts) == 0:
		return "No hosts are known, so requests are answered with 503."
	case len(s.serving) > 0:
		return "The ring in force has none of the hosts that serve. Requests are answered with 503 until the next ring is built."
	}
	return "None of the hosts can serve, so requests are answered with 503."
}

// frozen returns RuleFrozen as a sentence.
func (e *Explanation) frozen(s *Snapshot, slot string) string {
	has := "owns " + slot
	switch owner := s.Host(e.Owner); {
	case e.holder == e.Owner:
	case e.Stays:
		has = "has this token"
	case owner != nil && owner.FailedBefore:
		has = "has had this token since " + e.Owner + " failed"
	case owner == nil || !owner.InRing:
		has = "has this token without " + e.Owner
	default:
		has = "has this token until " + e.Owner + " takes it"
	}
	return fmt.Sprintf("The ring is frozen, and %s, which %s, is among the hosts that vanished. "+
		"Its session may live on there, so no other host gets the token; requests are answered with 503.", e.holder, has)
}

// whyNotOwner says why the owner of a key that has overflowed doesn't get the key.
func (e *Explanation) whyNotOwner(s *Snapshot) string {
	why := e.Candidates[0].WhyNot
	if whyNoTraffic(s.Host(e.Owner)) != "" {
		return "can't serve: " + why
	}
	return "is " + why
}

// full says what makes a host full.
func (l Load) full() string {
	expected := ""
	if l.Expected > 0 {
		expected = fmt.Sprintf(" and %d expected", l.Expected)
	}
	return fmt.Sprintf("full: %d terminals%s, the bound is %d", l.Sessions, expected, l.Bound)
}
