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
	"tokenring/pool"
	"tokenring/tlsterm"
)

const adminToken = "correct horse battery staple"

// aDay is when everything in the fakes happened.
var aDay = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A fakeRegion is a Region whose decisions come into force at once.
type fakeRegion struct {
	snap    atomic.Pointer[pool.Snapshot]
	refuse  error // what Decide answers instead
	decided atomic.Pointer[pool.Decision]
}

func (r *fakeRegion) Snapshot() *pool.Snapshot { return r.snap.Load() }

func (r *fakeRegion) Decide(_ context.Context, d pool.Decision) error {
	if r.refuse != nil {
		return r.refuse
	}
	r.decided.Store(&d)
	r.change(d.Host, func(h *pool.Host) {
		if d.State != "" {
			h.State, h.Reason, h.By, h.Since = d.State, d.Reason, d.By, d.At
		}
		if d.Weight == nil {
			return
		}
		h.Weight, h.Weighed = *d.Weight, pool.Word{By: d.By, Reason: d.Reason, Since: d.At}
		if *d.Weight == pool.OwnWeight {
			h.Weight, h.Weighed = h.Announced, pool.Word{}
		}
	})
	return nil
}

// change puts a new snapshot in force in which one host is another.
func (r *fakeRegion) change(name string, how func(*pool.Host)) {
	old := r.Snapshot()
	hosts := make([]*pool.Host, len(old.Hosts))
	for i, h := range old.Hosts {
		c := *h
		hosts[i] = &c
	}
	r.put(hosts, func(s *pool.Snapshot) {
		s.Version, s.TableNumber, s.Peers = old.Version+1, old.TableNumber+1, old.Peers
		how(s.Host(name))
	})
}

// put puts a snapshot of hosts in force, with a table of those that can be in it.
func (r *fakeRegion) put(hosts []*pool.Host, how func(*pool.Snapshot)) {
	how(pool.NewSnapshot(nil, hosts)) // the hosts' own changes, before the table is made
	var placed []balancer.Host
	for _, h := range hosts {
		judge(h)
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
	s := pool.NewSnapshot(table, hosts)
	s.TableAt = aDay
	how(s)
	r.snap.Store(s)
}

// judge does what pool does, as far as tests here need it.
func judge(h *pool.Host) {
	h.Share = 0
	switch {
	case h.State == pool.Maint:
		h.InRing, h.WhyNot = false, pool.WhyMaint
	case h.State == pool.Drain:
		h.InRing, h.WhyNot = false, pool.WhyDrain
	case h.Weight == 0:
		h.InRing, h.WhyNot = false, pool.WhyWeight
	case h.Verdict == pool.Unchecked:
		h.InRing, h.WhyNot = false, pool.WhyUnchecked
	default:
		h.InRing, h.WhyNot = true, ""
	}
}

func find(hosts []*pool.Host, name string) *pool.Host {
	for _, h := range hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

func fakeHost(i int) *pool.Host {
	g := new(pool.Gauges)
	g.Sessions.Store(int64(10 * i))
	g.InFlight.Store(int64(i))
	g.Requests.Store(uint64(1000 * i))
	return &pool.Host{
		Name: fmt.Sprintf("ide-%d", i), ID: uint32(i), Address: fmt.Sprintf("10.0.0.1%d:4000", i), Weight: 1, Announced: 1, Zone: "fsn1",
		State: pool.Ready, Contact: pool.Alive, Verdict: pool.Up, CheckedAt: aDay, Gauges: g,
	}
}

// newRegion has four hosts: ide-1 and ide-2 serve, ide-3 is down, ide-4 drains.
func newRegion() *fakeRegion {
	r := new(fakeRegion)
	hosts := []*pool.Host{fakeHost(1), fakeHost(2), fakeHost(3), fakeHost(4)}
	hosts[2].Verdict, hosts[2].CheckError = pool.Down, "connection refused"
	hosts[2].Gauges.ConnectErrors.Store(7)
	hosts[3].State, hosts[3].Reason, hosts[3].By, hosts[3].Since = pool.Drain, "new kernel", "eva", aDay
	r.put(hosts, func(s *pool.Snapshot) {
		s.Version, s.TableNumber = 57, 42
		s.Peers = []pool.Peer{
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
	reg.MustRegister(NewCollector(r, certificates))
	s, err := New(Deps{
		Region:       r,
		Digester:     balancer.NewDigester([]byte("0123456789abcdef")),
		Metrics:      reg,
		Token:        adminToken,
		Name:         "lb-1",
		Version:      "v1.2.3",
		Address:      "lb-1.internal:7000",
		Certificates: certificates,
		Logger:       zerolog.New(log),
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
	fields := []string{"Origin", "http://127.0.0.1:7000", "X-Lb-Dashboard", "1", "Content-Type", "application/json"}
	w := send(s, http.MethodPost, "/signin", `{"token":"`+adminToken+`"}`, fields...)
	if w.Code != http.StatusNoContent {
		t.Fatalf("sign-in: got %d %s", w.Code, w.Body)
	}
	cookie := w.Result().Cookies()[0]
	return append(fields, "Cookie", cookie.Name+"="+cookie.Value)
}
