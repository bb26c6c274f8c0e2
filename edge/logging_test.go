package edge

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/config"
)

// A stuckReader takes no line until it is released. It counts lines.
type stuckReader struct {
	letGo chan bool
	lines atomic.Int64
}

func (r *stuckReader) Write(b []byte) (int, error) {
	<-r.letGo
	r.lines.Add(1)
	return len(b), nil
}

// TestAccessLogDropsInsteadOfBlocking: if the reader takes no lines, lines are
// lost, but no time, and no more memory than for the lines that may wait.
func TestAccessLogDropsInsteadOfBlocking(t *testing.T) {
	r := &stuckReader{letGo: make(chan bool)}
	reg := prometheus.NewRegistry()
	log, closeLog := newAccessLog(config.LogConfig{Access: true}, r, reg)
	defer closeLog()
	const lines = 3 * accessLines
	for range lines {
		log.json.Log().Str("path", "/").Send() // would block for ever
	}
	close(r.letGo)
	dropped := func() int64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return int64(families[0].GetMetric()[0].GetCounter().GetValue())
	}
	for end := time.Now().Add(time.Minute); r.lines.Load()+dropped() < lines; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d lines were written and %d dropped, of %d", r.lines.Load(), dropped(), lines)
		}
	}
	if n := r.lines.Load(); n > accessLines+1 {
		t.Errorf("%d lines had been kept, want up to %d", n, accessLines+1)
	}
}
