package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/proxy/quota"
)

// Connections are those of clients.
type Connections struct {
	Open       prometheus.Gauge
	Registered prometheus.Gauge // with a poller
	Relays     prometheus.Gauge
	Limit      prometheus.Gauge

	Accepted     prometheus.Counter
	AcceptErrors prometheus.Counter
	AcceptWaits  prometheus.Counter
	Timeouts     *prometheus.CounterVec // by phase
	ProxyHeaders *prometheus.CounterVec // that were refused, by reason
	Panics       prometheus.Counter
	NotAllowed   *prometheus.CounterVec // by what

	limited [quota.Most]prometheus.Counter // by quota.Limit
}

// The phases in which a client may exceed a timeout.
const (
	PhaseStart  = "start"  // before the first byte of the first request
	PhaseHead   = "head"   // within the head of a request
	PhaseUpload = "upload" // within the body of a request
	PhaseAnswer = "answer" // while it takes an answer
)

// The reasons for which a connection to a listener with proxy_protocol is refused.
const (
	ProxyHeaderUntrusted = "untrusted" // it comes from no trusted network
	ProxyHeaderMalformed = "malformed" // it begins with something else
	ProxyHeaderTimeout   = "timeout"   // the header isn't complete in time
)

// What access doesn't allow.
const (
	NotAllowedConnection = "connection"
	NotAllowedRequest    = "request"
)

func newConnections(reg prometheus.Registerer) Connections {
	c := Connections{
		Open:         gauge(reg, "lb_connections", "Client connections that are open, tunnels included."),
		Registered:   gauge(reg, "lb_connections_parked", "Client connections between two requests that are registered with a poller, without a goroutine or buffer; tunnels not included."),
		Relays:       gauge(reg, "lb_connections_relayed", "Client connections whose TLS this process still carries for the newest process, which serves them; they count in lb_connections there."),
		Limit:        gauge(reg, "lb_connections_limit", "How many client connections may be open; while lb_connections is at this limit, new connections wait."),
		Accepted:     counter(reg, "lb_connections_total", "Client connections accepted."),
		AcceptErrors: counter(reg, "lb_accept_errors_total", "Failed accepts; if they grow, the process lacks file descriptors."),
		AcceptWaits:  counter(reg, "lb_accept_waits_total", "How often a listener stopped accepting because lb_connections had reached its limit."),
		Timeouts: counters(reg, "lb_client_timeouts_total",
			"Clients that exceeded a timeout, by phase; TLS handshakes and tunnels have other counters.", "phase",
			PhaseStart, PhaseHead, PhaseUpload, PhaseAnswer),
		ProxyHeaders: counters(reg, "lb_proxy_headers_refused_total",
			"Connections that were closed for want of a good header of the PROXY protocol, by reason.", "reason",
			ProxyHeaderUntrusted, ProxyHeaderMalformed, ProxyHeaderTimeout),
		NotAllowed: counters(reg, "lb_access_refused_total", "Connections and requests that access didn't allow.", "what",
			NotAllowedConnection, NotAllowedRequest),
		Panics: counter(reg, "lb_panics_total", "Connections that were ended by a fault of this program."),
	}
	limited := counters(reg, "lb_limited_total", "Connections that were closed and requests that were answered with 429, by the limit that was met.", "limit")
	for _, l := range quota.Limits() {
		c.limited[l] = limited.WithLabelValues(l.String())
	}
	return c
}

// Limited counts a connection or request that has met a limit.
func (c *Connections) Limited(l quota.Limit) { c.limited[l].Inc() }

// Timeout counts a client that has exceeded a timeout.
func (c *Connections) Timeout(phase string) { c.Timeouts.WithLabelValues(phase).Inc() }
