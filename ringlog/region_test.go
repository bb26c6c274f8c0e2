package ringlog

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/route"
)

// t0 is when the tests begin.
var t0 = time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)

// A region is a balancer that records what its hosts are.
type region struct {
	t      testing.TB
	cfg    balancer.Config
	tables *balancer.Builder
	now    time.Time
	hosts  []*route.Host
	table  *balancer.Table
	starts map[string]SlowStart
	frozen bool
	*Recorder
}

func newRegion(t testing.TB, cfg balancer.Config) *region {
	t.Helper()
	r := &region{t: t, cfg: cfg, now: t0, starts: map[string]SlowStart{}, Recorder: NewRecorder(new(Log), "lb-1 started")}
	var err error
	if r.tables, err = balancer.NewBuilder(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// with adds hosts that serve.
func (r *region) with(names ...string) *region {
	for _, name := range names {
		r.hosts = append(r.hosts, &route.Host{
			Spec: route.Spec{Name: name, ID: uint32(len(r.hosts) + 1), Weight: 1}, AdminState: route.AdminState{State: route.Ready},
			Health: route.Health{Verdict: route.Up}, Standing: route.Standing{InRing: true}, Gauges: new(route.Gauges),
		})
	}
	return r
}

// change changes a host.
func (r *region) change(name string, how func(*route.Host)) {
	i := slices.IndexFunc(r.hosts, func(h *route.Host) bool { return h.Name == name })
	h := *r.hosts[i]
	how(&h)
	r.hosts[i] = &h
}

func down(h *route.Host) { h.Verdict, h.CheckError = route.Down, "refused" }
func up(h *route.Host)   { h.Verdict, h.CheckError = route.Up, "" }

// drained is what an operator does to a host.
func drained(h *route.Host) {
	h.State, h.InRing, h.WhyNot = route.Drain, false, route.WhyDrain
	h.StateOverride = route.Attribution{By: "eva", Reason: "kernel"}
}

// built makes the table of the hosts in the ring.
func (r *region) built() {
	r.t.Helper()
	var placed []balancer.Host
	for _, h := range r.hosts {
		if h.InRing {
			placed = append(placed, h.TableHost())
		}
	}
	var err error
	if r.table, err = r.tables.Build(placed); err != nil {
		r.t.Fatal(err)
	}
}

// snapshot returns what is in force.
func (r *region) snapshot() *route.Snapshot {
	s := route.NewSnapshot(r.table, slices.Clone(r.hosts))
	s.Frozen = r.frozen
	return s
}

// records has what is in force recorded, a second after what was recorded before.
func (r *region) records() bool {
	r.now = r.now.Add(time.Second)
	return r.Record(Observation{At: r.now, Snapshot: r.snapshot(), SlowStart: func(host string) SlowStart { return r.starts[host] }, Serves: r.serves, Hash: r.cfg})
}

// restarts has another process go on from what is on disk.
func (r *region) restarts(first string) {
	r.t.Helper()
	b, err := json.Marshal(&Log{r.Log().Entries(r.now)})
	if err != nil {
		r.t.Fatal(err)
	}
	read := new(Log)
	if err := json.Unmarshal(b, read); err != nil {
		r.t.Fatal(err)
	}
	r.Recorder = NewRecorder(read, first)
}

func (r *region) serves(host string) bool {
	i, _ := slices.BinarySearchFunc(r.hosts, host, func(h *route.Host, name string) int { return strings.Compare(h.Name, name) })
	return r.hosts[i].Serving() || r.hosts[i].Moving
}

// view returns the ring of a moment, which must be known.
func (r *region) view(at time.Time) *View {
	r.t.Helper()
	v, err := r.Log().View(at)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

const seed = "0123456789abcdef"

var policies = map[string]balancer.Config{
	"consistent": {Consistent: balancer.ConsistentConfig{Partitions: 509, Replicas: 10}, Seed: seed},
	"rendezvous": {Policy: balancer.PolicyRendezvous, Rendezvous: balancer.RendezvousConfig{Slots: 512}},
	"maglev":     {Policy: balancer.PolicyMaglev, Maglev: balancer.MaglevConfig{Slots: 509}, Seed: seed},
	"ketama":     {Policy: balancer.PolicyKetama, Ketama: balancer.KetamaConfig{Points: 10}},
	"haproxy":    {Policy: balancer.PolicyHAProxy},
	"map":        {Policy: balancer.PolicyHAProxy, HAProxy: balancer.HAProxyConfig{Type: balancer.HAProxyMapBased}},
}
