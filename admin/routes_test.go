package admin

import (
	"io"
	"net/http"
	"testing"
)

func TestRoutesAreListed(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	if w := ask(s, http.MethodGet, "/v1/routes", ""); w.Code != 200 || w.Body.String() != `{"routes":[],"unmatched":{"does":"pool pool","requests":0}}`+"\n" {
		t.Errorf("without routes: got %d %s", w.Code, w.Body)
	}
	s.deps.Routes = func() Routes {
		return Routes{[]RouteStatus{{Name: "api", Matches: "api.example.com", Does: "pool api", Requests: 7}}, RouteStatus{Does: "respond 404", Requests: 1}}
	}
	want := `{"routes":[{"name":"api","matches":"api.example.com","does":"pool api","requests":7}],"unmatched":{"does":"respond 404","requests":1}}` + "\n"
	if w := ask(s, http.MethodGet, "/v1/routes", ""); w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
