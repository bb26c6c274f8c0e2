package pools

import (
	"testing"

	"tokenring/balancer"
	"tokenring/route"
)

// TestBalancersThatShareASecretKnowSessionsByTheSameDigest: also a later process does.
func TestBalancersThatShareASecretKnowSessionsByTheSameDigest(t *testing.T) {
	d := func() balancer.Digester { return balancer.NewDigester([]byte("0123456789abcdef")) }
	one, other := newHashing(d().Pool("api")), newHashing(d().Pool("api"))
	s := route.NewSnapshot(nil, nil)
	if a, b := one.KeyOf(s, []byte("a token")), other.KeyOf(s, []byte("a token")); a.Digest != b.Digest || a.Digest == (balancer.Digest{}) {
		t.Errorf("got %s and %s", a.Digest, b.Digest)
	}
}

func TestAdmissionCostsNoAllocation(t *testing.T) {
	h, s, token := newHashing(balancer.NewDigester([]byte("0123456789abcdef"))), tableOf(t), []byte("s3cr3t-of-a-common-length-000000")
	if n := testing.AllocsPerRun(100, func() { h.KeyOf(s, token) }); n != 0 {
		t.Errorf("a key costs %v allocations", n)
	}
}

// tableOf returns a snapshot of one host.
func tableOf(t testing.TB) *route.Snapshot {
	t.Helper()
	b, err := balancer.NewBuilder(balancer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build([]balancer.Host{{Name: "a", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return route.NewSnapshot(table, nil)
}

// BenchmarkAdmission is all the hashing that a request with a token costs.
func BenchmarkAdmission(b *testing.B) {
	h, s, token := newHashing(balancer.NewDigester([]byte("0123456789abcdef"))), tableOf(b), []byte("s3cr3t-of-a-common-length-000000")
	for b.Loop() {
		h.KeyOf(s, token)
	}
}
