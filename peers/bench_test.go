package peers

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/route"
)

// region returns the registers of 2,000 hosts that have an override of their state and
// weight, and a slow start.
func region(t testing.TB) (all []Register) {
	for i := range 2000 {
		host := fmt.Sprintf("ide-%04d", i)
		o := weighing(host, 3, i)
		o.State = route.Drain
		all = append(append(all, must(t, o)...), mustStart(t, SlowStart{Host: host, Number: 3, Since: at(i), Lasts: time.Minute})...)
	}
	return all
}

// BenchmarkState is what a state exchange costs who tells it.
func BenchmarkState(b *testing.B) {
	e := NewExchange(zerolog.Nop())
	e.Hold(region(b)...)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(e.State(1 << 30))))
	}
}

// BenchmarkReceive is what a state exchange costs who is told nothing new by it.
func BenchmarkReceive(b *testing.B) {
	e := NewExchange(zerolog.Nop())
	e.Hold(region(b)...)
	state := e.State(1 << 30)
	b.SetBytes(int64(len(state)))
	b.ReportAllocs()
	for b.Loop() {
		e.Receive(state)
	}
}

// BenchmarkChange is what a change of one register costs the disk in bytes written, those of
// the file every now and then among them.
func BenchmarkChange(b *testing.B) {
	d := open(b, b.TempDir())
	d.all.add(region(b)...)
	if err := d.compact(); err != nil {
		b.Fatal(err)
	}
	written, changes := int64(0), 0
	for b.Loop() {
		changes++
		before := d.journal.Size()
		d.mustWrite(b, must(b, override(fmt.Sprintf("ide-%04d", changes%2000), route.Maint, 5000+changes))...)
		if after := d.journal.Size(); after > before {
			written += after - before
		} else {
			written += d.size
		}
	}
	b.ReportMetric(float64(written)/float64(changes), "disk-bytes/change")
}
