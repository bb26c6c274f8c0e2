package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPatchSetsAWeightOrRemovesIt(t *testing.T) {
	r := newRegion()
	s := newServer(t, r, io.Discard)
	for _, step := range []struct {
		body     string
		weight   int
		override bool   // an operator set it
		state    string // of the host afterwards
	}{
		{`{"weight":3,"reason":"slow disk","by":"eva"}`, 3, true, "ready"},
		{`{"state":"drain","by":"bob"}`, 3, true, "drain"}, // a weight that is missing stays
		{`{"weight":0,"reason":"slow disk","by":"eva"}`, 0, true, "drain"},
		{`{"state":"ready","weight":256.0,"reason":"slow disk","by":"eva"}`, 256, true, "ready"},
		{`{"weight":null}`, 1, false, "ready"},
		{`{"weight":null}`, 1, false, "ready"},
	} {
		got := decode[hostBody](t, ask(s, "PATCH", "/v1/hosts/ide-2", step.body), http.StatusOK)
		if got.Weight != step.weight || got.AnnouncedWeight != 1 || got.State != step.state || (got.WeightOverride != nil) != step.override {
			t.Errorf("%s: got weight %d (announced %d, override %+v), %s", step.body, got.Weight, got.AnnouncedWeight, got.WeightOverride, got.State)
		}
		if d := got.WeightOverride; d != nil && (d.By != "eva" || d.Reason != "slow disk" || d.Since.IsZero()) {
			t.Errorf("%s: got the override %+v", step.body, d)
		}
	}
}

func TestTheAPISaysThatAWeightMayBeNull(t *testing.T) {
	text := ask(newServer(t, newRegion(), io.Discard), "GET", "/v1/openapi.json", "").Body.String()
	_, member, _ := strings.Cut(text, `"weight":{"description":"The host's share in relation`)
	member, _, _ = strings.Cut(member, "}")
	for _, want := range []string{`"integer"`, `"null"`, `"maximum":256`, `"minimum":0`} {
		if !strings.Contains(member, want) {
			t.Errorf("the weight is described as %s, without %s", member, want)
		}
	}
}
