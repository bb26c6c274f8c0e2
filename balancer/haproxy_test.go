package balancer

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// The vectors in testdata are answers of a running HAProxy 2.6.12 and 3.0.11.

func readVectors(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile("../testdata/balancer/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// A vector is one configuration of HAProxy and its answers.
type vector struct {
	Note   string
	Config struct {
		Function   string
		Avalanche  bool
		HashType   string `json:"hash_type"`
		HashKey    string `json:"hash_key"`
		AllBackups bool
		Servers    []vectorServer
	}
	Servers []string // that answered, by token
}

// haproxyVectors returns the configurations, and the tokens that each was asked.
func haproxyVectors(t *testing.T, name string) (tokens []string, configurations []vector) {
	t.Helper()
	var file struct {
		Tokens         []string
		Configurations []vector
	}
	readVectors(t, name, &file)
	return file.Tokens, file.Configurations
}

type vectorServer struct {
	Name       string
	ID         uint32
	Weight     int
	Up, Backup bool
}

// usable returns the servers that HAProxy has in its table.
func (v *vector) usable() []Host {
	var active, backups []Host
	for _, s := range v.Config.Servers {
		h := Host{Name: s.Name, ID: s.ID, Weight: s.Weight}
		switch {
		case !s.Up:
		case s.Backup:
			backups = append(backups, h)
		default:
			active = append(active, h)
		}
	}
	switch {
	case len(active) > 0:
		return active
	case !v.Config.AllBackups:
		return backups[:1]
	}
	return backups
}

// table returns the table of hosts. It also accepts ids that a Builder refuses. For a
// map it sets the ids to the numbers of the lines.
func (v *vector) table(t *testing.T, hosts []Host) *Table {
	t.Helper()
	cfg := HAProxyConfig{Type: v.Config.HashType, Function: v.Config.Function, Avalanche: &v.Config.Avalanche, HashKey: v.Config.HashKey}
	if v.Config.HashType == HAProxyMapBased {
		for i := range hosts {
			hosts[i].ID = uint32(i + 1)
		}
		return build(t, Config{Policy: PolicyHAProxy, HAProxy: cfg}, hosts...)
	}
	policy, ok := newHAProxyPolicy(cfg.withDefaults()).(*haproxyPolicy)
	if !ok {
		t.Fatalf("%s: not a ring", v.Config.HashType)
	}
	lines := make([]uint16, len(hosts))
	for i := range lines {
		lines[i] = uint16(i)
	}
	ring := newHashRing(policy.points(hosts, lines), len(hosts), true, policy.hash)
	return newTable(policy, "", hosts, ring.layout(policy.space()))
}

func TestEveryAnswerOfARealHAProxyIsReproduced(t *testing.T) {
	for name, want := range map[string]int{"haproxy.json": 5168, "haproxy-3.0.json": 680} {
		if got := reproduce(t, name); got != want {
			t.Errorf("%s: got %d answers, want %d", name, got, want)
		}
	}
}

// reproduce compares our answers with those of a file, and counts them.
func reproduce(t *testing.T, name string) (answers int) {
	t.Helper()
	tokens, vectors := haproxyVectors(t, name)
	for _, v := range vectors {
		hosts := v.usable()
		table := v.table(t, hosts)
		for i, want := range v.Servers {
			answers++
			if got := hosts[table.Owner([]byte(tokens[i]))].Name; got != want {
				t.Errorf("%+v: %s: got %s, want %s", v.Config, tokens[i], got, want)
			}
		}
	}
	return answers
}

// TestServerThatIsDownIsPassedOverAsInHAProxy has all servers in the table, and
// those that are down in the vectors not serving.
func TestServerThatIsDownIsPassedOverAsInHAProxy(t *testing.T) {
	tokens, vectors := haproxyVectors(t, "haproxy.json")
	moved := 0
	for _, v := range vectors {
		all, up := v.all()
		if v.Config.HashType != HAProxyConsistent || v.Config.Servers[0].Backup || !slices.Contains(up, false) || v.Config.AllBackups {
			continue
		}
		table := v.table(t, all)
		for i, want := range v.Servers {
			got, rule := table.Pick([]byte(tokens[i]), up, -1)
			if all[got].Name != want {
				t.Errorf("%s: %s: got %s, want %s", v.Note, tokens[i], all[got].Name, want)
			}
			if rule == RuleFallback {
				moved++
			}
		}
	}
	if moved < 60 {
		t.Errorf("got %d fallbacks, want at least 60", moved)
	}
}

// all returns the servers, and which of them are up.
func (v *vector) all() (hosts []Host, up []bool) {
	for _, s := range v.Config.Servers {
		hosts = append(hosts, Host{Name: s.Name, ID: s.ID, Weight: s.Weight})
		up = append(up, s.Up)
	}
	return hosts, up
}

// TestRequestsWithoutTokenShowHAProxysRing follows requests on one connection.
// HAProxy sends requests without a key to the points in turn, the lowest first, which
// proves the order of our slots. HAProxy hashes an empty value; the table could, too,
// but for QueryValue it isn't a key.
func TestRequestsWithoutTokenShowHAProxysRing(t *testing.T) {
	var vectors struct {
		Cases []struct {
			URI    string
			Value  *string
			Server string
		}
	}
	readVectors(t, "haproxy-url.json", &vectors)
	hosts := make([]Host, 5)
	for i := range hosts {
		hosts[i] = Host{Name: "s" + string(rune('1'+i)), ID: uint32(i + 1), Weight: 1}
	}
	table := build(t, Config{Policy: PolicyHAProxy}, hosts...)
	ring, ok := table.layout.router.(*hashRing)
	if !ok {
		t.Fatal("not a ring")
	}
	turn := slices.Index(ring.points, slices.Min(ring.points))
	for _, c := range vectors.Cases {
		owner := 0
		if c.Value != nil {
			owner = table.Owner([]byte(*c.Value))
		} else {
			owner = table.SlotOwner(turn % table.Slots())
			turn++
		}
		if got := hosts[owner].Name; got != c.Server {
			t.Errorf("%s: got %s, want %s", c.URI, got, c.Server)
		}
	}
	if len(vectors.Cases) != 300 {
		t.Errorf("got %d cases, want 300", len(vectors.Cases))
	}
}

func TestHAProxysFunctionsGiveTheKnownAnswers(t *testing.T) {
	for _, row := range []struct {
		key                    string
		sdbm, djb2, wt6, crc32 [2]uint32 // plain, with avalanche
	}{
		{"", [2]uint32{0, 0xab4ed927}, [2]uint32{0x1505, 0xddb17387}, [2]uint32{0xf99a0360, 0x8e32b3b9}, [2]uint32{0, 0xab4ed927}},
		{"a", [2]uint32{0x61, 0x6d1eff97}, [2]uint32{0x2b606, 0xd385d69f}, [2]uint32{0x714bf225, 0x7669dd2b}, [2]uint32{0xe8b7be43, 0x4cc86316}},
		{"alice", [2]uint32{0x918784a0, 0x2be666ad}, [2]uint32{0x0f174dc3, 0xdbeefe5b}, [2]uint32{0x2327a4a7, 0x7e011e69}, [2]uint32{0x278ebc47, 0xdd0d6fd0}},
		{"user1000", [2]uint32{0xbac4f54a, 0x40aa3eca}, [2]uint32{0xfdf681a5, 0x4fdade94}, [2]uint32{0xa2003542, 0xe57e57fe}, [2]uint32{0x125adb66, 0x4d863013}},
		{"%61lice", [2]uint32{0x76c6b05f, 0x7bee3712}, [2]uint32{0xa594acae, 0x291501de}, [2]uint32{0x4beb3ec2, 0xc2cfce3f}, [2]uint32{0x0b75a964, 0x005eb4b9}},
	} {
		for name, want := range map[string][2]uint32{"sdbm": row.sdbm, "djb2": row.djb2, "wt6": row.wt6, "crc32": row.crc32} {
			got := [2]uint32{haproxyHash(name, false)([]byte(row.key)), haproxyHash(name, true)([]byte(row.key))}
			if got != want {
				t.Errorf("%s of %q: got %x, want %x", name, row.key, got, want)
			}
		}
	}
	for in, want := range map[uint32]uint32{0: 0xab4ed927, 1: 0x348681b6, 4096: 0x49c2008b, 4097: 0xa4972c87, 8192: 0x405afe73, 0xffffffff: 0x7e64c182} {
		if got := mix32(in); got != want {
			t.Errorf("mix32(%x) = %x, want %x", in, got, want)
		}
	}
}

func TestHashNoneReadsANumber(t *testing.T) {
	for key, want := range map[string]uint32{
		"":                      0,
		"x1":                    0,
		"0":                     0,
		"17":                    17,
		"+17":                   17,
		"-1":                    0xffffffff,
		"-17x":                  0xffffffef,
		"--1":                   0, // one sign
		"4294967296":            0,
		"4294967301abc":         5,
		"9223372036854775803":   0xfffffffb,
		"9223372036854775807":   0xffffffff,
		"9223372036854775808":   0xffffffff, // held at the largest of 64 bits with a sign
		"18446744073709551614":  0xffffffff,
		"99999999999999999999":  0xffffffff,
		"-9223372036854775807":  1,
		"-9223372036854775809":  0,
		"-99999999999999999999": 0,
	} {
		if got := number([]byte(key)); got != want {
			t.Errorf("%q: got %x, want %x", key, got, want)
		}
	}
}

// TestPolynomialIsTheLoopThatHAProxyHas compares it with one byte after the other.
func TestPolynomialIsTheLoopThatHAProxyHas(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for n := range 70 {
		key := make([]byte, n)
		for i := range key {
			key[i] = byte(rng.Uint32())
		}
		s, d := uint32(0), uint32(5381)
		for _, c := range key {
			s = uint32(c) + s<<6 + s<<16 - s
			d = d<<5 + d + uint32(c)
		}
		if sdbm(key) != s || djb2(key) != d {
			t.Errorf("%x: got %x and %x, want %x and %x", key, sdbm(key), djb2(key), s, d)
		}
	}
}

// TestMapIsFilledAsHAProxyDoes compares the heap with HAProxy's own steps, which
// divide the weights by what those of absent servers have in common with them,
// too: that only repeats the list.
func TestMapIsFilledAsHAProxyDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	for range 400 {
		hosts := fleet(1 + rng.IntN(9))
		order := make([]uint16, len(hosts))
		for i := range hosts {
			hosts[i].Weight = 1 + rng.IntN([]int{1, 3, 40, 256}[rng.IntN(4)])
			order[i] = uint16(i)
		}
		absent := uint16(rng.IntN(len(hosts) + 1)) // also the index of no host
		got, want := mapSlots(hosts, order, absent), steps(hosts, absent)
		if len(want) == 0 {
			if len(got) != 0 {
				t.Fatalf("%v without %d: got %v, want nothing", hosts, absent, got)
			}
			continue
		}
		for hash, owner := range want {
			if len(got) == 0 || len(want)%len(got) != 0 || got[hash%len(got)] != owner {
				t.Fatalf("%v without %d: got %v, want %v", hosts, absent, got, want)
			}
		}
	}
}

// steps is HAProxy's way to fill a map, with weights that aren't divided.
func steps(hosts []Host, absent uint16) []uint16 {
	total := totalWeight(hosts)
	if int(absent) < len(hosts) {
		total -= hosts[absent].Weight
	}
	score := make([]int, len(hosts))
	var list []uint16
	for range total {
		winner, most := -1, -1
		for i, h := range hosts {
			if i == int(absent) {
				continue
			}
			score[i] += h.Weight
			if claim := (score[i] + total) / total; claim > most {
				winner, most = i, claim
			}
		}
		score[winner] -= total
		list = append(list, uint16(winner))
	}
	return list
}

func TestIDsThatHAProxyCannotDistinguishAreRefused(t *testing.T) {
	for _, kind := range []string{HAProxyConsistent, HAProxyMapBased} {
		cfg := Config{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: kind}}
		for _, row := range []struct {
			a, b uint32
			want string
		}{
			{1, 2, ""},
			{1 << 20, 1<<20 + 1, ""},
			{MaxHAProxyID, 1, ""},
			{7, 7, `hosts "a" and "b" have the ids 7 and 7, which HAProxy can't distinguish: give them ids that differ modulo 1048576`},
			{1, 1048577, `hosts "a" and "b" have the ids 1 and 1048577, which HAProxy can't distinguish: give them ids that differ modulo 1048576`},
			{2097153, 1048577, `hosts "a" and "b" have the ids 2097153 and 1048577, which HAProxy can't distinguish: give them ids that differ modulo 1048576`},
			{3, 0, `host "b" has the id 0; this policy needs one in 1..2147483647`},
			{1 << 31, 3, `host "a" has the id 2147483648; this policy needs one in 1..2147483647`},
		} {
			_, err := newBuilder(t, cfg).Build([]Host{{"b", row.b, 1}, {"a", row.a, 1}})
			if got := strings.TrimPrefix(errorText(err), "build haproxy table: "); got != row.want {
				t.Errorf("%s, %d and %d: got %q, want %q", kind, row.a, row.b, got, row.want)
			}
		}
		if _, err := newBuilder(t, cfg).Build([]Host{{"a", 1, 1}, {"b", 1, 0}}); err != nil {
			t.Errorf("%s: a host outside the table has the same id: got %v, want no error", kind, err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestHashKeyOfHAProxy30PutsThePointsElsewhere pins the first point of host 1,
// which is the mixture of its number, mixed again.
func TestHashKeyOfHAProxy30PutsThePointsElsewhere(t *testing.T) {
	cfg := HAProxyConfig{HashKey: HAProxyHashKey30}
	policy, ok := newHAProxyPolicy(cfg.withDefaults()).(*haproxyPolicy)
	if !ok {
		t.Fatal("not a ring")
	}
	points := policy.points(fleet(1), []uint16{0})
	if want := mix32(0x348681b6); len(points) != 16 || points[0].at != want {
		t.Errorf("got %d points, the first at %x, want 16 and %x", len(points), points[0].at, want)
	}
	moved := Compare(build(t, Config{Policy: PolicyHAProxy}, fleet(10)...), build(t, Config{Policy: PolicyHAProxy, HAProxy: cfg}, fleet(10)...))
	if moved.Moved < 0.8 {
		t.Errorf("got %.2f of the keys elsewhere, want about 0.9", moved.Moved)
	}
}
