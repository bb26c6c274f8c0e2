package balancer

import (
	"math"
	"reflect"
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
		Ketama:     KetamaConfig{Points: 160, Names: KetamaNamesHost},
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
	const text = "policy: haproxy\nconsistent: {partitions: 1021, replicas: 40, load: 1.1}\n" +
		"rendezvous: {slots: 4096}\nmaglev: {slots: 4093}\nketama: {points: 40}\n" +
		"haproxy: {type: map-based, function: wt6, avalanche: true}\n"
	var got Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Policy:     "haproxy",
		Consistent: ConsistentConfig{Partitions: 1021, Replicas: 40, Load: 1.1},
		Rendezvous: RendezvousConfig{Slots: 4096},
		Maglev:     MaglevConfig{Slots: 4093},
		Ketama:     KetamaConfig{Points: 40},
		HAProxy:    HAProxyConfig{Type: "map-based", Function: "wt6", Avalanche: new(true)},
	}
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
		{Config{Policy: "modulo"}, `policy: there is no policy "modulo"; known: consistent, rendezvous, maglev, ketama, haproxy, round-robin, least-connections`},
		{consistent(ConsistentConfig{Partitions: -1}), "consistent.partitions: -1 is not in 1..131072"},
		{consistent(ConsistentConfig{Partitions: 131073}), "consistent.partitions: 131073 is not in 1..131072"},
		{consistent(ConsistentConfig{Replicas: -1}), "consistent.replicas: -1 is not in 1..1000"},
		{consistent(ConsistentConfig{Replicas: 1001}), "consistent.replicas: 1001 is not in 1..1000"},
		{consistent(ConsistentConfig{Load: 1}), "consistent.load: 1 is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{consistent(ConsistentConfig{Load: -2}), "consistent.load: -2 is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{consistent(ConsistentConfig{Load: math.NaN()}), "consistent.load: NaN is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{consistent(ConsistentConfig{Load: math.Inf(1)}), "consistent.load: +Inf is not in 1.05..10: a host may own at most this multiple of its fair share"},
		{Config{Rendezvous: RendezvousConfig{Slots: -1}}, "rendezvous.slots: -1 is not in 1..524288"},
		{Config{Rendezvous: RendezvousConfig{Slots: 524289}}, "rendezvous.slots: 524289 is not in 1..524288"},
		{Config{Maglev: MaglevConfig{Slots: 131101}}, "maglev.slots: 131101 is not in 1..131072"},
		{Config{Maglev: MaglevConfig{Slots: 65536}}, "maglev.slots: 65536 is not a prime; the nearest primes are 65521 and 65537"},
		{Config{Maglev: MaglevConfig{Slots: 1}}, "maglev.slots: 1 is not a prime; the nearest primes are 2 and 2"},
		{Config{Ketama: KetamaConfig{Points: 1001}}, "ketama.points: 1001 is not in 1..1000"},
		{Config{HAProxy: HAProxyConfig{Type: "ring"}}, `haproxy.type: "ring" is not known here; use one of: consistent, map-based`},
		{Config{HAProxy: HAProxyConfig{Function: "md5"}}, `haproxy.function: "md5" is not known here; use one of: crc32, djb2, none, sdbm, wt6`},
		{Config{HAProxy: HAProxyConfig{HashKey: "addr"}}, `haproxy.hash_key: "addr" is not known here; use one of: id, id-3.0`},
		{Config{HAProxy: HAProxyConfig{Type: "map-based", HashKey: "id-3.0"}}, "haproxy.hash_key: type map-based doesn't use ids; leave hash_key out"},
		{Config{Seed: "fifteen bytes.."}, "seed: a seed of 15 bytes can be guessed; use at least 16 bytes, such as from: openssl rand -hex 16"},
		{Config{Seed: "sixteen bytes...", Policy: "haproxy"}, "seed: the policy haproxy can't have a seed, since HAProxy has none; leave it out, or choose another policy"},
		{rules(KeyRule{KeyQuery, "a&b"}), `key[0].query: "a&b" can't be the name of a query parameter`},
		{rules(KeyRule{KeyHeader, "X Token"}), `key[0].header: "X Token" can't be the name of a header`},
		{rules(KeyRule{KeyHeader, "X:Token"}), `key[0].header: "X:Token" can't be the name of a header`},
		{rules(KeyRule{KeyHeader, "X{Token"}), `key[0].header: "X{Token" can't be the name of a header`},
		{rules(KeyRule{KeyPath, "0"}), `key[0].path_segment: 0 is not in 1..64; 2 is b in /a/b/c`},
		{rules(KeyRule{KeyPath, "65"}), `key[0].path_segment: 65 is not in 1..64; 2 is b in /a/b/c`},
		{rules(KeyRule{KeyPath, "0x2"}), `key[0].path_segment: 0x2 is not in 1..64; 2 is b in /a/b/c`},
		{rules(KeyRule{KeyCertificate, "issuer"}), `key[0].client_certificate: "issuer" is no part of a certificate that can be a key; use subject or fingerprint`},
		{rules(KeyRule{KeyTrusted, "X User"}), `key[0].trusted_header: "X User" can't be the name of a header`},
		{rules(KeyRule{KeyCookie, ""}), `key[0].cookie: "" can't be the name of a cookie`},
		{rules(KeyRule{KeyClient, ""}, KeyRule{KeyClient, ""}), `key[1]: the same rule is in the list twice`},
		{rules(KeyRule{"body", "x"}), `key[0]: "body" is not a source of keys; use query, cookie, header, path_segment, trusted_header, client_certificate or source`},
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

// TestHAProxysDefaultsAreThoseOfItsHashTypeLine follows its manual: naming a
// function turns the avalanche off, be it the default one.
func TestHAProxysDefaultsAreThoseOfItsHashTypeLine(t *testing.T) {
	for _, row := range []struct {
		given     HAProxyConfig
		kind      string
		function  string
		avalanche bool
	}{
		{HAProxyConfig{}, "consistent", "sdbm", true},
		{HAProxyConfig{Type: "consistent", Function: "sdbm"}, "consistent", "sdbm", false},
		{HAProxyConfig{Function: "djb2", Avalanche: new(true)}, "consistent", "djb2", true},
		{HAProxyConfig{Avalanche: new(false)}, "consistent", "sdbm", false},
		{HAProxyConfig{Type: "map-based"}, "map-based", "sdbm", false},
		{HAProxyConfig{Type: "map-based", Avalanche: new(true)}, "map-based", "sdbm", true},
	} {
		got := Config{HAProxy: row.given}.WithDefaults().WithDefaults().HAProxy
		if got.Type != row.kind || got.Function != row.function || *got.Avalanche != row.avalanche {
			t.Errorf("%+v: got %s %s, avalanche %t", row.given, got.Type, got.Function, *got.Avalanche)
		}
	}
}

// TestParametersAreThoseOfThePolicyWithoutTheSeed reads them back as the policy's
// section of lb.yaml.
func TestParametersAreThoseOfThePolicyWithoutTheSeed(t *testing.T) {
	for _, policy := range policies {
		cfg := Config{Policy: policy}.WithDefaults()
		text, err := yaml.Marshal(map[string]any{"policy": policy, policy: cfg.Parameters()})
		if err != nil {
			t.Fatal(err)
		}
		var got Config
		if err := yaml.UnmarshalWithOptions(text, &got, yaml.Strict()); err != nil {
			t.Errorf("%s: %v", policy, err)
		}
		var section reflect.Value
		for i := range reflect.TypeFor[Config]().NumField() {
			if reflect.TypeFor[Config]().Field(i).Tag.Get("yaml") == policy {
				section = reflect.ValueOf(got).Field(i)
			}
		}
		for i := range section.NumField() {
			if section.Field(i).IsZero() {
				t.Errorf("%s: %s is missing", policy, section.Type().Field(i).Name)
			}
		}
		cfg.Seed = "a seed that isn't a parameter"
		if diff := cmp.Diff(got.WithDefaults().Parameters(), cfg.Parameters()); diff != "" {
			t.Errorf("%s: -want +got\n%s", policy, diff)
		}
	}
}

// TestPoliciesWithoutKeysHaveNone: not even the default one.
func TestPoliciesWithoutKeysHaveNone(t *testing.T) {
	for _, policy := range []string{PolicyRoundRobin, PolicyLeastConnections} {
		c := Config{Policy: policy}
		if !c.Keyless() || len(c.WithDefaults().Key) > 0 || len(c.Validate()) > 0 {
			t.Errorf("%s: got %v, %v", policy, c.WithDefaults().Key, c.Validate())
		}
		c.Key, c.BoundedLoad = []KeyRule{{Source: KeyQuery, Name: "t"}}, 2
		if got := c.Validate(); len(got) != 2 || got[0].Path != "key" || got[1].Path != "bounded_load" {
			t.Errorf("%s: got %v", policy, got)
		}
		b, err := NewBuilder(Config{Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		if table, err := b.Build([]Host{{Name: "a", Weight: 1}}); err != nil || len(table.Hosts()) != 1 {
			t.Errorf("%s: got %v, %v", policy, table, err)
		}
	}
}
