package gossip

import (
	"slices"
	"testing"
)

// TestALaterBroadcastReplacesTheEarlierOnItsTopicAlone: messages on other topics stay in
// the queue.
func TestALaterBroadcastReplacesTheEarlierOnItsTopicAlone(t *testing.T) {
	d := newDelegate(nil, signer{}, func() int { return 3 })
	for _, b := range [][2]string{{"state a", "1"}, {"weight a", "2"}, {"state b", "3"}, {"state a", "4"}} {
		d.broadcast(b[0], []byte(b[1]))
	}
	var got []string
	for _, message := range d.GetBroadcasts(0, 64<<10) {
		got = append(got, string(message))
	}
	if slices.Sort(got); !slices.Equal(got, []string{"2", "3", "4"}) {
		t.Errorf("got %v, want the last message on each topic", got)
	}
}

func TestWithoutMessagesNothingIsExchanged(t *testing.T) {
	d := newDelegate(nil, signer{}, func() int { return 1 })
	d.NotifyMsg([]byte("x"))
	d.MergeRemoteState([]byte("x"), true)
	if state := d.LocalState(true); state != nil {
		t.Errorf("got the state %q", state)
	}
}
