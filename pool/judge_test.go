package pool

import (
	"testing"
	"time"
)

var (
	t0     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	settle = defaultPatience.settle
)

// freezing is a patience with which a ring of any size freezes, for an hour.
var freezing = func() patience {
	p := defaultPatience
	p.freeze.MinHosts, p.freeze.For = 1, time.Hour
	return p
}()

// at returns the moment so many milliseconds after t0.
func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

// serving is a gossiped host in the ring, vanished one that both witnesses have
// held for dead since t0.
func serving() witness {
	return witness{state: Ready, weight: 1, contact: Alive, verdict: Up, admitted: true, inRing: true}
}

func vanished() witness {
	w := serving()
	w.contact, w.lostAt, w.deadAt, w.verdict = Lost, t0, t0, Down
	return w
}

// with returns w changed.
func with(w witness, change func(*witness)) witness {
	change(&w)
	return w
}

func TestWhoIsInTheRing(t *testing.T) {
	later := t0.Add(settle)
	for name, row := range map[string]struct {
		w    witness
		now  time.Time
		want string // why not; "" is in the ring
	}{
		"a host that passes its checks":      {serving(), t0, ""},
		"new and unchecked":                  {with(serving(), func(w *witness) { w.admitted, w.verdict = false, Unchecked }), t0, WhyUnchecked},
		"new and failing":                    {with(serving(), func(w *witness) { w.admitted, w.verdict = false, Down }), t0, WhyFailing},
		"new and passing":                    {with(serving(), func(w *witness) { w.admitted = false }), t0, ""},
		"failing after it has served":        {with(serving(), func(w *witness) { w.verdict = Down }), t0, ""},
		"moved and not checked again":        {with(serving(), func(w *witness) { w.verdict = Unchecked }), t0, ""},
		"drained":                            {with(serving(), func(w *witness) { w.state = Drain }), t0, WhyDrain},
		"in maintenance":                     {with(serving(), func(w *witness) { w.state = Maint }), t0, WhyMaint},
		"maintenance names itself first":     {with(vanished(), func(w *witness) { w.state, w.leaving = Maint, true }), later, WhyMaint},
		"leaving":                            {with(serving(), func(w *witness) { w.leaving = true }), t0, WhyLeaving},
		"leaving while operators want it":    {with(serving(), func(w *witness) { w.leaving, w.state = true, Ready }), t0, WhyLeaving},
		"without weight":                     {with(serving(), func(w *witness) { w.weight = 0 }), t0, WhyWeight},
		"lost by gossip, passing its checks": {with(serving(), func(w *witness) { w.contact, w.lostAt = Lost, t0 }), later, ""},
		"lost and failing, just now":         {vanished(), at(int(settle.Milliseconds()) - 1), ""},
		"lost and failing for a while":       {vanished(), later, WhyLost},
		"lost long ago, failing just now":    {with(vanished(), func(w *witness) { w.deadAt = time.Time{} }), later, ""},
		"static and failing for a while":     {with(vanished(), func(w *witness) { w.static, w.contact = true, NoGossip }), later, ""},
	} {
		// Two others keep the ring from freezing.
		rulings, _, _ := judge(row.now, []witness{row.w, serving(), serving()}, freeze{}, defaultPatience)
		if got := rulings[0]; got.whyNot != row.want || got.inRing != (row.want == "") {
			t.Errorf("%s: in the ring %t, why not %q; want why not %q", name, got.inRing, got.whyNot, row.want)
		}
	}
}

func TestFreezesWhenMoreThanHalfVanish(t *testing.T) {
	down := with(serving(), func(w *witness) { w.verdict = Down })
	maint := with(down, func(w *witness) { w.state = Maint })
	leaving := with(down, func(w *witness) { w.leaving = true })
	never := with(down, func(w *witness) { w.admitted = false })
	up := serving()
	for name, row := range map[string]struct {
		ws   []witness
		want bool
	}{
		"nobody is there":                     {nil, false},
		"one of three":                        {[]witness{down, up, up}, false},
		"two of three":                        {[]witness{down, down, up}, true},
		"one of two":                          {[]witness{down, up}, false},
		"two of two":                          {[]witness{down, down}, true},
		"the only one":                        {[]witness{down}, true},
		"two of four":                         {[]witness{down, down, up, up}, false},
		"three of four":                       {[]witness{down, down, down, up}, true},
		"who never served isn't missed":       {[]witness{never, never, up}, false},
		"one in maintenance doesn't count":    {[]witness{maint, down, up}, false},
		"one that leaves doesn't count":       {[]witness{leaving, down, up}, false},
		"statics count":                       {[]witness{with(down, func(w *witness) { w.static = true }), down, up}, true},
		"unchecked since a move isn't gone":   {[]witness{with(up, func(w *witness) { w.verdict = Unchecked }), down, up}, false},
		"lost by gossip alone isn't vanished": {[]witness{with(up, func(w *witness) { w.contact = Lost }), with(up, func(w *witness) { w.contact = Lost }), up}, false},
	} {
		if _, got, _ := judge(t0, row.ws, freeze{}, freezing); got.frozen != row.want {
			t.Errorf("%s: frozen %t, want %t", name, got.frozen, row.want)
		}
	}
}

// A region is a set of witnesses that live through rulings.
type region struct {
	ws     []witness
	p      patience
	freeze freeze
	next   time.Time
}

func (r *region) rule(now time.Time) []ruling {
	rulings, after, next := judge(now, r.ws, r.freeze, r.p)
	for i, ruling := range rulings {
		r.ws[i].admitted, r.ws[i].inRing, r.ws[i].deadAt = ruling.admitted, ruling.inRing, ruling.deadAt
		r.ws[i].failingAt = ruling.failingAt
	}
	r.freeze, r.next = after, next
	return rulings
}

// vanish lets both witnesses hold the host for dead.
func (r *region) vanish(now time.Time, hosts ...int) {
	for _, i := range hosts {
		r.ws[i].contact, r.ws[i].lostAt, r.ws[i].verdict = Lost, now, Down
	}
}

// ring writes the ring as a word: a letter for a host in it, '-' for one that
// isn't, '*' at the end if it is frozen.
func (r *region) ring(now time.Time) string {
	var word []byte
	for i, ruling := range r.rule(now) {
		if ruling.inRing {
			word = append(word, byte('a'+i))
		} else {
			word = append(word, '-')
		}
	}
	if r.freeze.frozen {
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
	r := &region{p: freezing}
	for range hosts {
		r.ws = append(r.ws, serving())
	}
	return r
}

func TestOneOfThreeLeavesTheRingAfterAWhile(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0)
	r.want(t, at(0), "abc", "just lost")
	if want := at(0).Add(settle); !r.next.Equal(want) {
		t.Errorf("looks again at %v, want %v", r.next, want)
	}
	r.want(t, at(4999), "abc", "within the window")
	r.want(t, at(5000), "-bc", "after the window")
	r.ws[0].verdict = Up
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

func TestFrozenRingLetsNobodyIn(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0, 1)
	r.want(t, at(0), "abc*", "frozen")
	r.ws = append(r.ws, with(serving(), func(w *witness) { w.admitted = false }))
	if got := r.rule(at(100))[3]; got.whyNot != WhyFrozen {
		t.Errorf("why not %q, want %q", got.whyNot, WhyFrozen)
	}
	r.ws[0].contact, r.ws[0].verdict = Alive, Up
	r.want(t, at(200), "abcd", "thawed, and the newcomer is in")
}

func TestThawStartsTheWindowAnew(t *testing.T) {
	r := newRegion(5)
	r.vanish(at(0), 0, 1, 2)
	r.want(t, at(0), "abcde*", "three of five")
	r.ws[0].verdict = Up
	r.want(t, at(60_000), "abcde", "one returns: thawed, nobody removed yet")
	r.want(t, at(64_999), "abcde", "the others may follow")
	r.want(t, at(65_000), "a--de", "they didn't")
}

func TestOnlyAPassedCheckThaws(t *testing.T) {
	r := newRegion(5)
	r.vanish(at(0), 0, 1, 2)
	r.want(t, at(0), "abcde*", "three of five")
	r.ws[0].contact, r.ws[0].verdict = Alive, Unchecked
	r.want(t, at(100), "abcde*", "gossip has found one, at another address")
	r.ws[0].verdict = Up
	r.want(t, at(200), "abcde", "it has passed a check")
	r.ws[1].contact, r.ws[1].verdict = Alive, Unchecked
	r.ws[2].contact, r.ws[2].verdict = Alive, Unchecked
	r.ws[3].verdict = Unchecked
	r.want(t, at(300), "abcde", "three have moved: that alone freezes nothing")
}

func TestOperatorsDecisionCountsDuringAFreeze(t *testing.T) {
	r := newRegion(3)
	r.vanish(at(0), 0, 1)
	r.want(t, at(0), "abc*", "frozen")
	r.ws[0].state = Maint
	r.want(t, at(1000), "-bc", "one of the two is in maintenance: one of two isn't more than half")
	r.ws[0].state = Ready
	r.want(t, at(2000), "abc*", "the operator wants it back")
	r.ws[2].leaving = true
	r.want(t, at(3000), "ab-*", "an announced departure counts too")
}

func TestWhoIsBackFromDrainWaitsForTheThaw(t *testing.T) {
	r := newRegion(6)
	r.ws[4].state, r.ws[5].state = Drain, Drain
	r.want(t, at(0), "abcd--", "two are drained")
	r.vanish(at(0), 0, 1, 2)
	r.want(t, at(0), "abcd--*", "three of four")
	r.ws[4].state, r.ws[5].state = Ready, Ready
	if got := r.rule(at(1000))[4]; got.whyNot != WhyFrozen {
		t.Errorf("why not %q, want %q", got.whyNot, WhyFrozen)
	}
	r.want(t, at(1000), "abcd--*", "ready again: that is nothing new of those that vanished")
	r.ws[3].state = Drain
	r.want(t, at(2000), "abc---*", "an operator still takes one out")
	r.ws[0].verdict, r.ws[1].verdict = Up, Up
	r.want(t, at(3000), "abc-ef", "two have returned")
}

func TestReturnsOnlyAfterACheckOnceItHasLeft(t *testing.T) {
	r := newRegion(3)
	r.ws[0].leaving = true
	r.want(t, at(0), "-bc", "leaving")
	r.ws[0].leaving, r.ws[0].verdict = false, Down
	r.want(t, at(1000), "-bc", "back, but failing")
	r.ws[0].verdict = Up
	r.want(t, at(2000), "abc", "back and checked")
}

func TestWhoIsForgotten(t *testing.T) {
	left, lost := defaultPatience.forgetLeft, defaultPatience.forgetLost
	leaver := with(vanished(), func(w *witness) { w.leaving, w.admitted = true, false })
	dead := with(vanished(), func(w *witness) { w.admitted = false })
	for name, row := range map[string]struct {
		w     witness
		after time.Duration
		want  bool
	}{
		"a host that has just left":         {leaver, left - 1, false},
		"a host that left":                  {leaver, left, true},
		"a host that left and still passes": {with(leaver, func(w *witness) { w.verdict = Up }), left, true},
		"one that left with sessions":       {with(leaver, func(w *witness) { w.busy = true }), left, false},
		"a lost host":                       {dead, lost - 1, false},
		"a host lost for long":              {dead, lost, true},
		"one lost that passes its checks":   {with(dead, func(w *witness) { w.verdict = Up }), lost, false},
		"a static host":                     {with(dead, func(w *witness) { w.static, w.contact = true, NoGossip }), lost, false},
		"a host that is there":              {serving(), lost, false},
	} {
		rulings, _, _ := judge(t0.Add(row.after), []witness{row.w, serving(), serving()}, freeze{}, defaultPatience)
		if got := rulings[0].forget; got != row.want {
			t.Errorf("%s: forgotten %t, want %t", name, got, row.want)
		}
	}
}
