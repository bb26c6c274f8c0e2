package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tokenring/http1"
)

// Hosts are the failures of hosts and of their answers.
type Hosts struct {
	Errors   *prometheus.CounterVec // by kind
	Refused  *prometheus.CounterVec // answers, by one of our constant texts
	Repaired *prometheus.CounterVec // likewise
	Queued   *prometheus.CounterVec // requests to hosts that had as many as they may have, by what became of them
}

// What becomes of requests to a host that has as many as it may have.
const (
	QueueServed  = "served"      // it had its turn
	QueueFull    = "full"        // there was no room in the queue
	QueueTimeout = "timeout"     // it had no turn in time
	QueueGone    = "client-gone" // the client has left, or the balancer has stopped
	QueueLost    = "host-lost"   // the host has failed, or isn't the request's host any more
	QueueRetired = "retired"     // a newer process serves the request
)

func newHosts(reg prometheus.Registerer) Hosts {
	return Hosts{
		Errors:   counters(reg, "lb_upstream_errors_total", "Failures between the balancer and a host, by kind.", "kind"),
		Refused:  counters(reg, "lb_responses_refused_total", "Malformed answers of hosts that were refused, by reason.", "reason"),
		Repaired: counters(reg, "lb_responses_repaired_total", "Faults in answers of hosts that were repaired, by reason.", "reason", http1.RepairTexts()...),
		Queued: counters(reg, "lb_queue_total", "Requests that found max_connections others in progress on their host, by what became of them.", "result",
			QueueServed, QueueFull, QueueTimeout, QueueGone, QueueLost, QueueRetired),
	}
}
