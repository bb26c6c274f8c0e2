package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Go's collector lets the heap grow to twice what is live. That suits a proxy at
// neither end: one with few connections collects after every hundred handshakes,
// and one with thousands of quiet terminals keeps as much memory again for
// garbage that it doesn't make. So a small heap gets more room, and room that
// isn't used goes back to the kernel. `make bench` measures both: (c) and (d).
const (
	heapRoom   = 32 << 20        // bytes that a small heap may grow by between two collections
	leastSpare = 4 << 20         // bytes that aren't worth a collection
	heapPeriod = 5 * time.Second // between two looks at the heap

	// restPercent is GOGC while the heap is trimmed. The runtime gives back what
	// exceeds the size that follows from it, little by little in the background.
	// debug.FreeOSMemory does so at once, and stops all else on a processor for tens
	// of milliseconds meanwhile.
	restPercent = 5
)

// keepHeap runs until ctx ends. It leaves the collector alone if the operator
// has set GOGC.
func keepHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	var resting atomic.Int32 // how many of the next collections leave the heap at rest
	afterEachCollection(ctx, func() {
		if resting.Load() > 0 {
			resting.Add(-1)
			return
		}
		debug.SetGCPercent(gcPercent(readHeap().live))
	})
	tick := time.NewTicker(heapPeriod)
	defer tick.Stop()
	was := readHeap()
	for trimmed, trimming := was, false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		is := readHeap()
		switch {
		case trimming: // all that could be given back has been
			trimmed, trimming = is, false
		case is.trimmable(was, trimmed):
			trim(&resting)
			trimming = true
		}
		was = is
	}
}

// trim collects twice, since the runtime derives what it keeps from what was in
// use before the last collection, and sees to it only when one has ended.
func trim(resting *atomic.Int32) {
	resting.Store(2)
	debug.SetGCPercent(restPercent)
	runtime.GC()
	runtime.GC()
}

// afterEachCollection calls do after each collection, in a goroutine of the
// runtime's, until ctx has ended.
func afterEachCollection(ctx context.Context, do func()) {
	type sentinel struct{ _ *byte } // garbage at the next collection
	var arm func()
	arm = func() {
		runtime.SetFinalizer(new(sentinel), func(*sentinel) {
			if ctx.Err() == nil {
				do()
				arm()
			}
		})
	}
	arm()
}

// gcPercent returns what GOGC has to be for a heap of which so many bytes are
// live. The runtime lets a heap grow to 4 MiB at GOGC 100, however little is live,
// and to more in proportion, which must not be more than the room.
func gcPercent(live uint64) int {
	return max(100, int(100*heapRoom/max(live, 4<<20)))
}

// A heap is its size at one moment, in bytes.
type heap struct {
	live      uint64 // at the end of the last collection
	resident  uint64 // taken from the kernel and not given back
	allocated uint64 // since the process began
}

func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(s)
	return heap{
		live:      s[0].Value.Uint64(),
		allocated: s[1].Value.Uint64(),
		resident:  s[2].Value.Uint64() + s[3].Value.Uint64() + s[4].Value.Uint64(),
	}
}

// spare returns what isn't known to be live.
func (h heap) spare() uint64 { return h.resident - min(h.live, h.resident) }

// trimmable tells whether it is quiet since the heap was as was tells, and a
// collection is worth it: because a good part of the heap is known to be spare
// that wasn't when it was last trimmed, or because so much was allocated since
// then that nobody knows.
func (h heap) trimmable(was, trimmed heap) bool {
	quiet := h.allocated-was.allocated <= max(leastSpare/4, h.live/16)
	known := h.spare() > trimmed.spare()+max(leastSpare, h.live/4)
	return quiet && (known || h.allocated-trimmed.allocated > max(4*leastSpare, h.live))
}
