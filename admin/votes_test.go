package admin

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/route"
)

func TestVotesSayWhatBecomesOfAHostsTokens(t *testing.T) {
	for name, row := range map[string]struct {
		health route.Health
		want   *votesBody
	}{
		"nobody says anything": {route.Health{Own: route.Up, Verdict: route.Up}, nil},
		"it is held": {
			route.Health{Own: route.Down, Verdict: route.Down, Held: true, Views: route.Views{Up: "lb-2"}},
			&votesBody{Here: "down", UpAt: []string{"lb-2"}, DownAt: []string{}, Held: true, Text: "down here, up at lb-2: held, its tokens get 503 here"},
		},
		"its gate closes": {
			route.Health{Own: route.Down, Verdict: route.Down, Held: true, AwaitsGate: true, Views: route.Views{Down: "lb-2"}},
			&votesBody{Here: "down", UpAt: []string{}, DownAt: []string{"lb-2"}, Held: true, Text: "down here, at lb-2: held until its gate has closed its terminals, its tokens get 503 here"},
		},
		"its terminals work": {
			route.Health{Own: route.Down, Verdict: route.Down, Traffic: true},
			&votesBody{Here: "down", UpAt: []string{}, DownAt: []string{}, Works: true, Text: "down here: its terminals still work, and keep their tokens"},
		},
		"those of another balancer work": {
			route.Health{Own: route.Up, Verdict: route.Down, Views: route.Views{Down: "lb-2, lb-3", Traffic: "lb-3"}},
			&votesBody{Here: "up", UpAt: []string{}, DownAt: []string{"lb-2", "lb-3"}, Works: true, Text: "down at lb-2, lb-3, up here: its terminals still work, and keep their tokens"},
		},
	} {
		if diff := cmp.Diff(row.want, votesOf(&route.Host{Health: row.health})); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}
