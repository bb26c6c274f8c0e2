//go:build integration

package hashing

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tokenring/balancer"
)

const (
	upstreams = 12 // of nginx
	largest   = 9  // servers of one of them
)

// An upstream is one of nginx's.
type upstream struct {
	servers []nginxServer
}

type nginxServer struct {
	address string // as in its line
	weight  int
	down    bool // the line says so
	dead    bool // nobody listens
}

// TestKetamaIsNginxsRing runs nginx with random upstreams, asks it for random tokens, and
// wants each of them on the same host as with the policy ketama: also if a server is down,
// because its line says so or because it refuses connections.
func TestKetamaIsNginxsRing(t *testing.T) {
	if out, err := exec.Command("nginx", "-v").CombinedOutput(); err != nil {
		t.Fatalf("nginx -v: %v: install Debian's nginx-light\n%s", err, out)
	}
	seed := uint64(time.Now().Unix() / 86400) // others each day
	rng := rand.New(rand.NewPCG(2, seed))
	t.Logf("seed %d", seed)
	ports, dead := []string{serveAddresses(t), serveAddresses(t)}, refusing(t)
	var all []upstream
	for i := range upstreams {
		all = append(all, randomUpstream(rng, i%3, ports, dead))
	}
	client := startNginx(t, nginxText(all))
	for i, u := range all {
		answers := ask(t, clientAt(client, fmt.Sprintf("/%d", i)), randomTokens(rng))
		hosts := map[string]bool{}
		wrong := u.mistakes(t, answers, hosts)
		if len(wrong) > 0 {
			t.Errorf("%+v: %d of %d answers differ, such as %s", u.servers, len(wrong), len(answers), wrong[0])
		}
		if want := u.serving(); len(hosts) != want {
			t.Errorf("%+v: nginx uses %d hosts, want %d", u.servers, len(hosts), want)
		}
	}
}

// randomUpstream returns servers of different weights and ports. In mode 1 the line of one of
// them says that it is down; in mode 2 one of them refuses connections.
func randomUpstream(rng *rand.Rand, mode int, ports []string, dead string) upstream {
	var u upstream
	n := 3 + rng.IntN(largest-2)
	for i := range n {
		port := ports[rng.IntN(len(ports))]
		u.servers = append(u.servers, nginxServer{address: fmt.Sprintf("127.78.%d.%d:%s", rng.IntN(256), 1+i, port), weight: 1 + rng.IntN(4)})
	}
	switch mode {
	case 1:
		u.servers[rng.IntN(n)].down = true
	case 2:
		s := &u.servers[rng.IntN(n)]
		host, _, _ := strings.Cut(s.address, ":")
		s.address, s.dead = host+":"+dead, true
	}
	return u
}

// serving returns how many servers answer.
func (u upstream) serving() (n int) {
	for _, s := range u.servers {
		if !s.down && !s.dead {
			n++
		}
	}
	return n
}

// mistakes returns where the policy differs from nginx's answers, and adds nginx's hosts.
func (u upstream) mistakes(t *testing.T, answers []answer, used map[string]bool) (wrong []string) {
	t.Helper()
	var hosts, left []balancer.Host
	off := map[string]bool{}
	for _, s := range u.servers {
		h := balancer.Host{Name: strings.Replace(s.address, ":", "_", 1), Weight: s.weight}
		hosts = append(hosts, h)
		if off[h.Name] = s.down || s.dead; !off[h.Name] {
			left = append(left, h)
		}
	}
	with, without := ketamaTable(t, hosts), ketamaTable(t, left)
	up := make([]bool, len(with.Hosts()))
	for i, h := range with.Hosts() {
		up[i] = !off[h.Name]
	}
	for _, a := range answers {
		used[a.server] = true
		want := strings.Replace(a.server, ":", "_", 1)
		if got := without.Hosts()[without.Owner([]byte(a.token))].Name; got != want {
			wrong = append(wrong, fmt.Sprintf("%s: got %s, want %s", a.token, got, want))
		}
		picked, _ := with.Pick([]byte(a.token), up, -1)
		if got := with.Hosts()[picked].Name; got != want {
			wrong = append(wrong, fmt.Sprintf("%s, with the one that is down: got %s, want %s", a.token, got, want))
		}
	}
	return wrong
}

func ketamaTable(t *testing.T, hosts []balancer.Host) *balancer.Table {
	t.Helper()
	b, err := balancer.NewBuilder(balancer.Config{Policy: balancer.PolicyKetama, Ketama: balancer.KetamaConfig{Names: balancer.KetamaNamesHostPort}})
	if err != nil {
		t.Fatal(err)
	}
	table, err := b.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// nginxText returns an nginx.conf that sends /N?token=… to the upstream of that number.
// Everything that nginx writes is in its prefix.
func nginxText(all []upstream) string {
	var b, locations strings.Builder
	b.WriteString("daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n")
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "%s_temp_path %s;\n", kind, kind)
	}
	for i, u := range all {
		fmt.Fprintf(&b, "upstream u%d {\n  hash $arg_token consistent;\n", i)
		for _, s := range u.servers {
			fmt.Fprintf(&b, "  server %s weight=%d", s.address, s.weight)
			if s.down {
				b.WriteString(" down")
			}
			b.WriteString(";\n")
		}
		b.WriteString("}\n")
		fmt.Fprintf(&locations, "  location = /%d { proxy_pass http://u%d; }\n", i, i)
	}
	fmt.Fprintf(&b, "server {\n  listen unix:front;\n%s}\n}\n", &locations)
	return b.String()
}

// startNginx runs nginx until the test ends, and returns a client of it.
func startNginx(t *testing.T, text string) *http.Client {
	t.Helper()
	dir := directory(t)
	socket, file := filepath.Join(dir, "front"), filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(strings.Replace(text, "unix:front", "unix:"+socket, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return serving(t, socket, exec.Command("nginx", "-p", dir, "-c", file))
}

// atPath sends all requests to one path.
type atPath struct {
	http.RoundTripper
	path string
}

func (a atPath) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Path = a.path
	return a.RoundTripper.RoundTrip(req)
}

func clientAt(client *http.Client, path string) *http.Client {
	return &http.Client{Transport: atPath{client.Transport, path}, Timeout: client.Timeout}
}

// serveAddresses answers on all loopback addresses of one port, each with itself, and returns
// the port.
func serveAddresses(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Server", r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	})}
	var running sync.WaitGroup
	running.Go(func() { srv.Serve(ln) })
	t.Cleanup(func() {
		srv.Close()
		running.Wait()
	})
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// refusing returns a port that stays closed on all loopback addresses while the test runs: its
// socket is bound, and doesn't listen.
func refusing(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(at.(*syscall.SockaddrInet4).Port)
}
