package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tokenring/config"
	"tokenring/haproxycfg"
	"tokenring/testlog"
	"tokenring/tlsterm"
)

// importClaims are the statements about lb in the notes of an import. Each func runs a balancer
// with an imported configuration, and tests the statement. testdata/haproxycfg/claims.txt and
// testdata/nginxcfg/claims.txt say which notes have which statement.
var importClaims = map[string]func(*testing.T){
	"passes every request":                             claimPassesRequests,
	"passes every answer":                              claimPassesAnswers,
	"sets its own fields":                              claimOwnFields,
	"speaks plain HTTP/1.1 to hosts":                   claimPlainHosts,
	"speaks TLS to hosts":                              claimHostTLS,
	"tells hosts the client by the PROXY protocol":     claimSendProxy,
	"bounds the requests of a host":                    claimMaxConnections,
	"is strict":                                        claimStrict,
	"checks every host":                                claimChecks,
	"goes on to the next host":                         claimNextHost,
	"keeps connections open":                           claimKeepsConnections,
	"timeouts end what stalls":                         claimTimeouts,
	"keeps users of one key together":                  claimKeys,
	"takes turns without a key":                        claimTurns,
	"keeps browsers together by its cookie":            claimCookie,
	"has the ring that HAProxy has":                    claimRing,
	"has the ring that nginx has":                      claimNginxRing,
	"does what nginx.conf says":                        claimNginx,
	"asks for the passwords of nginx.conf":             claimNginxPasswords,
	"limits what nginx.conf limits":                    claimNginxLimits,
	"speaks TLS to nginx.conf's hosts":                 claimNginxHostTLS,
	"bounds the requests of nginx.conf's hosts":        claimNginxFull,
	"moves the tokens of a host that is down":          claimDown,
	"closes the terminals of a host that is down":      claimOnDown,
	"lets clients in by their networks":                claimAccess,
	"looks names up":                                   claimNames,
	"asks clients for certificates and names":          claimClients,
	"knows clients by their certificates":              claimCertificates,
	"answers errors with pages":                        claimPages,
	"bounds heads and connections":                     claimLimits,
	"slow start":                                       claimSlowStart,
	"serves the hosts that are taken in":               claimTakenIn,
	"brings backups in":                                claimBackups,
	"redirects":                                        claimRedirects,
	"speaks TLS":                                       claimTLS,
	"listens on TCP addresses":                         claimListens,
	"takes what a half-closed client asked for or not": claimHalfClose,
	"has an admin endpoint":                            claimAdmin,
	"logs":                                             claimLogs,
	"has routes and pools":                             claimRoutes,
	"keeps overrides over a restart":                   claimState,
	"refuses what is left to fill in":                  claimFillIn,
	"written":                                          nil, // TestWhatANoteSaysIsWritten of haproxycfg
	"nothing":                                          nil, // the note says nothing about lb
}

// TestClaims tests the claims that the two files name. They must name all claims.
func TestClaims(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	for _, of := range []string{"haproxycfg", "nginxcfg"} {
		data, err := os.ReadFile("../testdata/" + of + "/claims.txt")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "[") {
				named[strings.Trim(strings.TrimSpace(line), "[]")] = true
			}
		}
	}
	for name := range named {
		if _, ok := importClaims[name]; !ok {
			t.Errorf("nothing tests %q", name)
		}
	}
	for name, hold := range importClaims {
		if !named[name] {
			t.Errorf("no note claims %q", name)
		}
		if hold != nil {
			t.Run(name, func(t *testing.T) { t.Parallel(); hold(t) })
		}
	}
}

// A cfgLines has the lines that a claim puts into its haproxy.cfg, by section.
type cfgLines struct {
	global, defaults, front, back string
	servers                       string
	noDefault                     bool // the frontend has no default_backend
}

// An imported edge is a balancer that runs with an imported configuration.
type imported struct {
	t       *testing.T
	cfg     *config.Config
	yaml    string
	edge    *Edge
	at      []string // the listeners' addresses
	access  *testlog.Buffer
	stopped func() // stops it and waits
}

// claimCfg is the haproxy.cfg of claims. The ports of its bind lines are replaced by free
// ports.
const claimCfg = `global
%s
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  timeout tunnel 1h
%s
frontend edge
  bind 127.0.0.1:1
%s
  default_backend ide
backend ide
  balance url_param token
  hash-type consistent
  default-server check inter 500ms rise 1 fall 2
%s
%s
`

// importLines imports a haproxy.cfg with these lines.
func importLines(t *testing.T, l cfgLines, files fs.FS) *haproxycfg.Result {
	t.Helper()
	cfg := fmt.Sprintf(claimCfg, l.global, l.defaults, l.front, l.back, l.servers)
	if l.noDefault {
		cfg = strings.Replace(cfg, "  default_backend ide\n", "", 1)
	}
	result, err := haproxycfg.Import("haproxy.cfg", []byte(cfg), haproxycfg.Options{Backend: "ide", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// runLines runs a balancer with the configuration that is imported from these lines. It
// ends with the test. If there is a host, the balancer serves when runLines returns.
func runLines(t *testing.T, l cfgLines) *imported {
	t.Helper()
	dir := t.TempDir()
	cert, key, err := tlsterm.SelfSigned("ide.example.com", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ide.pem"), append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	l.front = strings.ReplaceAll(l.front, "/ide.pem", filepath.Join(dir, "ide.pem"))
	return runYAML(t, dir, importLines(t, l, os.DirFS("/")).YAML)
}

// runYAML runs a balancer with an imported configuration, as runLines does.
func runYAML(t *testing.T, dir string, yaml []byte) *imported {
	t.Helper()
	r := &imported{t: t, yaml: string(yaml), access: new(testlog.Buffer)}
	text := strings.NewReplacer("/var/lib/lb", filepath.Join(dir, "state"), "127.0.0.1:7000", "127.0.0.1:0").Replace(r.yaml)
	var err error
	if r.cfg, err = config.Parse(filepath.Join(dir, "lb.yaml"), []byte(text)); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for i := range r.cfg.Listen {
		r.cfg.Listen[i].Address = "127.0.0.1:0"
	}
	r.run()
	return r
}

// run starts a balancer and waits for its hosts.
func (r *imported) run() {
	r.t.Helper()
	var err error
	if r.edge, err = open(r.cfg, r.access); err != nil {
		r.t.Fatal(err)
	}
	r.at = nil
	for _, ln := range r.edge.sockets.Clients {
		r.at = append(r.at, ln.Addr().String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.edge.Run(ctx) }()
	r.stopped = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.stopped)
	r.wait("the hosts are checked", func() bool { return r.edge.Ready() == nil })
}

func (r *imported) wait(what string, so func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("waited too long until %s", what)
		}
	}
}

// send connects to the i-th listener and sends bytes. The connection is closed
// when the test ends.
func (r *imported) send(i int, text string) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.at[i])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// raw sends bytes to the i-th listener and returns the answer.
func (r *imported) raw(i int, text string) *http.Response {
	r.t.Helper()
	return r.answer(r.send(i, ""), text)
}

// answer sends bytes on a connection and returns the answer.
func (r *imported) answer(conn net.Conn, text string) *http.Response {
	r.t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		r.t.Fatalf("%q: %v", text, err)
	}
	return resp
}

// get returns the answer to a GET with these fields, each with its line end.
func (r *imported) get(target, fields string) *http.Response {
	r.t.Helper()
	return r.raw(0, "GET "+target+" HTTP/1.1\r\nHost: ide.example.com\r\n"+fields+"\r\n")
}

// name returns which of the hosts of hostsNamed answers.
func (r *imported) name(target, fields string) string {
	r.t.Helper()
	resp := r.get(target, fields)
	resp.Body.Close()
	return resp.Header.Get("X-Name")
}

// A recorder is a host that keeps the bytes of its requests, except for checks.
type recorder struct {
	ln       net.Listener
	mu       sync.Mutex
	requests []string // heads and bodies, as they came
	checks   []string
	answer   string // to all of them
}

const plainAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// newRecorder listens until the test ends. Each request gets the answer.
func newRecorder(t *testing.T, answer string) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &recorder{ln: ln, answer: answer}
	ctx, end := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { conn.Close() }) // the balancer keeps it for a while
			serving.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); end(); serving.Wait() })
	return h
}

// serve answers the requests of one connection.
func (h *recorder) serve(conn net.Conn) {
	defer conn.Close()
	var head strings.Builder
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			h.keep(head.String())
			return
		}
		if line != "\r\n" {
			continue
		}
		h.keep(head.String())
		head.Reset()
		h.mu.Lock()
		answer := h.answer
		h.mu.Unlock()
		if _, err := io.WriteString(conn, answer); err != nil || answer == "" {
			return
		}
	}
}

func (h *recorder) keep(request string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case strings.HasPrefix(request, "GET /up "):
		h.checks = append(h.checks, request)
	case request != "": // a TCP check sends nothing
		h.requests = append(h.requests, request)
	}
}

func (h *recorder) set(answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *recorder) got() (requests, checks []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests), slices.Clone(h.checks)
}

// one is the server line for the recorder.
func (h *recorder) one(name string) string {
	return "  server " + name + " " + h.ln.Addr().String() + "\n"
}

// hostsNamed starts hosts that say their names in X-Name, and returns their
// server lines.
func hostsNamed(t *testing.T, names ...string) string {
	t.Helper()
	lines := ""
	for _, name := range names {
		lines += newRecorder(t, "HTTP/1.1 200 OK\r\nX-Name: "+name+"\r\nContent-Length: 2\r\n\r\nok").one(name)
	}
	return lines
}
