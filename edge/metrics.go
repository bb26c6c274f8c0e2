package edge

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tokenring/admin"
	"tokenring/maintenance"
	"tokenring/pool/gossips"
	"tokenring/session/region"
)

// register registers the metrics that the parts don't register themselves.
func (e *Edge) register() {
	checks := func(result string, count func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "lb_checks_total", Help: "Health checks of hosts, by result.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(count()) })
	}
	e.metrics.MustRegister(
		buildInfo(e.opt.Version),
		e.tables.changes,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		admin.NewCollector(allPools{e}, e.poolRegions(), e.certificates.expiries),
		refusedCollector(e.pool.RefusedTotals),
		filesCollector(e.watchedFiles),
		regionCollector{e.proxy.Region()},
		routesCollector{e.proxy.Routes()},
		answersCollector(e.proxy.Answers),
		maintenance.Collector{Switches: e.maintenance, Routes: e.routeNames()},
		checks("ok", func() uint64 { ok, _ := e.monitor.Counts(); return ok }),
		checks("failed", func() uint64 { _, failed := e.monitor.Counts(); return failed }),
	)
	for _, p := range e.parts {
		e.metrics.MustRegister(p.tables.changes)
	}
	if e.streams != nil {
		e.metrics.MustRegister(streamCollector{e.streams})
	}
}

// buildInfo says which program serves.
func buildInfo(version string) prometheus.Collector {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lb_build_info", Help: "Always 1; the labels say which program serves.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	return build
}

var refused = prometheus.NewDesc("lb_gossip_refused_total",
	"What came by gossip and was refused, by gossip (pool or peers) and reason.", []string{"gossip", "reason"}, nil)

// A refusedCollector returns how often the gossips have refused something.
type refusedCollector func() []gossips.RefusedTotal

// Describe implements prometheus.Collector.
func (c refusedCollector) Describe(ch chan<- *prometheus.Desc) { ch <- refused }

// Collect implements prometheus.Collector.
func (c refusedCollector) Collect(ch chan<- prometheus.Metric) {
	for _, t := range c() {
		ch <- prometheus.MustNewConstMetric(refused, prometheus.CounterValue, float64(t.Times), t.Gossip, t.Reason)
	}
}

var fileRefused = prometheus.NewDesc("lb_file_refused",
	"1 if what the file of a setting holds now can't be used, and what it held before stays in force, else 0.", []string{"setting"}, nil)

// A filesCollector returns, by setting, why what a file holds isn't in use, "" if it is.
type filesCollector func() map[string]string

// Describe implements prometheus.Collector.
func (c filesCollector) Describe(ch chan<- *prometheus.Desc) { ch <- fileRefused }

// Collect implements prometheus.Collector.
func (c filesCollector) Collect(ch chan<- prometheus.Metric) {
	for setting, problem := range c() {
		refused := 0.0
		if problem != "" {
			refused = 1
		}
		ch <- prometheus.MustNewConstMetric(fileRefused, prometheus.GaugeValue, refused, setting)
	}
}

// What is known of sessions elsewhere.
var (
	sessionsAtPeers = prometheus.NewDesc("lb_sessions_at_peers",
		"Tokens with live sessions through other balancers that have a stream to this one, by balancer.", []string{"peer"}, nil)
	sessionsLingering = prometheus.NewDesc("lb_sessions_lingering",
		"Tokens that keep their hosts for a while after their last use, those of balancers that have vanished among them.", nil, nil)
	sessionsSplit = prometheus.NewDesc("lb_sessions_split",
		"Tokens that have live sessions on two hosts at once, through different balancers.", nil, nil)
	sessionsSplitTotal = prometheus.NewDesc("lb_sessions_split_total",
		"How often a token has begun to have live sessions on two hosts at once.", nil, nil)
)

// A regionCollector tells what a Region knows.
type regionCollector struct{ *region.Region }

// Describe implements prometheus.Collector.
func (c regionCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{sessionsAtPeers, sessionsLingering, sessionsSplit, sessionsSplitTotal} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c regionCollector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range c.Peers() {
		ch <- prometheus.MustNewConstMetric(sessionsAtPeers, prometheus.GaugeValue, float64(p.Keys), p.Name)
	}
	now, total := c.Splits()
	ch <- prometheus.MustNewConstMetric(sessionsLingering, prometheus.GaugeValue, float64(c.Count()))
	ch <- prometheus.MustNewConstMetric(sessionsSplit, prometheus.GaugeValue, float64(now))
	ch <- prometheus.MustNewConstMetric(sessionsSplitTotal, prometheus.CounterValue, float64(total))
}

// tableChanges counts the tables that differ from the table before.
type tableChanges struct {
	changes prometheus.Counter
	digest  string // of the last table; only observe touches it
}

func newTableChanges(name string, labels prometheus.Labels) tableChanges {
	return tableChanges{changes: prometheus.NewCounter(prometheus.CounterOpts{
		Name: name, Help: "Tables put in force that place some key elsewhere than the table before.", ConstLabels: labels,
	})}
}

// observe counts a table if its digest is new. Only one goroutine at a time may call it.
func (t *tableChanges) observe(digest string) {
	if digest != t.digest {
		t.digest = digest
		t.changes.Inc()
	}
}
