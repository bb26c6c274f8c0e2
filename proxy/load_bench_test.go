package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/session"
	"tokenring/session/region"
	peerstream "tokenring/stream"
)

// A manySessions is the Source of a balancer with sessions.
type manySessions struct{ left []session.Report }

func (s *manySessions) Next(ctx context.Context) ([]session.Report, error) {
	some := s.left[:min(len(s.left), 500)]
	if s.left = s.left[len(some):]; len(some) > 0 {
		return some, nil
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
func (s *manySessions) Snapshot() bool { return len(s.left) == 0 }
func (s *manySessions) Close()         {}

// A regionSink has a region take what a peer tells, and says when its snapshot is complete.
type regionSink struct {
	region   *region.Region
	complete chan struct{}
}

func (s regionSink) Begin(peer string, _ uint64) peerstream.Told {
	return told{s.region.Begin(peer), s.complete}
}

type told struct {
	*region.Stream
	complete chan struct{}
}

func (t told) SnapshotEnd() {
	t.Stream.SnapshotEnd()
	close(t.complete)
}

// sessionsOn returns n sessions with terminals on a host.
func sessionsOn(host string, n int) []session.Report {
	all := make([]session.Report, n)
	for i := range all {
		var key balancer.Digest
		binary.LittleEndian.PutUint64(key[:], uint64(i+1)*0x9e3779b97f4a7c15)
		key[0] = byte(uint64(i+1) * 0x9e3779b97f4a7c15 >> 56)
		all[i] = session.Report{Digest: key, Host: host, Address: "10.0.0.1:4000", Hash: uint64(i), Hashed: true, Terminals: 1}
	}
	return all
}

// loadFrom has a region hear of sessions from a peer, over TLS on loopback, and returns when it
// knows all.
func loadFrom(b *testing.B, r *region.Region, all []session.Report) {
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	complete := make(chan struct{})
	hubs, peers, listeners := []*peerstream.Hub{}, []peerstream.Peer{}, []net.Listener{}
	for _, o := range []peerstream.Options{
		{Name: "lb-1", Sources: func() peerstream.Source { return &manySessions{} }, Sink: regionSink{r, complete}},
		{Name: "lb-2", Sources: func() peerstream.Source { return &manySessions{left: all} }, Sink: regionSink{region.New(time.Minute, session.New()), make(chan struct{})}},
	} {
		o.Identity = peerstream.NewIdentity()
		ln := listen(b)
		hubs, listeners = append(hubs, peerstream.New(o)), append(listeners, ln)
		peers = append(peers, peerstream.Peer{Name: o.Name, Address: ln.Addr().String(), Fingerprint: o.Identity.Fingerprint()})
	}
	for i, hub := range hubs {
		hub.SetPeers(peers)
		running.Go(func() { _ = hub.Run(ctx, listeners[i]) })
	}
	<-complete
}

// BenchmarkRequestsWhileAMillionSessionsLoad measures how long requests take while a fresh balancer
// hears of a million sessions of a peer: the longest, and 99 of 100. Half of the requests are of
// tokens that are new, the other ones of a token that has a terminal through this balancer.
func BenchmarkRequestsWhileAMillionSessionsLoad(b *testing.B) {
	all := sessionsOn("a", 1_000_000)
	h := newHost(b, "a").on("/", says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true))
	for b.Loop() {
		l := start(b, func(l *lab) { l.cfg.Linger = time.Minute }, h)
		leave := l.enter(mark, "a")
		var took []time.Duration
		loaded := make(chan struct{})
		var asking sync.WaitGroup
		asking.Go(func() {
			w, answer := l.dial(), make([]byte, 4096)
			for i := 0; ; i++ {
				select {
				case <-loaded:
					return
				default:
				}
				token := mark
				if i%2 == 0 {
					token = fmt.Sprint(mark, i)
				}
				began := time.Now()
				_, _ = w.Write([]byte(get("/?token=" + token)))
				if n, err := w.Conn.Read(answer); err != nil || n == 0 {
					b.Error(err)
					return
				}
				took = append(took, time.Since(began))
				time.Sleep(200 * time.Microsecond)
			}
		})
		began := time.Now()
		loadFrom(b, l.p.Region(), all)
		load := time.Since(began)
		close(loaded)
		asking.Wait()
		leave()
		slices.Sort(took)
		b.ReportMetric(load.Seconds(), "s-load")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms-longest")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		l.p.Region().Clear()
	}
}
