package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tokenring/maintenance"
	"tokenring/session"
)

func TestOperatorsBeginMaintenance(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, newRegion(), &log)
	var said maintenance.Switch
	var refusal error
	s.deps.Maintenance = Maintenance{
		Active: func() []maintenance.Switch { return []maintenance.Switch{said} },
		Set: func(_ context.Context, one maintenance.Switch) (MaintenanceSet, error) {
			said = one
			said.At = aDay
			return MaintenanceSet{By: []string{"lb-1"}, Missing: []session.Missing{{Balancer: "lb-2", Why: "too slow"}}}, refusal
		},
	}
	w := ask(s, http.MethodPut, "/v1/maintenance", `{"on":true,"route":"api","reason":"new disks","by":"eva"}`)
	const active = `"maintenance":[{"route":"api","on":true,"reason":"new disks","by":"eva","at":"2026-03-01T12:00:00Z"}]`
	if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{`+active+`,"by":["lb-1"],"missing":[{"balancer":"lb-2","why":"too slow"}]}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if got := ask(s, http.MethodGet, "/v1/maintenance", "").Body.String(); strings.TrimSpace(got) != `{`+active+`}` {
		t.Errorf("got %s", got)
	}
	for _, part := range []string{`"by":"eva"`, `"route":"api"`, `"reason":"new disks"`, "an operator changed what is in maintenance"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("there is no %s in the log: %s", part, &log)
		}
	}
	for _, row := range []struct {
		err  error
		want int
	}{{fmt.Errorf("%w %q", ErrNoSuchRoute, "apo"), http.StatusNotFound}, {errors.New("the disk is full"), http.StatusServiceUnavailable}} {
		refusal = row.err
		if w := ask(s, http.MethodPut, "/v1/maintenance", `{"on":true,"route":"apo"}`); w.Code != row.want || !strings.Contains(w.Body.String(), "apo") && !strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%v: got %d %s", row.err, w.Code, w.Body)
		}
	}
}

func TestWithoutMaintenanceTheListIsEmpty(t *testing.T) {
	s := newServer(t, newRegion(), io.Discard)
	if got := ask(s, http.MethodGet, "/v1/maintenance", "").Body.String(); strings.TrimSpace(got) != `{"maintenance":[]}` {
		t.Errorf("got %s", got)
	}
}
