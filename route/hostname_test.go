package route_test

import (
	"strings"
	"testing"

	"tokenring/route"
)

func TestHostsOfOtherPoolsHaveThePoolInTheirNames(t *testing.T) {
	for _, tt := range []struct {
		name, pool string
		ok         bool
	}{
		{"ide-1", "", true},
		{"api/a1", "api", true},
		{"api/10.0.0.5-8080", "api", true},
		{"my-api/A.1_x", "my-api", true},
		{"", "", false},
		{"api/", "api", false},
		{"/a1", "", false},
		{"api/a/1", "api", false},     // one slash alone
		{"API/a1", "API", false},      // pools have small letters
		{"pool/ide-1", "pool", false}, // the main pool's hosts have plain names
		{"-api/a1", "-api", false},
		{"api/-a1", "api", false},
		{strings.Repeat("p", route.MaxPoolName) + "/a", strings.Repeat("p", route.MaxPoolName), true},
		{strings.Repeat("p", route.MaxPoolName+1) + "/a", strings.Repeat("p", route.MaxPoolName+1), false},
		{"api/" + strings.Repeat("a", route.MaxName-4), "api", true},
		{"api/" + strings.Repeat("a", route.MaxName-3), "api", false},
	} {
		if err := route.CheckHostName(tt.name); (err == nil) != tt.ok {
			t.Errorf("%q: got %v, want ok=%v", tt.name, err, tt.ok)
		}
		pool, rest := route.SplitHost(tt.name)
		if pool != tt.pool || pool != "" && route.InPool(pool, rest) != tt.name {
			t.Errorf("%q: got the pool %q and %q", tt.name, pool, rest)
		}
	}
}
