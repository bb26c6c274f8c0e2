package session

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"tokenring/balancer"
	"tokenring/route"
)

// A fakeTunnel notes its end.
type fakeTunnel struct {
	mu      sync.Mutex
	why     string
	retired bool
	detail  *Detail
	ended   func() // called at the end; nil for nothing
}

func (f *fakeTunnel) End(why string) {
	f.mu.Lock()
	first := f.why == ""
	if first {
		f.why = why
	}
	f.mu.Unlock()
	if first && f.ended != nil {
		f.ended()
	}
}

func (f *fakeTunnel) Retired() bool { return f.retired }

func (f *fakeTunnel) Detail() (Detail, bool) {
	if f.detail == nil || f.end() != "" {
		return Detail{}, false
	}
	return *f.detail, true
}

func (f *fakeTunnel) end() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.why
}

// open returns a terminal whose tunnel leaves s when it ends, as a real one does.
func open(s *Sessions) (*Terminal, *fakeTunnel) {
	f := new(fakeTunnel)
	t := &Terminal{Tunnel: f}
	f.ended = func() { s.Remove(t) }
	return t, f
}

func always(string) bool { return true }
func never(string) bool  { return false }

func at(host, address string) *route.Endpoint { return &route.Endpoint{Name: host, Address: address} }

func keyed(token string) Key { return Key{Digest: digest(token)} }

func TestAKeyHasTerminalsOnOneHost(t *testing.T) {
	for _, row := range []struct {
		name    string
		second  *route.Endpoint
		keeps   func(string) bool
		retired bool // the second's tunnel
		enters  bool
		first   string // why the first ends
		host    string // of the key afterwards
		n       int
	}{
		{"the same host", at("a", "1"), always, false, true, "", "a", 2},
		{"the same host, which keeps none", at("a", "1"), never, false, true, "", "a", 2},
		{"another, while the first keeps its own", at("b", "2"), always, false, false, "", "a", 1},
		{"another, when the first keeps none", at("b", "2"), never, false, true, Moved, "b", 1},
		{"the new address", at("a", "2"), always, false, true, Moved, "a", 1},
		{"the old address", at("a", "0"), always, true, false, "", "a", 1},
		{"the old address, though the host keeps none", at("a", "0"), never, true, false, "", "a", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := New()
			first, firstTunnel := open(s)
			second, secondTunnel := open(s)
			secondTunnel.retired = row.retired
			if !s.Add(keyed("k"), at("a", "1"), first, never) {
				t.Fatal("the first is refused")
			}
			if got := s.Add(keyed("k"), row.second, second, row.keeps); got != row.enters {
				t.Errorf("the second enters: %t", got)
			}
			if got := firstTunnel.end(); got != row.first {
				t.Errorf("the first ends by %q, want %q", got, row.first)
			}
			if host, n := s.Host(digest("k")); host != row.host || n != row.n || secondTunnel.end() != "" {
				t.Errorf("%d on %s, the second has ended by %q; want %d on %s", n, host, secondTunnel.end(), row.n, row.host)
			}
			s.Remove(first)
			s.Remove(second)
			s.Remove(second) // which changes nothing
			if host, n := s.Host(digest("k")); host != "" || n != 0 || len(s.List(func(balancer.Digest) bool { return false })) != 0 {
				t.Errorf("%d are left on %q", n, host)
			}
		})
	}
}

// TestRemovingATerminalKeepsTheOthers has terminals of one key leave in each order.
func TestRemovingATerminalKeepsTheOthers(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		s := New()
		var all []*Terminal
		for range 3 {
			one, _ := open(s)
			s.Add(keyed("k"), at("a", "1"), one, never)
			all = append(all, one)
		}
		for left, i := range order {
			s.Remove(all[i])
			if _, n := s.Host(digest("k")); n != 2-left {
				t.Errorf("%v: %d are left after %d have gone", order, n, left+1)
			}
		}
	}
}

// TestATerminalOfTheOldAddressEndsNoneOfTheNew has one that was connecting when its
// host moved, and enters after another was opened at the new address.
func TestATerminalOfTheOldAddressEndsNoneOfTheNew(t *testing.T) {
	s := New()
	left, taken := at("a", "10.0.0.1:1"), at("a", "10.0.0.2:1")
	live, liveTunnel := open(s)
	late, lateTunnel := open(s)
	more, _ := open(s)
	lateTunnel.retired = true
	if !s.Add(keyed("k"), taken, live, always) || s.Add(keyed("k"), left, late, always) || !s.Add(keyed("k"), taken, more, always) {
		t.Error("want the terminals at the new address in, and the one at the old address refused")
	}
	if _, n := s.Host(digest("k")); n != 2 || liveTunnel.end() != "" || lateTunnel.end() != "" {
		t.Errorf("%d terminals, ended: %q and %q; want 2, and none ended", n, liveTunnel.end(), lateTunnel.end())
	}
	s.Remove(late) // which was never in
	if _, n := s.Host(digest("k")); n != 2 {
		t.Errorf("%d terminals are left", n)
	}
}

func TestEndEndsTheSessionsOfSomeHostsOnly(t *testing.T) {
	s := New()
	tunnels := map[string][]*fakeTunnel{}
	for i := range 300 {
		host := string(rune('a' + i%3))
		one, f := open(s)
		s.Add(keyed(fmt.Sprint(i/2)+host), at(host, "1"), one, always)
		tunnels[host] = append(tunnels[host], f)
	}
	s.End(func(at *route.Endpoint) bool { return at.Name == "b" }, "maint")
	for host, all := range tunnels {
		want := map[bool]string{true: "maint", false: ""}[host == "b"]
		for _, f := range all {
			if f.end() != want {
				t.Fatalf("one on %s ends by %q, want %q", host, f.end(), want)
			}
		}
	}
	for _, session := range s.List(func(balancer.Digest) bool { return false }) {
		if session.Host == "b" {
			t.Errorf("still there: %+v", session)
		}
	}
}

func TestTunnelsReturnsThoseThatHaveNotLeft(t *testing.T) {
	s := New()
	want := map[Tunnel]bool{}
	for i := range 10 {
		one, tunnel := open(s)
		s.Add(keyed(fmt.Sprint(i/2)), at("a", "1"), one, never)
		if i%3 == 0 {
			tunnel.End("client")
		} else {
			want[tunnel] = true
		}
	}
	got := map[Tunnel]bool{}
	for _, tunnel := range s.Tunnels() {
		got[tunnel] = true
	}
	if !reflect.DeepEqual(got, want) || len(s.Tunnels()) != len(want) {
		t.Errorf("got %d tunnels, want %d", len(s.Tunnels()), len(want))
	}
}

func TestListSumsSessionsUp(t *testing.T) {
	m := remember(t, 2)
	m.load(m.candidates("away")[0], 100)
	c, _, _ := m.Choose(m.s, m.key("away"), nil, m.now)
	m.enter("away", c.Host.Name)
	first, second := m.key("table"), m.key("table")
	first.Key = route.NewSnapshot(nil, nil).Key([]byte("table")) // it came when there was no table
	for _, key := range []Key{first, second, first} {
		m.sessions.Add(key, at("a", "1"), &Terminal{Tunnel: new(fakeTunnel)}, never)
	}
	m.sessions.Add(keyed("the id of a request without a token"), at("b", "1"), &Terminal{Tunnel: new(fakeTunnel)}, never)
	got := map[uint64]Session{}
	for _, s := range m.sessions.List(m.Away) {
		got[s.Hash] = s
	}
	hash := func(token string) uint64 { return m.s.Table.Hash([]byte(token)) }
	want := map[uint64]Session{
		hash("away"):  {Host: c.Host.Name, Hash: hash("away"), Keyed: true, Away: true, Tunnels: 1},
		hash("table"): {Host: "a", Hash: hash("table"), Keyed: true, Tunnels: 3},
		0:             {Host: "b", Tunnels: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestASessionIsOnOneHostWhenManyOpenAtOnce has goroutines open and close terminals of
// one key on two hosts, of which neither keeps the other's.
func TestASessionIsOnOneHostWhenManyOpenAtOnce(t *testing.T) {
	s := New()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 500 {
				one, f := open(s)
				s.Add(keyed("k"), at(string(rune('a'+g%2)), "1"), one, never)
				s.Host(digest("k"))
				f.End("client")
			}
		})
	}
	wg.Wait()
	if host, n := s.Host(digest("k")); host != "" || n != 0 {
		t.Errorf("%d are left on %q", n, host)
	}
}

// TestASessionStaysInItsSizeClass guards what each live session costs beside its
// terminals and the map.
func TestASessionStaysInItsSizeClass(t *testing.T) {
	const class = 48 // of Go's allocator; the next one is 64
	if size := unsafe.Sizeof(session{}); size > class {
		t.Errorf("a session has %d bytes, want up to %d", size, class)
	}
}

// TestNothingOfATokenIsKept looks at all that sessions and placements hold.
func TestNothingOfATokenIsKept(t *testing.T) {
	const token = "s3cr3t-token"
	m := remember(t, 3)
	c, _, _ := m.Choose(m.s, m.key(token), nil, m.now)
	m.enter(token, c.Host.Name)
	m.remembers(1, 0)
	found := map[string]bool{}
	texts(reflect.ValueOf(m.Placements), map[uintptr]bool{}, found) // which has the sessions
	if !found[c.Host.Name] {
		t.Fatalf("the host isn't among %v", found)
	}
	for text := range found {
		if strings.Contains(text, token) {
			t.Errorf("the token is in %q", text)
		}
	}
}

// texts collects the strings and byte slices that v leads to.
func texts(v reflect.Value, seen map[uintptr]bool, found map[string]bool) {
	switch v.Kind() {
	case reflect.String:
		found[v.String()] = true
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			texts(v.Elem(), seen, found)
		}
	case reflect.Interface:
		if !v.IsNil() {
			texts(v.Elem(), seen, found)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			texts(v.Field(i), seen, found)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b := make([]byte, v.Len())
			for i := range b {
				b[i] = byte(v.Index(i).Uint())
			}
			found[string(b)] = true
			return
		}
		for i := range v.Len() {
			texts(v.Index(i), seen, found)
		}
	case reflect.Map:
		for entry := v.MapRange(); entry.Next(); {
			texts(entry.Key(), seen, found)
			texts(entry.Value(), seen, found)
		}
	}
}

// TestAKeyIsOpeningUntilATerminalIsOpen also has those of an older process.
func TestAKeyIsOpeningUntilATerminalIsOpen(t *testing.T) {
	s, key, at := New(), Key{Digest: digest("k")}, &route.Endpoint{Name: "a"}
	if s.Opening(key.Digest) {
		t.Error("a key without terminals is opening")
	}
	first, second := &fakeTunnel{}, &fakeTunnel{}
	for _, f := range []*fakeTunnel{first, second} {
		s.Add(key, at, &Terminal{Tunnel: f}, nil)
	}
	if !s.Opening(key.Digest) {
		t.Error("a key whose terminals are about to open isn't opening")
	}
	second.detail = &Detail{Opened: time.Now()}
	if s.Opening(key.Digest) {
		t.Error("a key with an open terminal is opening")
	}
	elsewhere := digest("elsewhere")
	e := s.NewElder(&owner{counts: map[string]int{}})
	defer e.Close()
	e.Update([]Report{{Digest: elsewhere, Host: "a", Terminals: 1}})
	if s.Opening(elsewhere) {
		t.Error("a key with a terminal in an older process is opening")
	}
}

// TestATerminalCountsThoughThereWasNoTable when it was opened: its token lingers when it ends. One
// without a token doesn't count.
func TestATerminalCountsThoughThereWasNoTable(t *testing.T) {
	s := New()
	at := &route.Endpoint{Name: "a"}
	for anonymous, digest := range map[bool]balancer.Digest{false: {1}, true: {2}} {
		one := &Terminal{Tunnel: new(fakeTunnel)}
		if !s.Add(Key{Digest: digest, Anonymous: anonymous}, at, one, func(string) bool { return true }) {
			t.Fatal("it is refused")
		}
		if s.Counts(one) == anonymous {
			t.Errorf("anonymous %v: counts %v", anonymous, s.Counts(one))
		}
	}
}
