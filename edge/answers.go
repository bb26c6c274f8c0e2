package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/answers"
)

// What was answered in a pool. The series of hosts are admin's.
var (
	poolAnswers = prometheus.NewDesc("lb_pool_answers_total",
		"Answers to requests for the pool's hosts, by class of status; 0xx got no answer, and 1xx are tunnels that were opened. 503 for want of a host is among them.", []string{"pool", "class"}, nil)
	poolSeconds = prometheus.NewDesc("lb_pool_request_duration_seconds",
		"How long answers to requests for the pool's hosts have taken: from the last byte of a request's head to the last byte of its answer; tunnels not included.", []string{"pool"}, nil)
)

// An answersCollector returns what was answered, by pool.
type answersCollector func() map[string]answers.Totals

// Describe implements prometheus.Collector.
func (c answersCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- poolAnswers
	ch <- poolSeconds
}

// Collect implements prometheus.Collector.
func (c answersCollector) Collect(ch chan<- prometheus.Metric) {
	for pool, t := range c() {
		for class, n := range t.ByClass {
			ch <- prometheus.MustNewConstMetric(poolAnswers, prometheus.CounterValue, float64(n), pool, answers.Classes[class])
		}
		ch <- prometheus.MustNewConstHistogram(poolSeconds, t.Timed, t.Took.Seconds(), t.Buckets(), pool)
	}
}
