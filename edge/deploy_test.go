package edge

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
)

// queries returns the queries of deploy/: of the rules, and of the dashboard's panels.
func queries(t *testing.T) (all []string) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	read := func(file string, decode func([]byte) error) {
		t.Helper()
		text, err := os.ReadFile("../deploy/" + file)
		if err == nil {
			err = decode(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read("prometheus/lb.rules.yml", func(text []byte) error { return yaml.Unmarshal(text, &rules) })
	read("grafana/lb.json", func(text []byte) error { return json.Unmarshal(text, &board) })
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("the alert %s doesn't say what it is about", r.Alert)
			}
			all = append(all, r.Expr)
		}
	}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

var (
	metricInQuery = regexp.MustCompile(`\b((?:lb|process)_[a-z0-9_]+)(\{[^}]*\})?`)
	labelInQuery  = regexp.MustCompile(`([a-z_]+)(?:=~|!=|=)"([^"]*)"`)
)

// TestRulesAndDashboardsAskForMetricsThatAreThere compares the queries in deploy/ with the
// metrics of a balancer that has a peer, and of one that has a second pool.
func TestRulesAndDashboardsAskForMetricsThatAreThere(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b")
	a := startMember(t, "a", hosts)
	b := startMember(t, "b", hosts, a)
	a.hears(1)
	b.hears(1)
	c := startWithPools(t, "c", `pools: {api: {hosts: [{name: a1, address: "127.0.0.1:1"}]}}`, map[string]string{"a": "127.0.0.1:2", "b": "127.0.0.1:3"})
	families, err := prometheus.Gatherers{a.gatherer(), c.gatherer()}.Gather()
	if families == nil {
		t.Fatal(err) // other errors are that both have a series
	}
	labels := map[string][]string{} // by metric: label=value of all its series
	for _, f := range families {
		labels[f.GetName()] = []string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[f.GetName()] = append(labels[f.GetName()], l.GetName()+"="+l.GetValue())
			}
		}
	}
	seen := 0
	for _, query := range queries(t) {
		for _, match := range metricInQuery.FindAllStringSubmatch(query, -1) {
			seen++
			have, ok := labels[strings.TrimSuffix(match[1], "_bucket")]
			if !ok && match[1] != "lb_certificate_not_after_seconds" { // this balancer has no certificate
				t.Errorf("%s: there is no %s", query, match[1])
			}
			for _, l := range labelInQuery.FindAllStringSubmatch(match[2], -1) {
				if l[1] != "instance" && !slices.Contains(have, l[1]+"="+l[2]) {
					t.Errorf("%s: %s has no %s=%q", query, match[1], l[1], l[2])
				}
			}
		}
	}
	if seen < 30 {
		t.Errorf("only %d metrics are asked for", seen)
	}
}
