package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tokenring/route"
)

func TestAHostsKeyIsReplaced(t *testing.T) {
	key := route.HostKey{4, 5, 6}
	for body, want := range map[string]route.Rekey{
		`{}`: {Host: "ide-2", By: "api"},
		`{"forget":true,"by":"eva","reason":"old agent"}`: {Host: "ide-2", Forget: true, By: "eva", Reason: "old agent"},
		`{"key":"` + key.String() + `"}`:                  {Host: "ide-2", Key: key, By: "api"},
	} {
		r := newRegion()
		var log strings.Builder
		got := decode[rekeyBody](t, ask(newServer(t, r, &log), "POST", "/v1/hosts/ide-2/rekey", body), http.StatusOK)
		if asked := *r.rekey.Load(); asked != want {
			t.Errorf("%s: asked for %+v, want %+v", body, asked, want)
		}
		if learned := got.Key == ""; got.Name != "ide-2" || learned != want.Forget || (got.Fingerprint == "") != learned {
			t.Errorf("%s: got %+v", body, got)
		}
		for _, part := range []string{"an operator changed a host's key", `"host":"ide-2"`, fmt.Sprintf("%q:%q", "key", got.Fingerprint), fmt.Sprintf("%q:%q", "by", want.By)} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: the log lacks %s: %s", body, part, log.String())
			}
		}
	}
}

func TestAHostsKeyStaysIfSomethingIsWrong(t *testing.T) {
	key := route.HostKey{4, 5, 6}
	for _, row := range []struct {
		body   string
		err    error
		status int
	}{
		{`{"key":"abc"}`, nil, http.StatusUnprocessableEntity},
		{`{"forget":true,"key":"` + key.String() + `"}`, nil, http.StatusUnprocessableEntity},
		{`{"kee":"abc"}`, nil, http.StatusUnprocessableEntity},
		{`{}`, fmt.Errorf("%w: two claim it", route.ErrRekey), http.StatusConflict},
		{`{}`, route.ErrUnknownHost, http.StatusNotFound},
		{`{}`, fmt.Errorf("the disk is full"), http.StatusServiceUnavailable},
	} {
		r := newRegion()
		r.refuse = row.err
		var log strings.Builder
		if got := ask(newServer(t, r, &log), "POST", "/v1/hosts/ide-2/rekey", row.body); got.Code != row.status || r.rekey.Load() != nil {
			t.Errorf("%s, %v: got %d %s", row.body, row.err, got.Code, got.Body)
		}
		if row.err != nil && !strings.Contains(log.String(), row.err.Error()) {
			t.Errorf("%v: the log lacks it: %s", row.err, log.String())
		}
	}
}
