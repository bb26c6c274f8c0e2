package pool

import (
	"flag"
	"testing"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // the default: parallel tests wait for gossip, not for a processor
	m.Run()
}
