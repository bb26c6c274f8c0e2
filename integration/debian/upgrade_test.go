//go:build integration

// Package debian installs, upgrades and removes the Debian package while a terminal is open.
// packaging/test runs it, in a directory with a Debian 12.
package debian

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/testlog"
)

// A machine is a directory with a Debian: LB_DEBIAN. Its systemctl says that the services in
// /running are active, and ends the process in /main to stop them.
type machine struct {
	t    *testing.T
	root string
	log  testlog.Buffer // of the service
}

// TestATerminalOutlivesAnUpgradeOfThePackage: dpkg replaces the files, and postinst has the
// balancer that runs take the program over. A removal stops it.
func TestATerminalOutlivesAnUpgradeOfThePackage(t *testing.T) {
	m := &machine{t: t, root: os.Getenv("LB_DEBIAN")}
	if m.root == "" {
		t.Skip("LB_DEBIAN isn't set: packaging/test sets it")
	}
	address, ended := m.install()
	terminal := m.open(address)
	main := m.read("main")
	m.run("dpkg", "-i", "/new.deb")
	if err := echo(terminal); err != nil {
		t.Errorf("the terminal was cut: %v", err)
	}
	list := m.run("lb", "ctl", "generations", "-c", "/etc/lb/lb.yaml")
	if !regexp.MustCompile(`(?s)\n1 +\d+ +old +v1\.0\.0 .*\n2 +\d+ +serving +v1\.1\.0 `).MatchString(list) {
		t.Errorf("lb ctl generations says\n%s", list)
	}
	m.eventually("the parent runs the new program", func() bool {
		running, err := os.Readlink("/proc/" + main + "/exe")
		return err == nil && running == filepath.Join(m.root, "usr/bin/lb")
	})
	if err := echo(m.open(address)); err != nil {
		t.Errorf("a new terminal: %v", err)
	}
	if err := echo(terminal); err != nil {
		t.Errorf("the terminal was cut later: %v", err)
	}

	closed := make(chan error, 1)
	go func() {
		_, _, err := terminal.Read(context.Background())
		closed <- err
	}()
	m.run("dpkg", "-r", "tokenring")
	if err := <-ended; err != nil {
		t.Errorf("the balancer ended with %v", err)
	}
	if code := websocket.CloseStatus(<-closed); code != websocket.StatusServiceRestart && code != websocket.StatusGoingAway {
		t.Errorf("the terminal was closed with %d", code)
	}
}

// install installs the package, and starts the balancer as its service does. It returns where
// that listens, and how it ends.
func (m *machine) install() (address string, ended <-chan error) {
	m.run("dpkg", "-i", "/old.deb")
	host := httptest.NewServer(http.HandlerFunc(serveEcho))
	m.t.Cleanup(host.Close)
	address = freeAddress(m.t)
	m.write("etc/lb/lb.yaml", fmt.Sprintf(`
listen: [{address: %q}]
pool: {hosts: [{name: ide-1, address: %q}]}
health: {interval: 1s, timeout: 1s, rise: 1}
admin: {address: %q}
generations: {probation: 1s}
shutdown: {grace: 2s}
state_dir: /var/lib/lb
`, address, host.Listener.Addr(), freeAddress(m.t)))
	m.run("install", "-d", "-o", "lb", "-g", "lb", "-m", "700", "/var/lib/lb") // StateDirectory
	service := exec.Command("chroot", "--userspec=lb:lb", m.root, "/usr/bin/lb", "run", "-c", "/etc/lb/lb.yaml")
	service.Stdout, service.Stderr = &m.log, &m.log
	if err := service.Start(); err != nil {
		m.t.Fatal(err)
	}
	result, exited := make(chan error, 1), make(chan struct{})
	go func() {
		result <- service.Wait() // capacity 1
		close(exited)
	}()
	m.t.Cleanup(func() {
		_ = service.Process.Kill() // its generations end with it
		<-exited
		if m.t.Failed() {
			m.t.Log(m.log.String())
		}
	})
	m.write("main", fmt.Sprint(service.Process.Pid))
	m.write("running", "lb.service\n")
	m.eventually("it serves", func() bool {
		answer, err := http.Get("http://" + address + "/")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return address, result
}

// run runs a command in the machine, and returns what it has written.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "chroot", append([]string{m.root}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *machine) eventually(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("it never came true: %s", what)
		}
	}
}

// open opens a terminal.
func (m *machine) open(address string) *websocket.Conn {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+address+"/terminal?token=a", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { ws.CloseNow() })
	if err := echo(ws); err != nil {
		m.t.Fatal(err)
	}
	return ws
}

// echo returns an error if the terminal is closed.
func echo(ws *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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

// serveEcho answers for a host, whose terminals echo.
func serveEcho(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		kind, text, err := ws.Read(context.Background())
		if err != nil || ws.Write(context.Background(), kind, text) != nil {
			return
		}
	}
}

// freeAddress returns an address where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
