package gslb

import (
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/dnswire"
	"tokenring/steer"
)

// A collector has the metrics of a Node. All series are there from the start.
type collector struct{ n *Node }

// Collector returns the metrics of n.
func (n *Node) Collector() prometheus.Collector { return collector{n} }

var (
	answersDesc = prometheus.NewDesc("lb_dns_answers_total", "Answers to queries, by how they came and the answer's code.", []string{"transport", "code"}, nil)
	droppedDesc = prometheus.NewDesc("lb_dns_dropped_total", "Messages by UDP that get no answer, because they aren't queries or have no place to answer to.", nil, nil)
	unsentDesc  = prometheus.NewDesc("lb_dns_unsent_total", "Answers by UDP that couldn't be sent.", nil, nil)
	refusedDesc = prometheus.NewDesc("lb_dns_connections_refused_total", "TCP connections that were closed at once, because there were too many.", nil, nil)
	openDesc    = prometheus.NewDesc("lb_dns_connections", "Open TCP connections.", nil, nil)
	serialDesc  = prometheus.NewDesc("lb_dns_serial", "The serial of the zone; 0 before the first answer.", nil, nil)
	servesDesc  = prometheus.NewDesc("lb_dns_region_serves", "Whether a region serves: 1 or 0.", []string{"region"}, nil)
	upDesc      = prometheus.NewDesc("lb_dns_address_up", "Whether the probes of an address pass: 1 or 0.", []string{"region", "address"}, nil)
)

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{answersDesc, droppedDesc, unsentDesc, refusedDesc, openDesc, serialDesc, servesDesc, upDesc} {
		to <- d
	}
}

// codes are the codes of answers, as RFC 6895 calls them.
var codes = map[dnswire.Rcode]string{
	dnswire.NoError: "noerror", dnswire.FormErr: "formerr", dnswire.NXDomain: "nxdomain", dnswire.NotImp: "notimp",
	dnswire.Refused: "refused", dnswire.BadVers: "badvers",
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.n.server
	var dropped, unsent uint64
	udp := map[dnswire.Rcode]uint64{}
	for _, u := range s.udp {
		dropped += u.counts.dropped.Load()
		unsent += u.counts.unsent.Load()
		for code := range codes {
			udp[code] += u.counts.of(code)
		}
	}
	for code, name := range codes {
		to <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(udp[code]), "udp", name)
		to <- prometheus.MustNewConstMetric(answersDesc, prometheus.CounterValue, float64(s.tcp.of(code)), "tcp", name)
	}
	to <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(dropped))
	to <- prometheus.MustNewConstMetric(unsentDesc, prometheus.CounterValue, float64(unsent))
	to <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(s.tcp.refused.Load()))
	to <- prometheus.MustNewConstMetric(openDesc, prometheus.GaugeValue, float64(len(s.connections)))
	c.collectRegions(to)
}

// collectRegions sends the metrics of the regions, which are all 0 before the first answer.
func (c collector) collectRegions(to chan<- prometheus.Metric) {
	t := c.n.Table()
	var serial uint32
	if t != nil {
		serial = t.serial
	}
	to <- prometheus.MustNewConstMetric(serialDesc, prometheus.GaugeValue, float64(serial))
	for i := range c.n.plan.Regions {
		r := &c.n.plan.Regions[i]
		to <- prometheus.MustNewConstMetric(servesDesc, prometheus.GaugeValue, oneIf(t != nil && steer.Serves(r, &t.state[i])), r.Name)
		for j, a := range r.Addresses {
			to <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, oneIf(t != nil && t.state[i].Addresses[j].Up), r.Name, a.Addr.String())
		}
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
