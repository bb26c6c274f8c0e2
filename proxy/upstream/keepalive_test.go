package upstream

import (
	"testing"
	"time"

	"tokenring/http1"
)

func TestKeepAliveShortensTheIdleTime(t *testing.T) {
	const longest, any = 3 * time.Second, 1 << 30
	for _, tt := range []struct {
		value    string
		idle     time.Duration
		requests int
	}{
		{"timeout=5, max=100", longest, 100}, // Apache
		{"timeout=5", longest, any},          // Node
		{"timeout=3", 2 * time.Second, any},
		{"Timeout=2", time.Second, any},
		{"timeout=1", time.Second / 2, any},
		{"timeout=0", 0, any},
		{"max=0,timeout=9", longest, 0},
		{"timeout=2,timeout=1", time.Second / 2, any},
		{"timeout=99999999999999999999", longest, any},
		{"timeout=-1, max=-1", longest, any},
		{"timeout, max=x, =, ,", longest, any},
		{"", longest, any},
	} {
		fields := []http1.Field{{Name: []byte("Keep-Alive"), Value: []byte(tt.value), Kind: http1.KindKeepAlive}}
		if idle, requests := idleLimit(fields, longest); idle != tt.idle || requests != tt.requests {
			t.Errorf("%q: got %v, %d, want %v, %d", tt.value, idle, requests, tt.idle, tt.requests)
		}
	}
	if idle, requests := idleLimit(nil, longest); idle != longest || requests != any {
		t.Errorf("no field: got %v, %d", idle, requests)
	}
}

func TestSafeIdleFollowsWhatConnectionsShow(t *testing.T) {
	var s SafeIdle
	s.init()
	const ms = time.Millisecond
	for _, step := range []struct {
		open, closed, want time.Duration
	}{
		{want: 100 * ms},                     // unknown
		{open: 150 * ms, want: 100 * ms},     // nothing new
		{open: 2000 * ms, want: 1000 * ms},   // it keeps them
		{closed: 2500 * ms, want: 1000 * ms}, // as was known
		{closed: 300 * ms, want: 150 * ms},   // or not
		{closed: 20 * ms, want: 10 * ms},     // a restart
		{open: 290 * ms, want: 145 * ms},     // it keeps them again
		{open: 200 * ms, want: 145 * ms},
	} {
		if step.open > 0 {
			s.Open(step.open)
		}
		if step.closed > 0 {
			s.Closed(step.closed)
		}
		if got := s.Duration(); got != step.want {
			t.Errorf("after %+v: got %v", step, got)
		}
	}
}
