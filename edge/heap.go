package edge

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Go's garbage collector lets the heap grow to twice its live bytes. That suits neither a
// small nor a large proxy. A proxy with few connections collects after every hundred
// handshakes. A proxy with thousands of quiet terminals makes little garbage, and has
// twice the memory that it needs. So a small heap may grow more, and unused memory is
// given back to the kernel. `make bench` measures both: (c) and (d).
const (
	heapGrowth = 32 << 20        // how many bytes a small heap may grow between two collections
	leastSpare = 4 << 20         // fewer spare bytes aren't worth a collection
	heapPeriod = 5 * time.Second // between two readings of the heap

	// trimPercent is GOGC while the heap is trimmed. It sets the size of the heap, and
	// the runtime gives back the rest of the memory in the background.
	// debug.FreeOSMemory would give it back at once, and would block a processor for
	// tens of milliseconds.
	trimPercent = 5
)

// ControlHeap sets GOGC by the size of the heap, and trims the heap, until ctx ends. It
// does nothing if the operator has set GOGC.
func ControlHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	var trims atomic.Int32 // how many of the next collections are part of a trim
	afterEachCollection(ctx, func() {
		if trims.Load() > 0 {
			trims.Add(-1)
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
		case trimming: // the memory has been given back
			trimmed, trimming = is, false
		case is.trimmable(was, trimmed):
			trim(&trims)
			trimming = true
		}
		was = is
	}
}

// trim makes the runtime give memory back. It collects twice, because the runtime computes
// the memory to keep at the end of a collection, from the heap before that collection.
func trim(trims *atomic.Int32) {
	trims.Store(2)
	debug.SetGCPercent(trimPercent)
	runtime.GC()
	runtime.GC()
}

// afterEachCollection calls do after each collection, until ctx has ended. do runs in
// the runtime's goroutine for finalizers, and must not block.
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

// gcPercent returns the GOGC for a heap of so many live bytes. With it, the heap grows by
// heapGrowth at most, or to twice its size if that is more. At GOGC 100 the runtime lets
// every heap grow to 4 MiB, and at other values in proportion.
func gcPercent(live uint64) int {
	return max(100, int(100*heapGrowth/max(live, 4<<20)))
}

// A heap has the sizes of the heap at one moment, in bytes.
type heap struct {
	live      uint64 // at the end of the last collection
	resident  uint64 // got from the kernel and not given back
	allocated uint64 // since the process started
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

// spare returns how many resident bytes aren't known to be live.
func (h heap) spare() uint64 { return h.resident - min(h.live, h.resident) }

// trimmable reports whether a trim is worth its cost now. was is the heap one period ago,
// and trimmed is the heap after the last trim. The program must have allocated little
// since was. And there must be many more spare bytes than after the last trim, or the
// program must have allocated so much since then that the number isn't known.
func (h heap) trimmable(was, trimmed heap) bool {
	quiet := h.allocated-was.allocated <= max(leastSpare/4, h.live/16)
	known := h.spare() > trimmed.spare()+max(leastSpare, h.live/4)
	return quiet && (known || h.allocated-trimmed.allocated > max(4*leastSpare, h.live))
}
