package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestPeersDecisionsAreTakenPassedOnAndKept(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(Up, "a", "b")
		d := Decision{Host: "a", State: Maint, At: time.Now(), Origin: "lb-2"}
		weight := Decision{Host: "b", Weight: new(5), By: "eva", At: time.Now(), Origin: "lb-2"}
		b, err := encodeMemory([]Decision{d, weight, {Host: "bad/name", State: Maint, At: time.Now(), Origin: "lb-2"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.peers.NotifyMsg(b)
		clear(b)
		l.peers.NotifyMsg([]byte("noise"))
		l.pass(2 * gather)
		l.wantRing("b", "a peer decided")
		if h := l.Snapshot().Host("b"); h.Weight != 5 || h.Announced != 1 || h.Weighed.By != "eva" {
			t.Errorf("the weight that a peer decided: %+v", h)
		}
		if got := string(l.peers.LocalState(false)); !strings.Contains(got, `"lb-2"`) || strings.Contains(got, "bad") {
			t.Errorf("the next state exchange says %s", got)
		}
		if m, _, err := loadMemory(dir); err != nil || m.decided.state("a").State != Maint || m.decided.weights()["b"] != 5 {
			t.Errorf("on disk: %v, %v", m, err)
		}
	})
}

func TestNewsAboutTheWeightDoesNotPushOutThatAboutTheState(t *testing.T) {
	p := newPeers(meta{Role: roleLB, Name: "lb-1"}, zerolog.Nop())
	p.gossip = new(gossip) // whom tell needs, but doesn't ask
	both := weighing("a", 5, 1)
	both.State = Drain
	for _, d := range []Decision{both, decision("b", Maint, 2), weighing("a", 6, 3)} {
		p.tell(d)
	}
	told := registers{}
	for _, message := range p.GetBroadcasts(0, 64<<10) {
		all, _, err := decodeMemory(message)
		if err != nil || len(all) != 1 {
			t.Fatalf("one message says %v, %v", all, err)
		}
		told.merge(all[0])
	}
	if len(told) != 3 || told.state("a").State != Drain || told.weights()["a"] != 6 || told.state("b").State != Maint {
		t.Errorf("told %v, want the last word on each topic", told)
	}
}

func TestPeersAgreeOrNotSinceWhen(t *testing.T) {
	peer := func(digest string, lost bool) map[string]member {
		return map[string]member{
			"lb/b": {meta: meta{Role: roleLB, Name: "b", Digest: digest}, lost: lost},
			"lb/c": {meta: meta{Role: roleLB, Name: "c", Leaving: true}, lost: true},
		}
	}
	var got []Peer
	for _, step := range []struct {
		members       map[string]member
		ms            int
		alive, agrees bool
		since         int
	}{
		{peer("x", false), 0, true, false, 0},
		{peer("y", false), 1, true, false, 0}, // another, but still not ours
		{peer("ours", false), 2, true, true, 2},
		{peer("ours", false), 3, true, true, 2},
		{peer("ours", true), 4, false, true, 4},
	} {
		got = view(step.members, "ours", got, at(step.ms))
		if len(got) != 1 {
			t.Fatalf("at %d: %+v, want one peer: the other has left", step.ms, got)
		}
		if p := got[0]; p.Alive != step.alive || p.Agrees != step.agrees || !p.Since.Equal(at(step.since)) {
			t.Errorf("at %d: %+v", step.ms, p)
		}
	}
}
