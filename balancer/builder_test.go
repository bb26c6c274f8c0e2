package balancer

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuildSortsAndLeavesTheCallersHostsAlone(t *testing.T) {
	given := []Host{{"c", 3, 1}, {"a", 1, 2}, {"d", 4, 0}, {"b", 2, 1}}
	before := slices.Clone(given)
	table := build(t, small, given...)
	given[0].Name = "changed later"
	want := []Host{{"a", 1, 2}, {"b", 2, 1}, {"c", 3, 1}}
	if diff := cmp.Diff(want, table.Hosts()); diff != "" {
		t.Errorf("hosts differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before[1:], given[1:]); diff != "" {
		t.Errorf("the caller's hosts were changed (-want +got):\n%s", diff)
	}
}

func TestBadSetsAreRefusedAndDoNotSpoilTheNextBuild(t *testing.T) {
	builder := newBuilder(t, Config{Consistent: ConsistentConfig{Partitions: 20, Replicas: 5}})
	want := rebuild(t, builder, fleet(3)...).Digest()
	heavy := make([]Host, 17)
	for i, h := range fleet(17) {
		heavy[i] = Host{Name: h.Name, Weight: 256}
	}
	for _, row := range []struct {
		want  string
		hosts []Host
	}{
		{"a host has no name", []Host{{Name: "", Weight: 1}}},
		{`host "a#1": a name can't contain '#'`, []Host{{Name: "a#1", Weight: 1}}},
		{`host "a" is there twice`, []Host{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}, {Name: "a", Weight: 2}}},
		{`host "a" is there twice`, []Host{{Name: "a", Weight: 1}, {Name: "a", Weight: 0}}},
		{`host "a": weight -1 is not in 0..256`, []Host{{Name: "a", Weight: -1}}},
		{`host "a": weight 257 is not in 0..256`, []Host{{Name: "a", Weight: 257}}},
		{"the weights add up to 4352; at most 4096 are possible", heavy},
		{"the weights add up to 21; at most 20 are possible, the number of partitions", []Host{{Name: "a", Weight: 10}, {Name: "b", Weight: 11}}},
	} {
		table, err := builder.Build(row.hosts)
		if table != nil || err == nil || err.Error() != "build consistent table: "+row.want {
			t.Errorf("got %v, %v, want the error %q", table, err, row.want)
		}
		if got := rebuild(t, builder, fleet(3)...).Digest(); got != want {
			t.Errorf("the table after the error %q is %s, want %s", row.want, got, want)
		}
	}
}

// TestLibraryPanicIsAnErrorAndLeavesNothingBehind makes the library panic with
// a load that Validate doesn't let through.
func TestLibraryPanicIsAnErrorAndLeavesNothingBehind(t *testing.T) {
	policy := &consistentPolicy{cfg: small.WithDefaults().Consistent}
	builder := &Builder{policy: policy}
	want := rebuild(t, builder, fleet(4)...).Digest()
	for _, hosts := range []int{5, 40} { // by Add, and by New
		policy.cfg.Load = 0.5
		if hosts == 5 {
			policy.ring = policy.newInstance(nil)
			policy.members = nil
			for _, h := range fleet(4) {
				policy.members = append(policy.members, member(memberName(h.Name, 0)))
			}
		}
		table, err := builder.Build(fleet(hosts))
		if table != nil || err == nil || !strings.Contains(err.Error(), "not enough room") {
			t.Errorf("%d hosts: got %v, %v, want an error", hosts, table, err)
		}
		policy.cfg.Load = 1.25
		if got := rebuild(t, builder, fleet(4)...).Digest(); got != want {
			t.Errorf("%d hosts: the table after the panic is %s, want %s", hosts, got, want)
		}
	}
}

// TestHostsOnOnePointOfTheRingAreRefused makes a collision of xxHash64, which
// isn't a cryptographic hash: a name can be computed so that one of its points
// falls on another host's. The owner of that point would then depend on the order of
// the hosts.
func TestHostsOnOnePointOfTheRingAreRefused(t *testing.T) {
	a := strings.Repeat("a", 62)
	b := collide(a)
	_, err := newConsistentRing(ConsistentConfig{Partitions: 7, Replicas: 1, Load: 1.25}, []Host{{Name: a, Weight: 1}, {Name: b, Weight: 1}})
	if err == nil || !strings.Contains(err.Error(), "same point of the ring") {
		t.Errorf("got %v, want an error that names both hosts", err)
	}
	newRingOf(t, ConsistentConfig{Partitions: 7, Replicas: 1, Load: 1.25}, []Host{{Name: a, Weight: 1}, {Name: b + "x", Weight: 1}})
}

// collide returns another name whose first point is that of name, which is 62
// bytes long: with "0:" in front that is two blocks of xxHash64. It changes the
// first lane of the first block and makes up for it in the second.
func collide(name string) string {
	const prime1, prime2 = 0x9e3779b185ebca87, 0xc2b2ae3d27d4eb4f
	lane := func(in uint64) uint64 {
		start := uint64(prime1) // plus prime2, modulo 2^64
		start += prime2
		return bits.RotateLeft64(start+in*prime2, 31) * prime1
	}
	inverse := uint64(prime2) // of prime2 modulo 2^64, by Newton's method
	for range 6 {
		inverse *= 2 - prime2*inverse
	}
	block := []byte("0:" + name)
	first, second := binary.LittleEndian.Uint64(block), binary.LittleEndian.Uint64(block[32:])
	for i := uint64(1); ; i++ {
		binary.LittleEndian.PutUint64(block, first+i<<16)
		other := second + (lane(first)-lane(first+i<<16))*inverse
		binary.LittleEndian.PutUint64(block[32:], other)
		if !strings.Contains(string(block), "#") {
			return string(block[2:])
		}
	}
}

// TestSameHostsGiveTheSameTableWhateverTheHistory tries 2,000 short histories of
// joins, leaves and changes of weight at small parameters, and two at full size. It
// compares the last table of each with one that a new Builder makes.
func TestSameHostsGiveTheSameTableWhateverTheHistory(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 12))
	for i := range rounds(2000) {
		cfg := Config{Consistent: ConsistentConfig{
			Partitions: 31 + rng.IntN(60), Replicas: 1 + rng.IntN(8), Load: 1.05 + rng.Float64(),
		}}
		if !sameAfterHistory(t, cfg, rng, 1+rng.IntN(8)) {
			t.Fatalf("in history %d", i)
		}
	}
	for i := range 2 {
		if !sameAfterHistory(t, Config{}, rng, 10) {
			t.Fatalf("in full-size history %d", i)
		}
	}
}

// TestSmallChangesAreMadeToTheKeptInstance guards the cost: with 1,000 hosts a
// new instance takes a hundred times as long as one change.
func TestSmallChangesAreMadeToTheKeptInstance(t *testing.T) {
	policy := &consistentPolicy{cfg: small.WithDefaults().Consistent}
	builder := &Builder{policy: policy}
	rebuild(t, builder, fleet(8)...)
	for _, row := range []struct {
		hosts []Host
		kept  bool
	}{
		{fleet(8), true},
		{fleet(7), true},
		{fleet(9), true},
		{fleet(30), false},
		{fleet(10), false},
	} {
		before := policy.ring
		rebuild(t, builder, row.hosts...)
		if kept := policy.ring == before; kept != row.kept {
			t.Errorf("with %d hosts now: instance kept is %v, want %v", len(row.hosts), kept, row.kept)
		}
	}
}

// FuzzHistory does the same for fuzzed histories, with every policy.
func FuzzHistory(f *testing.F) {
	for i := range fuzzed() {
		f.Add(uint64(1), uint64(2), uint8(9), uint8(i))
	}
	f.Fuzz(func(t *testing.T, a, b uint64, steps, policy uint8) {
		all := fuzzed()
		sameAfterHistory(t, all[int(policy)%len(all)], rand.New(rand.NewPCG(a, b)), int(steps%32))
	})
}

// fuzzed are Configs whose tables are built in no time.
func fuzzed() []Config {
	return []Config{
		{Consistent: ConsistentConfig{Partitions: 61, Replicas: 3}},
		{Policy: PolicyRendezvous, Rendezvous: RendezvousConfig{Slots: 64}},
		{Policy: PolicyMaglev, Maglev: MaglevConfig{Slots: 61}},
		{Policy: PolicyKetama, Ketama: KetamaConfig{Points: 3}},
		{Policy: PolicyHAProxy},
		{Policy: PolicyHAProxy, HAProxy: HAProxyConfig{Type: HAProxyMapBased}},
	}
}

// sameAfterHistory changes a set of hosts in random steps, builds after each, and
// reports whether the last table is the one that a new Builder makes of the last
// set in another order.
func sameAfterHistory(t *testing.T, cfg Config, rng *rand.Rand, steps int) bool {
	t.Helper()
	builder := newBuilder(t, cfg)
	var hosts []Host
	var table *Table
	for range steps + 1 {
		hosts = change(hosts, rng)
		rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		table = rebuild(t, builder, hosts...)
	}
	rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	fresh := build(t, cfg, hosts...)
	if table.Digest() != fresh.Digest() || !slices.Equal(table.layout.owners, fresh.layout.owners) {
		t.Errorf("%v: got table %s after a history, want %s", hosts, table.Digest(), fresh.Digest())
		return false
	}
	return true
}

// change gives up to three random hosts of ten a new weight, of which 0 means
// that the host is not there.
func change(hosts []Host, rng *rand.Rand) []Host {
	for range 1 + rng.IntN(3) {
		h := fleet(10)[rng.IntN(10)]
		h.Weight = rng.IntN(4)
		hosts = slices.DeleteFunc(hosts, func(other Host) bool { return other.Name == h.Name })
		if h.Weight > 0 {
			hosts = append(hosts, h)
		}
	}
	return hosts
}
