package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/http1"
)

// Metrics are the counters of the data path. Every handle is resolved once, so
// that counting is one atomic addition. There are no labels per user, and what
// is counted per host lives in pool.Gauges.
type Metrics struct {
	connections prometheus.Gauge
	parked      prometheus.Gauge
	limit       prometheus.Gauge
	accepted    prometheus.Counter
	handshakes  prometheus.Counter
	requests    [6]prometheus.Counter // by class of status: requests[2] counts 2xx; [0] those that got no answer
	refused     prometheus.Counter
	seconds     prometheus.Histogram
	tunnels     prometheus.Gauge
	home, away  prometheus.Gauge // placements
	retries     prometheus.Counter

	tunnelsEnded    *prometheus.CounterVec
	handshakeErrors *prometheus.CounterVec
	upstreamErrors  *prometheus.CounterVec
	acceptErrors    prometheus.Counter
	acceptWaits     prometheus.Counter
	timeouts        *prometheus.CounterVec
	panics          prometheus.Counter
	furtherStreams  prometheus.Gauge
	streamWaits     prometheus.Counter
	streamRefusals  prometheus.Counter
	h2Withheld      prometheus.Counter
	floods          *prometheus.CounterVec

	responsesRefused, responsesRepaired *prometheus.CounterVec // by one of our constant texts
}

// NewMetrics registers the data path's metrics with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		connections: gauge("lb_connections", "Client connections that are open, tunnels included."),
		parked:      gauge("lb_connections_parked", "Client connections between two requests that wait without a goroutine or buffer; tunnels not included."),
		limit:       gauge("lb_connections_limit", "How many client connections may be open; when lb_connections reaches it, new ones have to wait."),
		accepted:    counter("lb_connections_total", "Client connections accepted."),
		handshakes:  counter("lb_tls_handshakes_total", "TLS handshakes completed."),
		refused:     counter("lb_requests_refused_total", "Requests refused because of their form, before a host was chosen."),
		tunnels:     gauge("lb_tunnels", "WebSocket tunnels that are open."),
		retries:     counter("lb_retries_total", "Requests sent a second time, to the same host or to the fallback."),
		acceptErrors: counter("lb_accept_errors_total",
			"Failed accepts; when they grow the process is short of file descriptors."),
		acceptWaits: counter("lb_accept_waits_total", "Times that a listener stopped accepting, because lb_connections had reached its limit."),
		timeouts: counters("lb_client_timeouts_total",
			"Clients given up for their slowness, by what they were slow at; handshakes and tunnels have counters of their own.", "phase"),
		floods: counters("lb_http2_floods_total", "HTTP/2 connections ended because their client sent too many frames of a kind.", "kind"),
		furtherStreams: gauge("lb_http2_further_streams",
			"HTTP/2 requests that are with hosts, beyond the first of each connection; they count towards lb_connections_limit like connections."),
		streamWaits: counter("lb_http2_stream_waits_total",
			"HTTP/2 requests that had to wait for another of their connection, because limits.streams or the source's share of it was reached."),
		streamRefusals: counter("lb_http2_streams_refused_total", "HTTP/2 requests that were answered with 503 because no place for them came free in time, or too many waited."),
		h2Withheld:     counter("lb_http2_withheld_total", "TLS handshakes that weren't offered HTTP/2, because their source had cancelled too many requests."),
		panics:         counter("lb_panics_total", "Connections that a fault of this program has ended."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "lb_request_duration_seconds",
			Help:    "From the last byte of a request's head to the last byte of its answer; tunnels not included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
		tunnelsEnded:    counters("lb_tunnels_ended_total", "WebSocket tunnels that ended, by what ended them.", "by"),
		handshakeErrors: counters("lb_tls_handshake_errors_total", "TLS handshakes that failed, by cause.", "cause"),
		upstreamErrors:  counters("lb_upstream_errors_total", "Failures between the balancer and a host, by kind.", "kind"),
	}
	m.responsesRefused = counters("lb_responses_refused_total", "Answers of hosts that were refused because of their form, by reason.", "reason")
	m.responsesRepaired = counters("lb_responses_repaired_total", "Faults in answers of hosts that were set right, by reason.", "reason")
	reg.MustRegister(m.responsesRefused, m.responsesRepaired)
	for _, text := range http1.RepairTexts() {
		m.responsesRepaired.WithLabelValues(text) // so that it is there, at 0, before it is needed
	}
	requests := counters("lb_requests_total", "Requests answered, by class of status; 0xx got no answer.", "class")
	for i, class := range []string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		m.requests[i] = requests.WithLabelValues(class)
	}
	placements := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "lb_placements",
		Help: "Keys of which this balancer remembers the host, while loads are bounded: home, where the ring has them, or away, because that host was full.",
	}, []string{"place"})
	m.home, m.away = placements.WithLabelValues("home"), placements.WithLabelValues("away")
	reg.MustRegister(placements)
	reg.MustRegister(m.connections, m.parked, m.accepted, m.handshakes, requests, m.refused, m.seconds, m.tunnels,
		m.retries, m.tunnelsEnded, m.handshakeErrors, m.upstreamErrors, m.acceptErrors, m.panics, m.floods, m.furtherStreams, m.streamWaits, m.streamRefusals, m.h2Withheld,
		m.acceptWaits, m.timeouts, m.limit)
	for _, phase := range []string{slowStart, slowHead, slowUpload, slowAnswer} {
		m.timeouts.WithLabelValues(phase) // so that it is there, at 0, before it is needed
	}
	return m
}

// What a client that was given up was slow at.
const (
	slowStart  = "start"  // no byte came after the connection, or its handshake
	slowHead   = "head"   // it began a request's head and didn't end it
	slowUpload = "upload" // it sent no more of a body
	slowAnswer = "answer" // it took no more of an answer
)

// gaveUp counts a client that exceeded one of its Timeouts.
func (p *Proxy) gaveUp(phase string) { p.opt.Metrics.timeouts.WithLabelValues(phase).Inc() }

// answered counts a request with its final status, 0 for none.
func (m *Metrics) answered(status int) {
	class := status / 100
	m.requests[min(class, len(m.requests)-1)].Inc() // 600 and above counts as 5xx (RFC 9110 §15)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}
