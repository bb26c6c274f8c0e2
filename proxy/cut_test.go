//go:build integration

package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tokenring/chaos/network"
	"tokenring/route"
	"tokenring/testlog"
)

// cutRole is the variable that says which process of TestNothingTypedInACutArrivesAfterIt this is.
const (
	cutRole = "LB_CUT_TEST"
	cutHost = "10.77.8.2:5000"
)

// TestNothingTypedInACutArrivesAfterIt has a host be cut off from its balancer, by a network that
// drops all packets. Meanwhile users type, and their tokens move to another host in several ways.
// When the network heals, the host reads nothing of it.
func TestNothingTypedInACutArrivesAfterIt(t *testing.T) {
	t.Parallel()
	n := network.New()
	t.Cleanup(n.Close)
	near, err := n.Add("balancer", netip.MustParseAddr("10.77.8.1"))
	if err != nil {
		t.Fatalf("this test needs root, and network namespaces: %v", err)
	}
	far, err := n.Add("host", netip.MustParseAddr("10.77.8.2"))
	if err != nil {
		t.Fatalf("this test needs root, and network namespaces: %v", err)
	}
	host := startCut(t, far, "TestCutHost")
	host.reaches("listening")
	balancer := startCut(t, near, "TestCutBalancer")
	balancer.goes("open")
	n.Both(near, far, network.Condition{Cut: true})
	balancer.goes("type")
	balancer.goes("move")
	time.Sleep(8 * time.Second) // well more than the kernel goes on with what a client has left behind
	n.Both(near, far, network.Condition{})
	eventuallyIn(t, time.Minute, "what was typed for a token that stays", func() bool { return strings.Contains(host.out.String(), "DURING-stays") })
	time.Sleep(3 * time.Second) // the kernel sends all of it again at about the same time
	got := host.out.String()
	for _, what := range []string{"moved", "maint", "left", "request"} {
		if !strings.Contains(got, "BEFORE-"+what) {
			t.Errorf("nothing came before the cut: %s", what)
		}
		if strings.Contains(got, "DURING-"+what) {
			t.Errorf("what was typed in the cut has come after it: %s", what)
		}
	}
	balancer.goes("end")
}

// A cutProcess is a process of the test, in a node of the network.
type cutProcess struct {
	t   *testing.T
	out *testlog.Buffer
	in  io.Writer
}

func startCut(t *testing.T, node *network.Node, test string) *cutProcess {
	t.Helper()
	p := &cutProcess{t: t, out: new(testlog.Buffer)}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), cutRole+"="+test)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = node.Start(cmd)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	t.Cleanup(func() {
		defer cancel()
		in.Close() // it ends at that
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v: %s", test, err, p.out)
		}
	})
	return p
}

// goes has the process do a step, and waits until it has.
func (p *cutProcess) goes(step string) {
	p.t.Helper()
	fmt.Fprintln(p.in, step)
	p.reaches(step)
}

func (p *cutProcess) reaches(step string) {
	p.t.Helper()
	eventuallyIn(p.t, 30*time.Second, step+": "+p.out.String(), func() bool { return strings.Contains(p.out.String(), "done: "+step+"\n") })
}

// TestCutHost is the process of the host: it writes all that it reads to its output.
func TestCutHost(t *testing.T) {
	if os.Getenv(cutRole) != t.Name() {
		t.Skip("it is a part of another test")
	}
	ln, err := net.Listen("tcp", cutHost)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serveCut(nc)
		}
	}()
	fmt.Println("done: listening")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func serveCut(nc net.Conn) {
	in := bufio.NewReader(io.TeeReader(nc, os.Stdout))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
		if r.URL.Path == "/ws" {
			answer = agree(r.Header.Get("Sec-WebSocket-Key"))
		}
		if _, err := io.WriteString(nc, answer); err != nil {
			return
		}
		if r.URL.Path == "/ws" {
			_, _ = io.Copy(io.Discard, in)
			return
		}
	}
}

// TestCutBalancer is the process of the balancer and of its users.
func TestCutBalancer(t *testing.T) {
	if os.Getenv(cutRole) != t.Name() {
		t.Skip("it is a part of another test")
	}
	l := start(t, func(l *lab) { l.cfg.DownGrace = time.Minute }, newHost(t, "a"), newHost(t, "b").on("/ws", accept(echo)))
	l.hosts[0].Address = cutHost
	l.use()
	tokens := l.tokens("a", 4)
	users := map[string]*wire{}
	control, err := net.Dial("tcp", cutHost)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	request := l.dial()
	steps := map[string]func(){
		"open": func() {
			for i, name := range []string{"moved", "maint", "left"} {
				users[name] = l.dial().open("/ws", tokens[i])
				users[name].send(typed("BEFORE-" + name))
			}
			request.send(get("/BEFORE-request?token=" + tokens[3])).want(200)
			l.waitUntilIdle()
		},
		"type": func() {
			want := int64(0)
			for name, w := range users {
				w.send(typed("DURING-" + name))
				want += int64(2 * len(typed("BEFORE-"+name)))
			}
			_, _ = control.Write([]byte("GET /DURING-stays HTTP/1.1\r\nHost: x\r\n\r\n"))
			request.send(get("/DURING-request?token=" + tokens[3]))
			eventually(t, "what was typed, and a request that waits", func() bool {
				return l.hosts[0].Gauges.InFlight.Load() == 1 && l.fromClients() == want
			})
		},
		"move": func() {
			reset(users["left"].Conn)
			l.ends("/ws", "client")
			l.found("a", route.Down)
			if a := request.want(200); a.body != "b GET /DURING-request" {
				t.Errorf("the request was answered by %q", a.body)
			}
			if _, host := l.terminal(tokens[0]); host != "b" {
				t.Errorf("the token is on %s", host)
			}
			l.change("a", func(h *route.Host) { h.State = route.Maint })
			users["maint"].expectClose(1001)
			users["moved"].expectClose(1001)
		},
		"end": func() {},
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		steps[in.Text()]()
		fmt.Println("done: " + in.Text())
	}
}

// typed returns a frame of a client with a text that can be read.
func typed(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text))}) + "\x00\x00\x00\x00" + text
}

// fromClients returns how many bytes have come from the clients of all terminals.
func (l *lab) fromClients() (n int64) {
	l.srv.each(func(c trackedConn) {
		if t, ok := c.(*terminal); ok {
			n += t.Stats().FromClient
		}
	})
	return n
}
