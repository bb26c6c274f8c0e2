package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/ringlog"
	"tokenring/route"
	"tokenring/tlsterm"
)

const adminToken = "correct horse battery staple"

// aDay is when everything in the fakes happened.
var aDay = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A fakeRegion is a Region whose overrides come into force at once.
type fakeRegion struct {
	snap     atomic.Pointer[route.Snapshot]
	refuse   error // what Override answers instead
	override atomic.Pointer[route.Override]
	rekey    atomic.Pointer[route.Rekey]
	edit     atomic.Pointer[route.HostEdit]
	rings    atomic.Pointer[ringlog.Log]
}

// RingLog returns what a test has put there.
func (r *fakeRegion) RingLog() *ringlog.Log {
	if l := r.rings.Load(); l != nil {
		return l
	}
	return new(ringlog.Log)
}

// EditHosts adds a host that is up, changes it or takes it out.
func (r *fakeRegion) EditHosts(_ context.Context, e route.HostEdit) error {
	if r.refuse != nil {
		return r.refuse
	}
	r.edit.Store(&e)
	old := r.Snapshot()
	var hosts []*route.Host
	for _, h := range old.Hosts {
		c := *h
		if c.Name == e.Name {
			c.Spec = e.Of(c.Spec)
			c.Leaving = e.Action == route.RemoveHost
		}
		hosts = append(hosts, &c)
	}
	if e.Action == route.AddHost {
		h := fakeHost(9)
		h.Spec, h.Origin, h.ListedBy = e.Of(route.Spec{}), route.OriginOperator, route.Attribution{By: e.By, Reason: e.Reason, Since: aDay}
		hosts = append(hosts, h)
	}
	r.put(hosts, func(s *route.Snapshot) { s.Version = old.Version + 1 })
	return nil
}

func (r *fakeRegion) Rekey(_ context.Context, k route.Rekey) (route.HostKey, error) {
	if r.refuse != nil {
		return route.HostKey{}, r.refuse
	}
	r.rekey.Store(new(k))
	if k.Key.IsZero() && !k.Forget {
		k.Key = route.HostKey{1, 2, 3}
	}
	return k.Key, nil
}

func (r *fakeRegion) Snapshot() *route.Snapshot { return r.snap.Load() }

func (r *fakeRegion) Override(_ context.Context, d route.Override) error {
	if r.refuse != nil {
		return r.refuse
	}
	r.override.Store(&d)
	r.change(d.Host, func(h *route.Host) {
		if d.State != "" {
			h.State, h.StateOverride = d.State, route.Attribution{By: d.By, Reason: d.Reason, Since: aDay}
		}
		if d.Weight == nil {
			return
		}
		h.Weight, h.WeightOverride = *d.Weight, route.Attribution{By: d.By, Reason: d.Reason, Since: aDay}
		if *d.Weight == route.OwnWeight {
			h.Weight, h.WeightOverride = h.Counted, route.Attribution{}
		}
	})
	return nil
}

// change puts a new snapshot in force in which one host is another.
func (r *fakeRegion) change(name string, how func(*route.Host)) {
	old := r.Snapshot()
	hosts := make([]*route.Host, len(old.Hosts))
	for i, h := range old.Hosts {
		c := *h
		hosts[i] = &c
	}
	r.put(hosts, func(s *route.Snapshot) {
		s.Version, s.TableNumber, s.Peers = old.Version+1, old.TableNumber+1, old.Peers
		how(s.Host(name))
	})
}

// put puts a snapshot of hosts in force, with a table of those that can be in it.
func (r *fakeRegion) put(hosts []*route.Host, how func(*route.Snapshot)) {
	how(route.NewSnapshot(nil, hosts)) // the hosts' own changes, before the table is made
	var placed []balancer.Host
	for _, h := range hosts {
		setInRing(h)
		if h.InRing {
			placed = append(placed, balancer.Host{Name: h.Name, Weight: h.Weight})
		}
	}
	builder, err := balancer.NewForecaster(balancer.Config{}.WithDefaults())
	if err != nil {
		panic(err)
	}
	table, err := builder.Build(placed)
	if err != nil {
		panic(err)
	}
	for i, share := range table.Shares() {
		find(hosts, table.Hosts()[i].Name).Share = share
	}
	s := route.NewSnapshot(table, hosts)
	s.TableAt = aDay
	how(s)
	r.snap.Store(s)
}

// setInRing sets the fields of the ring as package pool does, as far as tests here need
// them.
func setInRing(h *route.Host) {
	h.Share = 0
	switch {
	case h.State == route.Maint:
		h.InRing, h.WhyNot = false, route.WhyMaint
	case h.State == route.Drain:
		h.InRing, h.WhyNot = false, route.WhyDrain
	case h.Weight == 0:
		h.InRing, h.WhyNot = false, route.WhyWeight
	case h.Verdict == route.Unchecked:
		h.InRing, h.WhyNot = false, route.WhyUnchecked
	default:
		h.InRing, h.WhyNot = true, ""
	}
}

func find(hosts []*route.Host, name string) *route.Host {
	for _, h := range hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

func fakeHost(i int) *route.Host {
	g := new(route.Gauges)
	g.Sessions.Store(int64(10 * i))
	g.InFlight.Store(int64(i))
	g.Requests.Store(uint64(1000 * i))
	g.Answers.Add(200, time.Duration(i)*4*time.Millisecond)
	g.Answers.AddUntimed(101)
	return &route.Host{
		Spec:    route.Spec{Name: fmt.Sprintf("ide-%d", i), ID: uint32(i), Address: fmt.Sprintf("10.0.0.1%d:4000", i), Weight: 1, Zone: "fsn1"},
		Weights: route.Weights{Announced: 1, Counted: 1}, AdminState: route.AdminState{State: route.Ready}, Membership: route.Membership{Contact: route.Alive}, Health: route.Health{Verdict: route.Up, CheckedAt: aDay}, Gauges: g,
	}
}

// newRegion has four hosts: ide-1 and ide-2 serve, ide-3 is down, ide-4 drains.
func newRegion() *fakeRegion {
	r := new(fakeRegion)
	hosts := []*route.Host{fakeHost(1), fakeHost(2), fakeHost(3), fakeHost(4)}
	hosts[2].Verdict, hosts[2].CheckError = route.Down, "connection refused"
	hosts[2].Gauges.ConnectErrors.Store(7)
	hosts[2].AddressChanges = route.AddressChanges{Service: 2, Gossip: 1}
	hosts[3].State, hosts[3].StateOverride = route.Drain, route.Attribution{By: "eva", Reason: "new kernel", Since: aDay}
	r.put(hosts, func(s *route.Snapshot) {
		s.Version, s.TableNumber = 57, 42
		s.Peers = []route.Peer{
			{Name: "lb-2", Address: "10.0.0.3:7947", Version: "v1", Digest: s.Table.Digest(), Alive: true, Agrees: true, Since: aDay},
			{Name: "lb-3", Address: "10.0.0.4:7947", Version: "v1", Digest: "0123456789abcdef", Alive: true, Since: aDay},
			{Name: "lb-4", Address: "10.0.0.5:7947", Version: "v1", Since: aDay},
		}
	})
	return r
}

// newServer returns a server for r, whose log goes to log.
func newServer(t *testing.T, r Region, log io.Writer) *Server {
	t.Helper()
	certificates := func() []tlsterm.Expiry {
		return []tlsterm.Expiry{{Names: []string{"ide.example.com"}, NotAfter: aDay.AddDate(0, 3, 0), File: "ide.crt"}}
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(r, nil, certificates))
	s, err := New(Deps{
		Region:  r,
		Users:   Users{Digester: balancer.NewDigester([]byte("0123456789abcdef"))},
		Metrics: reg,
		Identity: Identity{
			Token:   adminToken,
			Name:    "lb-1",
			Version: "v1.2.3",
			Address: "lb-1.internal:7000",
		},
		Trust:  Trust{Certificates: certificates},
		Logger: zerolog.New(log),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send has s answer one request. Fields are pairs of name and value; Host is one
// of them.
func send(s *Server, method, path, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:7000"
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			r.Host = fields[i+1]
		}
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// ask is send with the bearer token.
func ask(s *Server, method, path, body string) *httptest.ResponseRecorder {
	return send(s, method, path, body, "Authorization", "Bearer "+adminToken, "Content-Type", "application/json")
}

// signedIn signs a browser in, and returns the fields that its page's script
// sends with a request.
func signedIn(t *testing.T, s *Server) []string {
	t.Helper()
	return signedInWith(t, s, adminToken)
}

// signedInWith is signedIn with a token.
func signedInWith(t *testing.T, s *Server, token string) []string {
	t.Helper()
	fields := []string{"Origin", "http://127.0.0.1:7000", "X-Lb-Dashboard", "1", "Content-Type", "application/json"}
	w := send(s, http.MethodPost, "/signin", `{"token":"`+token+`"}`, fields...)
	if w.Code != http.StatusNoContent {
		t.Fatalf("sign-in: got %d %s", w.Code, w.Body)
	}
	cookie := w.Result().Cookies()[0]
	return append(fields, "Cookie", cookie.Name+"="+cookie.Value)
}
