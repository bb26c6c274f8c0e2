package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"tokenring/admin"
	"tokenring/config"
	"tokenring/proxy/routing"
)

// routes returns the routes, and how often requests have matched them, for operators.
func (e *Edge) routes() admin.Routes {
	table := e.proxy.Routes()
	all := admin.Routes{Routes: []admin.RouteStatus{}}
	for _, r := range table.Routes() {
		all.Routes = append(all.Routes, admin.RouteStatus{Name: r.Label, Matches: r.Matches(), Does: r.Does(), Requests: r.Requests()})
	}
	all.Unmatched = admin.RouteStatus{Does: unmatchedDoes(e.cfg), Requests: table.Unmatched()}
	return all
}

// unmatchedDoes returns in a few words what becomes of a request that no route matches.
func unmatchedDoes(cfg *config.Config) string {
	if status := cfg.UnmatchedStatus(); status != 0 {
		return fmt.Sprintf("respond %d", status)
	}
	return "pool " + routing.MainPool
}

var routeRequests = prometheus.NewDesc("lb_route_requests_total",
	"Requests that have matched a route, by route; none for those that no route matches.", []string{"route"}, nil)

// A routesCollector returns how often requests have matched routes. Without routes it returns
// nothing.
type routesCollector struct{ *routing.Table }

// Describe implements prometheus.Collector.
func (c routesCollector) Describe(ch chan<- *prometheus.Desc) { ch <- routeRequests }

// Collect implements prometheus.Collector.
func (c routesCollector) Collect(ch chan<- prometheus.Metric) {
	if c.Table == nil {
		return
	}
	for _, r := range c.Routes() {
		ch <- prometheus.MustNewConstMetric(routeRequests, prometheus.CounterValue, float64(r.Requests()), r.Label)
	}
	ch <- prometheus.MustNewConstMetric(routeRequests, prometheus.CounterValue, float64(c.Unmatched()), "none")
}

// A RouteExplanation says what becomes of a request by its host name, path and method.
type RouteExplanation struct {
	Route   string `json:"route,omitempty"` // "" if none matches
	Matches string `json:"matches,omitempty"`
	Does    string `json:"does"`
	Pool    string `json:"pool,omitempty"` // whose hosts serve it; "" if none do
}

// ExplainRoute says which route of a configuration a request takes. path is that of the request
// as it is sent; what follows a "?" doesn't count.
func ExplainRoute(cfg *config.Config, method, host, path string) RouteExplanation {
	path, _, _ = strings.Cut(path, "?")
	r, clear := routing.New(cfg.Routes).Match([]byte(host), []byte(path), []byte(method))
	switch {
	case !clear:
		return RouteExplanation{Does: "respond 400: the path can be read in several ways, which have different routes"}
	case r == nil && cfg.UnmatchedStatus() != 0:
		return RouteExplanation{Does: unmatchedDoes(cfg)}
	case r == nil:
		return RouteExplanation{Does: unmatchedDoes(cfg), Pool: routing.MainPool}
	}
	return RouteExplanation{Route: r.Label, Matches: r.Matches(), Does: r.Does(), Pool: r.Pool}
}

// Write writes the explanation to out, as one line of text or JSON.
func (x RouteExplanation) Write(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(x)
	}
	what := "no route matches"
	if x.Route != "" {
		what = fmt.Sprintf("route %s (%s)", x.Route, x.Matches)
	}
	_, err := fmt.Fprintf(out, "%s: %s\n", what, x.Does)
	return err
}
