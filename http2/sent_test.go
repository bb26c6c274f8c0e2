package http2

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

// TestSentFindsGoAwayHoweverTheBytesAreSplit, and no other frame that looks like it.
func TestSentFindsGoAwayHoweverTheBytesAreSplit(t *testing.T) {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(f.WriteSettings())
	check(f.WriteData(1, false, []byte{0, 0, 8, typeGoAway, 0, 0, 0, 0, 0}))
	check(f.WriteSettingsAck())
	check(f.WriteData(1, true, nil))
	before := b.Len()
	check(f.WriteGoAway(1, http2.ErrCodeNo, nil))
	all := b.Bytes()
	for size := 1; size <= len(all); size++ {
		var s Sent
		for at := 0; at < before; at += size {
			s.Wrote(all[at:min(at+size, before)])
		}
		if s.GoAway() {
			t.Errorf("in pieces of %d: found before it was sent", size)
		}
		for at := before; at < len(all); at += size {
			s.Wrote(all[at:min(at+size, len(all))])
		}
		if !s.GoAway() {
			t.Errorf("in pieces of %d: not found", size)
		}
	}
}

func TestTurnAwayIsSettingsAndGoAway(t *testing.T) {
	f := http2.NewFramer(nil, bytes.NewReader(TurnAway()))
	first, err := f.ReadFrame()
	if settings, ok := first.(*http2.SettingsFrame); !ok || settings.NumSettings() != 0 || settings.IsAck() {
		t.Errorf("got %v, %v", first, err)
	}
	second, err := f.ReadFrame()
	if away, ok := second.(*http2.GoAwayFrame); !ok || away.LastStreamID != 0 || away.ErrCode != http2.ErrCodeNo {
		t.Errorf("got %v, %v", second, err)
	}
}
