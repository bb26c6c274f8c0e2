package affinity

import (
	"bytes"
	"strings"
	"testing"
)

var (
	oneSecret   = bytes.Repeat([]byte{1}, 32)
	otherSecret = bytes.Repeat([]byte{2}, 32)
)

func TestPayloadsAreOpenedAsTheyWereSealed(t *testing.T) {
	s := NewSealer("lb", [][]byte{oneSecret})
	for _, want := range []Payload{
		{Host: "a"},
		{Host: "ide-12", First: 1, Last: 1<<32 - 1},
		{Host: "eight-by", First: 7},
		{Host: strings.Repeat("x", 64), First: 1700000000, Last: 1700000001},
	} {
		value := s.Append(nil, want)
		if got, old, ok := s.Open(value); got != want || old || !ok {
			t.Errorf("got %v, %v, %v, want %v", got, old, ok, want)
		}
		if len(value) > maxValue {
			t.Errorf("%d characters for %s, want at most %d", len(value), want.Host, maxValue)
		}
	}
}

func TestValuesShowNothingOfTheHost(t *testing.T) {
	s := NewSealer("lb", [][]byte{oneSecret})
	short, long := s.Append(nil, Payload{Host: "a"}), s.Append(nil, Payload{Host: "ide-7000"})
	if again := s.Append(nil, Payload{Host: "a"}); bytes.Equal(short, again) || len(short) != len(long) {
		t.Errorf("got %s and %s for one host, and %s for another", short, again, long)
	}
}

func TestForeignValuesAreRefused(t *testing.T) {
	s := NewSealer("lb", [][]byte{oneSecret})
	good := string(s.Append(nil, Payload{Host: "a"}))
	if _, _, ok := s.Open([]byte(good)); !ok {
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
		"another key":                      string(NewSealer("lb", [][]byte{otherSecret}).Append(nil, Payload{Host: "a"})),
		"another cookie":                   string(NewSealer("lc", [][]byte{oneSecret}).Append(nil, Payload{Host: "a"})),
		"a character less":                 good[:len(good)-1],
		"a character more":                 good + "A",
		"a block less":                     good[:len(good)-22],
		"another character":                good[:len(good)-1] + last,
		"quotes":                           `"` + good + `"`,
		"padding":                          good + "=",
		"a line break, which base64 skips": good[:9] + "\n" + good[9:],
		"too much":                         "1" + strings.Repeat("A", 4000),
	} {
		if got, _, ok := s.Open([]byte(value)); ok || got != (Payload{}) {
			t.Errorf("%s: got %v", what, got)
		}
	}
}

func TestEveryBitOfAValueCounts(t *testing.T) {
	s := NewSealer("lb", [][]byte{oneSecret})
	value := s.Append(nil, Payload{Host: "a", First: 5})
	for i := range value {
		for bit := range 8 {
			spoofed := bytes.Clone(value)
			spoofed[i] ^= 1 << bit
			if got, _, ok := s.Open(spoofed); ok {
				t.Errorf("byte %d, bit %d: got %v", i, bit, got)
			}
		}
	}
}

// TestKeysRotate goes the way of a region with several balancers: the new key is
// believed everywhere before anybody uses it, and the old one until nobody does.
func TestKeysRotate(t *testing.T) {
	want := Payload{Host: "a"}
	before := NewSealer("lb", [][]byte{oneSecret})
	between := NewSealer("lb", [][]byte{oneSecret, otherSecret})
	turned := NewSealer("lb", [][]byte{otherSecret, oneSecret})
	after := NewSealer("lb", [][]byte{otherSecret})
	for _, row := range []struct {
		what       string
		made, read *Sealer
		old, ok    bool
	}{
		{"the old key, once the new one is believed", before, between, false, true},
		{"the new key, where it is only believed", turned, between, true, true},
		{"the old key, once the new one is first", between, turned, true, true},
		{"the new key, once it is alone", turned, after, false, true},
		{"the old key, once it has gone", between, after, false, false},
	} {
		if got, old, ok := row.read.Open(row.made.Append(nil, want)); ok != row.ok || old != row.old || ok && got != want {
			t.Errorf("%s: got %v, %v, %v", row.what, got, old, ok)
		}
	}
}

func TestProxiesWithoutASecretRefuseEachOthersValues(t *testing.T) {
	if _, _, ok := NewSealer("lb", nil).Open(NewSealer("lb", nil).Append(nil, Payload{Host: "a"})); ok {
		t.Error("believed")
	}
}

// FuzzSealer holds, for whatever a client may send: a value is opened without
// harm, only what was sealed opens, and it says what was sealed.
func FuzzSealer(f *testing.F) {
	s := NewSealer("lb", [][]byte{oneSecret, otherSecret})
	known := Payload{Host: "ide-1", First: 1, Last: 2}
	good := s.Append(nil, known)
	for _, seed := range [][]byte{nil, good, good[:20], bytes.Repeat([]byte{'1'}, maxValue), []byte("1AAAA\r\n")} {
		f.Add(seed, "ide-1", uint32(0), uint32(9))
	}
	f.Fuzz(func(t *testing.T, value []byte, host string, first, last uint32) {
		if got, _, ok := s.Open(value); ok && got != known { // the seed, which each of the fuzzer's processes makes anew
			t.Errorf("%q is believed: %v", value, got)
		}
		if host = strings.ReplaceAll(host, "\x00", ""); len(host) == 0 || len(host) > maxPlain-datesSize {
			return
		}
		want := Payload{Host: host, First: first, Last: last}
		if got, old, ok := s.Open(s.Append(nil, want)); got != want || old || !ok {
			t.Errorf("got %v, %v, %v, want %v", got, old, ok, want)
		}
	})
}

// TestSecretsMayChange: what the new ones have sealed is opened, and what the old ones have
// is only as long as they are among them.
func TestSecretsMayChange(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	a := New(withDefaults(CookieConfig{}), [][]byte{one})
	value := func(secret []byte) []byte { return NewSealer("lb", [][]byte{secret}).Append(nil, Payload{Host: "a"}) }
	for _, step := range []struct {
		secrets            [][]byte
		opensOne, opensTwo bool
	}{{[][]byte{one, two}, true, true}, {[][]byte{two, one}, true, true}, {[][]byte{two}, false, true}} {
		a.SetSecrets(step.secrets)
		_, _, ok := a.sealer.Load().Open(value(one))
		_, _, alsoTwo := a.sealer.Load().Open(value(two))
		if ok != step.opensOne || alsoTwo != step.opensTwo {
			t.Errorf("with %d secrets: opens the old one's %v, the new one's %v", len(step.secrets), ok, alsoTwo)
		}
	}
	(*Cookies)(nil).SetSecrets(nil)
}
