package metrics

import "github.com/prometheus/client_golang/prometheus"

// Tunnels are those of WebSockets.
type Tunnels struct {
	Open  prometheus.Gauge
	Ended *prometheus.CounterVec // by what ended them
}

func newTunnels(reg prometheus.Registerer) Tunnels {
	return Tunnels{
		Open:  gauge(reg, "lb_tunnels", "WebSocket tunnels that are open."),
		Ended: counters(reg, "lb_tunnels_ended_total", "WebSocket tunnels that ended, by what ended them.", "by"),
	}
}

// Placements are where keys were sent last, while loads are bounded.
type Placements struct {
	Home, Away prometheus.Gauge // at the ring's host, or not
}

func newPlacements(reg prometheus.Registerer) Placements {
	all := register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "lb_placements",
		Help: "Keys whose host this balancer remembers, while loads are bounded: at home, on the ring's host, or away, because that host was full.",
	}, []string{"place"}))
	return Placements{Home: all.WithLabelValues("home"), Away: all.WithLabelValues("away")}
}
