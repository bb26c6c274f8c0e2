package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestDiscordTakesItsTime(t *testing.T) {
	const s = 1000 // milliseconds
	peer := func(name, digest string, since int) Peer {
		return Peer{Name: name, Digest: digest, Alive: true, Agrees: digest == "ours", Since: at(since)}
	}
	lost := Peer{Name: "lost", Digest: "x", Since: at(0)}
	for _, row := range []struct {
		name       string
		peers      []Peer
		before     []Peer
		rebuilding bool
		now        int
		late       string
		next       int // 0: never
	}{
		{"all agree", []Peer{peer("b", "ours", 0), lost}, nil, false, 60 * s, "", 0},
		{"not for long enough", []Peer{peer("b", "x", 0), peer("c", "x", 2*s)}, nil, false, 9 * s, "", 10 * s},
		{"one of two for long enough", []Peer{peer("b", "x", 0), peer("c", "x", 2*s)}, nil, false, 10 * s, "b", 12 * s},
		{"both", []Peer{peer("b", "x", 0), peer("c", "x", 2*s)}, nil, false, 12 * s, "b c", 0},
		{"one that has no table yet", []Peer{peer("b", "", 0)}, nil, false, 12 * s, "", 30 * s},
		{"one that gets none", []Peer{peer("b", "", 0)}, nil, false, 30 * s, "b", 0},
		{"our own is being built", []Peer{peer("b", "x", 0)}, nil, true, 60 * s, "", 0},
		{"our own is being built once more", []Peer{peer("b", "x", 0), peer("c", "x", 0)}, []Peer{peer("b", "x", 0)}, true, 60 * s, "b", 0},
		{"it agreed for a moment", []Peer{peer("b", "x", 55*s)}, []Peer{peer("b", "x", 0)}, false, 60 * s, "", 65 * s},
	} {
		late, next := discord(row.peers, row.before, row.rebuilding, at(row.now))
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
		peers []Peer
		want  time.Time
	}{
		{nil, time.Time{}},
		{[]Peer{{Alive: true, Agrees: true, Since: at(1)}, {Since: at(2)}}, time.Time{}},
		{[]Peer{{Alive: true, Since: at(5)}, {Alive: true, Since: at(3)}, {Alive: true, Agrees: true, Since: at(1)}}, at(3)},
	} {
		if got := (&Snapshot{Peers: row.peers}).DisagreeSince(); !got.Equal(row.want) {
			t.Errorf("%+v: got %v, want %v", row.peers, got, row.want)
		}
	}
}

func TestAlarmNamesAFewOfManyBalancers(t *testing.T) {
	var late []Peer
	for _, name := range []string{"b", "c", "d", "e", "f", "g"} {
		late = append(late, Peer{Name: name, Since: at(0)})
	}
	got := discordAlarm(late)
	if !strings.Contains(got, "e (since ") || strings.Contains(got, "f (since ") || !strings.Contains(got, "2 more") {
		t.Errorf("got %q, want four names, and how many more", got)
	}
}

// another tells what the gossip among balancers holds of one.
func (l *life) another(name, digest string, lost bool) {
	l.peers.roster.mu.Lock()
	l.peers.roster.members["lb/"+name] = member{meta: meta{Role: roleLB, Name: name, Digest: digest}, lost: lost}
	l.peers.roster.mu.Unlock()
	l.peers.roster.note()
	l.pass(0)
}

func TestBalancersThatDisagreeForLongRaiseAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged logBuffer
		l := live(t, statics("a", "b"), Options{Logger: zerolog.New(&logged)})
		defer l.stop()
		l.see(Up, "a", "b")
		ours := l.Snapshot().Table.Digest()
		l.another("lb-2", ours, false)
		l.pass(time.Minute)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().IsZero() {
			t.Errorf("they agree: alarm %q, since %v", s.Alarm, s.DisagreeSince())
		}

		l.another("lb-2", "another", false)
		since := time.Now()
		l.pass(discordAfter - time.Millisecond)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().Equal(since) {
			t.Errorf("not for long: alarm %q, since %v, want %v", s.Alarm, s.DisagreeSince(), since)
		}
		l.pass(time.Millisecond)
		s := l.Snapshot()
		for _, part := range []string{"lb-2 (since " + since.UTC().Format(time.RFC3339) + ")", "GET /v1/ring", "hash in lb.yaml"} {
			if !strings.Contains(s.Alarm, part) {
				t.Errorf("alarm %q, want %q in it", s.Alarm, part)
			}
		}
		if strings.Count(logged.String(), "another balancer places tokens by another ring") != 1 {
			t.Errorf("the log: %s", &logged)
		}

		l.another("lb-2", ours, false)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().IsZero() {
			t.Errorf("they agree again: alarm %q, since %v", s.Alarm, s.DisagreeSince())
		}
		if !strings.Contains(logged.String(), "any more") {
			t.Errorf("the log doesn't say that it is over: %s", &logged)
		}
	})
}

// TestAHostThatJoinsRaisesNoAlarm: each balancer learns of it at another moment.
func TestAHostThatJoinsRaisesNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), quiet())
		defer l.stop()
		l.see(Up, "a")
		l.another("lb-2", l.Snapshot().Table.Digest(), false)
		l.see(Up, "b") // here first
		l.pass(discordAfter / 2)
		if l.Snapshot().DisagreeSince().IsZero() {
			t.Error("the tables differ, and that isn't seen")
		}
		l.another("lb-2", l.Snapshot().Table.Digest(), false)
		l.pass(time.Hour)
		for _, s := range l.shots {
			if s.Alarm != "" {
				t.Fatalf("alarm %q", s.Alarm)
			}
		}
	})
}

func TestABalancerThatIsLostDoesNotDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a"), quiet())
		defer l.stop()
		l.see(Up, "a")
		l.another("lb-2", "another", false)
		l.pass(2 * discordAfter)
		if l.Snapshot().Alarm == "" {
			t.Fatal("no alarm at first")
		}
		l.another("lb-2", "another", true)
		if s := l.Snapshot(); s.Alarm != "" || !s.DisagreeSince().IsZero() {
			t.Errorf("lost: alarm %q, since %v", s.Alarm, s.DisagreeSince())
		}
	})
}

// TestAnEmptyRingIsTheSameWhateverWasBefore: of two balancers whose hosts are all
// drained, the one that has started since is of one mind with the other.
func TestAnEmptyRingIsTheSameWhateverWasBefore(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := Options{Logger: zerolog.Nop(), StateDir: dir}
		l := live(t, statics("a"), o)
		l.see(Up, "a")
		if err := l.decide("a", Drain); err != nil {
			t.Fatal(err)
		}
		emptied := l.Snapshot().Table.Digest()
		l.stop()
		l = live(t, statics("a"), o)
		defer l.stop()
		l.another("lb-2", emptied, false)
		l.see(Up, "a")
		if s := l.Snapshot(); s.Table.Digest() != emptied || !s.DisagreeSince().IsZero() {
			t.Errorf("the ring is %q, that of the one before was %q", s.Table.Digest(), emptied)
		}
	})
	synctest.Test(t, func(t *testing.T) { // nobody has ever come
		l := live(t, Config{}, quiet())
		defer l.stop()
		l.pass(settleLimit + 2*gather)
		if s := l.Snapshot(); s.Table.Digest() == "" || s.Rebuilding {
			t.Errorf("the ring is %q, rebuilding %t", s.Table.Digest(), s.Rebuilding)
		}
	})
}

// TestAlarmsDontHideOneAnother: a partition freezes the ring and leaves the
// balancers with different ones.
func TestAlarmsDontHideOneAnother(t *testing.T) {
	p := &Pool{scribe: newScribe("", zerolog.Nop()), asides: newAsides("")}
	k := &keeper{p: p, freeze: freeze{frozen: true, gone: 2, ring: 3}, discord: []Peer{{Name: "lb-2", Since: at(0)}}}
	if got := k.alarm(time.Now()); !strings.HasPrefix(got, "2 of the 3 hosts") || !strings.Contains(got, "lb-2") {
		t.Errorf("got %q, want the freeze first, and lb-2", got)
	}
}
