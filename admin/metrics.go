package admin

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/answers"
	"tokenring/route"
	"tokenring/tlsterm"
)

// metric describes a metric of the collector.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("lb_"+name, help, labels, nil)
}

var (
	hostUp        = metric("host_up", "1 if the host's health checks pass, else 0.", "host")
	hostState     = metric("host_state", "1 for the state that operators have set for the host, 0 for the other states.", "host", "state")
	hostInRing    = metric("host_in_ring", "1 if the host belongs in the ring, else 0.", "host")
	hostServing   = metric("host_serving", "1 if the host may get new requests now, else 0.", "host")
	hostWeight    = metric("host_weight", "Weight of the host in force: an operator's, or else its own.", "host")
	hostSlowStart = metric("host_slow_start", "The share of its tokens that a host in slow start has, 0 to 1. Other hosts have no series.", "host")
	hostShare     = metric("host_share", "Share of the ring's slots that the host owns, 0 to 1.", "host")
	hostFull      = metric("host_full", "1 if so many of the terminals through all balancers are on the host that it gets no new tokens, else 0; see hash.bounded_load.", "host")
	hostSessions  = metric("host_sessions", "Terminals open to the host through this balancer.", "host")
	hostInFlight  = metric("host_in_flight", "Requests in progress to the host through this balancer, without terminals.", "host")
	hostQueue     = metric("host_queue", "Requests that wait for the host, because max_connections others are in progress there.", "host")
	hostRequests  = metric("host_requests_total", "Requests sent to the host.", "host")
	hostConnects  = metric("host_connect_errors_total", "Connections to the host that couldn't be opened.", "host")
	hostResets    = metric("host_resets_total", "Connections to the host that ended in the middle of an exchange.", "host")
	hostGivenAway = metric("host_given_away_total", "Requests that the host has given away, because it doesn't hold the session; see sessions.second_chance.", "host")
	hostAnswers   = metric("host_answers_total", "Answers to requests that were sent to the host, by class of status; 0xx got no answer, and 1xx are tunnels that were opened.", "host", "class")
	hostSeconds   = metric("host_request_duration_seconds", "How long answers to requests that were sent to the host have taken: from the last byte of a request's head to the last byte of its answer; tunnels not included.", "host")
	hostMoves     = metric("host_address_changes_total", "How often the host has got another address that no operator has written down: it announced another one for its service (service) or for its gossip (gossip), or its DNS name led to another one (dns).", "host", "reason")

	hostsKnown   = metric("hosts", "Hosts known.")
	hostsServing = metric("hosts_serving", "Hosts that may get new requests now.")
	peersMissing = metric("peers_missing", "Balancers that are known or expected, and to which this one hasn't been connected for three seconds.")
	peersKnown   = metric("peers", "Other balancers: alive with this ring (agree), alive with another ring (disagree), or not alive (lost).", "status")
	certExpiry   = metric("certificate_not_after_seconds", "End of the certificate's validity, as Unix time, the earliest for each name; 0 if the name has no certificate yet.", "name")
)

// ringMetrics are the metrics of a ring. Those of pools beside the main one have a name of their own
// and the label pool, so that a balancer with one pool has the series that it always had.
type ringMetrics struct{ frozen, freezes, version, built, info, diverged, waiting *prometheus.Desc }

// mainRing is the ring of the main pool, and poolRing that of another one.
var (
	mainRing = newRingMetrics("ring_", "waiting_changes")
	poolRing = newRingMetrics("pool_ring_", "pool_ring_waiting_changes", "pool")
)

func newRingMetrics(prefix, waiting string, labels ...string) ringMetrics {
	return ringMetrics{
		frozen:   metric(prefix+"frozen", "1 if the ring is frozen because many hosts vanished at once, else 0.", labels...),
		freezes:  metric(prefix+"freezes_expired_total", "Freezes of the ring that ended by themselves after pool.freeze.for: other hosts then served the tokens of hosts that vanished.", labels...),
		version:  metric(prefix+"version", "How many rings have been in force since this balancer started.", labels...),
		built:    metric(prefix+"built_timestamp_seconds", "When the ring in force was built, as Unix time; changes() of it counts the rings.", labels...),
		info:     metric(prefix+"info", "Always 1; the digest is the same on all balancers that place every token alike.", append(labels, "policy", "digest")...),
		diverged: metric(prefix+"disagreement_seconds", "For how long another balancer that is alive has had another ring; 0 when all agree.", labels...),
		waiting:  metric(waiting, "Changes of the ring that wait because a balancer is missing: hosts that join or return, weights, drains; see lb ctl insist.", labels...),
	}
}

func (r ringMetrics) all() []*prometheus.Desc {
	return []*prometheus.Desc{r.frozen, r.freezes, r.version, r.built, r.info, r.diverged, r.waiting}
}

// A collector reads the snapshot of a Region at each scrape, so that the series of a
// host end with the host.
type collector struct {
	region       Region
	pools        map[string]Region // those beside the main one, by name
	certificates func() []tlsterm.Expiry
}

// NewCollector returns a collector of the hosts, the ring and the other balancers that
// r has at each scrape, of the rings of the pools beside the main one, and of the certificates.
// certificates may be nil.
func NewCollector(r Region, pools map[string]Region, certificates func() []tlsterm.Expiry) prometheus.Collector {
	if certificates == nil {
		certificates = func() []tlsterm.Expiry { return nil }
	}
	return &collector{region: r, pools: pools, certificates: certificates}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(mainRing.all(), poolRing.all(), []*prometheus.Desc{
		hostUp, hostState, hostInRing, hostServing, hostWeight, hostSlowStart, hostShare, hostFull,
		hostSessions, hostInFlight, hostQueue, hostRequests, hostConnects, hostResets, hostGivenAway, hostAnswers, hostSeconds, hostMoves,
		hostsKnown, hostsServing, peersMissing, peersKnown, certExpiry,
	}) {
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
	out.counts(snap)
	out.ring(mainRing, snap)
	for name, pool := range c.pools {
		out.ring(poolRing, pool.Snapshot(), name)
	}
	out.peers(snap.Peers)
	out.certificates(c.certificates())
}

// metrics receives the metrics of one scrape.
type metrics chan<- prometheus.Metric

func (m metrics) gauge(d *prometheus.Desc, value float64, labels ...string) {
	m.send(d, prometheus.GaugeValue, value, labels)
}

func (m metrics) counter(d *prometheus.Desc, value uint64, labels ...string) {
	m.send(d, prometheus.CounterValue, float64(value), labels)
}

func (m metrics) histogram(d *prometheus.Desc, t answers.Totals, labels ...string) {
	metric, err := prometheus.NewConstHistogram(d, t.Timed, t.Took.Seconds(), t.Buckets(), labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	m <- metric
}

// send makes the scrape fail, not the program, when a label isn't valid UTF-8.
func (m metrics) send(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels []string) {
	metric, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil {
		metric = prometheus.NewInvalidMetric(d, err)
	}
	m <- metric
}

func (m metrics) host(h *route.Host, load route.Load) {
	m.gauge(hostUp, indicator(h.Verdict == route.Up), h.Name)
	for _, state := range []route.State{route.Ready, route.Drain, route.Maint} {
		m.gauge(hostState, indicator(h.State == state), h.Name, string(state))
	}
	m.gauge(hostInRing, indicator(h.InRing), h.Name)
	m.gauge(hostServing, indicator(h.Serving()), h.Name)
	m.gauge(hostWeight, float64(h.Weight), h.Name)
	if h.SlowStart != (route.Progress{}) {
		m.gauge(hostSlowStart, h.SlowStart.Taken, h.Name)
	}
	m.gauge(hostShare, h.Share, h.Name)
	m.gauge(hostFull, indicator(load.Full()), h.Name)
	m.gauge(hostSessions, float64(h.Gauges.Sessions.Load()), h.Name)
	m.gauge(hostInFlight, float64(h.Gauges.InFlight.Load()), h.Name)
	m.gauge(hostQueue, float64(h.Gauges.Queued.Load()), h.Name)
	m.counter(hostRequests, h.Gauges.Requests.Load(), h.Name)
	m.counter(hostConnects, h.Gauges.ConnectErrors.Load(), h.Name)
	m.counter(hostResets, h.Gauges.Resets.Load(), h.Name)
	m.counter(hostGivenAway, h.Gauges.GivenAway.Load(), h.Name)
	answered := h.Gauges.Answers.Totals()
	for class, n := range answered.ByClass {
		m.counter(hostAnswers, n, h.Name, answers.Classes[class])
	}
	m.histogram(hostSeconds, answered, h.Name)
	if h.Origin == route.OriginGossip {
		m.counter(hostMoves, h.AddressChanges.Service, h.Name, "service")
		m.counter(hostMoves, h.AddressChanges.Gossip, h.Name, "gossip")
	} else if h.DNSName != "" {
		m.counter(hostMoves, h.AddressChanges.Name, h.Name, "dns")
	}
}

func (m metrics) counts(snap *route.Snapshot) {
	counts := countHosts(snap.Hosts)
	m.gauge(hostsKnown, float64(counts.Total))
	m.gauge(hostsServing, float64(counts.Serving))
	m.gauge(peersMissing, float64(snap.Waiting.Missing))
}

// ring sends the metrics of a ring; labels are its pool, if the metrics have one.
func (m metrics) ring(r ringMetrics, snap *route.Snapshot, labels ...string) {
	m.gauge(r.frozen, indicator(snap.Frozen), labels...)
	m.counter(r.freezes, snap.FreezesExpired, labels...)
	m.gauge(r.version, float64(snap.TableNumber), labels...)
	m.gauge(r.info, 1, slices.Concat(labels, []string{snap.Table.Policy(), snap.Table.Digest()})...)
	m.gauge(r.diverged, secondsSince(snap.DisagreeSince()), labels...)
	m.gauge(r.waiting, float64(len(snap.Waiting.Changes)), labels...)
	if !snap.TableAt.IsZero() {
		m.gauge(r.built, unixSeconds(snap.TableAt), labels...)
	}
}

func (m metrics) peers(peers []route.Peer) {
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

// certificates sends one series per name. If several certificates have the name, it is
// the one that ends first, because this one needs an operator first.
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
