package peers

import (
	"fmt"
	"testing"
	"time"

	"tokenring/route"
)

func keyOf(b byte) route.HostKey { return route.HostKey{b} }

func mustKey(t testing.TB, k HostKey) Register {
	t.Helper()
	r, err := k.Register()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOneKeyOfAHostCounts holds whatever the order in which registers come.
func TestOneKeyOfAHostCounts(t *testing.T) {
	learned := func(key byte, ms int, number uint64) HostKey {
		return HostKey{Host: "ide-1", Key: keyOf(key), Number: number, At: at(ms), Origin: "lb-1"}
	}
	said := func(key byte, ms int, number uint64) HostKey {
		k := learned(key, ms, number)
		k.By = "eva"
		return k
	}
	for what, row := range map[string]struct {
		all  []HostKey
		want byte
	}{
		"the one that was learned first":           {[]HostKey{learned(1, 5, 0), learned(2, 3, 0), learned(3, 9, 0)}, 2},
		"an operator's":                            {[]HostKey{learned(1, 5, 0), said(2, 9, 1)}, 2},
		"the last operator's":                      {[]HostKey{said(1, 5, 1), said(2, 4, 2), learned(3, 1, 0)}, 2},
		"an operator's before what was learned":    {[]HostKey{said(1, 9, 1), learned(2, 3, 1)}, 1},
		"none, once an operator has it forgotten":  {[]HostKey{learned(1, 5, 0), said(0, 9, 1)}, 0},
		"what was learned after it was forgotten":  {[]HostKey{learned(1, 5, 0), said(0, 9, 1), learned(2, 12, 1)}, 2},
		"a key before one that is to be forgotten": {[]HostKey{said(0, 9, 1), said(3, 8, 1)}, 3},
	} {
		for turn := range row.all {
			s := NewSet(nil)
			for i := range row.all {
				s.Merge(mustKey(t, row.all[(turn+i)%len(row.all)]), at(0))
			}
			if got, ok := s.HostKey("ide-1"); !ok || got.Key != keyOf(row.want) {
				t.Errorf("%s: got %+v", what, got)
			}
		}
	}
}

func TestAKeyIsToldAndReadAsItIs(t *testing.T) {
	k := HostKey{Host: "ide-1", Key: keyOf(7), Number: 3, At: at(5), Origin: "lb-1", By: "eva", Reason: "new disk", Machine: "10.0.0.1"}
	m, err := DecodeMessage(EncodeMessage(mustKey(t, k)), nil)
	if err != nil || len(m.Registers) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	if got, ok := m.Registers[0].HostKey(); !ok || got != k || m.Registers[0].isPartial() {
		t.Errorf("got %+v, want %+v", got, k)
	}
	for what, change := range map[string]func(*HostKey){
		"no host":        func(k *HostKey) { k.Host = "" },
		"no origin":      func(k *HostKey) { k.Origin = "" },
		"no time":        func(k *HostKey) { k.At = time.Time{} },
		"many words":     func(k *HostKey) { k.Number = maxRekeys + 1 },
		"no key":         func(k *HostKey) { k.Key, k.Number = route.HostKey{}, 0 },
		"a long name":    func(k *HostKey) { k.By = fmt.Sprintf("%65d", 1) },
		"a long machine": func(k *HostKey) { k.Machine = fmt.Sprintf("%999d", 1) },
	} {
		other := k
		change(&other)
		if _, err := other.Register(); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	const another = `{"kind":"host-key","key":"ide-1","rank":-5,"public":"BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","at":"2026-01-02T03:04:05Z","origin":"lb-1"}`
	if _, err := decodeOther([]byte(another)); err == nil {
		t.Error("a rank that isn't that of the time is taken")
	}
}

// TestKeysOfUnknownHostsAreBounded: those of hosts that are known stay.
func TestKeysOfUnknownHostsAreBounded(t *testing.T) {
	s := NewSet(func(host string) bool { return host == "h-0" })
	for i := range limits[hostKeys] + 10 {
		s.Merge(mustKey(t, HostKey{Host: fmt.Sprintf("h-%d", i), Key: keyOf(1), At: at(i), Origin: "lb-1"}), at(i))
	}
	if dropped := s.Prune(); len(dropped) != 10 || dropped[0].Key != "h-1" {
		t.Errorf("dropped %v", dropped)
	}
	if _, ok := s.HostKey("h-0"); !ok {
		t.Error("the key of a known host is gone")
	}
}

// TestAMachineKeepsFewKeysOfHostsThatAreGone: it may announce one name after the other, and
// keys of others stay.
func TestAMachineKeepsFewKeysOfHostsThatAreGone(t *testing.T) {
	s := NewSet(func(host string) bool { return host == "thief-3" })
	learn := func(host, machine, by string, ms int) {
		s.Merge(mustKey(t, HostKey{Host: host, Key: keyOf(1), At: at(ms), Origin: "lb-1", By: by, Machine: machine}), at(ms))
	}
	learn("ide-1", "10.0.0.1", "", 0)
	learn("ide-2", "", "", 0) // of an earlier version
	learn("said", "10.6.6.6", "eva", 0)
	for i := range 100 {
		learn(fmt.Sprintf("thief-%d", i), "10.6.6.6", "", 1+i)
		s.Prune()
	}
	for _, host := range []string{"ide-1", "ide-2", "said", "thief-3", "thief-99", fmt.Sprintf("thief-%d", 100-maxMachineKeys)} {
		if _, ok := s.HostKey(host); !ok {
			t.Errorf("the key of %s is gone", host)
		}
	}
	if n := s.Len(); n != 4+maxMachineKeys {
		t.Errorf("%d keys are kept", n)
	}
}
