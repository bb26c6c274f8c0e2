package peers

import (
	"bytes"
	"testing"

	"github.com/rs/zerolog"
)

func TestAnnouncementsArePassedOnInExchangesOfState(t *testing.T) {
	from, to := NewExchange(zerolog.Nop()), NewExchange(zerolog.Nop())
	from.PassOn([][]byte{{0, 1, 255}, []byte("another")})
	to.Receive(from.State(1 << 20))
	got := to.TakeAnnouncements()
	if len(got) != 2 || !bytes.Equal(got[0], []byte{0, 1, 255}) || string(got[1]) != "another" || len(to.TakeAnnouncements()) > 0 {
		t.Errorf("got %q", got)
	}
	from.PassOn(nil)
	if to.Receive(from.State(1 << 20)); len(to.TakeAnnouncements()) > 0 {
		t.Error("what isn't passed on any more comes")
	}
}

func TestAnnouncementsThatNobodyTakesAreBounded(t *testing.T) {
	e := NewExchange(zerolog.Nop())
	for range 2 * maxAnnouncements {
		e.admitAnnouncements([][]byte{[]byte("a"), make([]byte, maxAnnouncement+1)})
	}
	got := e.TakeAnnouncements()
	if len(got) != maxAnnouncements || len(got[len(got)-1]) != 1 {
		t.Errorf("%d wait", len(got))
	}
}
