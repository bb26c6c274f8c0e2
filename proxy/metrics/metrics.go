// Package metrics has what the data path counts of clients, requests, tunnels and hosts. Each
// labelled counter is looked up once, so that counting is one atomic addition. No label has a
// value per user. What is counted per host is in route.Gauges.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of one data path. They are safe for concurrent use.
type Metrics struct {
	Connections Connections
	Handshakes  Handshakes
	Requests    Requests
	Streams     Streams
	Tunnels     Tunnels
	Placements  Placements
	Hosts       Hosts
	Claims      Claims
}

// New registers the data path's metrics with reg.
func New(reg prometheus.Registerer) *Metrics {
	return &Metrics{
		Connections: newConnections(reg),
		Handshakes:  newHandshakes(reg),
		Requests:    newRequests(reg),
		Streams:     newStreams(reg),
		Tunnels:     newTunnels(reg),
		Placements:  newPlacements(reg),
		Hosts:       newHosts(reg),
		Claims:      newClaims(reg),
	}
}

func counter(reg prometheus.Registerer, name, help string) prometheus.Counter {
	return register(reg, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
}

func gauge(reg prometheus.Registerer, name, help string) prometheus.Gauge {
	return register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
}

// counters returns counters by one label. Those of values are exported from the beginning, as
// 0.
func counters(reg prometheus.Registerer, name, help, label string, values ...string) *prometheus.CounterVec {
	v := register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label}))
	for _, value := range values {
		v.WithLabelValues(value)
	}
	return v
}

func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	reg.MustRegister(c)
	return c
}
