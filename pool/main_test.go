package pool

import (
	"flag"
	"testing"
	"time"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at returns the moment so many milliseconds after t0.
func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "16") // the default: parallel tests wait for gossip, not for a processor
	m.Run()
}
