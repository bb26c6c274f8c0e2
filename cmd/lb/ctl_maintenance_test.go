package main

import (
	"strings"
	"testing"
)

func TestMaintenanceIsShownAndSet(t *testing.T) {
	const active = `"maintenance":[{"on":true,"by":"eva","reason":"new disks","at":"2026-03-01T12:00:00Z"},{"route":"api","on":true,"at":"2026-03-01T12:00:00Z"}]`
	const table = "ROUTE           SINCE                    BY   REASON\n" +
		"(all requests)  2026-03-01 12:00:00 UTC  eva  new disks\n" +
		"api             2026-03-01 12:00:00 UTC"
	f := newFakeAPI(t, map[string]string{
		"GET /v1/maintenance": `{` + active + `}`,
		"PUT /v1/maintenance": `{` + active + `,"by":["lb-1","lb-2"],"missing":[{"balancer":"lb-3","why":"too slow"}]}`,
	})
	for _, row := range []struct{ command, want string }{
		{"maintenance", table},
		{"maintenance on --reason x", "in force on lb-1, lb-2\nnot yet on lb-3: too slow\n" + table},
		{"maintenance off --route api", table},
	} {
		if got := f.ctl(t, strings.Fields(row.command)...); got.code != exitOK || !strings.Contains(got.out, row.want) {
			t.Errorf("%s: exit %d, %s%s; want %q in it", row.command, got.code, got.out, got.errOut, row.want)
		}
	}
	for _, command := range []string{"maintenance --route api", "maintenance over"} {
		if got := f.ctl(t, strings.Fields(command)...); got.code != exitUsage {
			t.Errorf("%s: exit %d, %s", command, got.code, got.errOut)
		}
	}
	f = newFakeAPI(t, map[string]string{"GET /v1/maintenance": `{"maintenance":[]}`})
	if got := f.ctl(t, "maintenance"); got.out != "nothing is in maintenance\n" {
		t.Errorf("got %s%s", got.out, got.errOut)
	}
}
