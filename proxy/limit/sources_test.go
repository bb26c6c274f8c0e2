package limit

import (
	"net/netip"
	"testing"
	"time"
)

func TestCancelledRequestsCountLessWithTime(t *testing.T) {
	now := time.Now()
	s := NewSources()
	a := netip.MustParseAddr("192.0.2.1")
	from := s.Add(a, now)
	from.Cancelled(cancelBurst, now)
	if s.Exceeded(a, now) {
		t.Error("it has exceeded what it may have")
	}
	from.Cancelled(100*cancelBurst, now)
	s.Remove(a, from, now)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{
		{0, true},
		{9 * time.Second, true}, // it was counted up to twice what is allowed
		{11 * time.Second, false},
	} {
		if got := s.Exceeded(a, now.Add(tt.after)); got != tt.want {
			t.Errorf("exceeded after %v: %t", tt.after, got)
		}
	}
	if s.Exceeded(netip.MustParseAddr("192.0.2.2"), now) {
		t.Error("so has its neighbour")
	}
	if again := s.Add(a, now); again != from {
		t.Error("it was forgotten too soon")
	}
	s.Remove(a, from, now.Add(time.Minute))
	if n := s.kept(); n != 0 {
		t.Errorf("%d sources are kept", n)
	}
}

// kept returns how many sources there are.
func (s *Sources) kept() (n int) {
	for i := range s.shards {
		s.shards[i].mu.Lock()
		n += len(s.shards[i].all)
		s.shards[i].mu.Unlock()
	}
	return n
}

func TestSourcesWithoutConnectionsAreForgotten(t *testing.T) {
	now := time.Now()
	s := NewSources()
	for i := range 100_000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		from := s.Add(a, now)
		from.Cancelled(cancelBurst, now)
		s.Remove(a, from, now)
		now = now.Add(time.Millisecond)
	}
	const bound = 2*10_000 + 64*64 // twice those of the last ten seconds, and a few for each shard
	if n := s.kept(); n > bound {
		t.Errorf("%d sources are kept, want up to %d", n, bound)
	}
}
