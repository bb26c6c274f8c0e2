package session

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/route"
)

// An owner is that of an Elder, and notes what it is told.
type owner struct {
	mu     sync.Mutex
	ends   []string // the reasons and the keys
	ended  func(keys []balancer.Digest)
	keeps  bool
	why    string // of all endpoints
	counts map[string]int
	closed []balancer.Digest
}

func (o *owner) End(keys []balancer.Digest, why string) {
	o.mu.Lock()
	for _, key := range keys {
		o.ends = append(o.ends, why+" "+key.String())
	}
	slices.Sort(o.ends)
	o.mu.Unlock()
	if o.ended != nil {
		o.ended(keys)
	}
}

func (o *owner) Keeps(string) bool            { return o.keeps }
func (o *owner) WhyEnd(route.Endpoint) string { return o.why }

func (o *owner) Counted(host string, n int, ended balancer.Digest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[host] += n
	if ended != (balancer.Digest{}) {
		o.closed = append(o.closed, ended)
	}
}

// wants checks which terminals the older process was told to end.
func (o *owner) wants(t *testing.T, e *Elder, ends ...string) {
	t.Helper()
	e.ending.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	slices.Sort(ends)
	if diff := cmp.Diff(ends, o.ends); diff != "" {
		t.Error(diff)
	}
	o.ends = nil
}

func elder(s *Sessions) (*Elder, *owner) {
	o := &owner{keeps: true, counts: map[string]int{}}
	return s.NewElder(o), o
}

func on(token, host, address string, n int32) Report {
	return Report{Digest: digest(token), Host: host, Address: address, Terminals: n}
}

// TestAnElderKeepsItsKeysOnTheirHosts also has a second terminal, in this process.
func TestAnElderKeepsItsKeysOnTheirHosts(t *testing.T) {
	s := New()
	e, o := elder(s)
	e.Update([]Report{on("k", "a", "1", 2), on("l", "b", "1", 1)})
	own, tunnel := open(s)
	if s.Add(keyed("k"), at("b", "1"), own, always) {
		t.Error("a terminal enters on another host")
	}
	if !s.Add(keyed("k"), at("a", "1"), own, always) {
		t.Error("a terminal is refused on the same host")
	}
	if host, n := s.Host(digest("k")); host != "a" || n != 3 || o.counts["a"] != 2 {
		t.Errorf("%d on %q, %d are counted for the elder", n, host, o.counts["a"])
	}
	e.Update([]Report{on("k", "a", "1", 1)})
	if _, n := s.Host(digest("k")); n != 2 || o.counts["a"] != 1 {
		t.Errorf("%d, of which %d are counted for the elder", n, o.counts["a"])
	}
	e.Update([]Report{{Digest: digest("k")}})
	if _, n := s.Host(digest("k")); n != 1 || o.counts["a"] != 0 || !slices.Equal(o.closed, []balancer.Digest{digest("k")}) {
		t.Errorf("%d, of which %d are counted for the elder", n, o.counts["a"])
	}
	if len(s.Tunnels()) != 1 || s.report(digest("l"), false).Terminals != 0 {
		t.Error("a terminal of the elder counts as this process's own")
	}
	e.Close()
	e.Update([]Report{on("m", "a", "1", 1)}) // changes nothing any more
	tunnel.End("client")
	if n := len(s.List(func(balancer.Digest) bool { return false })); n != 0 || o.counts["b"] != 0 {
		t.Errorf("%d sessions are left, %d are counted", n, o.counts["b"])
	}
	o.wants(t, e)
}

// TestAddWaitsForTheEndOfAnEldersTerminals, so that a key is never on two hosts.
func TestAddWaitsForTheEndOfAnEldersTerminals(t *testing.T) {
	s := New()
	e, o := elder(s)
	e.Update([]Report{on("k", "a", "1", 2)})
	done := false
	o.ended = func([]balancer.Digest) { done = true }
	own, _ := open(s)
	if !s.Add(keyed("k"), at("b", "1"), own, never) || !done {
		t.Errorf("it hasn't waited: %t", done)
	}
	o.wants(t, e, Moved+" "+digest("k").String())
	e.Update([]Report{on("k", "a", "1", 1)}) // there is still one: it has to end, too
	o.wants(t, e, Moved+" "+digest("k").String())
	if host, n := s.Host(digest("k")); host != "b" || n != 1 {
		t.Errorf("%d on %q", n, host)
	}
	e.Close()
}

func TestTerminalsOfAnElderEndByTheirHosts(t *testing.T) {
	s := New()
	e, o := elder(s)
	e.Update([]Report{on("k", "a", "1", 1), on("l", "a", "1", 1), on("m", "b", "1", 1)})
	s.End(func(at *route.Endpoint) bool { return at.Name == "a" }, "maint")
	o.wants(t, e, "maint "+digest("k").String(), "maint "+digest("l").String())
	s.EndKeys([]balancer.Digest{digest("m"), digest("none")}, "drain")
	o.wants(t, e, "drain "+digest("m").String())
	o.why = "maint"
	e.Update([]Report{on("n", "a", "1", 1)}) // it comes late
	o.wants(t, e, "maint "+digest("n").String())
	e.Close()
}

// TestConflictingReportsOfAnElder come after this process has sent the key elsewhere.
func TestConflictingReportsOfAnElder(t *testing.T) {
	for name, row := range map[string]struct {
		keeps, frozen bool
		ends          bool   // the elder's terminals
		host          string // of the key afterwards
	}{
		"the other host keeps it":                {true, false, true, "b"},
		"the other host doesn't keep it":         {false, false, false, "a"},
		"this process isn't the newest any more": {true, true, false, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			e, o := elder(s)
			own, tunnel := open(s)
			s.Add(keyed("k"), at("b", "1"), own, never)
			if o.keeps = row.keeps; row.frozen {
				s.Freeze()
			}
			e.Update([]Report{on("k", "a", "1", 1)})
			if row.ends {
				o.wants(t, e, Moved+" "+digest("k").String())
			} else {
				o.wants(t, e)
			}
			if host, _ := s.Host(digest("k")); host != row.host || (tunnel.end() != "") != (row.host == "a") {
				t.Errorf("it is on %q, and this process's terminal has ended by %q", host, tunnel.end())
			}
			e.Close()
		})
	}
}

func TestAKeyOfAnElderMovesToAnotherAddress(t *testing.T) {
	s := New()
	e, o := elder(s)
	e.Update([]Report{on("k", "a", "1", 1)})
	e.Update([]Report{on("k", "a", "2", 2)})
	if host, n := s.Host(digest("k")); host != "a" || n != 2 || o.counts["a"] != 2 {
		t.Errorf("%d on %q, %d are counted", n, host, o.counts["a"])
	}
	e.Close()
	o.wants(t, e)
}
