package lease

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

const length = 10 * time.Second

// A voter is a balancer with a key.
type voter struct {
	public ed25519.PublicKey
	sign   func([]byte) []byte
}

func newVoter(n byte) voter {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	private := ed25519.NewKeyFromSeed(seed)
	return voter{private.Public().(ed25519.PublicKey), func(m []byte) []byte { return ed25519.Sign(private, m) }}
}

func (v voter) prove(c Claim) string { return c.Prove(v.public, v.sign) }

// gateOf returns the leases of ide-1, and so many balancers that it knows.
func gateOf(n int) (*Leases, []voter) {
	known := map[Fingerprint]string{}
	var all []voter
	for i := range n {
		v := newVoter(byte(i))
		known[fingerprintOf(v.public)] = fmt.Sprintf("lb-%d", i+1)
		all = append(all, v)
	}
	return New("ide-1", make([]byte, 32), 0, known), all
}

// give has a voter answer the challenge of one moment, at another one.
func give(t *testing.T, l *Leases, v voter, made, now time.Duration, c Claim) {
	t.Helper()
	if c.Host == "" {
		c.Host = "ide-1"
	}
	if c.Of == 0 {
		c.Of = 3
	}
	c.Challenge = l.Challenge(made)
	if _, err := l.Take(v.prove(c), now); err != nil {
		t.Fatalf("at %v: %v", now, err)
	}
}

func TestAHostServesAsLongAsAMajorityHasGivenLeases(t *testing.T) {
	for _, row := range []struct {
		name  string
		known int
		made  []time.Duration // when each balancer's challenge was made; -1 for a balancer that gives none
		of    int
		want  time.Duration
	}{
		{"nobody", 3, nil, 3, 0},
		{"one of three", 3, []time.Duration{5}, 3, 0},
		{"two of three: from the earlier challenge on", 3, []time.Duration{5, 3}, 3, 3 + length},
		{"three: from the second challenge on", 3, []time.Duration{5, 3, 4}, 3, 4 + length},
		{"a third one that checks and gives none", 3, []time.Duration{5, 3, -1}, 3, 3 + length},
		{"one of three gives", 3, []time.Duration{5, -1, -1}, 3, 0},
		{"two of four", 4, []time.Duration{5, 3}, 4, 0},
		{"two of three, and they say that there are five", 3, []time.Duration{5, 3}, 5, 0},
		{"three of three, and they say that there are five", 3, []time.Duration{5, 3, 4}, 5, 3 + length},
		{"two of five, and they say that there are three", 5, []time.Duration{5, 3}, 3, 0},
	} {
		l, all := gateOf(row.known)
		for i, made := range row.made {
			if made < 0 {
				give(t, l, all[i], 9, 9, Claim{Of: row.of})
			} else {
				give(t, l, all[i], made, 9, Claim{Of: row.of, Length: length})
			}
		}
		if got := l.Until(); got != row.want {
			t.Errorf("%s: until %v, want %v", row.name, got, row.want)
		}
	}
}

func TestTheShortestLeaseCounts(t *testing.T) {
	l, all := gateOf(3)
	give(t, l, all[0], 1, 1, Claim{Length: 8 * time.Second})
	give(t, l, all[1], 1, 1, Claim{Length: 10 * time.Second})
	if got := l.Until(); got != 1+8*time.Second {
		t.Errorf("of 8s and 10s: until %v", got)
	}
	l.longest = 5 * time.Second
	if got := l.Until(); got != 1+5*time.Second {
		t.Errorf("with 5s at most: until %v", got)
	}
}

// TestADelayMakesNoLeaseLonger: a check that was on its way for long gives what is left.
func TestADelayMakesNoLeaseLonger(t *testing.T) {
	l, all := gateOf(3)
	late := 1 + length - 1
	for _, v := range all {
		give(t, l, v, 1, late, Claim{Length: length})
	}
	if got := l.Until(); got != 1+length {
		t.Errorf("until %v", got)
	}
	l, all = gateOf(3)
	value := all[0].prove(Claim{Host: "ide-1", Challenge: l.Challenge(1), Length: length, Of: 3})
	if _, err := l.Take(value, 1+length); !errors.Is(err, ErrStale) {
		t.Errorf("a lease that is over: %v", err)
	}
}

func TestACheckThatGivesNoLeaseTakesNoneAway(t *testing.T) {
	l, all := gateOf(3)
	give(t, l, all[0], 1, 1, Claim{Length: length})
	give(t, l, all[1], 1, 1, Claim{Length: length})
	give(t, l, all[1], 2, 2, Claim{})
	if got := l.Until(); got != 1+length {
		t.Errorf("until %v", got)
	}
	if got := l.Giving(2); !slices.Equal(got, []string{"lb-1", "lb-2"}) {
		t.Errorf("giving: %v", got)
	}
	if got := l.Giving(1 + length); got != nil {
		t.Errorf("giving when all is over: %v", got)
	}
}

func TestWhatIsNoProofIsRefused(t *testing.T) {
	l, all := gateOf(3)
	claim := Claim{Host: "ide-1", Challenge: l.Challenge(5), Length: length, Of: 3}
	with := func(change func(*Claim)) string {
		c := claim
		change(&c)
		return all[0].prove(c)
	}
	altered := func(change func(*Claim)) string {
		c := claim
		change(&c)
		return c.Prove(all[0].public, func([]byte) []byte { return all[0].sign(claim.message()) })
	}
	other, _ := gateOf(3)
	other.secret = []byte("that of the process before")
	for _, row := range []struct {
		name, value string
		want        error
	}{
		{"none", Hello, ErrHello},
		{"nonsense", "v1 a b", ErrMalformed},
		{"another version", "v2" + all[0].prove(claim)[2:], ErrMalformed},
		{"more parts", all[0].prove(claim) + " x", ErrMalformed},
		{"a stranger's key", newVoter(77).prove(claim), ErrUnknown},
		{"another host", with(func(c *Claim) { c.Host = "ide-2" }), ErrSignature},
		{"a longer lease than is signed", altered(func(c *Claim) { c.Length = time.Minute }), ErrSignature},
		{"fewer balancers than are signed", altered(func(c *Claim) { c.Of = 1 }), ErrSignature},
		{"a challenge of the process before", with(func(c *Claim) { c.Challenge = other.Challenge(5) }), ErrStale},
		{"a challenge that nobody has made", with(func(c *Claim) { c.Challenge = "AAAA" }), ErrStale},
		{"a day", with(func(c *Claim) { c.Length = 24 * time.Hour }), ErrMalformed},
		{"no balancers", with(func(c *Claim) { c.Of = 0 }), ErrMalformed},
	} {
		if _, err := l.Take(row.value, 6); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
	if by, err := l.Take(all[0].prove(claim), 6); by != "lb-1" || err != nil {
		t.Errorf("the proof itself: %q, %v", by, err)
	}
}

// TestAReplayGivesNothing: neither the same proof again, nor one that was held back.
func TestAReplayGivesNothing(t *testing.T) {
	l, all := gateOf(3)
	prove := func(made time.Duration) string {
		return all[0].prove(Claim{Host: "ide-1", Challenge: l.Challenge(made), Length: length, Of: 3})
	}
	heldBack, first, second := prove(3), prove(5), prove(7)
	for _, row := range []struct {
		name, value string
		want        error
	}{
		{"the first", first, nil},
		{"the first again", first, ErrStale},
		{"one that was held back", heldBack, ErrStale},
		{"the second", second, nil},
		{"the first, after the second", first, ErrStale},
	} {
		if _, err := l.Take(row.value, 8); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
	again := New("ide-1", []byte("of a new process"), 0, l.balancers)
	if _, err := again.Take(second, 8); !errors.Is(err, ErrStale) {
		t.Errorf("after a restart of the gate: %v", err)
	}
}

func TestBalancersThatAreKnownNoLongerGiveNothing(t *testing.T) {
	l, all := gateOf(3)
	give(t, l, all[0], 1, 1, Claim{Length: length})
	give(t, l, all[1], 1, 1, Claim{Length: length})
	rest := map[Fingerprint]string{fingerprintOf(all[0].public): "lb-1", fingerprintOf(all[2].public): "lb-3", {}: "lb-4"}
	l.SetBalancers(rest)
	if got := l.Until(); got != 0 {
		t.Errorf("until %v", got)
	}
	if _, err := l.Take(all[1].prove(Claim{Host: "ide-1", Challenge: l.Challenge(2), Length: length, Of: 3}), 2); !errors.Is(err, ErrUnknown) {
		t.Errorf("a balancer that isn't known any more: %v", err)
	}
}

func TestTheFieldIsFoundInTheHeadAlone(t *testing.T) {
	for _, row := range []struct {
		head, value string
		ended       bool
	}{
		{"GET / HTTP/1.1\r\nHost: a\r\nLb-Lease: v1\r\n\r\n", "v1", true},
		{"GET / HTTP/1.1\r\nlb-lease:v1 a b \r\nlb-lease: v2\r\n\r\nrest", "v1 a b", true},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\nLb-Lease: v1\r\n\r\n", "", true},
		{"GET / HTTP/1.1\r\nX-Lb-Lease: v1\r\n\r\n", "", true},
		{"Lb-Lease: v1\r\n\r\n", "", true},
		{"GET / HTTP/1.1\r\nLb-Lease: v1\r\n", "", false},
		{"GET / HTTP/1.1\r\nLb-Lea", "", false},
		{"", "", false},
		{"\r\nGET / HTTP/1.1\r\nLb-Lease: v1\n\n", "v1", true},
	} {
		if value, ended := InHead([]byte(row.head)); value != row.value || ended != row.ended {
			t.Errorf("%q: got %q, %t", row.head, value, ended)
		}
	}
}

func FuzzTake(f *testing.F) {
	l, all := gateOf(3)
	f.Add(all[0].prove(Claim{Host: "ide-1", Challenge: l.Challenge(5), Length: length, Of: 3}))
	f.Add(Hello)
	f.Add("v1 a b 1 1 c")
	f.Fuzz(func(t *testing.T, value string) {
		l, _ := gateOf(3)
		if by, err := l.Take(value, 6); (err == nil) != (by != "") {
			t.Errorf("%q: by %q, %v", value, by, err)
		}
	})
}
