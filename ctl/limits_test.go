package ctl

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLimitsAreShownWithWhoHasMetThem(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, row := range []struct {
		what string
		all  limits
		want string
	}{
		{"none", limits{}, "there are no limits per source or key\n"},
		{"nobody has met one", limits{PerKey: &quota{Requests: "100/s", Terminals: 10, Burst: "1s"}, MostKnown: 64}, `
LIMITS   MAY USE                                    KNOWN
per_key  requests: 100/s, terminals: 10, burst: 1s  0 of up to 64

nobody has met a limit in the last ten minutes
`},
		{"some have", limits{
			PerSource: &quota{Connections: 100, NewConnections: "50/s", Requests: "200/s", Terminals: 20, Burst: "2s", Known: 3}, MostKnown: 64,
			Top: []offender{
				{Source: "2001:db8::/64", Limit: "per_source.requests", Refused: 7, Last: at},
				{Key: "0123456789ab", Limit: "per_key.terminals", Refused: 1, Last: at},
			},
		}, `
LIMITS      MAY USE                                                                             KNOWN
per_source  connections: 100, new_connections: 50/s, requests: 200/s, terminals: 20, burst: 2s  3 of up to 64

WHO               LIMIT                REFUSED  LAST
2001:db8::/64     per_source.requests  7        2026-01-02 03:04:05 UTC
key 0123456789ab  per_key.terminals    1        2026-01-02 03:04:05 UTC
`},
	} {
		var b strings.Builder
		if err := showLimits(&b, row.all); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimPrefix(row.want, "\n"), b.String()); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.what, diff)
		}
	}
}
