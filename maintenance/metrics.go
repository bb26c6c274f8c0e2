package maintenance

import "github.com/prometheus/client_golang/prometheus"

var inMaintenance = prometheus.NewDesc("lb_maintenance",
	"1 if requests of a route get the maintenance page, else 0; the route is empty for all requests.", []string{"route"}, nil)

// A Collector tells which of some routes are in maintenance, and whether all requests are.
type Collector struct {
	Switches *Switches
	Routes   []string // their names
}

// Describe implements prometheus.Collector.
func (c Collector) Describe(ch chan<- *prometheus.Desc) { ch <- inMaintenance }

// Collect implements prometheus.Collector.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	for _, route := range append([]string{""}, c.Routes...) {
		on := 0.0
		if c.Switches.On(route) {
			on = 1
		}
		ch <- prometheus.MustNewConstMetric(inMaintenance, prometheus.GaugeValue, on, route)
	}
}
