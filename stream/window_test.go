package stream

import (
	"errors"
	"testing"
	"time"
)

func TestAWindowCountsWhatIsNotAcknowledged(t *testing.T) {
	t0 := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var w window
	sent := func(number uint64, kind byte, reports int) {
		t.Helper()
		if err := w.add(sentFrame{number, kind, reports, t0}); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range []struct {
		kind    byte
		reports int
	}{{kindHello, 0}, {kindHosts, 0}, {kindReports, 400}, {kindReports, 100}, {kindSnapshotEnd, 0}, {kindPing, 0}} {
		sent(uint64(i)+1, f.kind, f.reports)
	}
	for _, row := range []struct {
		number   uint64
		snapshot bool
		pending  int
		rtt      time.Duration
	}{
		{2, false, 500, 0},
		{3, false, 100, 0},
		{3, false, 100, 0}, // twice
		{1, false, 100, 0}, // late
		{5, true, 0, 0},
		{6, false, 0, 7 * time.Millisecond},
	} {
		snapshot, _, err := w.acknowledge(row.number, t0.Add(7*time.Millisecond))
		if err != nil || snapshot != row.snapshot || w.pending() != row.pending || w.rtt() != row.rtt {
			t.Errorf("%d: got %v, %v, %d pending, %v; want %v, %d, %v", row.number, snapshot, err, w.pending(), w.rtt(), row.snapshot, row.pending, row.rtt)
		}
	}
	if _, _, err := w.acknowledge(7, t0); !errors.Is(err, errAhead) {
		t.Errorf("of a frame that wasn't sent: got %v", err)
	}
	if len(w.sent) != 0 {
		t.Errorf("%d frames are remembered", len(w.sent))
	}
}

func TestAWindowIsBounded(t *testing.T) {
	var w window
	for i := range maxFrames {
		if w.full() {
			t.Errorf("full after %d frames", i)
		}
		_ = w.add(sentFrame{number: uint64(i) + 1, kind: kindReports})
	}
	if !w.full() {
		t.Error("it isn't full")
	}
	if _, _, err := w.acknowledge(1, time.Now()); err != nil || w.full() {
		t.Errorf("after an acknowledgement: %v, full %v", err, w.full())
	}
	for i := range maxPings {
		if err := w.add(sentFrame{number: uint64(100 + i), kind: kindPing}); err != nil {
			t.Errorf("ping %d: %v", i, err)
		}
	}
	if err := w.add(sentFrame{number: 200, kind: kindPing}); !errors.Is(err, errBehind) {
		t.Errorf("one ping too many: got %v", err)
	}
}
