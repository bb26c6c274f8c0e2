package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"tokenring/builder"
	"tokenring/peers"
	"tokenring/route"
)

func TestOverridesOfPeersAreTakenPassedOnAndKept(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := live(t, statics("a", "b"), Options{Logger: zerolog.Nop(), StateDir: dir})
		defer l.stop()
		l.see(route.Up, "a", "b")
		d := peers.Override{Override: route.Override{Host: "a", State: route.Maint}, At: time.Now(), Origin: "lb-2"}
		weight := peers.Override{Override: route.Override{Host: "b", Weight: new(5), By: "eva"}, At: time.Now(), Origin: "lb-2"}
		b := message(t, []peers.Override{d, weight, {Override: route.Override{Host: "bad//name", State: route.Maint}, At: time.Now(), Origin: "lb-2"}})
		l.gossips.Peers.Receive(b)
		clear(b)
		l.gossips.Peers.Receive([]byte("noise"))
		l.pass(2 * builder.GatherTime)
		l.wantRing("b", "an override of a peer")
		if h := l.Snapshot().Host("b"); h.Weight != 5 || h.Announced != 1 || h.WeightOverride.By != "eva" {
			t.Errorf("the weight that a peer set: %+v", h)
		}
		if got := string(l.gossips.Peers.State(1 << 30)); !strings.Contains(got, `"lb-2"`) || strings.Contains(got, "bad") {
			t.Errorf("the next state exchange says %s", got)
		}
		if s := onDisk(t, dir); s.State("a").State != route.Maint || weightOf(s, "b") != 5 {
			t.Errorf("%d registers are on disk", s.Len())
		}
	})
}
