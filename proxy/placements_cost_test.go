package proxy

import (
	"fmt"
	"testing"
)

func TestAPlacedKeyCostsNoAllocation(t *testing.T) {
	m := remember(t, 3)
	home, away := []byte("home"), []byte("away")
	m.choose(m.s, home, nil, m.now)
	m.load(m.candidates("away")[0], 100)
	m.choose(m.s, away, nil, m.now)
	if n := testing.AllocsPerRun(100, func() {
		m.choose(m.s, home, nil, m.now)
		m.choose(m.s, away, nil, m.now)
	}); n != 0 {
		t.Errorf("choose allocates %v times", n)
	}
}

// BenchmarkChoose compares what a request with a known key costs without a bound
// and with one, and what a new key does.
func BenchmarkChoose(b *testing.B) {
	for _, hosts := range []int{10, 26} {
		m := remember(b, hosts)
		key := []byte("s3cr3t-of-a-common-length-000000")
		b.Run(fmt.Sprintf("unbounded/hosts=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				m.s.Choose(key, nil)
			}
		})
		b.Run(fmt.Sprintf("known/hosts=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				m.choose(m.s, key, nil, m.now)
			}
		})
		b.Run(fmt.Sprintf("new/hosts=%d", hosts), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				m.choose(m.s, fmt.Appendf(key[:0:0], "key-%d", i), nil, m.now)
			}
		})
	}
}
