package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/testlog"
	"tokenring/tlsterm"
)

// A child is `lb run` in its own process, so a test can measure its memory, descriptors
// and CPU. It listens for plain HTTP and for TLS, and has one host.
type child struct {
	t          *testing.T
	cmd        *exec.Cmd
	plain, tls string // addresses
	admin      string
	config     string // file
	before     string // a line of shell that runs before lb
	ending     *sync.Once
	out        *testlog.Buffer // the access log, if the configuration has one
	errOut     *testlog.Buffer
	operator   *http.Client // keeps one connection, opened before anything else
	host       *httptest.Server
	exited     chan error
}

const adminSecret = "the operators' token, for tests alone"

// startChild runs lb with extra lines of configuration. files is how many files it may
// open; 0 for no other limit.
func startChild(t *testing.T, files int, extra string) *child {
	t.Helper()
	c := newChild(t, extra)
	c.run(files)
	return c
}

// newChild returns a child. Its method run starts it.
func newChild(t *testing.T, extra string) *child {
	t.Helper()
	c := &child{t: t, ending: new(sync.Once), out: new(testlog.Buffer), errOut: new(testlog.Buffer), exited: make(chan error, 1), operator: &http.Client{Timeout: 30 * time.Second}}
	c.host = httptest.NewServer(ideHost())
	t.Cleanup(c.host.Close)
	dir := t.TempDir()
	cert, key, err := tlsterm.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`
name: lb-1
listen: [{address: "127.0.0.1:0"}, {address: "127.0.0.1:0", tls: true}]
tls: {certificates: [{cert: ide.crt, key: ide.key}]}
hash: {consistent: {partitions: 257, replicas: 20}}
pool: {hosts: [{name: ide-1, address: %q}]}
health: {interval: 1s, timeout: 1s, rise: 1, fall: 5}
admin: {address: "127.0.0.1:0", token_file: admin.token}
log: {access: false}
state_dir: state
%s
`, c.host.Listener.Addr(), extra)
	for name, data := range map[string][]byte{"lb.yaml": []byte(config), "admin.token": []byte(adminSecret), "ide.crt": cert, "ide.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.config = filepath.Join(dir, "lb.yaml")
	return c
}

// run starts the process, and waits until it serves.
func (c *child) run(files int) {
	c.t.Helper()
	command := c.before + "exec lb run -c " + c.config
	if files > 0 {
		command = fmt.Sprintf("ulimit -n %d && %s", files, command)
	}
	c.cmd = exec.Command("sh", "-c", command)
	c.cmd.Stdout, c.cmd.Stderr = c.out, c.errOut
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { c.exited <- c.cmd.Wait() }()
	c.t.Cleanup(c.stop)
	c.wait("two listeners, and the admin endpoint's", func() bool {
		log := c.errOut.String()
		c.plain, c.tls, c.admin = listensAt(log, "listening", false), listensAt(log, "listening", true), listensAt(log, "admin endpoint listening", false)
		return c.plain != "" && c.tls != "" && c.admin != ""
	})
	c.wait("a host that serves", func() bool { return c.metric(`lb_host_serving{host="ide-1"}`) == 1 })
}

// stop ends the process, unless the test has ended it. It fails the test if the process
// has ended by itself.
func (c *child) stop() {
	c.ending.Do(func() {
		if err := c.signal(syscall.SIGTERM); err != nil {
			c.t.Errorf("lb ended with %v: %s", err, c.errOut.String())
		}
	})
	c.operator.CloseIdleConnections()
	if c.t.Failed() {
		c.t.Logf("lb said:\n%s", c.errOut.String())
	}
}

// end ends the process by a signal, and returns its state.
func (c *child) end(s syscall.Signal) (err error) {
	c.ending.Do(func() { err = c.signal(s) })
	return err
}

// signal sends the process a signal, and waits for its end.
func (c *child) signal(s syscall.Signal) error {
	_ = c.cmd.Process.Signal(s)
	select {
	case err := <-c.exited:
		return err
	case <-time.After(30 * time.Second):
		_ = c.cmd.Process.Kill()
		return fmt.Errorf("lb doesn't end by %v: %w", s, <-c.exited)
	}
}

// in returns c for use in a subtest.
func (c *child) in(t *testing.T) *child {
	sub := *c
	sub.t = t
	return &sub
}

// logged returns the lines of the log with that message.
func (c *child) logged(message string) (found []map[string]any) {
	return linesOf(c.errOut.String(), message)
}

// linesOf returns the lines of a JSON log whose messages begin with message.
func linesOf(log, message string) (found []map[string]any) {
	for line := range strings.Lines(log) {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) == nil && strings.HasPrefix(fmt.Sprint(e["message"]), message) {
			found = append(found, e)
		}
	}
	return found
}

// listensAt returns the address in the last log line with that message and that kind of
// listener, "" if there is none.
func listensAt(log, message string, overTLS bool) (address string) {
	for _, line := range linesOf(log, message) {
		if is, _ := line["tls"].(bool); is == overTLS {
			address, _ = line["address"].(string)
		}
	}
	return address
}

func (c *child) wait(what string, ok func() bool) {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			c.t.Fatalf("not in time: %s", what)
		}
	}
}

// metrics returns the metrics of the child, nil if it doesn't answer.
func (c *child) metrics() map[string]float64 {
	req, err := http.NewRequest("GET", "http://"+c.admin+"/metrics", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminSecret)
	resp, err := c.operator.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	all := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			all[name] = n
		}
	}
	return all
}

// waitMetric waits until the metric has grown to want.
func (c *child) waitMetric(name string, want float64) {
	c.t.Helper()
	var all map[string]float64
	defer func() {
		if all[name] < want {
			maps.DeleteFunc(all, func(name string, value float64) bool { return value == 0 || !strings.HasPrefix(name, "lb_") })
			c.t.Logf("%s is %v, want %v, of %v", name, all[name], want, all)
		}
	}()
	c.wait(name, func() bool {
		all = c.metrics()
		return all[name] >= want
	})
}

func (c *child) metric(name string) float64 { return c.metrics()[name] }

// pid returns the number of the process that serves.
func (c *child) pid() int {
	c.t.Helper()
	started := c.logged("generation started")
	if len(started) == 0 {
		c.t.Fatal("no generation has started")
	}
	pid, _ := started[len(started)-1]["pid"].(float64)
	return int(pid)
}

func (c *child) files() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.pid()))
	if err != nil {
		c.t.Fatal(err)
	}
	return len(list)
}

// cpu returns how much processor time the child has used.
func (c *child) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid()))
	if err != nil {
		c.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const user, system, tick = 11, 12, 10 * time.Millisecond // proc_pid_stat(5), less pid and comm
	u, _ := strconv.Atoi(fields[user])
	s, _ := strconv.Atoi(fields[system])
	return time.Duration(u+s) * tick
}

// dial connects to the child. The connection is reset in the end, so its port doesn't
// have to wait.
func (c *child) dial(address string) net.Conn {
	c.t.Helper()
	nc, err := net.DialTimeout("tcp", address, 30*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = nc.(*net.TCPConn).SetLinger(0)
	c.t.Cleanup(func() { nc.Close() })
	return nc
}

// terminal opens a WebSocket that echoes.
func (c *child) terminal(address string) *websocket.Conn {
	c.t.Helper()
	return c.terminalOf("a", address)
}

// terminalOf opens a WebSocket of a token that echoes.
func (c *child) terminalOf(token, address string) *websocket.Conn {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	scheme, client := "ws", &http.Client{}
	if address == c.tls {
		scheme = "wss"
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	ws, _, err := websocket.Dial(ctx, scheme+"://"+address+"/echo?token="+token, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// echoes returns an error if the terminal is closed.
func (c *child) echoes(ws *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte("ping")); err != nil {
		return err
	}
	_, got, err := ws.Read(ctx)
	if err == nil && string(got) != "ping" {
		err = fmt.Errorf("got %q", got)
	}
	return err
}

// ideHost answers checks and small requests, reads bodies, sends endless answers, and
// echoes.
func ideHost() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 32<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		for {
			kind, b, err := ws.Read(context.Background())
			if err != nil || ws.Write(context.Background(), kind, b) != nil {
				return
			}
		}
	})
	return mux
}
