package stream

import (
	"context"
	"encoding/binary"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/session"
	"tokenring/testlog"
)

// A node is a balancer's end of streams, with what it has heard.
type node struct {
	t    testing.TB
	hub  *Hub
	ln   net.Listener
	self Peer
	src  *sources
	sink *sink
	log  *testlog.Buffer
	stop func() // ends Run, and waits for it
}

// newNode returns a node that listens on loopback, and doesn't run yet.
func newNode(t testing.TB, name string, options ...func(*Options)) *node {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, ln: ln, src: newSources(), sink: newSink(), log: &testlog.Buffer{}, stop: func() { ln.Close() }}
	o := Options{Name: name, Boot: 1, Identity: NewIdentity(), Sources: n.src.open, Sink: n.sink, Log: zerolog.New(n.log)}
	for _, set := range options {
		set(&o)
	}
	n.hub = New(o)
	n.hub.times.patience, n.hub.times.handshake = 20*time.Second, 20*time.Second // the machine may be busy
	n.self = Peer{Name: name, Address: ln.Addr().String(), Fingerprint: o.Identity.Fingerprint()}
	t.Cleanup(func() { n.stop() })
	return n
}

// start runs the node with some peers, until the test ends or stop is called.
func (n *node) start(peers ...*node) *node {
	n.know(peers...)
	n.run()
	return n
}

func (n *node) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.hub.Run(ctx, n.ln) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			n.t.Errorf("%s: %v", n.self.Name, err)
		}
	})
}

func (n *node) know(peers ...*node) {
	var all []Peer
	for _, p := range peers {
		all = append(all, p.self)
	}
	n.hub.SetPeers(all)
}

// with sets how long streams wait.
func (n *node) with(set func(*times)) *node {
	set(&n.hub.times)
	return n
}

// status returns the state of the streams with a peer.
func (n *node) status(of *node) PeerStatus {
	for _, s := range n.hub.Status() {
		if s.Name == of.self.Name {
			return s
		}
	}
	return PeerStatus{Err: "it isn't a peer"}
}

// connected waits until nodes have told each other all they have.
func connected(t testing.TB, nodes ...*node) {
	t.Helper()
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				eventually(t, a.self.Name+" and "+b.self.Name+" are connected", func() bool {
					s := a.status(b)
					return s.Up && s.Heard && s.Err == ""
				})
			}
		}
	}
}

// failing waits until the stream from a to b isn't up, for a reason that has a text.
func failing(t testing.TB, a, b *node, text string) {
	t.Helper()
	var s PeerStatus
	defer func() {
		if t.Failed() {
			t.Logf("%s has of %s: %+v", a.self.Name, b.self.Name, s)
		}
	}()
	eventually(t, a.self.Name+" says: "+text, func() bool {
		s = a.status(b)
		return strings.Contains(s.Err, text)
	})
}

// eventually waits until ok, looking every few milliseconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never came true: %s", what)
		}
	}
}

// sources are what a node has to tell: the last report of each key.
type sources struct {
	mu   sync.Mutex
	all  map[balancer.Digest]session.Report
	live map[*source]bool
}

func newSources() *sources {
	return &sources{all: map[balancer.Digest]session.Report{}, live: map[*source]bool{}}
}

// A source is that of one stream.
type source struct {
	of      *sources
	first   int // how many of waiting are the snapshot
	waiting []session.Report
	note    chan struct{}
}

func (s *sources) open() Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &source{of: s, note: make(chan struct{}, 1)}
	for _, r := range s.all {
		n.waiting = append(n.waiting, r)
	}
	n.first = len(n.waiting)
	s.live[n] = true
	return n
}

// report has all streams told a report.
func (s *sources) report(r session.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[r.Digest] = r; r.Terminals == 0 {
		delete(s.all, r.Digest)
	}
	for n := range s.live {
		n.waiting = append(n.waiting, r)
		select {
		case n.note <- struct{}{}:
		default:
		}
	}
}

// reports returns the last report of each key that has terminals.
func (s *sources) reports() map[balancer.Digest]session.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.all)
}

func (s *sources) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

func (n *source) Next(ctx context.Context) ([]session.Report, error) {
	for {
		n.of.mu.Lock()
		some := n.waiting[:min(len(n.waiting), 500)]
		n.waiting, n.first = n.waiting[len(some):], max(0, n.first-len(some))
		n.of.mu.Unlock()
		if len(some) > 0 {
			return some, nil
		}
		select {
		case <-n.note:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (n *source) Snapshot() bool {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	return n.first == 0
}

func (n *source) Pending() int {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	return len(n.waiting)
}

func (n *source) Close() {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	delete(n.of.live, n)
}

// A sink remembers what peers have told.
type sink struct {
	mu    sync.Mutex
	calls []string // in their order
	told  map[string]map[balancer.Digest]session.Report
	boots map[string]uint64
	hook  func(reports []session.Report) // called before reports are taken
}

func newSink() *sink {
	return &sink{told: map[string]map[balancer.Digest]session.Report{}, boots: map[string]uint64{}}
}

func (s *sink) Begin(peer string, boot uint64) Told {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "begin "+peer)
	s.boots[peer] = boot
	s.told[peer] = map[balancer.Digest]session.Report{}
	return &told{s, peer}
}

// of returns what a node has told.
func (s *sink) of(n *node) map[balancer.Digest]session.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.told[n.self.Name])
}

// story returns the calls in their order.
func (s *sink) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.calls, ", ")
}

type told struct {
	sink *sink
	peer string
}

func (t *told) Reports(reports []session.Report) {
	if t.sink.hook != nil {
		t.sink.hook(reports)
	}
	t.sink.mu.Lock()
	defer t.sink.mu.Unlock()
	for _, r := range reports {
		if t.sink.told[t.peer][r.Digest] = r; r.Terminals == 0 && r.Host == "" {
			delete(t.sink.told[t.peer], r.Digest)
		}
	}
}

func (t *told) SnapshotEnd() { t.note("complete ") }
func (t *told) End()         { t.note("end ") }

func (t *told) note(what string) {
	t.sink.mu.Lock()
	defer t.sink.mu.Unlock()
	t.sink.calls = append(t.sink.calls, what+t.peer)
}

// digest returns the digest of a key with a number.
func digest(n int) (d balancer.Digest) {
	binary.BigEndian.PutUint64(d[:], uint64(n)+1)
	return d
}

// on returns a report of a key's terminals on a host.
func on(n int, host string, terminals int32) session.Report {
	if terminals == 0 {
		return session.Report{Digest: digest(n)}
	}
	return session.Report{Digest: digest(n), Host: host, Address: host + ".example:4000", Hash: uint64(n), Hashed: true, Terminals: terminals}
}

func hostName(n int) string { return "ide-" + strconv.Itoa(n) }
