package counters

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A process has one metric of each kind.
type process struct {
	*prometheus.Registry
	requests *prometheus.CounterVec
	took     prometheus.Histogram
	tunnels  prometheus.Gauge
	hosts    prometheus.Gauge
}

func newProcess() *process {
	p := &process{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lb_requests_total"}, []string{"code"}),
		took:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lb_request_duration_seconds", Buckets: []float64{1, 10}}),
		tunnels:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "lb_tunnels"}),
		hosts:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "lb_hosts"}),
	}
	p.MustRegister(p.requests, p.took, p.tunnels, p.hosts, prometheus.NewCounter(prometheus.CounterOpts{Name: "go_gc_total"}))
	return p
}

// handed returns c as it comes out of JSON.
func handed(t *testing.T, c Counts) (got Counts) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func take(t *testing.T, p *process) Counts {
	t.Helper()
	c, err := Take(p)
	if err != nil {
		t.Fatal(err)
	}
	return handed(t, c)
}

// TestCountersGoOnInTheNextProcess also holds that gauges of an ended process are gone.
func TestCountersGoOnInTheNextProcess(t *testing.T) {
	ended, older, newest := newProcess(), newProcess(), newProcess()
	for i, p := range []*process{ended, older, newest} {
		p.hosts.Set(float64(i + 1))
		p.tunnels.Set(10)
		p.took.Observe(5)
	}
	ended.requests.WithLabelValues("200").Add(3)
	older.requests.WithLabelValues("200").Add(4)
	older.requests.WithLabelValues("404").Add(1)
	newest.requests.WithLabelValues("200").Add(5)
	others := Sum(take(t, ended).Ended(), take(t, older))
	want := `
# TYPE lb_hosts gauge
lb_hosts 3
# TYPE lb_request_duration_seconds histogram
lb_request_duration_seconds_bucket{le="1"} 0
lb_request_duration_seconds_bucket{le="10"} 3
lb_request_duration_seconds_bucket{le="+Inf"} 3
lb_request_duration_seconds_sum 15
lb_request_duration_seconds_count 3
# TYPE lb_requests_total counter
lb_requests_total{code="200"} 12
lb_requests_total{code="404"} 1
# TYPE lb_tunnels gauge
lb_tunnels 20
`
	merged := Merged{Own: newest, Others: func() Counts { return others }}
	for range 2 { // gathering changes nothing
		if err := testutil.GatherAndCompare(merged, strings.NewReader(want), "lb_hosts", "lb_request_duration_seconds", "lb_requests_total", "lb_tunnels"); err != nil {
			t.Error(err)
		}
	}
}

// TestACounterThatTheNewestHasntUsedYetIsThere: it may not jump back to nothing.
func TestACounterThatTheNewestHasntUsedYetIsThere(t *testing.T) {
	older := newProcess()
	older.requests.WithLabelValues("500").Inc()
	counts := take(t, older)
	merged := Merged{Own: newProcess(), Others: func() Counts { return counts }}
	if err := testutil.GatherAndCompare(merged, strings.NewReader("# HELP lb_requests_total Counted by other processes of this balancer.\n# TYPE lb_requests_total counter\nlb_requests_total{code=\"500\"} 1\n"), "lb_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestSumsDontChangeWhatTheyAreMadeOf(t *testing.T) {
	p := newProcess()
	p.took.Observe(5)
	c := take(t, p)
	before := handed(t, c)
	Sum(c, c)
	if !reflect.DeepEqual(c, before) {
		t.Errorf("got %+v, was %+v", c, before)
	}
}

// TestBucketsOfAnotherVersionDontMix: only those with the same bound add up.
func TestBucketsOfAnotherVersionDontMix(t *testing.T) {
	a := Series{Name: "lb_x", Value: 1, Count: 1, Bounds: []Bucket{{1, 0}, {10, 1}}}
	b := Series{Name: "lb_x", Value: 2, Count: 1, Bounds: []Bucket{{10, 1}, {100, 1}}}
	want := Series{Name: "lb_x", Value: 3, Count: 2, Bounds: []Bucket{{1, 0}, {10, 2}}}
	if got := plus(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
