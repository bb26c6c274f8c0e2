package session

import (
	"fmt"
	"testing"
)

func TestAPlacedKeyCostsNoAllocation(t *testing.T) {
	m := remember(t, 3)
	home, away := m.key("home"), m.key("away")
	m.Choose(m.s, home, nil, m.now)
	m.load(m.candidates("away")[0], 100)
	m.Choose(m.s, away, nil, m.now)
	if n := testing.AllocsPerRun(100, func() {
		m.Choose(m.s, home, nil, m.now)
		m.Choose(m.s, away, nil, m.now)
	}); n != 0 {
		t.Errorf("choose allocates %v times", n)
	}
}

// BenchmarkChoose compares what a request with a known key costs without a bound
// and with one, and what a new key does.
func BenchmarkChoose(b *testing.B) {
	for _, hosts := range []int{10, 26} {
		m := remember(b, hosts)
		key := m.key("s3cr3t-of-a-common-length-000000")
		b.Run(fmt.Sprintf("unbounded/hosts=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				m.s.Choose(key.Key, nil)
			}
		})
		b.Run(fmt.Sprintf("known/hosts=%d", hosts), func(b *testing.B) {
			for b.Loop() {
				m.Choose(m.s, key, nil, m.now)
			}
		})
		b.Run(fmt.Sprintf("new/hosts=%d", hosts), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				m.Choose(m.s, m.key(fmt.Sprintf("key-%d", i)), nil, m.now)
			}
		})
	}
}
