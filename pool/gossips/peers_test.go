package gossips

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/gossip/announcement"
	"tokenring/peers"
	"tokenring/route"
)

// at returns the moment so many milliseconds after the beginning.
func at(ms int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func TestABroadcastOfTheWeightReplacesNoBroadcastOfTheState(t *testing.T) {
	p := NewPeers(zerolog.Nop())
	queue := map[string][]byte{} // a later message on a topic takes the place of the earlier
	p.Broadcast = func(topic string, message []byte) { queue[topic] = message }
	state := func(host string, state route.State) route.Override { return route.Override{Host: host, State: state} }
	both := state("a", route.Drain)
	both.Weight = new(5)
	for i, o := range []route.Override{both, state("b", route.Maint), {Host: "a", Weight: new(6)}} {
		news, err := peers.Override{Override: o, At: at(i), Origin: "lb-1"}.Registers()
		if err != nil {
			t.Fatal(err)
		}
		p.Tell(news)
	}
	told := peers.NewSet(nil)
	for _, message := range queue {
		m, err := peers.DecodeMessage(message, nil)
		if err != nil || len(m.Registers) != 1 {
			t.Fatalf("one message says %+v, %v", m, err)
		}
		told.Merge(m.Registers[0], at(3))
	}
	weight, _ := told.Weight("a")
	if told.Len() != 3 || told.State("a").State != route.Drain || weight.WeightOrOwn() != 6 || told.State("b").State != route.Maint {
		t.Errorf("told %d registers, want the last word on each topic", told.Len())
	}
}

func TestPeersHaveTheTimeSinceWhenTheyAgree(t *testing.T) {
	peer := func(digest string, lost bool) map[string]gossip.Member {
		return map[string]gossip.Member{
			"lb/b": {Metadata: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "b"}, Digest: digest}, Lost: lost},
			"lb/c": {Metadata: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "c"}, Leaving: true}, Lost: true},
		}
	}
	var got []route.Peer
	for _, step := range []struct {
		members       map[string]gossip.Member
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
		got = peers.Compare(Announced(step.members), got, "ours", at(step.ms))
		if len(got) != 1 {
			t.Fatalf("at %d: %+v, want one peer: the other has left", step.ms, got)
		}
		if p := got[0]; p.Alive != step.alive || p.Agrees != step.agrees || !p.Since.Equal(at(step.since)) {
			t.Errorf("at %d: %+v", step.ms, p)
		}
	}
}

// TestPeersSayWhereTheyAcceptStreams: without an IP address of its own, at that of its gossip.
func TestPeersSayWhereTheyAcceptStreams(t *testing.T) {
	key := strings.Repeat("ab", 32)
	stream := announcement.Stream{}
	_, _ = hex.Decode(stream.Key[:], []byte(key))
	for address, want := range map[string]string{":7948": "10.0.0.3:7948", "10.1.1.1:7948": "10.1.1.1:7948"} {
		stream.Address = address
		list := Announced(map[string]gossip.Member{"lb/lb-2": {
			Metadata: announcement.Metadata{Role: announcement.BalancerRole, Spec: route.Spec{Name: "lb-2"}, Stream: stream},
			Addr:     netip.MustParseAddrPort("10.0.0.3:7947"),
		}})
		if len(list) != 1 || list[0].Stream != want || list[0].StreamKey != key {
			t.Errorf("%s: got %+v, want %s", address, list, want)
		}
	}
}
