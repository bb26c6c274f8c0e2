package edge

import (
	"context"
	"runtime"
	"testing"
	"time"
)

func TestSmallHeapsMayGrowMore(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 800},
		{4 << 20, 800},
		{8 << 20, 400},
		{16 << 20, 200},
		{32 << 20, 100},
		{1 << 40, 100},
	} {
		if got := gcPercent(tt.live); got != tt.want {
			t.Errorf("%d live bytes: GOGC %d, want %d", tt.live, got, tt.want)
		}
	}
}

func TestSpareMemoryIsGivenBackWhenLittleIsAllocated(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name   string
		is     heap
		period uint64 // bytes allocated in the last period
		total  uint64 // and since the heap was trimmed
		left   uint64 // spare when it had been trimmed
		want   bool
	}{
		{"garbage of a wave that is over", heap{live: 40 * mb, resident: 90 * mb}, 0, 0, 0, true},
		{"the same, and the wave goes on", heap{live: 40 * mb, resident: 90 * mb}, 20 * mb, 20 * mb, 0, false},
		{"a trickle", heap{live: 40 * mb, resident: 90 * mb}, 2 * mb, 2 * mb, 0, true},
		{"little to gain", heap{live: 40 * mb, resident: 49 * mb}, 0, 30 * mb, 0, false},
		{"little to gain from a small heap", heap{live: 1 * mb, resident: 4 * mb}, 0, 0, 0, false},
		{"live at the last collection, and freed since", heap{live: 50 * mb, resident: 40 * mb}, 0, 10 * mb, 0, false},
		{"the same, after a wave", heap{live: 50 * mb, resident: 40 * mb}, 0, 60 * mb, 0, true},
		{"in pieces too small to be given back", heap{live: 14 * mb, resident: 24 * mb}, 0, 1 * mb, 9 * mb, false},
		{"the same, and terminals have left", heap{live: 10 * mb, resident: 24 * mb}, 0, 1 * mb, 9 * mb, true},
		{"a small heap after a small wave", heap{live: 3 * mb, resident: 5 * mb}, 0, 17 * mb, 0, true},
	} {
		tt.is.allocated = 1000 * mb
		if got := tt.is.trimmable(heap{allocated: 1000*mb - tt.period}, heap{resident: tt.left, allocated: 1000*mb - tt.total}); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestReadHeapHasWhatTheProgramAllocated(t *testing.T) {
	runtime.GC()
	was := readHeap()
	kept := make([]byte, 64<<20)
	is := readHeap()
	if grown := is.allocated - was.allocated; grown < 64<<20 || grown > 96<<20 {
		t.Errorf("%d bytes were allocated, want 64 MiB", grown)
	}
	if is.resident < 64<<20 || is.live > is.resident {
		t.Errorf("resident %d, live %d", is.resident, is.live)
	}
	runtime.KeepAlive(kept)
}

func TestAfterEachCollectionTheFuncIsCalled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	noticed := make(chan bool, 100)
	afterEachCollection(ctx, func() { noticed <- true })
	for range 3 {
		runtime.GC()
		select {
		case <-noticed:
		case <-time.After(time.Minute):
			t.Fatal("a collection went by unnoticed")
		}
	}
	cancel()
}
