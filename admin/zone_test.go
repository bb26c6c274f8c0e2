package admin

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestAServerOfNamesHasAnAPIOfItsOwn: the calls of a balancer aren't there, and the token is needed.
func TestAServerOfNamesHasAnAPIOfItsOwn(t *testing.T) {
	s, err := New(Deps{
		Zone: &Zone{
			Status: func() ZoneStatus {
				return ZoneStatus{Zone: "gslb.test.", Services: []ZoneService{}, Regions: []RegionStatus{}}
			},
			Explain: func(name string, from netip.Addr) (ZoneExplanation, bool) {
				return ZoneExplanation{Name: name, Region: "eu", Network: from.String() + "/32"}, name == "www"
			},
		},
		Metrics:  prometheus.NewRegistry(),
		Identity: Identity{Token: "swordfish-swordfish", ReadToken: "whoever-may-look"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, token string
		status      int
		has         string
	}{
		{"/healthz", "", 200, "ok"},
		{"/readyz", "", 200, "ready"},
		{"/v1/dns", "", 401, "token"},
		{"/v1/dns", "swordfish-swordfish", 200, `"zone":"gslb.test."`},
		{"/v1/dns", "whoever-may-look", 200, `"zone":"gslb.test."`},
		{"/v1/dns/explain?name=www&from=192.0.2.7", "whoever-may-look", 200, `"network":"192.0.2.7/32"`},
		{"/v1/dns/explain?name=nope&from=192.0.2.7", "swordfish-swordfish", 404, "no service has this name"},
		{"/v1/dns/explain?name=www&from=192.0.2.777", "swordfish-swordfish", 422, "from is no IP address"},
		{"/v1/dns/explain?name=www&from=fe80::1%25eth0", "swordfish-swordfish", 422, "from is no IP address"},
		{"/v1/dns/explain?from=192.0.2.7", "swordfish-swordfish", 422, "name"},
		{"/v1/hosts", "swordfish-swordfish", 404, "nothing at this path"},
		{"/metrics", "swordfish-swordfish", 200, ""},
		{"/v1/openapi.json", "swordfish-swordfish", 200, "/v1/dns/explain"},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = "127.0.0.1:7000"
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
	}
}
