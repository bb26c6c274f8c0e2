package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/testlog"
)

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// A runningDemo is `lb demo` with its output.
type runningDemo struct {
	t             *testing.T
	out, errOut   testlog.Buffer
	keys          *io.PipeWriter
	listen, admin string // host:port
	token         string
	client        *http.Client
	ended         chan struct{}
	code          int
	stop          func()
}

var welcome = regexp.MustCompile(`(?s)https://localhost:(\d+)/.*http://127\.0\.0\.1:(\d+)/#token=(\S+).*Users without a terminal yet`)

// startDemo runs the demo until the test ends, and waits until it serves.
func startDemo(t *testing.T, args ...string) *runningDemo {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	in, keys := io.Pipe()
	d := &runningDemo{t: t, keys: keys, ended: make(chan struct{}), stop: cancel}
	go func() {
		defer close(d.ended)
		d.code = run(ctx, append([]string{"demo", "--port=0", "--admin-port=0", "-v"}, args...), in, &d.out, &d.errOut)
	}()
	t.Cleanup(func() {
		keys.Close()
		cancel()
		<-d.ended
	})
	d.eventually("the demo welcomes its user", func() bool { return welcome.MatchString(d.out.String()) })
	m := welcome.FindStringSubmatch(d.out.String())
	d.listen, d.admin, d.token = "127.0.0.1:"+m[1], "127.0.0.1:"+m[2], m[3]
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	d.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d
}

// eventually waits until ok returns true.
func (d *runningDemo) eventually(what string, ok func() bool) {
	d.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			d.t.Fatalf("waited in vain: %s\nout: %s\nerr: %s", what, d.out.String(), d.errOut.String())
		case <-d.ended:
			d.t.Fatalf("the demo ended with %d while we waited: %s\nout: %s\nerr: %s", d.code, what, d.out.String(), d.errOut.String())
		case <-tick.C:
		}
	}
}

// whoami returns which host answers requests with a token; "" if none does.
func (d *runningDemo) whoami(token string) string {
	resp, err := d.client.Get("https://" + d.listen + "/whoami?token=" + token)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var answer struct{ Host string }
	if resp.StatusCode != 200 || json.NewDecoder(resp.Body).Decode(&answer) != nil {
		return ""
	}
	return answer.Host
}

// terminal opens a WebSocket with a token, in echo mode. It also returns its host.
func (d *runningDemo) terminal(token string) (*websocket.Conn, string) {
	d.t.Helper()
	ws, _, err := websocket.Dial(d.t.Context(), "wss://"+d.listen+"/environment/websocket?mode=echo&token="+token,
		&websocket.DialOptions{HTTPClient: d.client})
	if err != nil {
		d.t.Fatalf("open the terminal: %v", err)
	}
	d.t.Cleanup(func() { ws.CloseNow() })
	var hello struct{ Host string }
	_, b, err := ws.Read(d.t.Context())
	if err != nil || json.Unmarshal(b, &hello) != nil {
		d.t.Fatalf("the host's first message: %q, %v", b, err)
	}
	return ws, hello.Host
}

func (d *runningDemo) echo(ws *websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, b, err := ws.Read(ctx)
	if err == nil && string(b) != text {
		err = fmt.Errorf("got %q back, want %q", b, text)
	}
	return err
}

func (d *runningDemo) press(keys string) {
	d.t.Helper()
	if _, err := io.WriteString(d.keys, keys+"\n"); err != nil {
		d.t.Fatal(err)
	}
}

// api calls the admin endpoint and returns status and body.
func (d *runningDemo) api(method, path, body string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+d.admin+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// tokensOf returns one token for each host.
func (d *runningDemo) tokensOf() map[string]string {
	d.t.Helper()
	byHost := map[string]string{}
	for i := 0; len(byHost) < 3 && i < 200; i++ {
		token := fmt.Sprintf("user-%d", i)
		if host := d.whoami(token); byHost[host] == "" {
			byHost[host] = token
		}
	}
	if len(byHost) != 3 || byHost[""] != "" {
		d.t.Fatalf("the tokens' hosts: %v, want three", byHost)
	}
	return byHost
}

func TestTerminalsSurviveTheDeathOfAnotherHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, stop, start string }{
		{"which leaves", "2", "2"},
		{"which crashes", "k2", "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t, "--no-shell")
			tokens := d.tokensOf()
			mine, host := d.terminal(tokens["ide-1"])
			if host != "ide-1" {
				t.Fatalf("the terminal is on %s, but requests go to ide-1", host)
			}
			theirs, _ := d.terminal(tokens["ide-2"])

			d.press(tt.stop)
			d.eventually("ide-2's user is elsewhere", func() bool {
				h := d.whoami(tokens["ide-2"])
				return h != "" && h != "ide-2"
			})
			if err := d.echo(mine, "still here"); err != nil {
				t.Errorf("the terminal on ide-1 after ide-2 is gone: %v", err)
			}
			if err := d.echo(theirs, "gone"); err == nil {
				t.Error("the terminal on ide-2 answers although its host is gone")
			}
			refuge := d.whoami(tokens["ide-2"])
			d.press(tt.start)
			d.eventually("ide-2's user is back", func() bool {
				h := d.whoami(tokens["ide-2"])
				if h != "ide-2" && h != refuge {
					t.Errorf("ide-2's user was sent to %s, then to %q: one failure, two moves", refuge, h)
				}
				return h == "ide-2"
			})
			for _, h := range []string{"ide-1", "ide-3"} {
				if got := d.whoami(tokens[h]); got != h {
					t.Errorf("%s's user is on %s", h, got)
				}
			}
			if err := d.echo(mine, "and still"); err != nil {
				t.Errorf("the terminal on ide-1 at the end: %v", err)
			}
		})
	}
}

func TestADrainMovesNoConnectedUser(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--no-shell")
	token := d.tokensOf()["ide-3"]
	ws, _ := d.terminal(token)
	if status, body := d.api("PATCH", "/v1/hosts/ide-3", `{"state":"drain","reason":"kernel update"}`); status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	for range 5 {
		if got := d.whoami(token); got != "ide-3" {
			t.Fatalf("a request of the connected user went to %q, want ide-3", got)
		}
	}
	if err := d.echo(ws, "hello"); err != nil {
		t.Errorf("the terminal during the drain: %v", err)
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
	d.eventually("the idle user is sent elsewhere", func() bool { return d.whoami(token) != "ide-3" })
	if status, body := d.api("PATCH", "/v1/hosts/ide-3", `{"state":"ready"}`); status != 200 {
		t.Fatalf("ready: %d %s", status, body)
	}
	if got := d.whoami(token); got != "ide-3" {
		t.Errorf("after the drain the user is on %q, want ide-3 at once", got)
	}
}

// ctl runs lb ctl against the demo.
func (d *runningDemo) ctl(args ...string) output {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(d.token), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return runProgram(d.t.Context(), d.t, append([]string{"ctl", "--address", d.admin, "--token-file", file}, args...)...)
}

// TestWhatIfForecastsWhatADrainDoes: it says which terminals would move and
// where to. The drain cuts none, and a terminal that reconnects is on the named host.
func TestWhatIfForecastsWhatADrainDoes(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--no-shell")
	tokens := d.tokensOf()
	stays, _ := d.terminal(tokens["ide-1"])
	moves, _ := d.terminal(tokens["ide-2"])
	second, _ := d.terminal(tokens["ide-2"])
	asked := d.ctl("whatif", "--leave", "ide-2", "--format", "json")
	var answer struct {
		Sessions      int
		SessionsMoved int  `json:"sessions_moved"`
		SessionsExact bool `json:"sessions_exact"`
		Routes        []struct {
			From, To string
			Sessions int
		}
	}
	err := json.Unmarshal([]byte(asked.out), &answer)
	if asked.code != exitOK || err != nil {
		t.Fatalf("exit %d, %v: %s", asked.code, err, asked.errOut)
	}
	to := ""
	for _, r := range answer.Routes {
		if r.From == "ide-2" && r.Sessions == 2 {
			to = r.To
		}
	}
	if answer.Sessions != 3 || answer.SessionsMoved != 2 || !answer.SessionsExact || to == "" {
		t.Fatalf("got %+v, want 2 of 3 terminals moved, both the same way", answer)
	}
	if got := d.ctl("drain", "ide-2", "--yes", "--reason", "new kernel"); got.code != exitOK {
		t.Fatalf("drain: %s", got.errOut)
	}
	for _, ws := range []*websocket.Conn{stays, moves, second} {
		if err := d.echo(ws, "still here"); err != nil {
			t.Errorf("a terminal after the drain: %v", err)
		}
	}
	if got := d.ctl("explain", tokens["ide-2"]); !strings.Contains(got.out, "ide-2 has a live session") {
		t.Errorf("while it is connected: %s%s", got.out, got.errOut)
	}
	_ = moves.Close(websocket.StatusNormalClosure, "")
	_ = second.Close(websocket.StatusNormalClosure, "")
	d.eventually("the user is where it was said", func() bool { return d.whoami(tokens["ide-2"]) == to })
}

// TestTheDemoSaysWhichHostAUserHas: bob's terminal stays on a drained host.
// When the terminal has ended, bob has another host. When all hosts crash, the demo says
// that the ring is frozen.
func TestTheDemoSaysWhichHostAUserHas(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--no-shell")
	says := func(text string) {
		t.Helper()
		d.eventually("it says "+text, func() bool { return strings.Contains(d.out.String(), text) })
	}
	ws, host := d.terminal("bob")
	says("bob has opened a terminal on " + host + ".")
	if status, body := d.api("PATCH", "/v1/hosts/"+host, `{"state":"drain"}`); status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	says("Terminals stay where they are: bob on " + host + " (when it has ended: ide-")
	_ = ws.Close(websocket.StatusNormalClosure, "")
	says("The terminal of bob on " + host + " has ended. Now bob → ide-")
	if got := d.out.String(); strings.Contains(got, "bob "+host+" →") {
		t.Errorf("it says that bob has moved:\n%s", got)
	}
	if status, body := d.api("PATCH", "/v1/hosts/"+host, `{"state":"ready"}`); status != 200 {
		t.Fatalf("ready: %d %s", status, body)
	}
	for _, host := range []string{"1", "2", "3"} {
		d.press("k" + host)
	}
	says("ALARM: 3 of the 3 hosts that were up vanished at once (ide-1, ide-2, ide-3): the ring is frozen until ")
	says("503 (the ring is frozen and waits for ide-")
	d.press("1")
	d.press("2")
	says("The ring isn't frozen any more.")
	if got := d.out.String(); strings.Contains(got, ": .") || strings.Contains(got, "nobody") {
		t.Errorf("it says nothing at length:\n%s", got)
	}
}

func TestMaintEndsTheHostsTerminals(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--no-shell")
	token := d.tokensOf()["ide-1"]
	ws, _ := d.terminal(token)
	if status, body := d.api("PATCH", "/v1/hosts/ide-1", `{"state":"maint","reason":"disk"}`); status != 200 {
		t.Fatalf("maint: %d %s", status, body)
	}
	if got := d.whoami(token); got == "ide-1" || got == "" {
		t.Errorf("a request went to %q, want another host than ide-1 at once", got)
	}
	if err := d.echo(ws, "hello"); err == nil {
		t.Error("a terminal goes on in a host that is in maintenance")
	}
}

func TestDemoEndsCleanlyOnQuit(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--no-shell")
	d.press("x")
	d.eventually("a word about the wrong key", func() bool { return strings.Contains(d.out.String(), "Type a number") })
	d.press("q")
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the demo goes on after q")
	}
	if d.code != exitOK {
		t.Errorf("exit code %d, want 0; %s", d.code, d.errOut.String())
	}
}
