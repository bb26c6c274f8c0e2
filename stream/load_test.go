package stream

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/route"
	"tokenring/session"
)

// A counter is a Sink that counts reports. It is told by one peer.
type counter struct {
	reports  atomic.Int64
	complete chan struct{}
}

func (c *counter) Begin(string, uint64) Told        { return c }
func (c *counter) Reports(reports []session.Report) { c.reports.Add(int64(len(reports))) }
func (c *counter) SnapshotEnd()                     { close(c.complete) }
func (c *counter) End()                             {}

// A prepared source has reports, and no more of them.
type prepared struct{ reports []session.Report }

func (p *prepared) Next(ctx context.Context) ([]session.Report, error) {
	some := p.reports[:min(len(p.reports), 500)]
	if p.reports = p.reports[len(some):]; len(some) > 0 {
		return some, nil
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
func (p *prepared) Snapshot() bool { return len(p.reports) == 0 }
func (p *prepared) Close()         {}

// load returns how long a fresh balancer takes to hear of all n sessions of a source.
func load(t testing.TB, n int, source func() Source) time.Duration {
	t.Helper()
	c := &counter{complete: make(chan struct{})}
	a := newNode(t, "lb-a", func(o *Options) { o.Sources = source })
	b := newNode(t, "lb-b", func(o *Options) { o.Sink = c })
	a.know(b)
	b.start(a)
	began := time.Now()
	a.run()
	<-c.complete
	took := time.Since(began)
	if got := c.reports.Load(); got != int64(n) {
		t.Errorf("%d reports of %d have come", got, n)
	}
	eventually(t, "all is acknowledged", func() bool { return a.status(b).Up })
	a.stop()
	b.stop()
	return took
}

// manyReports returns the reports of n sessions on a thousand hosts.
func manyReports(n int) []session.Report {
	reports := make([]session.Report, n)
	for i := range reports {
		reports[i] = session.Report{Digest: digest(i), Host: hostName(i % 1000), Address: "10.0.0.1:4000", Hash: uint64(i) << 40, Hashed: true, Terminals: 1}
	}
	return reports
}

func TestAFreshBalancerHearsOfAllSessionsSoon(t *testing.T) {
	const n = 50_000
	took := load(t, n, func() Source { return &prepared{manyReports(n)} })
	t.Logf("%d sessions in %v", n, took)
	if took > 5*time.Second { // for a million
		t.Errorf("%d sessions take %v", n, took)
	}
}

// A quiet tunnel isn't asked for anything.
type quiet struct{ session.Tunnel }

// BenchmarkLoadAMillion has a fresh balancer hear of a million sessions, over TLS on loopback:
// of reports that are there already, and of the sessions of a balancer.
func BenchmarkLoadAMillion(b *testing.B) {
	const n = 1_000_000
	reports := manyReports(n)
	measure := func(b *testing.B, source func() Source) {
		for b.Loop() {
			load(b, n, source)
		}
	}
	b.Run("reports", func(b *testing.B) { measure(b, func() Source { return &prepared{reports} }) })
	b.Run("sessions", func(b *testing.B) {
		sessions := session.New()
		terminals := make([]session.Terminal, n)
		for i, r := range reports {
			terminals[i].Tunnel = quiet{}
			key := session.Key{Digest: spread(i), Key: route.KeyOf(r.Hash)}
			sessions.Add(key, &route.Endpoint{Name: r.Host, Address: r.Address}, &terminals[i], func(string) bool { return true })
		}
		measure(b, func() Source { return sessions.Watch() })
	})
}

// An arrival is a Sink that says when something is told.
type arrival struct{ told chan struct{} }

func (a arrival) Begin(string, uint64) Told { return a }
func (a arrival) Reports([]session.Report)  { a.told <- struct{}{} }
func (a arrival) SnapshotEnd()              {}
func (a arrival) End()                      {}

// BenchmarkOneChange is how long it takes until a peer knows that a session has begun or ended, over
// TLS on loopback; the longest time, too.
func BenchmarkOneChange(b *testing.B) {
	told := arrival{make(chan struct{}, 1)}
	from, to := newNode(b, "lb-a"), newNode(b, "lb-b", func(o *Options) { o.Sink = told })
	from.start(to)
	to.start(from)
	eventually(b, "the peer is told", func() bool { return from.status(to).Up })
	var longest time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		from.src.report(on(1, "ide-1", int32(1-i%2)))
		<-told.told
		longest = max(longest, time.Since(began))
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
}

// spread returns a digest as a balancer makes it.
func spread(n int) balancer.Digest {
	return balancer.NewDigester([]byte("a secret of a test")).Digest(strconv.AppendInt(nil, int64(n), 10))
}

// TestReportsAllocateNothing: what is allocated for a report would be garbage a million times.
func TestReportsAllocateNothing(t *testing.T) {
	e, d := newReportEncoder(), new(reportDecoder)
	var reports []session.Report
	for i := range 400 {
		reports = append(reports, on(i, hostName(i%20), 1))
	}
	frames := reportFrames(e, reports...)
	if _, err := decode(d, frames...); err != nil {
		t.Fatal(err)
	}
	last := frames[len(frames)-1].payload
	per := testing.AllocsPerRun(100, func() {
		e.encode(reports, func(byte, []byte, int) {})
		if _, err := d.readReports(last); err != nil {
			t.Fatal(err)
		}
	})
	if per > 0 {
		t.Errorf("%v allocations for %d reports", per, len(reports))
	}
}
