package proxy

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var (
	oneSecret   = bytes.Repeat([]byte{1}, 32)
	otherSecret = bytes.Repeat([]byte{2}, 32)
)

func TestTicketsComeBackAsTheyWere(t *testing.T) {
	v := newVault("lb", [][]byte{oneSecret})
	for _, want := range []ticket{
		{host: "a"},
		{host: "ide-12", first: 1, last: 1<<32 - 1},
		{host: "eight-by", first: 7},
		{host: strings.Repeat("x", 64), first: 1700000000, last: 1700000001},
	} {
		value := v.append(nil, want)
		if got, old, ok := v.open(value); got != want || old || !ok {
			t.Errorf("got %v, %v, %v, want %v", got, old, ok, want)
		}
		if len(value) > maxValue {
			t.Errorf("%d characters for %s, want at most %d", len(value), want.host, maxValue)
		}
	}
}

func TestValuesShowNothingOfTheHost(t *testing.T) {
	v := newVault("lb", [][]byte{oneSecret})
	short, long := v.append(nil, ticket{host: "a"}), v.append(nil, ticket{host: "ide-7000"})
	if again := v.append(nil, ticket{host: "a"}); bytes.Equal(short, again) || len(short) != len(long) {
		t.Errorf("got %s and %s for one host, and %s for another", short, again, long)
	}
}

func TestForeignValuesAreNoTickets(t *testing.T) {
	v := newVault("lb", [][]byte{oneSecret})
	good := string(v.append(nil, ticket{host: "a"}))
	if _, _, ok := v.open([]byte(good)); !ok {
		t.Fatal("the good value is none")
	}
	last := "A"
	if strings.HasSuffix(good, last) {
		last = "Q"
	}
	for what, value := range map[string]string{
		"nothing":                          "",
		"the version alone":                "1",
		"a plain name":                     "a",
		"another version":                  "2" + good[1:],
		"another key":                      string(newVault("lb", [][]byte{otherSecret}).append(nil, ticket{host: "a"})),
		"another cookie":                   string(newVault("lc", [][]byte{oneSecret}).append(nil, ticket{host: "a"})),
		"a character less":                 good[:len(good)-1],
		"a character more":                 good + "A",
		"a block less":                     good[:len(good)-22],
		"another character":                good[:len(good)-1] + last,
		"quotes":                           `"` + good + `"`,
		"padding":                          good + "=",
		"a line break, which base64 skips": good[:9] + "\n" + good[9:],
		"too much":                         "1" + strings.Repeat("A", 4000),
	} {
		if got, _, ok := v.open([]byte(value)); ok || got != (ticket{}) {
			t.Errorf("%s: got %v", what, got)
		}
	}
}

func TestEveryBitOfAValueCounts(t *testing.T) {
	v := newVault("lb", [][]byte{oneSecret})
	value := v.append(nil, ticket{host: "a", first: 5})
	for i := range value {
		for bit := range 8 {
			spoofed := bytes.Clone(value)
			spoofed[i] ^= 1 << bit
			if got, _, ok := v.open(spoofed); ok {
				t.Errorf("byte %d, bit %d: got %v", i, bit, got)
			}
		}
	}
}

// TestKeysRotate goes the way of a region with several balancers: the new key is
// believed everywhere before anybody uses it, and the old one until nobody does.
func TestKeysRotate(t *testing.T) {
	want := ticket{host: "a"}
	before := newVault("lb", [][]byte{oneSecret})
	between := newVault("lb", [][]byte{oneSecret, otherSecret})
	turned := newVault("lb", [][]byte{otherSecret, oneSecret})
	after := newVault("lb", [][]byte{otherSecret})
	for _, row := range []struct {
		what       string
		made, read *vault
		old, ok    bool
	}{
		{"the old key, once the new one is believed", before, between, false, true},
		{"the new key, where it is only believed", turned, between, true, true},
		{"the old key, once the new one is first", between, turned, true, true},
		{"the new key, once it is alone", turned, after, false, true},
		{"the old key, once it has gone", between, after, false, false},
	} {
		if got, old, ok := row.read.open(row.made.append(nil, want)); ok != row.ok || old != row.old || ok && got != want {
			t.Errorf("%s: got %v, %v, %v", row.what, got, old, ok)
		}
	}
}

func TestProxiesWithoutASecretDontBelieveEachOther(t *testing.T) {
	if _, _, ok := newVault("lb", nil).open(newVault("lb", nil).append(nil, ticket{host: "a"})); ok {
		t.Error("believed")
	}
}

func TestTermsOfTickets(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	at := func(d time.Duration) uint32 { return uint32(now.Add(d).Unix()) }
	idle, life, both := terms{idle: time.Hour}, terms{life: time.Hour}, terms{idle: time.Hour, life: 24 * time.Hour}
	for _, row := range []struct {
		what   string
		terms  terms
		first  uint32
		last   uint32
		counts bool
		due    bool // a new one is set, if it counts
	}{
		{"no terms, no dates", terms{}, 0, 0, true, false},
		{"no terms: dates go", terms{}, at(-time.Hour), at(-time.Hour), true, true},
		{"idle: just seen", idle, 0, at(0), true, false},
		{"idle: seen a while ago", idle, 0, at(-4 * time.Minute), true, true},
		{"idle: at the limit", idle, 0, at(-time.Hour), true, true},
		{"idle: past it", idle, 0, at(-time.Hour - time.Second), false, false},
		{"idle: no date yet", idle, 0, 0, true, true},
		{"idle: a clock is fast", idle, 0, at(23 * time.Hour), true, false},
		{"idle: a clock is wrong", idle, 0, at(25 * time.Hour), false, false},
		{"life: young", life, at(-59 * time.Minute), 0, true, false},
		{"life: past it", life, at(-61 * time.Minute), 0, false, false},
		{"life: no date yet", life, 0, 0, true, true},
		{"life: a clock is wrong", life, at(25 * time.Hour), 0, false, false},
		{"both: used all the time, but old", both, at(-25 * time.Hour), at(0), false, false},
		{"both: young, but unused", both, at(-2 * time.Hour), at(-2 * time.Hour), false, false},
		{"both: fine", both, at(-2 * time.Hour), at(0), true, false},
	} {
		before := ticket{host: "a", first: row.first, last: row.last}
		if got := row.terms.hold(before, now); got != row.counts {
			t.Errorf("%s: counts is %v", row.what, got)
		}
		after, due := row.terms.renew(before, now)
		if row.counts && due != row.due {
			t.Errorf("%s: due is %v", row.what, due)
		}
		if row.counts && !row.terms.hold(after, now) {
			t.Errorf("%s: a renewed one doesn't count: %v", row.what, after)
		}
		if row.counts && row.terms.life > 0 && row.first != 0 && after.first != row.first {
			t.Errorf("%s: its life was prolonged", row.what)
		}
	}
}

// FuzzTickets holds, for whatever a client may send: a value is opened without
// harm, only what was sealed opens, and it says what was sealed.
func FuzzTickets(f *testing.F) {
	v := newVault("lb", [][]byte{oneSecret, otherSecret})
	known := ticket{host: "ide-1", first: 1, last: 2}
	good := v.append(nil, known)
	for _, seed := range [][]byte{nil, good, good[:20], bytes.Repeat([]byte{'1'}, maxValue), []byte("1AAAA\r\n")} {
		f.Add(seed, "ide-1", uint32(0), uint32(9))
	}
	f.Fuzz(func(t *testing.T, value []byte, host string, first, last uint32) {
		if got, _, ok := v.open(value); ok && got != known { // the seed, which each of the fuzzer's processes makes anew
			t.Errorf("%q is believed: %v", value, got)
		}
		if host = strings.ReplaceAll(host, "\x00", ""); len(host) == 0 || len(host) > maxSealed-ticketDates {
			return
		}
		want := ticket{host: host, first: first, last: last}
		if got, old, ok := v.open(v.append(nil, want)); got != want || old || !ok {
			t.Errorf("got %v, %v, %v, want %v", got, old, ok, want)
		}
	})
}
