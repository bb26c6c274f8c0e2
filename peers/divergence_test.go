package peers

import (
	"strings"
	"testing"
	"time"

	"tokenring/route"
)

func TestDivergenceTakesItsTime(t *testing.T) {
	const s = 1000 // milliseconds
	peer := func(name, digest string, since int) route.Peer {
		return route.Peer{Name: name, Digest: digest, Alive: true, Agrees: digest == "ours", Since: at(since)}
	}
	lost := route.Peer{Name: "lost", Digest: "x", Since: at(0)}
	for _, row := range []struct {
		name       string
		peers      []route.Peer
		before     []route.Peer
		rebuilding bool
		now        int
		late       string
		next       int // 0: never
	}{
		{"all agree", []route.Peer{peer("b", "ours", 0), lost}, nil, false, 60 * s, "", 0},
		{"not for long enough", []route.Peer{peer("b", "x", 0), peer("c", "x", 2*s)}, nil, false, 9 * s, "", 10 * s},
		{"one of two for long enough", []route.Peer{peer("b", "x", 0), peer("c", "x", 2*s)}, nil, false, 10 * s, "b", 12 * s},
		{"both", []route.Peer{peer("b", "x", 0), peer("c", "x", 2*s)}, nil, false, 12 * s, "b c", 0},
		{"one that has no table yet", []route.Peer{peer("b", "", 0)}, nil, false, 12 * s, "", 30 * s},
		{"one that gets none", []route.Peer{peer("b", "", 0)}, nil, false, 30 * s, "b", 0},
		{"our own is being built", []route.Peer{peer("b", "x", 0)}, nil, true, 60 * s, "", 0},
		{"our own is being built once more", []route.Peer{peer("b", "x", 0), peer("c", "x", 0)}, []route.Peer{peer("b", "x", 0)}, true, 60 * s, "b", 0},
		{"it agreed for a moment", []route.Peer{peer("b", "x", 55*s)}, []route.Peer{peer("b", "x", 0)}, false, 60 * s, "", 65 * s},
	} {
		late, next := Divergent(row.peers, row.before, row.rebuilding, at(row.now))
		var names []string
		for _, p := range late {
			names = append(names, p.Name)
		}
		want := time.Time{}
		if row.next > 0 {
			want = at(row.next)
		}
		if got := strings.Join(names, " "); got != row.late || !next.Equal(want) {
			t.Errorf("%s: got %q and %v, want %q and %v", row.name, got, next, row.late, want)
		}
	}
}

func TestDisagreementCountsFromTheFirst(t *testing.T) {
	for _, row := range []struct {
		peers []route.Peer
		want  time.Time
	}{
		{nil, time.Time{}},
		{[]route.Peer{{Alive: true, Agrees: true, Since: at(1)}, {Since: at(2)}}, time.Time{}},
		{[]route.Peer{{Alive: true, Since: at(5)}, {Alive: true, Since: at(3)}, {Alive: true, Agrees: true, Since: at(1)}}, at(3)},
	} {
		if got := (&route.Snapshot{Peers: row.peers}).DisagreeSince(); !got.Equal(row.want) {
			t.Errorf("%+v: got %v, want %v", row.peers, got, row.want)
		}
	}
}

func TestAlarmNamesAFewOfManyBalancers(t *testing.T) {
	var late []route.Peer
	for _, name := range []string{"b", "c", "d", "e", "f", "g"} {
		late = append(late, route.Peer{Name: name, Since: at(0)})
	}
	got := DivergenceAlarm(late)
	if !strings.Contains(got, "e (since ") || strings.Contains(got, "f (since ") || !strings.Contains(got, "2 more") {
		t.Errorf("got %q, want four names, and how many more", got)
	}
}
