package peers

import (
	"strings"
	"testing"
	"time"
)

func precedence(t *testing.T, p Precedence) Register {
	t.Helper()
	r, err := p.Register()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheEarliestPrecedenceOfAnAddressCounts(t *testing.T) {
	seen := func(number uint64, address string, minute int) Precedence {
		return Precedence{Host: "ide-1", Number: number, Address: address, ID: 7, Since: at(0).Add(time.Duration(minute) * time.Minute)}
	}
	const here, there = "10.0.0.1:4000", "10.0.0.2:4000"
	for what, row := range map[string]struct{ first, then, want Precedence }{
		"an earlier time":            {seen(0, here, 5), seen(0, here, 4), seen(0, here, 4)},
		"a later time":               {seen(0, here, 5), seen(0, here, 6), seen(0, here, 5)},
		"another address":            {seen(0, here, 5), seen(1, there, 6), seen(1, there, 6)},
		"what was before":            {seen(1, there, 6), seen(0, here, 5), seen(1, there, 6)},
		"an earlier time, in vain":   {seen(1, there, 6), seen(0, here, 1), seen(1, there, 6)},
		"the same address once more": {seen(1, there, 6), seen(2, here, 7), seen(2, here, 7)},
	} {
		s := NewSet(nil)
		s.Merge(precedence(t, row.first), at(0))
		s.Merge(precedence(t, row.then), at(0))
		if got := s.Precedence("ide-1"); got != row.want {
			t.Errorf("%s: got %+v, want %+v", what, got, row.want)
		}
	}
	if got := NewSet(nil).Precedence("ide-1"); got != (Precedence{}) {
		t.Errorf("nothing is known, got %+v", got)
	}
}

func TestAPrecedenceSurvivesTheWayToAPeer(t *testing.T) {
	want := Precedence{Host: "ide-1", Number: 3, Address: "[fd00::1]:4000", ID: 7, Since: at(0)}
	m, err := DecodeMessage(EncodeMessage(precedence(t, want)), nil)
	if err != nil || len(m.Registers) != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
	if got, ok := m.Registers[0].Precedence(); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if m.Registers[0].isPartial() {
		t.Error("it counts as a register that isn't understood")
	}
}

func TestPrecedencesOutOfBoundsAreRefused(t *testing.T) {
	good := Precedence{Host: "ide-1", Address: "10.0.0.1:4000", Since: at(0)}
	for what, change := range map[string]func(*Precedence){
		"no host":           func(p *Precedence) { p.Host = "" },
		"no address":        func(p *Precedence) { p.Address = "" },
		"a long address":    func(p *Precedence) { p.Address = strings.Repeat("a", 200) + ":80" },
		"no time":           func(p *Precedence) { p.Since = time.Time{} },
		"very many returns": func(p *Precedence) { p.Number = maxReturns + 1 },
	} {
		p := good
		change(&p)
		if _, err := p.Register(); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	entry := precedence(t, good).entry
	for _, bad := range []string{
		strings.Replace(entry, `"rank":-`, `"rank":`, 1),
		strings.Replace(entry, `10.0.0.1:4000`, `10.0.0.1`, 1),
	} {
		if m, err := DecodeMessage([]byte(`{"version":1,"registers":[`+bad+`]}`), nil); err != nil || len(m.Registers) > 0 || len(m.Refused) != 1 {
			t.Errorf("%s: got %+v, %v", bad, m, err)
		}
	}
}
