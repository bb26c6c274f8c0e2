package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
	"tokenring/peers"
	"tokenring/route"
)

// refused is what checks run into if a story says nothing else.
const refused = "refused"

const noAlarm = "  no alarm\n"

// show shows the hosts, their ring and the alarms if they aren't as they were shown last.
func (s *story) show() {
	snap := s.machine.published
	hosts, alarm := s.hosts(snap), alarms(snap)
	if hosts == s.shown && alarm == s.alarm {
		return
	}
	fmt.Fprintf(&s.out, "%s:\n", s.clock(s.now))
	if hosts != s.shown {
		s.out.WriteString(hosts)
	}
	if alarm != s.alarm {
		s.out.WriteString(alarm)
	}
	s.shown, s.alarm = hosts, alarm
}

// hosts returns the ring and the hosts of a snapshot as text.
func (s *story) hosts(snap *route.Snapshot) string {
	var b strings.Builder
	ring := []string{}
	for _, h := range snap.Table.Hosts() {
		share := 0.0
		if known := snap.Host(h.Name); known != nil {
			share = known.Share
		}
		ring = append(ring, fmt.Sprintf("%s %.0f%%", h.Name, 100*share))
	}
	if len(ring) == 0 {
		ring = append(ring, "empty")
	}
	fmt.Fprintf(&b, "  ring: %s%s\n", strings.Join(ring, ", "), s.ringIs(snap))
	are := map[string][]string{}
	for _, h := range snap.Hosts {
		is := s.hostIs(h)
		are[is] = append(are[is], h.Name)
	}
	for _, is := range slices.Sorted(maps.Keys(are)) {
		fmt.Fprintf(&b, "  %s: %s\n", is, strings.Join(are[is], " "))
	}
	return b.String()
}

func (s *story) ringIs(snap *route.Snapshot) (text string) {
	if snap.Rebuilding {
		text += ", being rebuilt"
	}
	if snap.Severed != "" {
		text += ", not ready: " + snap.Severed
	}
	if w := snap.Waiting; len(w.Changes) > 0 {
		text += fmt.Sprintf(", waits for %s until %s: %s", strings.Join(w.For, ", "), s.clock(w.Until), strings.Join(w.Changes, "; "))
	}
	if snap.Frozen {
		text += ", frozen until " + s.clock(snap.FrozenUntil)
	}
	return text
}

// hostIs says what is to be known of a host beside its share.
func (s *story) hostIs(h *route.Host) string {
	is := []string{h.Verdict.String()}
	if h.CheckError != "" && h.CheckError != refused {
		is[0] += " (" + h.CheckError + ")"
	}
	if h.Contact == route.Lost || h.Contact == route.Missing {
		is = append(is, h.Contact.String())
	}
	if h.Moving {
		is = append(is, "moving")
	}
	if h.Held {
		is = append(is, "held")
	}
	if h.Return != (route.Return{}) {
		is = append(is, "returns at "+s.clock(h.Return.At))
	}
	if h.Views.Down != "" || h.Views.Up != "" && h.Own != route.Up {
		is = append(is, h.Views.Text(h.Own))
	}
	if h.Sends() {
		is = append(is, "sends to terminals"+strings.TrimPrefix(route.Views{Up: h.Views.Traffic}.Text(map[bool]route.Verdict{true: route.Up}[h.Traffic]), "up"))
	}
	if h.Address != "" && h.Address != addressOf(h.Name) {
		is = append(is, "at "+h.Address)
	}
	if h.Weight != 1 {
		is = append(is, fmt.Sprintf("weight %d", h.Weight))
	}
	if h.SlowStart != (route.Progress{}) {
		is = append(is, fmt.Sprintf("slow start at %.0f%%, until %s", 100*h.SlowStart.Taken, s.clock(h.SlowStart.Until)))
	}
	if h.Waits {
		is = append(is, "waits to return")
	}
	if h.FailedBefore {
		is = append(is, "failed before the freeze")
	}
	if !h.InRing {
		is = append(is, "out: "+h.WhyNot)
	}
	if h.DrainsItself() {
		is = append(is, "drains by itself")
	}
	if !h.DrainEnd.Deadline.IsZero() {
		is = append(is, "until "+s.clock(h.DrainEnd.Deadline))
	}
	return strings.Join(is, ", ")
}

// alarms returns the alarms of a snapshot as text.
func alarms(snap *route.Snapshot) string {
	if snap.Alarm == "" {
		return noAlarm
	}
	var b strings.Builder
	for alarm := range strings.SplitSeq(snap.Alarm, ". Also: ") {
		fmt.Fprintf(&b, "  alarm: %s\n", alarm)
	}
	return b.String()
}

// showTold shows what the machine tells the peers.
func (s *story) showTold(w peers.Write) {
	for _, r := range w.Registers {
		fmt.Fprintf(&s.out, "tells peers: %s", r.Topic)
		if start, ok := r.SlowStart(); ok {
			fmt.Fprintf(&s.out, ", return %d at %s", start.Number, s.clock(start.Since))
		}
		fmt.Fprintln(&s.out)
	}
}

// clock writes a moment as the time since the story began.
func (s *story) clock(at time.Time) string {
	if at.IsZero() {
		return "a time that is long ago"
	}
	return fmt.Sprintf("+%v", at.Sub(t0).Round(time.Millisecond))
}

// keys shows where twelve keys go that are new to the balancer.
func (s *story) keys() {
	s.keysOf(s.machine.published)
}

// keysOf shows where these keys go by a snapshot.
func (s *story) keysOf(snap *route.Snapshot) {
	where := map[string][]string{}
	for i := range 12 {
		key := fmt.Sprintf("k%d", i)
		c, ok := snap.Place(snap.Key([]byte(key)), route.Placement{}, nil, s.now)
		at := "503"
		switch {
		case !ok && c.Host != nil:
			at = "503 for " + c.Host.Name + ", " + string(c.Rule)
		case ok && (c.Rule == balancer.RuleOwner || c.Rule == balancer.RuleFallback):
			at = c.Host.Name
		case ok:
			at = c.Host.Name + ", " + string(c.Rule)
		}
		where[at] = append(where[at], key)
	}
	var all []string
	for at, keys := range where {
		all = append(all, at+": "+strings.Join(keys, " "))
	}
	slices.Sort(all)
	fmt.Fprintln(&s.out, strings.Join(all, "\n"))
}
