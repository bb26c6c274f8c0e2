package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/gossip"
	"tokenring/route"
)

// startWithPools starts a balancer with the hosts a and b, and with the pool api, whose hosts come
// by a list (a1) and by gossip.
func startWithPools(t *testing.T, name, pools string, hosts map[string]string, others ...*member) *member {
	t.Helper()
	var join, peers []string
	for _, o := range others {
		join, peers = append(join, fmt.Sprintf("%q", o.pool.GossipAddr())), append(peers, fmt.Sprintf("%q", o.pool.PeersAddr()))
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pool.key"), []byte(strings.Repeat("3c", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
name: %s
listen: [{address: "127.0.0.1:0"}]
health: {interval: 500ms, timeout: 500ms, rise: 1, fall: 5}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
peers: {bind: "127.0.0.1:0", secret_file: peers.key, join: [%s]}
pool: {bind: "127.0.0.1:0", secret_file: pool.key, join: [%s], hosts: [{name: a, address: %q}, {name: b, address: %q}]}
%s
`, name, strings.Join(peers, ", "), strings.Join(join, ", "), hosts["a"], hosts["b"], pools)
	m := &member{t: t}
	var err error
	if m.Edge, err = open(parsed(t, dir, text), io.Discard); err != nil {
		t.Fatal(err)
	}
	runs(t, m.Edge)
	return m
}

// ofAPI returns the snapshot of the pool api.
func (m *member) ofAPI() *route.Snapshot { return m.parts[0].pool.Snapshot() }

// ring returns the hosts of the ring of a snapshot.
func ring(s *route.Snapshot) (names []string) {
	for _, h := range s.Table.Hosts() {
		names = append(names, h.Name)
	}
	return names
}

// agrees reports whether a balancer has a peer in its pool api, and the same table as it.
func (m *member) agrees(peer string) bool {
	peers := m.ofAPI().Peers
	return len(peers) == 1 && peers[0].Name == peer && peers[0].Agrees
}

// runAgent announces a host until the test ends.
func runAgent(t *testing.T, m *member, name, address string) {
	t.Helper()
	cfg := gossip.Config{Bind: "127.0.0.1:0", Join: []string{m.pool.GossipAddr()}, SecretFile: m.cfg.Pool.SecretFile}.WithLabel(gossip.PoolLabel)
	sockets, err := gossip.Listen(cfg.Bind)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := gossip.RunAgent(ctx, gossip.AgentConfig{Config: cfg, Spec: route.Spec{Name: name, Address: address, Weight: 1}}, sockets, zerolog.Nop()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
}

// TestBalancersAgreeOnEachPool has two balancers with the pools pool and api: a drain at one is seen
// at the other, the digests of both tables are compared, and an agent joins the pool that it
// announces. The pool of another agent isn't configured: it is in no ring, and an alarm names it.
func TestBalancersAgreeOnEachPool(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "a1", "a2", "x1")
	pools := fmt.Sprintf("pools: {api: {gossip: true, hosts: [{name: a1, address: %q}], hash: {policy: rendezvous}, health: {interval: 500ms, timeout: 500ms, rise: 1, fall: 5}}}", hosts["a1"])
	routes := "\nroutes: [{path_prefix: /api/, pool: api}]"
	one := startWithPools(t, "lb-1", pools+routes, hosts)
	two := startWithPools(t, "lb-2", pools+routes, hosts, one)
	runAgent(t, one, "api/a2", hosts["a2"])
	runAgent(t, one, "img/x1", hosts["x1"])
	for _, m := range []*member{one, two} {
		m.until("the rings of both pools", func() bool {
			return slices.Equal(ring(m.ofAPI()), []string{"api/a1", "api/a2"}) && slices.Equal(ring(m.pool.Snapshot()), []string{"a", "b"})
		})
		m.until("an alarm about a pool that there isn't", func() bool {
			return slices.ContainsFunc(m.problems(), func(p string) bool { return strings.Contains(p, "img/x1") })
		})
	}
	one.until("lb-2 agrees", func() bool { return one.agrees("lb-2") })
	two.until("lb-1 agrees", func() bool { return two.agrees("lb-1") })
	if err := (allPools{one.Edge}).Override(context.Background(), route.Override{Host: "api/a1", State: route.Drain}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{one, two} {
		m.until("the drain", func() bool {
			h := m.ofAPI().Host("api/a1")
			return h.State == route.Drain && slices.Equal(ring(m.ofAPI()), []string{"api/a2"})
		})
		if h := m.pool.Snapshot().Host("a"); h.State != route.Ready {
			t.Errorf("%s: a is in the state %s", m.cfg.Name, h.State)
		}
		if m.pool.Snapshot().Host("api/a1") != nil {
			t.Errorf("%s: the main pool has a host of another pool", m.cfg.Name)
		}
		m.until("requests of the pool's route reach its host", func() bool { return m.get("/api/?token=t") == "a2" })
	}
	two.until("lb-1 agrees again", func() bool { return two.agrees("lb-1") })
	if _, err := os.Stat(filepath.Join(one.cfg.StateDir, "pools", "api")); err != nil {
		t.Error(err)
	}
}

// get returns the body of an answer; "" without one.
func (m *member) get(path string) string {
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Get("http://" + m.sockets.Clients[0].Addr().String() + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// TestAPeerWithoutThePoolTakesNoPartInIt: it isn't among the pool's balancers, so its other tables
// are no divergence.
func TestAPeerWithoutThePoolTakesNoPartInIt(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "a1")
	one := startWithPools(t, "lb-1", fmt.Sprintf("pools: {api: {hosts: [{name: a1, address: %q}]}}", hosts["a1"]), hosts)
	two := startWithPools(t, "lb-2", "", hosts, one)
	two.until("lb-1 in the main pool", func() bool { return len(two.pool.Snapshot().Peers) == 1 })
	one.until("lb-2 in the main pool", func() bool {
		peers := one.pool.Snapshot().Peers
		return len(peers) == 1 && peers[0].Agrees
	})
	one.until("the ring of the pool", func() bool { return len(ring(one.ofAPI())) == 1 })
	if got := one.ofAPI().Peers; len(got) != 0 {
		t.Errorf("the pool has the peers %v", got)
	}
}

// TestEachAddressOfANameIsAHost of the pool.
func TestEachAddressOfANameIsAHost(t *testing.T) {
	t.Parallel()
	hosts := regionHosts(t, "a", "b", "a1")
	address := hosts["a1"] // 127.0.0.1:PORT
	_, port, _ := strings.Cut(address, ":")
	m := startWithPools(t, "lb-1", "pools: {api: {dns: {name: \"localhost:"+port+"\"}}}\nroutes: [{path_prefix: /api/, pool: api}]", hosts)
	name := "api/127.0.0.1-" + port
	m.until("the address", func() bool { h := m.ofAPI().Host(name); return h != nil && h.InRing && h.Origin == route.OriginDNS })
	m.until("an answer", func() bool { return m.get("/api/?token=t") == "a1" })
}
