package eligibility

import (
	"strconv"
	"testing"
	"time"

	"tokenring/route"
)

var (
	t0         = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lossWindow = DefaultDelays.LossWindow
)

// shortFreeze are delays with which a ring of any size freezes for an hour.
var shortFreeze = func() Delays {
	p := DefaultDelays
	p.Freeze.MinHosts, p.Freeze.For = 1, time.Hour
	return p
}()

// at returns the moment so many milliseconds after t0.
func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

// serving is a host of the gossip that is in the ring. vanished is such a host that
// gossip has lost and whose checks have failed, both since t0.
func serving() Observation {
	return Observation{State: route.Ready, Weight: 1, Contact: route.Alive, Verdict: route.Up, Last: Eligibility{Admitted: true, InRing: true}}
}

func vanished() Observation {
	w := serving()
	w.Contact, w.LostAt, w.Last.DeadSince, w.Verdict = route.Lost, t0, t0, route.Down
	return w
}

// with returns w after change.
func with(w Observation, change func(*Observation)) Observation {
	change(&w)
	return w
}

// apart puts each host on a machine of its own.
func apart(all ...Observation) []Observation {
	for i := range all {
		all[i].Machine = strconv.Itoa(i)
	}
	return all
}

func TestWhichHostsAreInTheRing(t *testing.T) {
	later := t0.Add(lossWindow)
	for name, row := range map[string]struct {
		w    Observation
		now  time.Time
		want string // why not; "" is in the ring
	}{
		"a host that passes its checks":      {serving(), t0, ""},
		"new and unchecked":                  {with(serving(), func(w *Observation) { w.Last.Admitted, w.Verdict = false, route.Unchecked }), t0, route.WhyUnchecked},
		"new and failing":                    {with(serving(), func(w *Observation) { w.Last.Admitted, w.Verdict = false, route.Down }), t0, route.WhyFailing},
		"new and passing":                    {with(serving(), func(w *Observation) { w.Last.Admitted = false }), t0, ""},
		"failing after it has served":        {with(serving(), func(w *Observation) { w.Verdict = route.Down }), t0, ""},
		"moved and not checked again":        {with(serving(), func(w *Observation) { w.Verdict = route.Unchecked }), t0, ""},
		"drained":                            {with(serving(), func(w *Observation) { w.State = route.Drain }), t0, route.WhyDrain},
		"in maintenance":                     {with(serving(), func(w *Observation) { w.State = route.Maint }), t0, route.WhyMaint},
		"maintenance names itself first":     {with(vanished(), func(w *Observation) { w.State, w.Leaving = route.Maint, true }), later, route.WhyMaint},
		"leaving":                            {with(serving(), func(w *Observation) { w.Leaving = true }), t0, route.WhyLeaving},
		"leaving while operators want it":    {with(serving(), func(w *Observation) { w.Leaving, w.State = true, route.Ready }), t0, route.WhyLeaving},
		"without weight":                     {with(serving(), func(w *Observation) { w.Weight = 0 }), t0, route.WhyWeight},
		"lost by gossip, passing its checks": {with(serving(), func(w *Observation) { w.Contact, w.LostAt = route.Lost, t0 }), later, ""},
		"lost and failing, just now":         {vanished(), at(int(lossWindow.Milliseconds()) - 1), ""},
		"lost and failing for a while":       {vanished(), later, route.WhyLost},
		"lost long ago, failing just now":    {with(vanished(), func(w *Observation) { w.Last.DeadSince = time.Time{} }), later, ""},
		"static and failing for a while":     {with(vanished(), func(w *Observation) { w.Listed, w.Contact = true, route.NoGossip }), later, ""},
	} {
		// With two other hosts, the ring doesn't freeze.
		all, _, _ := Assess(row.now, apart(row.w, serving(), serving()), Freeze{}, DefaultDelays)
		if got := all[0]; got.WhyNot != row.want || got.InRing != (row.want == "") {
			t.Errorf("%s: in the ring %t, why not %q; want why not %q", name, got.InRing, got.WhyNot, row.want)
		}
	}
}

func TestTheRingFreezesWhenMoreThanHalfVanish(t *testing.T) {
	down := with(serving(), func(w *Observation) { w.Verdict = route.Down })
	maint := with(down, func(w *Observation) { w.State = route.Maint })
	leaving := with(down, func(w *Observation) { w.Leaving = true })
	never := with(down, func(w *Observation) { w.Last.Admitted = false })
	up := serving()
	for name, row := range map[string]struct {
		seen []Observation
		want bool
	}{
		"no host is known":                      {nil, false},
		"one of three":                          {[]Observation{down, up, up}, false},
		"two of three":                          {[]Observation{down, down, up}, true},
		"one of two":                            {[]Observation{down, up}, false},
		"two of two":                            {[]Observation{down, down}, true},
		"the only one":                          {[]Observation{down}, true},
		"two of four":                           {[]Observation{down, down, up, up}, false},
		"three of four":                         {[]Observation{down, down, down, up}, true},
		"a host that never served isn't missed": {[]Observation{never, never, up}, false},
		"one in maintenance doesn't count":      {[]Observation{maint, down, up}, false},
		"one that leaves doesn't count":         {[]Observation{leaving, down, up}, false},
		"statics count":                         {[]Observation{with(down, func(w *Observation) { w.Listed = true }), down, up}, true},
		"unchecked since a move isn't gone":     {[]Observation{with(up, func(w *Observation) { w.Verdict = route.Unchecked }), down, up}, false},
		"lost by gossip alone isn't vanished":   {[]Observation{with(up, func(w *Observation) { w.Contact = route.Lost }), with(up, func(w *Observation) { w.Contact = route.Lost }), up}, false},
	} {
		if _, got, _ := Assess(t0, apart(row.seen...), Freeze{}, shortFreeze); got.Frozen != row.want {
			t.Errorf("%s: frozen %t, want %t", name, got.Frozen, row.want)
		}
	}
}

// A region is a set of observations that change with time.
type region struct {
	seen   []Observation
	p      Delays
	freeze Freeze
	next   time.Time
}

func (r *region) rule(now time.Time) []Eligibility {
	all, after, next := Assess(now, apart(r.seen...), r.freeze, r.p)
	for i, e := range all {
		r.seen[i].Last = e
	}
	r.freeze, r.next = after, next
	return all
}

// vanish makes gossip lose the hosts, and their checks fail.
func (r *region) vanish(now time.Time, hosts ...int) {
	for _, i := range hosts {
		r.seen[i].Contact, r.seen[i].LostAt, r.seen[i].Verdict = route.Lost, now, route.Down
	}
}

// ring returns the ring as a text: a letter for a host in it, '-' for a host that isn't,
// '*' at the end if it is frozen.
func (r *region) ring(now time.Time) string {
	var word []byte
	for i, e := range r.rule(now) {
		if e.InRing {
			word = append(word, byte('a'+i))
		} else {
			word = append(word, '-')
		}
	}
	if r.freeze.Frozen {
		word = append(word, '*')
	}
	return string(word)
}

func (r *region) want(t *testing.T, now time.Time, want, why string) {
	t.Helper()
	if got := r.ring(now); got != want {
		t.Errorf("%s after %v: ring %q, want %q", why, now.Sub(t0), got, want)
	}
}

func newRegion(hosts int) *region {
	r := &region{p: shortFreeze}
	for range hosts {
		r.seen = append(r.seen, serving())
	}
	return r
}

func TestOneOfThreeLeavesTheRingAfterAWhile(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0)
	r.want(t, at(0), "abc", "just lost")
	if want := at(0).Add(lossWindow); !r.next.Equal(want) {
		t.Errorf("looks again at %v, want %v", r.next, want)
	}
	r.want(t, at(4999), "abc", "within the window")
	r.want(t, at(5000), "-bc", "after the window")
	r.seen[0].Verdict = route.Up
	r.want(t, at(6000), "abc", "its checks pass again though gossip hasn't found it")
}

func TestTwoOfThreeThatVanishApartAreSeenTogether(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0)
	r.want(t, at(0), "abc", "the first is lost")
	r.vanish(at(400), 1)
	r.want(t, at(400), "abc*", "the second is lost 400 ms later")
	r.want(t, at(3_599_999), "abc*", "nearly an hour later")
}

func TestAFrozenRingTakesNoNewHost(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0, 1)
	r.want(t, at(0), "abc*", "frozen")
	r.seen = append(r.seen, with(serving(), func(w *Observation) { w.Last.Admitted = false }))
	if got := r.rule(at(100))[3]; got.WhyNot != route.WhyFrozen {
		t.Errorf("why not %q, want %q", got.WhyNot, route.WhyFrozen)
	}
	r.seen[0].Contact, r.seen[0].Verdict = route.Alive, route.Up
	r.want(t, at(200), "abcd", "thawed, and the newcomer is in")
}

func TestAThawStartsANewWindow(t *testing.T) {
	r := newRegion(5)
	r.vanish(at(0), 0, 1, 2)
	r.want(t, at(0), "abcde*", "three of five")
	r.seen[0].Verdict = route.Up
	r.want(t, at(60_000), "abcde", "one returns: thawed, no host is removed yet")
	r.want(t, at(64_999), "abcde", "the others may follow")
	r.want(t, at(65_000), "a--de", "they didn't")
}

func TestOnlyAPassedCheckThawsTheRing(t *testing.T) {
	r := newRegion(5)
	r.vanish(at(0), 0, 1, 2)
	r.want(t, at(0), "abcde*", "three of five")
	r.seen[0].Contact, r.seen[0].Verdict = route.Alive, route.Unchecked
	r.want(t, at(100), "abcde*", "gossip has found one, at another address")
	r.seen[0].Verdict = route.Up
	r.want(t, at(200), "abcde", "it has passed a check")
	r.seen[1].Contact, r.seen[1].Verdict = route.Alive, route.Unchecked
	r.seen[2].Contact, r.seen[2].Verdict = route.Alive, route.Unchecked
	r.seen[3].Verdict = route.Unchecked
	r.want(t, at(300), "abcde", "three have moved: that alone freezes nothing")
}

func TestAnOverrideCountsDuringAFreeze(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0, 1)
	r.want(t, at(0), "abc*", "frozen")
	r.seen[0].State = route.Maint
	r.want(t, at(1000), "-bc", "one of the two is in maintenance: one of two isn't more than half")
	r.seen[0].State = route.Ready
	r.want(t, at(2000), "abc*", "the operator wants it back")
	r.seen[2].Leaving = true
	r.want(t, at(3000), "ab-*", "an announced departure counts too")
}

func TestADrainedHostThatReturnsWaitsForTheThaw(t *testing.T) {
	r := newRegion(6)
	r.seen[4].State, r.seen[5].State = route.Drain, route.Drain
	r.want(t, at(0), "abcd--", "two are drained")
	r.vanish(at(0), 0, 1, 2)
	r.want(t, at(0), "abcd--*", "three of four")
	r.seen[4].State, r.seen[5].State = route.Ready, route.Ready
	if got := r.rule(at(1000))[4]; got.WhyNot != route.WhyFrozen {
		t.Errorf("why not %q, want %q", got.WhyNot, route.WhyFrozen)
	}
	r.want(t, at(1000), "abcd--*", "ready again: that is nothing new of those that vanished")
	r.seen[3].State = route.Drain
	r.want(t, at(2000), "abc---*", "an operator still takes one out")
	r.seen[0].Verdict, r.seen[1].Verdict = route.Up, route.Up
	r.want(t, at(3000), "abc-ef", "two have returned")
}

func TestAHostThatLeftReturnsOnlyAfterAPassedCheck(t *testing.T) {
	r := newRegion(3)
	r.seen[0].Leaving = true
	r.want(t, at(0), "-bc", "leaving")
	r.seen[0].Leaving, r.seen[0].Verdict = false, route.Down
	r.want(t, at(1000), "-bc", "back, but failing")
	r.seen[0].Verdict = route.Up
	r.want(t, at(2000), "abc", "back and checked")
}

func TestWhichHostsAreForgotten(t *testing.T) {
	left, lost := DefaultDelays.ForgetLeft, DefaultDelays.ForgetLost
	leaver := with(vanished(), func(w *Observation) { w.Leaving, w.Last.Admitted = true, false })
	dead := with(vanished(), func(w *Observation) { w.Last.Admitted = false })
	for name, row := range map[string]struct {
		w     Observation
		after time.Duration
		want  bool
	}{
		"a host that has just left":         {leaver, left - 1, false},
		"a host that left":                  {leaver, left, true},
		"a host that left and still passes": {with(leaver, func(w *Observation) { w.Verdict = route.Up }), left, true},
		"one that left with sessions":       {with(leaver, func(w *Observation) { w.Busy = true }), left, false},
		"a lost host":                       {dead, lost - 1, false},
		"a host lost for long":              {dead, lost, true},
		"one lost that passes its checks":   {with(dead, func(w *Observation) { w.Verdict = route.Up }), lost, false},
		"a lost host that never served":     {with(dead, func(w *Observation) { w.Unproven = true }), left, true},
		"the same with sessions":            {with(dead, func(w *Observation) { w.Unproven, w.Busy = true, true }), lost, false},
		"a static host":                     {with(dead, func(w *Observation) { w.Listed, w.Contact = true, route.NoGossip }), lost, false},
		"a host that is there":              {serving(), lost, false},
	} {
		all, _, _ := Assess(t0.Add(row.after), apart(row.w, serving(), serving()), Freeze{}, DefaultDelays)
		if got := all[0].Forget; got != row.want {
			t.Errorf("%s: forgotten %t, want %t", name, got, row.want)
		}
	}
}
