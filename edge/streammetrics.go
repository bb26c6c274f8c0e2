package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/stream"
)

var (
	streamUp      = prometheus.NewDesc("lb_peer_stream_up", "1 if a peer knows all sessions of this balancer, and this balancer all of the peer's, else 0.", []string{"peer"}, nil)
	streamRTT     = prometheus.NewDesc("lb_peer_stream_rtt_seconds", "From the last ping on the stream to a peer until it was acknowledged.", []string{"peer"}, nil)
	streamPending = prometheus.NewDesc("lb_peer_stream_pending", "Sessions whose changes a peer hasn't acknowledged.", []string{"peer"}, nil)
	streamRefused = prometheus.NewDesc("lb_peer_streams_refused_total", "Connections to the listener of streams that were refused, by reason.", []string{"reason"}, nil)
)

// A streamCollector returns the metrics of streams.
type streamCollector struct{ streams *stream.Hub }

// Describe implements prometheus.Collector.
func (streamCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{streamUp, streamRTT, streamPending, streamRefused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c streamCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, peer string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, peer)
	}
	for _, s := range c.streams.Status() {
		up := 0.0
		if s.Up && s.Heard {
			up = 1
		}
		gauge(streamUp, up, s.Name)
		gauge(streamRTT, s.RTT.Seconds(), s.Name)
		gauge(streamPending, float64(s.Pending), s.Name)
	}
	for reason, times := range c.streams.Refused() {
		ch <- prometheus.MustNewConstMetric(streamRefused, prometheus.CounterValue, float64(times), string(reason))
	}
}
