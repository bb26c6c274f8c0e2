//go:build integration

// Package integration drives the region of docker-compose.yml from outside: as
// browsers do, through TLS and WebSockets; as operators do, through the admin
// endpoints; and as fate does, through Docker. `make integration` sets it up.
package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for the region to become as it must be. The longest
// of them is for gossip to find a host again: up to 30 s.
const patience = 60 * time.Second

// A region is the containers of docker-compose.yml.
type region struct {
	lbs     []*balancer
	project string
	compose []string // the command, up to its own arguments
	network string
}

// A balancer is one of the region's, as it is reached from here.
type balancer struct {
	name    string
	address string // of its TLS port
	admin   string // of its admin port
	token   string // of its admin endpoint
	client  *http.Client
}

// hosts are the IDE hosts that always run, with their addresses; the fourth host
// joins when a test wants it to.
var hosts = map[string]string{"ide-1": "10.213.77.11", "ide-2": "10.213.77.12", "ide-3": "10.213.77.13"}

const fourth = "ide-4"

// enter returns the region when it is calm, and sees to it that the test leaves
// it so, and no token in a log.
func enter(t *testing.T) *region {
	t.Helper()
	r := open(t)
	r.calm(t)
	t.Cleanup(func() {
		r.restore(t)
		r.calm(t)
		r.tokensAreInNoLog(t)
	})
	return r
}

// open reads what `make integration` has prepared.
func open(t *testing.T) *region {
	t.Helper()
	project := os.Getenv("LB_PROJECT")
	if project == "" {
		t.Fatal("LB_PROJECT isn't set: run make integration, which sets up the region")
	}
	secrets := filepath.Join("..", "testdata", "integration", "run", "balancer")
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(read(t, filepath.Join(secrets, "ide.crt"))) {
		t.Fatal("ide.crt holds no certificate")
	}
	token := strings.TrimSpace(string(read(t, filepath.Join(secrets, "admin.token"))))
	r := &region{project: project, network: project + "_region"}
	r.compose = append(strings.Fields(os.Getenv("LB_COMPOSE")), "-p", project, "-f", filepath.Join("..", "docker-compose.yml"))
	for i, ports := range [][2]string{{"24431", "27001"}, {"24432", "27002"}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}
		t.Cleanup(transport.CloseIdleConnections)
		r.lbs = append(r.lbs, &balancer{
			name:    fmt.Sprintf("lb-%d", i+1),
			address: "127.0.0.1:" + port(fmt.Sprintf("LB%d_PORT", i+1), ports[0]),
			admin:   "127.0.0.1:" + port(fmt.Sprintf("LB%d_ADMIN_PORT", i+1), ports[1]),
			token:   token,
			client:  &http.Client{Transport: transport},
		})
	}
	return r
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// port is what docker-compose.yml publishes a port as.
func port(variable, otherwise string) string {
	if v := os.Getenv(variable); v != "" {
		return v
	}
	return otherwise
}

// eventually waits until check has nothing to complain about.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for start := time.Now(); ; {
		err := check()
		if err == nil {
			t.Logf("%s: after %v", what, time.Since(start).Round(10*time.Millisecond))
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: still not so after %v: %v", what, patience, err)
		}
	}
}

// during returns after d, which is how long a test wants something to stay true.
func during(d time.Duration) { <-time.After(d) }

// docker runs a docker command.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, append([]string{"docker"}, args...))
}

// command returns what a command prints to its standard output.
func command(t *testing.T, words []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// container returns the id of a service's container, "" if there is none. Docker
// tells that much faster than docker-compose.
func (r *region) container(t *testing.T, service string) string {
	t.Helper()
	return docker(t, "ps", "-aq", "--filter", "label=com.docker.compose.project="+r.project,
		"--filter", "label=com.docker.compose.service="+service)
}

// restore undoes what tests do to containers and by operators' decisions.
func (r *region) restore(t *testing.T) {
	t.Helper()
	if id := r.container(t, fourth); id != "" {
		docker(t, "stop", id)
	}
	for _, service := range []string{"lb-1", "lb-2", "ide-1", "ide-2", "ide-3"} {
		id := r.container(t, service)
		docker(t, "start", id) // does nothing to a container that runs
		if address, isHost := hosts[service]; isHost && !r.connected(t, id) {
			r.connect(t, id, address)
		}
	}
	for host := range hosts {
		for _, lb := range r.lbs {
			eventually(t, fmt.Sprintf("%s is ready for %s", host, lb.name), func() error { return lb.makeReady(host) })
		}
	}
}

// makeReady has lb take host into service with the weight that it gives itself,
// unless that is so.
func (lb *balancer) makeReady(host string) error {
	h, err := lb.host(host)
	if err != nil || h.State == "ready" && h.Weight == 1 {
		return err
	}
	return lb.call("PATCH", "/v1/hosts/"+host, map[string]any{"state": "ready", "weight": nil, "reason": "the test is over"}, nil)
}

func (r *region) connected(t *testing.T, id string) bool {
	t.Helper()
	return strings.Contains(docker(t, "inspect", "-f", "{{json .NetworkSettings.Networks}}", id), r.network)
}

// disconnect pulls a container's plug.
func (r *region) disconnect(t *testing.T, id string) {
	t.Helper()
	docker(t, "network", "disconnect", r.network, id)
}

func (r *region) connect(t *testing.T, id, address string) {
	t.Helper()
	docker(t, "network", "connect", "--ip", address, r.network, id)
}

// calm waits until both balancers serve the three hosts, alike.
func (r *region) calm(t *testing.T) {
	t.Helper()
	eventually(t, "the region is calm", func() error { return r.agreeOn("ide-1", "ide-2", "ide-3") })
}

// agreeOn tells what keeps the balancers from having the same ring of exactly
// these hosts, all of them serving.
func (r *region) agreeOn(names ...string) error {
	var digests []string
	for _, lb := range r.lbs {
		ring, err := lb.ring()
		if err != nil {
			return err
		}
		serving, err := lb.serving()
		if err != nil {
			return err
		}
		switch {
		case !slices.Equal(ring.hosts(), names):
			return fmt.Errorf("%s has the ring %v, want %v", lb.name, ring.hosts(), names)
		case !slices.Equal(serving, names):
			return fmt.Errorf("%s lets %v serve, want %v", lb.name, serving, names)
		case ring.Rebuilding || ring.Frozen || ring.Alarm != "":
			return fmt.Errorf("%s: rebuilding %v, frozen %v, alarm %q", lb.name, ring.Rebuilding, ring.Frozen, ring.Alarm)
		case !ring.Agree || len(ring.Peers) != 1 || !ring.Peers[0].Alive:
			return fmt.Errorf("%s: agree %v with peers %+v", lb.name, ring.Agree, ring.Peers)
		}
		digests = append(digests, ring.Digest)
	}
	if digests[0] != digests[1] {
		return fmt.Errorf("the rings have the digests %v", digests)
	}
	return nil
}

// A hostView and a ringView are what the admin API says, as far as tests ask.
type hostView struct {
	Name     string
	State    string
	Reason   string
	Verdict  string
	Votes    struct{ Held bool }
	Contact  string
	InRing   bool   `json:"in_ring"`
	WhyNot   string `json:"why_not"`
	Serving  bool
	Weight   int
	Sessions int
}

type ringView struct {
	Digest     string
	Rebuilding bool
	Frozen     bool
	Alarm      string
	Agree      bool
	Shares     []struct {
		Host  string
		Share float64
	}
	Peers []struct {
		Name  string
		Alive bool
	}
}

func (v ringView) hosts() []string {
	var names []string
	for _, s := range v.Shares {
		names = append(names, s.Host)
	}
	return names
}

func (v ringView) share(host string) float64 {
	for _, s := range v.Shares {
		if s.Host == host {
			return s.Share
		}
	}
	return 0
}

func (lb *balancer) ring() (v ringView, err error) {
	return v, lb.call("GET", "/v1/ring", nil, &v)
}

func (lb *balancer) host(name string) (v hostView, err error) {
	return v, lb.call("GET", "/v1/hosts/"+name, nil, &v)
}

func (lb *balancer) serving() ([]string, error) {
	var v struct{ Hosts []hostView }
	err := lb.call("GET", "/v1/hosts", nil, &v)
	var names []string
	for _, h := range v.Hosts {
		if h.Serving {
			names = append(names, h.Name)
		}
	}
	return names, err
}

// decide passes an operator's decision on, which is in force when decide returns.
func (lb *balancer) decide(host, state, reason string) error {
	return lb.call("PATCH", "/v1/hosts/"+host, map[string]string{"state": state, "reason": reason}, nil)
}

// digest returns what logs call a token.
func (lb *balancer) digest(token string) (string, error) {
	var v struct {
		Digest string `json:"token_digest"`
	}
	return v.Digest, lb.call("POST", "/v1/explain", map[string]string{"token": token}, &v)
}

// call asks the admin endpoint and reads the answer into out, unless that is nil.
func (lb *balancer) call(method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+lb.admin+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+lb.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := lb.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", lb.name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", lb.name, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s: %s: %s", lb.name, method, path, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
