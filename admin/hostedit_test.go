package admin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
)

// withListed returns a region in which an operator has added ide-2.
func withListed() *fakeRegion {
	r := newRegion()
	r.change("ide-2", func(h *route.Host) {
		h.Origin, h.ListedBy = route.OriginOperator, route.Attribution{By: "eva", Reason: "more users", Since: aDay}
	})
	return r
}

func TestHostsAreAddedChangedAndRemoved(t *testing.T) {
	for _, row := range []struct {
		method, path, body string
		want               route.HostEdit
	}{
		{"POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19:4000"}`, route.HostEdit{Action: route.AddHost, Name: "ide-9", Address: "10.0.0.19:4000", By: "api"}},
		{
			"POST", "/v1/hosts", `{"name":"ide-9","address":"ide-9.internal:4000","weight":0,"id":9,"zone":"z","by":"kim","reason":"disk"}`,
			route.HostEdit{Action: route.AddHost, Name: "ide-9", Address: "ide-9.internal:4000", Weight: new(0), ID: new(uint32(9)), Zone: new("z"), By: "kim", Reason: "disk"},
		},
		{"PUT", "/v1/hosts/ide-2", `{"weight":3}`, route.HostEdit{Action: route.SetHost, Name: "ide-2", Weight: new(3), By: "api"}},
		{"PUT", "/v1/hosts/ide-2", `{"address":"10.0.0.22:4000","by":"kim"}`, route.HostEdit{Action: route.SetHost, Name: "ide-2", Address: "10.0.0.22:4000", By: "kim"}},
		{"DELETE", "/v1/hosts/ide-2?by=kim&reason=new+disk", "", route.HostEdit{Action: route.RemoveHost, Name: "ide-2", By: "kim", Reason: "new disk"}},
	} {
		r := withListed()
		var log strings.Builder
		got := decode[hostBody](t, ask(newServer(t, r, &log), row.method, row.path, row.body), http.StatusOK)
		if diff := cmp.Diff(row.want, *r.edit.Load()); diff != "" || got.Name != row.want.Name {
			t.Errorf("%s %s: answered with %s; -want +got\n%s", row.method, row.body, got.Name, diff)
		}
		for _, part := range []string{"an operator changed the list of hosts", fmt.Sprintf("%q:%q", "action", row.want.Action), fmt.Sprintf("%q:%q", "by", row.want.By), fmt.Sprintf("%q:%q", "host", row.want.Name), `"through":"api"`} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s %s: the log lacks %s: %s", row.method, row.body, part, log.String())
			}
		}
	}
}

func TestTheAPISaysWhoHasAddedAHost(t *testing.T) {
	s := newServer(t, withListed(), io.Discard)
	got := decode[hostBody](t, ask(s, "GET", "/v1/hosts/ide-2", ""), http.StatusOK)
	if want := (overrideBody{By: "eva", Reason: "more users", Since: aDay}); got.Origin != "operator" || got.ListedBy == nil || *got.ListedBy != want {
		t.Errorf("got %s, %+v", got.Origin, got.ListedBy)
	}
	if got := decode[hostBody](t, ask(s, "GET", "/v1/hosts/ide-1", ""), http.StatusOK); got.ListedBy != nil {
		t.Errorf("another host: %+v", got.ListedBy)
	}
}

func TestHostsStayIfSomethingIsWrong(t *testing.T) {
	for _, row := range []struct {
		method, path, body string
		err                error
		status             int
		text               string
	}{
		{"POST", "/v1/hosts", `{"name":"ide 9","address":"10.0.0.19:4000"}`, nil, 422, "must begin with a letter"},
		{"POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19"}`, nil, 422, "is not host:port"},
		{"POST", "/v1/hosts", `{"name":"ide-9","address":"0.0.0.0:4000"}`, nil, 422, "isn't an address to connect to"},
		{"POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.300:4000"}`, nil, 422, "neither an IP address nor a host name"},
		{"POST", "/v1/hosts", `{"name":"ide-9"}`, nil, 422, "address"},
		{"POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19:4000","weight":257}`, nil, 422, "weight"},
		{"POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19:4000","wait":1}`, nil, 422, "wait"},
		{"PUT", "/v1/hosts/ide-2", `{"reason":"none"}`, nil, 422, "nothing would change"},
		{"DELETE", "/v1/hosts/ide-2?max_moved=2", "", nil, 422, "max_moved"},
		{"PUT", "/v1/hosts/ide-2", `{"weight":2}`, fmt.Errorf("%w: it is in pool.hosts", route.ErrHostEdit), 409, "it is in pool.hosts"},
		{"DELETE", "/v1/hosts/ide-8", "", route.ErrUnknownHost, 404, "GET /v1/hosts lists them"},
		{"DELETE", "/v1/hosts/ide-2", "", fmt.Errorf("nothing was changed: the disk is full"), 503, "the disk is full"},
	} {
		r := withListed()
		r.refuse = row.err
		var log strings.Builder
		got := ask(newServer(t, r, &log), row.method, row.path, row.body)
		if got.Code != row.status || r.edit.Load() != nil || !strings.Contains(got.Body.String(), row.text) {
			t.Errorf("%s %s %s: got %d %s", row.method, row.path, row.body, got.Code, got.Body)
		}
		if row.err != nil && !strings.Contains(log.String(), row.err.Error()) {
			t.Errorf("%v: the log lacks it: %s", row.err, log.String())
		}
	}
}

func TestHostsThatMoveTooMuchAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"a new host", "POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19:4000","max_moved":0.1}`, 409},
		{"a new host, within the bound", "POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19:4000","max_moved":0.5}`, 200},
		{"a new host without weight", "POST", "/v1/hosts", `{"name":"ide-9","address":"10.0.0.19:4000","weight":0,"max_moved":0}`, 200},
		{"another weight", "PUT", "/v1/hosts/ide-2", `{"weight":9,"max_moved":0.1}`, 409},
		{"the same weight", "PUT", "/v1/hosts/ide-2", `{"weight":1,"max_moved":0}`, 200},
		{"another machine", "PUT", "/v1/hosts/ide-2", `{"address":"10.0.0.22:4000","max_moved":0.1}`, 409},
		{"the same machine", "PUT", "/v1/hosts/ide-2", `{"address":"10.0.0.12:4000","max_moved":0}`, 200},
		{"the same ring", "PUT", "/v1/hosts/ide-2", `{"id":22,"zone":"z","max_moved":0}`, 200},
		{"removed", "DELETE", "/v1/hosts/ide-2?max_moved=0.1", "", 409},
		{"removed, without a bound", "DELETE", "/v1/hosts/ide-2", "", 200},
		{"not the operators'", "DELETE", "/v1/hosts/ide-1?max_moved=0", "", 200}, // the region refuses it
	} {
		r := withListed()
		w := ask(newServer(t, r, io.Discard), row.method, row.path, row.body)
		if w.Code != row.status || (r.edit.Load() != nil) != (row.status == 200) {
			t.Errorf("%s: got %d %s, want %d", row.name, w.Code, w.Body, row.status)
		}
		if row.status == 409 && !strings.Contains(w.Body.String(), `"moved":0.`) {
			t.Errorf("%s: it doesn't say how much would move: %s", row.name, w.Body)
		}
	}
}
