package ringlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tokenring/balancer"
	"tokenring/route"
)

// The bounds of a text in a Log, in bytes: of a cause, and of the error of a check.
const (
	maxCause = 1000
	maxError = 200
)

// maxPhrases is how many things a cause names at most.
const maxPhrases = 6

// causes are what has happened to hosts, in the order in which it is found.
type causes struct {
	phrases []string
	hosts   map[string][]string // by phrase
}

func (c *causes) add(host, phrase string) {
	if phrase == "" {
		return
	}
	if c.hosts == nil {
		c.hosts = map[string][]string{}
	}
	if !slices.Contains(c.phrases, phrase) {
		c.phrases = append(c.phrases, phrase)
	}
	c.hosts[phrase] = append(c.hosts[phrase], host)
}

// String returns such as "ide-3 drained by eva (new kernel); ide-5, ide-6 joined".
func (c *causes) String() string {
	var all []string
	for _, phrase := range c.phrases[:min(len(c.phrases), maxPhrases)] {
		all = append(all, route.ShortList(c.hosts[phrase])+" "+phrase)
	}
	if more := len(c.phrases) - maxPhrases; more > 0 {
		all = append(all, fmt.Sprintf("and %d more changes", more))
	}
	return strings.Join(all, "; ")
}

// cause returns why there is e, which isn't in the log yet.
func (r *Recorder) cause(e *Entry, s *route.Snapshot) string {
	after := make(map[string]Host, len(e.Hosts))
	for _, h := range e.Hosts {
		after[h.Name] = h
	}
	var texts []string
	if r.starts {
		texts = append(texts, r.first)
	}
	if r.log.Len() > 0 {
		texts = append(texts, r.frozen(e), r.changes(e, after, s))
	}
	texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	if len(texts) == 0 {
		return "what is known of hosts changed"
	}
	return cut(strings.Join(texts, "; "), maxCause)
}

// frozen returns what e says of the freeze, "" if nothing.
func (r *Recorder) frozen(e *Entry) string {
	switch {
	case e.Frozen && !r.state.last.Frozen:
		return "the ring froze"
	case !e.Frozen && r.state.last.Frozen:
		return "the ring thawed"
	}
	return ""
}

// changes returns what has happened to hosts: to those of the table if e has another one,
// else to all. after are the hosts of e.
func (r *Recorder) changes(e *Entry, after map[string]Host, s *route.Snapshot) string {
	var found causes
	if e.Table == nil {
		for _, name := range e.Gone {
			found.add(name, "forgotten")
		}
		for _, h := range e.Hosts {
			before, known := r.state.hosts[h.Name]
			found.add(h.Name, became(before, known, h, s.Host(h.Name)))
		}
		return found.String()
	}
	placed, _ := e.Table.Hosts.Hosts()
	for _, name := range e.Table.Gone {
		found.add(name, r.left(name, after, s))
	}
	for _, h := range placed {
		found.add(h.Name, r.placed(h, after, s))
	}
	switch {
	case len(found.phrases) > 0:
		return found.String()
	case e.Hash != nil:
		return fmt.Sprintf("another section hash in the configuration: policy %s, before %s", e.Hash.Policy, cmp.Or(r.state.hash.Policy, "unknown"))
	}
	return "the table was built anew from the same hosts"
}

// now returns what is known of a host now.
func (r *Recorder) now(name string, after map[string]Host) Host {
	if h, ok := after[name]; ok {
		return h
	}
	return r.state.hosts[name]
}

// left returns why a host isn't in the table any more.
func (r *Recorder) left(name string, after map[string]Host, s *route.Snapshot) string {
	h := s.Host(name)
	if h == nil {
		return "removed"
	}
	before, now := r.inTable[name], r.now(name, after)
	if now.State != before.State {
		return became(before, true, now, h)
	}
	return whyOut(now)
}

// placed returns why a host is in the table, or there with another weight or id.
func (r *Recorder) placed(h balancer.Host, after map[string]Host, s *route.Snapshot) string {
	before, known := r.inTable[h.Name]
	now, host := r.now(h.Name, after), s.Host(h.Name)
	if host == nil {
		return "joined"
	}
	was, was2 := r.state.placed[h.Name]
	switch {
	case was2 && was.Weight != h.Weight:
		return weightIs(h.Weight, host)
	case was2:
		return fmt.Sprintf("has the id %d", h.ID)
	case known && now.State != before.State:
		return became(before, true, now, host)
	}
	return joinedAs(before, known)
}

// became returns what has happened to a host, "" if nothing that matters by itself.
func became(before Host, known bool, now Host, h *route.Host) string {
	switch {
	case !known && now.InRing:
		return "joined"
	case !known:
		return "came, and isn't in the ring: " + now.WhyNot
	case before.State != now.State:
		if h.DrainsItself() {
			return "drains, as it says itself"
		}
		return stateIs(now.State, h.StateOverride)
	case before.InRing && !now.InRing:
		return whyOut(now)
	case !before.InRing && now.InRing:
		return joinedAs(before, true)
	case before.Waits != now.Waits && now.Check == route.Up:
		return waitIs(now)
	case before.Check != now.Check || before.Held != now.Held:
		return checkIs(now)
	case now.Moving && !before.Moving:
		return "moved to another address"
	case before.Moving && !now.Moving:
		return "wasn't reached at its other address"
	case before.Weight != now.Weight:
		return weightIs(now.Weight, h)
	case before.ID != now.ID:
		return fmt.Sprintf("has the id %d", now.ID)
	case before.Stands != now.Stands:
		return slowStartStands(now)
	case before.SlowStart != now.SlowStart && !now.Since.IsZero():
		return "begins its slow start"
	case before.WhyNot != now.WhyNot:
		return whyOut(now)
	}
	return ""
}

func stateIs(state route.State, by route.Attribution) string {
	text := map[route.State]string{route.Drain: "drained", route.Maint: "put in maintenance", route.Ready: "made ready"}[state]
	if by == (route.Attribution{}) {
		return text
	}
	return text + attributed(by)
}

// attributed returns such as " by eva (new kernel)".
func attributed(by route.Attribution) string {
	text := " by " + cmp.Or(by.By, "an operator")
	if by.Reason != "" {
		text += " (" + by.Reason + ")"
	}
	return text
}

// waitIs says whether the keys of a host that is up again wait elsewhere.
func waitIs(now Host) string {
	if now.Waits {
		return route.WhyWaits + " to have its tokens back"
	}
	return "has its tokens back"
}

func slowStartStands(now Host) string {
	if now.Stands.IsZero() {
		return "goes on with its slow start"
	}
	return "stands still in its slow start: a balancer is missing"
}

func weightIs(weight int, h *route.Host) string {
	if h.WeightOverride == (route.Attribution{}) {
		return fmt.Sprintf("has the weight %d of its own", weight)
	}
	return fmt.Sprintf("got the weight %d", weight) + attributed(h.WeightOverride)
}

// whyOut returns why a host is out of the ring.
func whyOut(h Host) string {
	switch h.WhyNot {
	case route.WhyLost:
		return "lost" + colon(h.Error)
	case route.WhyLeaving:
		return "left"
	case route.WhyFailing:
		return "out of the ring" + colon(h.WhyNot) + colon(h.Error)
	}
	return "out of the ring" + colon(h.WhyNot)
}

// joinedAs returns how a host has come into the ring.
func joinedAs(before Host, known bool) string {
	if !known || before.WhyNot == route.WhyUnchecked || before.WhyNot == route.WhyWaits {
		return "joined"
	}
	return "came back" + colon("before "+before.WhyNot)
}

func checkIs(h Host) string {
	switch {
	case h.Check == route.Up:
		return "up"
	case h.Held:
		return "down here alone" + colon(h.Error)
	case h.Check == route.Down:
		return "down" + colon(h.Error)
	}
	return "unchecked"
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// shortened returns the error of a check without characters that aren't for display only.
func shortened(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text), maxError)
}

// cut returns at most so many bytes of a text, in whole characters.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= limit {
		return text
	}
	text = text[:limit-len("…")]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}
