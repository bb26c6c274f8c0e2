package balancer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// handedOver returns s as it comes out of JSON.
func handedOver(t *testing.T, s TableState) (got TableState) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARestoredTablePlacesEveryKeyAsBefore(t *testing.T) {
	hosts := []Host{{Name: "a", Weight: 1}, {Name: "b", ID: 7, Weight: 3}, {Name: "c", Weight: 2}, {Name: "d", Weight: 0}}
	for _, cfg := range []Config{
		{Policy: PolicyConsistent, Consistent: ConsistentConfig{Partitions: 509, Replicas: 10}},
		{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 503}},
		{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 512}},
	} {
		b, err := NewForecaster(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, some := range [][]Host{hosts, hosts[:1], nil} {
			built, err := b.Build(some)
			if err != nil {
				t.Fatal(err)
			}
			restored, err := b.Restore(handedOver(t, built.State()))
			if err != nil {
				t.Fatalf("%s, %d hosts: %v", cfg.Policy, len(some), err)
			}
			if !slices.Equal(restored.Hosts(), built.Hosts()) || len(some) > 0 && !restored.SameHash(built) {
				t.Errorf("%s: hosts %v, want %v", cfg.Policy, restored.Hosts(), built.Hosts())
			}
			for i := range 1000 {
				key := fmt.Appendf(nil, "key-%d", i)
				if got, want := restored.Candidates(key), built.Candidates(key); !slices.Equal(got, want) {
					t.Fatalf("%s, %s: candidates %v, want %v", cfg.Policy, key, got, want)
				}
			}
		}
	}
}

func TestATableOfAnotherConfigurationIsNotRestored(t *testing.T) {
	build := func(cfg Config) (*Builder, TableState) {
		b, err := NewForecaster(cfg)
		if err != nil {
			t.Fatal(err)
		}
		table, err := b.Build([]Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return b, table.State()
	}
	cfg := Config{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 512}}
	b, state := build(cfg)
	seeded := cfg
	seeded.Seed = "0123456789abcdef0123456789abcdef"
	keyed := cfg
	keyed.Key = []KeyRule{{Source: KeyHeader, Name: "X-Token"}}
	fewer := cfg
	fewer.Rendezvous.Slots = 256
	other := Config{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 503}}
	for _, c := range []Config{seeded, keyed, fewer, other} {
		another, _ := build(c)
		if _, err := another.Restore(state); err == nil {
			t.Errorf("%+v takes the table of %+v", c, cfg)
		}
	}
	for what, spoil := range map[string]func(*TableState){
		"an owner that isn't there": func(s *TableState) { s.Owners[0] = 1 },
		"a successor of no host":    func(s *TableState) { s.Successors[1] = 9 },
		"a slot without an owner":   func(s *TableState) { s.Owners = s.Owners[2:] },
		"no slots":                  func(s *TableState) { s.Owners, s.Successors = nil, nil },
		"another weight":            func(s *TableState) { s.Weights = []int{2, 1} },
		"a weight too many":         func(s *TableState) { s.Weights = []int{1, 1, 1} },
		"a host twice":              func(s *TableState) { s.Names[1] = "a" },
		"another owner of a slot":   func(s *TableState) { s.Owners[1] ^= 1 },
	} {
		spoilt := handedOver(t, state)
		spoil(&spoilt)
		if _, err := b.Restore(spoilt); err == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
}

func TestRingsAreBuiltAgain(t *testing.T) {
	b, err := NewForecaster(Config{Policy: PolicyKetama})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build([]Host{{Name: "a", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	state := table.State()
	if len(state.Owners) > 0 {
		t.Errorf("the state has %d bytes of owners", len(state.Owners))
	}
	if _, err := b.Restore(state); !errors.Is(err, ErrNotRestored) {
		t.Errorf("got %v, want %v", err, ErrNotRestored)
	}
}
