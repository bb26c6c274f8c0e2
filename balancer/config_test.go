package balancer

import (
	"math"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestZeroConfigMeansTheDefaults(t *testing.T) {
	want := Config{
		Key:        []KeyRule{{Source: KeyQuery, Name: "token"}},
		Policy:     "consistent",
		Consistent: ConsistentConfig{Partitions: 16381, Replicas: 160, Load: 1.25},
		Rendezvous: RendezvousConfig{Slots: 65536},
		Maglev:     MaglevConfig{Slots: 65537},
		Ketama:     KetamaConfig{Points: 160},
		HAProxy:    HAProxyConfig{Type: "consistent", Function: "sdbm", Avalanche: new(true), HashKey: "id"},
	}
	if diff := cmp.Diff(want, Config{}.WithDefaults()); diff != "" {
		t.Errorf("defaults differ (-want +got):\n%s", diff)
	}
	if problems := (Config{}).Validate(); len(problems) > 0 {
		t.Errorf("got problems %v, want none", problems)
	}
}

func TestConfigIsReadFromYAML(t *testing.T) {
	const text = "policy: consistent\nconsistent: {partitions: 1021, replicas: 40, load: 1.1}\n"
	var got Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := Config{Policy: "consistent", Consistent: ConsistentConfig{Partitions: 1021, Replicas: 40, Load: 1.1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config differs (-want +got):\n%s", diff)
	}
}

func TestValidateNamesTheKeyAndWhatWouldBeRight(t *testing.T) {
	consistent := func(c ConsistentConfig) Config { return Config{Consistent: c} }
	rules := func(r ...KeyRule) Config { return Config{Key: r} }
	for _, row := range []struct {
		cfg  Config
		want string
	}{
		{Config{Policy: "modulo"}, `policy: there is no policy "modulo"; known: consistent, rendezvous, maglev, ketama, haproxy`},
		{consistent(ConsistentConfig{Partitions: -1}), "consistent.partitions: -1 is not in 1..131072"},
		{consistent(ConsistentConfig{Partitions: 131073}), "consistent.partitions: 131073 is not in 1..131072"},
		{consistent(ConsistentConfig{Replicas: -1}), "consistent.replicas: -1 is not in 1..1000"},
		{consistent(ConsistentConfig{Replicas: 1001}), "consistent.replicas: 1001 is not in 1..1000"},
		{consistent(ConsistentConfig{Load: 1}), "consistent.load: 1 is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{consistent(ConsistentConfig{Load: -2}), "consistent.load: -2 is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{consistent(ConsistentConfig{Load: math.NaN()}), "consistent.load: NaN is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{consistent(ConsistentConfig{Load: math.Inf(1)}), "consistent.load: +Inf is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{rules(KeyRule{KeyQuery, "a&b"}), `key[0].query: no query can have the name "a&b"`},
		{rules(KeyRule{KeyHeader, "X Token"}), `key[0].header: no header can have the name "X Token"`},
		{rules(KeyRule{KeyHeader, "X:Token"}), `key[0].header: no header can have the name "X:Token"`},
		{rules(KeyRule{KeyHeader, "X{Token"}), `key[0].header: no header can have the name "X{Token"`},
		{rules(KeyRule{KeyCookie, ""}), `key[0].cookie: no cookie can have the name ""`},
		{rules(KeyRule{KeyClient, ""}, KeyRule{KeyClient, ""}), `key[1]: the same rule is in the list twice`},
		{rules(KeyRule{"body", "x"}), `key[0]: keys can't be found by "body"; want query, cookie, header or source`},
	} {
		got := row.cfg.Validate()
		if len(got) != 1 || got[0].Error() != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

func TestValidateFindsAllProblemsAndNewBuilderJoinsThem(t *testing.T) {
	cfg := Config{Policy: "x", Consistent: ConsistentConfig{Partitions: -1, Replicas: -1, Load: -1}}
	if got := len(cfg.Validate()); got != 4 {
		t.Errorf("got %d problems, want 4", got)
	}
	if b, err := NewBuilder(cfg); err == nil || b != nil {
		t.Errorf("NewBuilder gave %v, %v, want an error", b, err)
	}
}
