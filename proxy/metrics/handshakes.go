package metrics

import "github.com/prometheus/client_golang/prometheus"

// Handshakes are those of TLS, with clients.
type Handshakes struct {
	Completed     prometheus.Counter
	Errors        *prometheus.CounterVec // by cause
	HTTP2Withheld prometheus.Counter
}

func newHandshakes(reg prometheus.Registerer) Handshakes {
	return Handshakes{
		Completed:     counter(reg, "lb_tls_handshakes_total", "TLS handshakes completed."),
		Errors:        counters(reg, "lb_tls_handshake_errors_total", "TLS handshakes that failed, by cause.", "cause"),
		HTTP2Withheld: counter(reg, "lb_http2_withheld_total", "TLS handshakes in which HTTP/2 wasn't offered, because the source had cancelled too many requests."),
	}
}
