//go:build integration

// Package hostile holds the balancers to docs/trust.md: what a member of the pool can do
// that wants other hosts' users, or harm. Each test runs balancers and agents as
// processes, four honest hosts, a hostile member, and users who send their tokens all the
// time.
package hostile

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tokenring/gossip"
	"tokenring/handover"
)

// lb is the program, built by TestMain.
var lb string

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "2") // tests wait for timers, more than for a processor
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hostile")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	lb = filepath.Join(dir, "lb")
	if out, err := exec.Command("go", "build", "-o", lb, "tokenring/cmd/lb").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Ports are the same on each address: a machine has one address of loopback.
const (
	clientPort = 8080
	adminPort  = 7000
	poolPort   = 7946
	peersPort  = 7947
	idePort    = 4000
	thiefPorts = 12 // at which the thief serves beside idePort

	anyNamePort = 7950 // at which the thief answers to any name
)

// The last bytes of addresses in a region.
const (
	firstBalancer = 1
	firstHost     = 11
	newcomer      = 21
	thiefAddress  = 66
	server        = 99 // something that isn't a host
)

const adminToken = "the operators' token, for tests alone"

// A plan says what a region is like. The zero value has what is usual.
type plan struct {
	weight  int    // of each honest host; default 8
	hash    string // of lb.yaml
	pool    string // lines of lb.yaml, in the section pool
	allowed bool   // lb.yaml names the network of the honest hosts, which the thief isn't in
	checks  string // of lb.yaml, what follows health's path
	unready bool   // the agents don't start
	alone   bool   // no other test runs meanwhile: it needs much of the machine
}

// A region is two balancers, four honest hosts with agents, and a thief.
type region struct {
	t         *testing.T
	plan      plan
	network   [2]byte // the second and third byte of addresses
	dir       string
	secret    []byte
	balancers []*process
	agents    []*process
	hosts     map[string]*host // by name
	thief     *host
	operator  http.Client
}

// hostNames are the honest hosts.
var hostNames = []string{"ide-1", "ide-2", "ide-3", "ide-4"}

// newRegion starts a region, and returns when all honest hosts are in the ring of both
// balancers.
func newRegion(t *testing.T, p plan) *region {
	t.Helper()
	if !p.alone {
		t.Parallel()
	}
	if p.weight == 0 {
		p.weight = 8
	}
	r := &region{
		t: t, plan: p, network: [2]byte{byte(1 + mathrand.IntN(250)), byte(mathrand.IntN(256))}, dir: t.TempDir(),
		secret: make([]byte, 32), hosts: map[string]*host{}, operator: http.Client{Timeout: 20 * time.Second},
	}
	t.Cleanup(r.operator.CloseIdleConnections)
	_, _ = rand.Read(r.secret) // never fails
	r.write("pool.key", base64.StdEncoding.EncodeToString(r.secret))
	r.write("peers.key", base64.StdEncoding.EncodeToString(slices.Repeat([]byte("peers456"), 4)))
	r.write("admin.token", adminToken)
	for i := range 2 {
		r.balancers = append(r.balancers, r.startBalancer(i))
	}
	for i, name := range hostNames {
		r.hosts[name] = newHost(t, name, r.at(firstHost+byte(i), idePort), 0)
	}
	r.thief = newHost(t, "thief", r.at(thiefAddress, idePort), thiefPorts)
	if !p.unready {
		for i := range hostNames {
			r.agents = append(r.agents, r.startAgent(i))
		}
		r.waitForHosts()
	}
	return r
}

// at returns an address in the region.
func (r *region) at(last byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, r.network[0], r.network[1], last}), port)
}

func (r *region) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

const balancerConfig = `
name: %[1]s
listen: [{address: "%[2]s"}]
hash: %[7]s
pool:
  bind: %[3]s
  join: [%[4]s]
  secret_file: pool.key
%[8]s
peers: {bind: "%[5]s", join: [%[6]s], secret_file: peers.key}
health: {path: /healthz, %[9]s}
admin: {address: "%[10]s", token_file: admin.token}
sessions: {linger: off}
log: {access: false}
state_dir: %[1]s
`

func (r *region) startBalancer(i int) *process {
	r.t.Helper()
	name, self, other := fmt.Sprintf("lb-%d", i+1), byte(firstBalancer+i), byte(firstBalancer+1-i)
	hash, pool, checks := r.plan.hash, r.plan.pool, r.plan.checks
	if r.plan.allowed {
		pool += fmt.Sprintf("  allowed_networks: [%s/26]\n", r.at(0, 0).Addr())
	}
	if hash == "" {
		hash = "{policy: consistent}"
	}
	if checks == "" {
		checks = "interval: 1s, timeout: 900ms, rise: 1, fall: 5"
	}
	r.write(name+".yaml", fmt.Sprintf(balancerConfig, name, r.at(self, clientPort), r.at(self, poolPort), r.at(other, poolPort),
		r.at(self, peersPort), r.at(other, peersPort), hash, pool, checks, r.at(self, adminPort)))
	p := start(r.t, name, r.dir, "run", "-c", name+".yaml")
	p.serving = func() (int, error) { return r.generation(i) }
	return p
}

// generation returns the process of a balancer that serves.
func (r *region) generation(balancer int) (pid int, err error) {
	text, err := r.ask(balancer, "/v1/generations")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Generations []handover.Generation `json:"generations"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, err
	}
	for _, g := range answer.Generations {
		if g.State == handover.StateServing {
			return g.PID, nil
		}
	}
	return 0, fmt.Errorf("no generation serves: %s", text)
}

// startAgent starts the agent of an honest host.
func (r *region) startAgent(i int, more ...string) *process {
	r.t.Helper()
	return r.startAgentAt(hostNames[i], firstHost+byte(i), i+1, more...)
}

func (r *region) startAgentAt(name string, at byte, id int, more ...string) *process {
	r.t.Helper()
	args := []string{
		"agent", "--name", name, "--id", fmt.Sprint(id), "--weight", fmt.Sprint(r.plan.weight), "--address", r.at(at, idePort).String(), "--bind", r.at(at, poolPort).String(),
		"--join", r.at(firstBalancer, poolPort).String(), "--join", r.at(firstBalancer+1, poolPort).String(), "--secret-file", "pool.key", "--state-dir", name,
	}
	return start(r.t, name, r.dir, append(args, more...)...)
}

// gossips are where honest members of the pool gossip.
func (r *region) gossips() (all []netip.AddrPort) {
	for i := range r.balancers {
		all = append(all, r.at(firstBalancer+byte(i), poolPort))
	}
	for i := range r.agents {
		all = append(all, r.at(firstHost+byte(i), poolPort))
	}
	return all
}

// label is that of the pool.
const label = gossip.PoolLabel

// A hostStatus is what GET /v1/hosts says of a host.
type hostStatus struct {
	Name    string  `json:"name"`
	Address string  `json:"address"`
	Weight  int     `json:"weight"`
	Verdict string  `json:"verdict"`
	InRing  bool    `json:"in_ring"`
	WhyNot  string  `json:"why_not"`
	Serving bool    `json:"serving"`
	Share   float64 `json:"share"`
}

// status returns what a balancer says of the hosts, by name.
func (r *region) status(balancer int) (map[string]hostStatus, error) {
	var answer struct {
		Hosts []hostStatus `json:"hosts"`
	}
	all := map[string]hostStatus{}
	text, err := r.ask(balancer, "/v1/hosts")
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	for _, h := range answer.Hosts {
		all[h.Name] = h
	}
	return all, err
}

// ask returns an answer of a balancer's admin endpoint.
func (r *region) ask(balancer int, path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s%s", r.at(firstBalancer+byte(balancer), adminPort), path), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	answer, err := r.operator.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// unready says why a balancer doesn't serve, "" if it does.
func (r *region) unready(balancer int) string {
	answer, err := r.operator.Get(fmt.Sprintf("http://%s/readyz", r.at(firstBalancer+byte(balancer), adminPort)))
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return answer.Status
	}
	return ""
}

// missing says which of the honest hosts a balancer doesn't have in its ring, at its own
// address; "" if none.
func (r *region) missing(balancer int) string {
	all, err := r.status(balancer)
	if err != nil {
		return err.Error()
	}
	var why []string
	for name, h := range r.hosts {
		if s := all[name]; !s.InRing || !s.Serving || s.Address != h.at.String() {
			why = append(why, fmt.Sprintf("%s: %+v", name, s))
		}
	}
	return strings.Join(why, "; ")
}

// waitForHosts waits until all honest hosts are in the ring of both balancers.
func (r *region) waitForHosts() {
	r.t.Helper()
	for i, b := range r.balancers {
		wait(r.t, b.name+" has all hosts", func() string {
			if b.down() {
				r.t.Fatalf("%s is down", b.name)
			}
			if why := r.missing(i); why != "" {
				return why
			}
			return r.unready(i)
		})
	}
}

// wait waits until so returns "".
func wait(t *testing.T, what string, so func() string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); ; <-tick.C {
		why := so()
		switch {
		case why == "":
			return
		case time.Now().After(end):
			t.Fatalf("waited too long until %s: %s", what, why)
		}
	}
}

// refused returns how often a balancer has refused something for a reason.
func (r *region) refused(balancer int, reason gossip.Reason) (count float64) {
	text, err := r.ask(balancer, "/metrics")
	if err != nil {
		r.t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "lb_gossip_refused_total{") && strings.Contains(line, fmt.Sprintf("reason=%q", reason)) {
			var n float64
			_, _ = fmt.Sscan(line[strings.LastIndexByte(strings.TrimSpace(line), ' ')+1:], &n)
			count += n
		}
	}
	return count
}

// wantRefused fails the test unless both balancers say that they have refused something for
// each reason: by the metric, in the log with where it came from, and by an alarm.
func (r *region) wantRefused(reasons ...gossip.Reason) {
	r.t.Helper()
	for i, b := range r.balancers {
		logged, err := os.ReadFile(b.log)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, reason := range reasons {
			if r.refused(i, reason) == 0 {
				r.t.Errorf("%s counts nothing of %q", b.name, reason)
			}
			if !regexp.MustCompile(fmt.Sprintf(`"level":"warn".*"reason":%q,"from":"`, reason)).Match(logged) {
				r.t.Errorf("%s logs nothing of %q", b.name, reason)
			}
		}
		if status, err := r.ask(i, "/v1/status"); err != nil || !bytes.Contains(status, []byte(`the gossip \"pool\" refuses what comes from`)) {
			r.t.Errorf("%s has no alarm: %s, %v", b.name, status, err)
		}
	}
}
