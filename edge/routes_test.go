package edge

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tokenring/admin"
	"tokenring/config"
)

// TestRoutesOfTheFileAnswerAndAreCounted, from lb.yaml to the list and the metric.
func TestRoutesOfTheFileAnswerAndAreCounted(t *testing.T) {
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "lb.yaml"), []byte(`
name: lb-1
listen: [{address: "127.0.0.1:0"}]
pool: {hosts: [{name: ide-1, address: "127.0.0.1:1"}]}
admin: {address: "127.0.0.1:0"}
state_dir: state
routes:
  - {name: gone, path: /gone, method: [GET, HEAD], respond: {status: 410}}
  - {host: old.example.com, redirect: {to: "https://ide.example.com"}}
unmatched: 421
`))
	if err != nil {
		t.Fatal(err)
	}
	e, err := open(cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs(t, e)
	url := "http://" + e.sockets.Clients[0].Addr().String()
	client := &http.Client{
		Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, row := range []struct {
		host, path string
		status     int
	}{{"ide.example.com", "/gone", 410}, {"old.example.com", "/x", 302}, {"old.example.com", "/gone", 410}, {"ide.example.com", "/", 421}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = row.host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != row.status {
			t.Errorf("%s%s: got %d, want %d", row.host, row.path, resp.StatusCode, row.status)
		}
	}
	want := admin.Routes{
		Routes: []admin.RouteStatus{
			{Name: "gone", Matches: "GET,HEAD */gone", Does: "respond 410", Requests: 2},
			{Name: "routes[1]", Matches: "old.example.com", Does: "redirect 302 to https://ide.example.com", Requests: 1},
		},
		Unmatched: admin.RouteStatus{Does: "respond 421", Requests: 1},
	}
	if diff := cmp.Diff(want, e.routes()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	families, err := e.gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "lb_route_requests_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if diff := cmp.Diff(map[string]float64{"gone": 2, "routes[1]": 1, "none": 1}, got); diff != "" {
		t.Errorf("the metric: -want +got\n%s", diff)
	}
}

// TestWhichRouteARequestTakes is what lb explain says.
func TestWhichRouteARequestTakes(t *testing.T) {
	cfg, err := config.Parse("lb.yaml", []byte(`
listen: [{address: "127.0.0.1:0"}]
pool: {hosts: [{name: ide-1, address: "127.0.0.1:1"}]}
routes:
  - {name: ide, host: ide.example.com, pool: pool}
  - {path: /up, respond: {status: 204}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ method, host, path, want string }{
		{"GET", "IDE.example.com.:443", "/x?token=secret", "route ide (ide.example.com): pool pool\n"},
		{"HEAD", "", "/up?token=secret", "route routes[1] (*/up): respond 204\n"},
		{"GET", "", "/", "no route matches: pool pool\n"},
		{"GET", "", "//up", "no route matches: respond 400: the path can be read in several ways, which have different routes\n"},
	} {
		var text, line strings.Builder
		x := ExplainRoute(cfg, row.method, row.host, row.path)
		if err := x.Write(&text, false); err != nil || text.String() != row.want {
			t.Errorf("%s%s: got %q, %v, want %q", row.host, row.path, text.String(), err, row.want)
		}
		if err := x.Write(&line, true); err != nil || !strings.Contains(line.String(), `"does":"`+x.Does) || strings.Contains(line.String(), "secret") {
			t.Errorf("%s%s: got %q, %v", row.host, row.path, line.String(), err)
		}
	}
}
