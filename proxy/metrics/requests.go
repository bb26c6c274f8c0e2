package metrics

import "github.com/prometheus/client_golang/prometheus"

// Requests are those of clients, tunnels not included.
type Requests struct {
	Refused prometheus.Counter
	Retries prometheus.Counter
	Seconds prometheus.Histogram
	Chances *prometheus.CounterVec // second chances, by how they ended

	byClass [6]prometheus.Counter // of status: byClass[2] counts 2xx; [0] those that got no answer
}

// How second chances end.
const (
	ChanceTaken     = "taken"     // another host has answered
	ChanceExhausted = "exhausted" // no host is left that may hold the container
	ChanceLimited   = "limited"   // the host has given away too many requests within a second
	ChanceFenced    = "fenced"    // the host is fenced, and no other host may serve the request
	ChanceLive      = "live"      // the key has a live terminal on a host that gives the request away
	ChanceBody      = "body"      // the request's body was read, and can't be sent again
	ChanceBegun     = "begun"     // the client has got a part of an answer, such as a 103
	ChanceFailed    = "failed"    // the next host has failed, or the client has left
)

func newRequests(reg prometheus.Registerer) Requests {
	r := Requests{
		Refused: counter(reg, "lb_requests_refused_total", "Malformed or oversized requests that were refused before a host was chosen."),
		Retries: counter(reg, "lb_retries_total", "Requests that were sent again, to the same host or to another one."),
		Seconds: register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "lb_request_duration_seconds",
			Help:    "From the last byte of a request's head to the last byte of its answer; tunnels not included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		})),
		Chances: counters(reg, "lb_second_chances_total", "Requests that a host has given away, by how that ended.", "result",
			ChanceTaken, ChanceExhausted, ChanceLimited, ChanceFenced, ChanceLive, ChanceBody, ChanceBegun, ChanceFailed),
	}
	all := counters(reg, "lb_requests_total", "Requests answered, by class of status; 0xx got no answer.", "class")
	for i, class := range []string{"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		r.byClass[i] = all.WithLabelValues(class)
	}
	return r
}

// Answered counts a request with its final status, 0 for none.
func (r *Requests) Answered(status int) {
	class := status / 100
	r.byClass[min(class, len(r.byClass)-1)].Inc() // 600 and above counts as 5xx (RFC 9110 §15)
}

// Streams are the requests of HTTP/2.
type Streams struct {
	Further prometheus.Gauge // without the first of each connection
	Waits   prometheus.Counter
	Refused prometheus.Counter
	Floods  *prometheus.CounterVec // by kind of frame
}

func newStreams(reg prometheus.Registerer) Streams {
	return Streams{
		Further: gauge(reg, "lb_http2_further_streams",
			"HTTP/2 requests in progress, without the first of each connection; each counts as a connection towards lb_connections_limit."),
		Waits: counter(reg, "lb_http2_stream_waits_total",
			"HTTP/2 requests that had to wait for another request of their connection, because limits.streams or the source's share of it was reached."),
		Refused: counter(reg, "lb_http2_streams_refused_total", "HTTP/2 requests that were answered with 503 because they waited too long, or too many requests waited."),
		Floods:  counters(reg, "lb_http2_floods_total", "HTTP/2 connections that were ended because the client sent too many frames of a kind.", "kind"),
	}
}
