package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/pool"
	"tokenring/tlsterm"
)

// metric describes a metric of the collector.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lb_"+name, help, labels, nil)
}

var (
	hostUp       = metric("host_up", "1 if the host's health checks pass, else 0.", "host")
	hostState    = metric("host_state", "1 for the state that operators have put the host in, 0 for the others.", "host", "state")
	hostInRing   = metric("host_in_ring", "1 if the host belongs in the ring, else 0.", "host")
	hostServing  = metric("host_serving", "1 if the host may get new requests now, else 0.", "host")
	hostWeight   = metric("host_weight", "Weight of the host: the operators', or else its own.", "host")
	hostWarming  = metric("host_warming", "While the host warms up: the part of its tokens that it has, 0 to 1. No series otherwise.", "host")
	hostShare    = metric("host_share", "Share of the ring's slots that the host owns, 0 to 1.", "host")
	hostFull     = metric("host_full", "1 if the host has so many of the terminals through this balancer that it gets no new tokens, else 0; see hash.bounded_load.", "host")
	hostSessions = metric("host_sessions", "Terminals open to the host through this balancer.", "host")
	hostInFlight = metric("host_in_flight", "Requests under way to the host through this balancer, terminals not among them.", "host")
	hostRequests = metric("host_requests_total", "Requests sent to the host.", "host")
	hostConnects = metric("host_connect_errors_total", "Connections to the host that couldn't be opened.", "host")
	hostResets   = metric("host_resets_total", "Connections to the host that ended in the middle of an exchange.", "host")

	hostsKnown   = metric("hosts", "Hosts known.")
	hostsServing = metric("hosts_serving", "Hosts that may get new requests now.")
	ringFrozen   = metric("ring_frozen", "1 if the ring is frozen because many hosts vanished at once, else 0.")
	ringFreezes  = metric("ring_freezes_expired_total", "Freezes of the ring that ended by themselves after pool.freeze.for: other hosts have served the tokens of hosts that vanished.")
	ringVersion  = metric("ring_version", "How many rings have been in force since this balancer started.")
	ringBuilt    = metric("ring_built_timestamp_seconds", "When the ring in force was built, as Unix time; changes() of it counts the rings.")
	ringInfo     = metric("ring_info", "Always 1; the digest is the same on all balancers that place every token alike.", "policy", "digest")
	ringDiscord  = metric("ring_disagreement_seconds", "For how long another balancer that is alive has had another ring; 0 when all agree.")
	peersKnown   = metric("peers", "Other balancers: alive with this ring (agree), alive with another one (disagree), or not alive (lost).", "status")
	certExpiry   = metric("certificate_not_after_seconds", "End of the certificate's validity, as Unix time, the earliest one for each name; 0 if the name has no certificate yet.", "name")
)

// A collector reads a Region anew at each scrape, so that the series of a host
// vanish with the host.
type collector struct {
	region       Region
	certificates func() []tlsterm.Expiry
}

// NewCollector returns a collector of the hosts, the ring and the other
// balancers as r has them at each scrape, and of certificates, which may be nil.
func NewCollector(r Region, certificates func() []tlsterm.Expiry) prometheus.Collector {
	if certificates == nil {
		certificates = func() []tlsterm.Expiry { return nil }
	}
	return &collector{region: r, certificates: certificates}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		hostUp, hostState, hostInRing, hostServing, hostWeight, hostWarming, hostShare, hostFull,
		hostSessions, hostInFlight, hostRequests, hostConnects, hostResets,
		hostsKnown, hostsServing, ringFrozen, ringFreezes, ringVersion, ringBuilt, ringInfo, ringDiscord, peersKnown, certExpiry,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	snap := c.region.Snapshot()
	out := metrics(ch)
	loads := snap.Loads(time.Now())
	for _, h := range snap.Hosts {
		out.host(h, loads[h.Name])
	}
	out.ring(snap)
	out.peers(snap.Peers)
	out.certificates(c.certificates())
}

// metrics is where the metrics of one scrape go.
type metrics chan<- prometheus.Metric

func (m metrics) gauge(d *prometheus.Desc, value float64, labels ...string) {
	m.send(d, prometheus.GaugeValue, value, labels)
}

func (m metrics) counter(d *prometheus.Desc, value uint64, labels ...string) {
	m.send(d, prometheus.CounterValue, float64(value), labels)
}

// send spoils the scrape, but not the program, when a label isn't valid UTF-8.
func (m metrics) send(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels []string) {
	metric, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	m <- metric
}

func (m metrics) host(h *pool.Host, load pool.Load) {
	m.gauge(hostUp, indicator(h.Verdict == pool.Up), h.Name)
	for _, state := range []pool.State{pool.Ready, pool.Drain, pool.Maint} {
		m.gauge(hostState, indicator(h.State == state), h.Name, string(state))
	}
	m.gauge(hostInRing, indicator(h.InRing), h.Name)
	m.gauge(hostServing, indicator(h.Serving()), h.Name)
	m.gauge(hostWeight, float64(h.Weight), h.Name)
	if h.Warming != (pool.Warming{}) {
		m.gauge(hostWarming, h.Warming.Taken, h.Name)
	}
	m.gauge(hostShare, h.Share, h.Name)
	m.gauge(hostFull, indicator(load.Full()), h.Name)
	m.gauge(hostSessions, float64(h.Gauges.Sessions.Load()), h.Name)
	m.gauge(hostInFlight, float64(h.Gauges.InFlight.Load()), h.Name)
	m.counter(hostRequests, h.Gauges.Requests.Load(), h.Name)
	m.counter(hostConnects, h.Gauges.ConnectErrors.Load(), h.Name)
	m.counter(hostResets, h.Gauges.Resets.Load(), h.Name)
}

func (m metrics) ring(snap *pool.Snapshot) {
	counts := countHosts(snap.Hosts)
	m.gauge(hostsKnown, float64(counts.Total))
	m.gauge(hostsServing, float64(counts.Serving))
	m.gauge(ringFrozen, indicator(snap.Frozen))
	m.counter(ringFreezes, snap.FreezesExpired)
	m.gauge(ringVersion, float64(snap.TableNumber))
	m.gauge(ringInfo, 1, snap.Table.Policy(), snap.Table.Digest())
	m.gauge(ringDiscord, secondsSince(snap.DisagreeSince()))
	if !snap.TableAt.IsZero() {
		m.gauge(ringBuilt, unixSeconds(snap.TableAt))
	}
}

func (m metrics) peers(peers []pool.Peer) {
	counts := map[string]int{"agree": 0, "disagree": 0, "lost": 0}
	for _, p := range peers {
		switch {
		case !p.Alive:
			counts["lost"]++
		case p.Agrees:
			counts["agree"]++
		default:
			counts["disagree"]++
		}
	}
	for status, n := range counts {
		m.gauge(peersKnown, float64(n), status)
	}
}

// certificates sends one series per name, though several certificates may have
// it: the one that ends first needs attention first.
func (m metrics) certificates(expiries []tlsterm.Expiry) {
	earliest := make(map[string]time.Time)
	for _, e := range expiries {
		for _, name := range e.Names {
			if t, ok := earliest[name]; !ok || e.NotAfter.Before(t) {
				earliest[name] = e.NotAfter
			}
		}
	}
	for name, t := range earliest {
		m.gauge(certExpiry, unixSeconds(t), name)
	}
}

// secondsSince returns how long ago t was, 0 for the zero time.
func secondsSince(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return time.Since(t).Seconds()
}

// unixSeconds returns t as Unix time, and 0 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func indicator(set bool) float64 {
	if set {
		return 1
	}
	return 0
}
