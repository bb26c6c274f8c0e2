package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"tokenring/config"
)

// TestOperatorsCommands runs the stories of lb ctl, each with a balancer of its
// own that has three hosts. lb.yaml is in the story's directory; $ADMIN is where
// the admin endpoint is.
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "../../testdata/lb/ctl", UpdateScripts: *update, Setup: func(env *testscript.Env) error {
		admin, stop, err := serveRegion(env.WorkDir, "")
		if err != nil {
			return err
		}
		env.Defer(stop)
		env.Setenv("ADMIN", admin)
		env.Setenv("USER", "eva")
		return nil
	}})
}

// serveRegion runs a balancer with three hosts, whose files are in dir, until
// stop; more is for its section admin keys of its section admin.
func serveRegion(dir, more string) (admin string, stop func(), err error) {
	admin = loopback(testPort())
	text := fmt.Sprintf(`
name: lb-1
listen: [{address: "127.0.0.1:0"}]
health: {interval: 1s, timeout: 1s, rise: 1, fall: 5}
admin: {address: %q, confirm_share: 0.2, %s}
state_dir: state
pool:
  hosts:
`, admin, more)
	var hosts [3]*httptest.Server
	for i := range hosts {
		hosts[i] = httptest.NewServer(ideHost())
		text += fmt.Sprintf("    - {name: ide-%d, id: %d, address: %q}\n", i+1, i+1, hosts[i].Listener.Addr())
	}
	file := filepath.Join(dir, "lb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cfg, err := config.Load(file)
	if err != nil {
		return "", nil, err
	}
	e, err := newEdge(cfg, zerolog.Nop(), io.Discard)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	<-e.pool.Settled()
	return admin, func() {
		cancel()
		<-ended
		for _, h := range hosts {
			h.Close()
		}
	}, nil
}

// A fakeAPI answers as an admin endpoint does, and keeps what it is asked.
type fakeAPI struct {
	*httptest.Server
	answers map[string]string // by method and path; a number in front is the status
	asked   []string          // method, path and body
}

func newFakeAPI(t *testing.T, answers map[string]string) *fakeAPI {
	t.Helper()
	f := &fakeAPI{answers: answers}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
		answer, ok := f.answers[r.Method+" "+r.URL.Path]
		status := http.StatusOK
		if _, err := fmt.Sscanf(answer, "%d ", &status); err == nil {
			answer = answer[4:]
		}
		if !ok || r.Header.Get("Authorization") != "Bearer "+adminSecret {
			status = http.StatusUnauthorized
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(f.Close)
	return f
}

// ctl runs lb ctl against the fake.
func (f *fakeAPI) ctl(t *testing.T, args ...string) output {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(adminSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return runProgram(t.Context(), t, append([]string{"ctl", "--address", f.URL + "/", "--token-file", file}, args...)...)
}

const statusAnswer = `{"name":"lb-1","confirm_share":0.3}`

func TestDecisionsAreSentAsTheAPIWantsThem(t *testing.T) {
	t.Setenv("SUDO_USER", "eva")
	for _, row := range []struct {
		args []string
		want string // the body of the PATCH
	}{
		{[]string{"drain", "ide-1"}, `{"by":"eva","max_moved":0.3,"state":"drain"}`},
		{[]string{"maint", "ide-1", "--reason", "disk", "--by", "kim"}, `{"by":"kim","max_moved":0.3,"reason":"disk","state":"maint"}`},
		{[]string{"ready", "ide-1", "--yes"}, `{"by":"eva","state":"ready"}`},
		{[]string{"weight", "ide-1", "3"}, `{"by":"eva","max_moved":0.3,"weight":3}`},
		{[]string{"weight", "ide-1", "0", "-y"}, `{"by":"eva","weight":0}`},
		{[]string{"weight", "ide-1", "own"}, `{"by":"eva","max_moved":0.3,"weight":null}`},
	} {
		f := newFakeAPI(t, map[string]string{"GET /v1/status": statusAnswer, "PATCH /v1/hosts/ide-1": `{"name":"ide-1","state":"drain"}`})
		got := f.ctl(t, row.args...)
		if want := "PATCH /v1/hosts/ide-1 " + row.want; got.code != exitOK || f.asked[len(f.asked)-1] != want {
			t.Errorf("%q: exit %d, %s; asked %q, want %q", row.args, got.code, got.errOut, f.asked, want)
		}
	}
}

func TestABalancerWithoutABoundIsntSentOne(t *testing.T) {
	f := newFakeAPI(t, map[string]string{"GET /v1/status": `{"name":"lb-1"}`, "PATCH /v1/hosts/ide-1": `{"name":"ide-1","state":"drain"}`})
	if got := f.ctl(t, "drain", "ide-1", "--by", "eva"); got.code != exitOK || strings.Contains(f.asked[1], "max_moved") {
		t.Errorf("exit %d, asked %q", got.code, f.asked)
	}
}

func TestWhatIfIsAskedAsTheAPIWantsIt(t *testing.T) {
	f := newFakeAPI(t, map[string]string{"POST /v1/whatif": `{"method":"exact"}`})
	got := f.ctl(t, "whatif", "--leave", "ide-2", "--leave=ide-4", "--join", "ide-8", "--join", "ide-9=weight:2,id:9", "--weight", "ide-3=3", "--policy", "haproxy")
	want := `POST /v1/whatif {"join":[{"name":"ide-8"},{"name":"ide-9","weight":2,"id":9}],"leave":["ide-2","ide-4"],"policy":"haproxy","weights":{"ide-3":3}}`
	if got.code != exitOK {
		t.Fatalf("exit %d: %s", got.code, got.errOut)
	}
	if diff := cmp.Diff([]string{want}, f.asked); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestJoinersAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"ide-9":               `{"name":"ide-9"}`,
		"ide-9=weight:2":      `{"name":"ide-9","weight":2}`,
		"ide-9=id:9,weight:2": `{"name":"ide-9","weight":2,"id":9}`,
		"=weight:2":           "there is no name",
		"ide-9=":              "neither a weight nor an id",
		"ide-9=weight:two":    `"two" is no weight`,
		"ide-9=id:-1":         `"-1" is no id`,
		"ide-9=size:3":        `"size:3" is neither a weight nor an id`,
	} {
		j, err := parseJoin(text)
		got, _ := json.Marshal(j)
		if err != nil {
			got = []byte(err.Error())
		}
		if !strings.Contains(string(got), want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestRefusalsSayHowToGoOn(t *testing.T) {
	much := `409 {"status":409,"detail":"too much","moved":0.666,"max_moved":0.3,"sessions":40,"sessions_moved":12,"sessions_exact":false}`
	for _, row := range []struct {
		name, answer string
		want         []string
	}{
		{"it moves too much", much, []string{"66.6 % of the tokens", "about 12 of the 40 terminals", "30.0 %", "--yes"}},
		{"another conflict", `409 {"status":409,"detail":"somebody else decides"}`, []string{"lb: somebody else decides"}},
		{"an unknown host", `404 {"status":404,"detail":"no host is called so"}`, []string{"lb: no host is called so"}},
		{"no reason", `503 {}`, []string{"503 Service Unavailable"}},
	} {
		f := newFakeAPI(t, map[string]string{"GET /v1/status": statusAnswer, "PATCH /v1/hosts/ide-1": row.answer})
		got := f.ctl(t, "drain", "ide-1")
		if got.code != exitFailed || got.out != "" {
			t.Errorf("%s: exit %d, output %q", row.name, got.code, got.out)
		}
		for _, part := range row.want {
			if !strings.Contains(got.errOut, part) {
				t.Errorf("%s: got %q, want %q in it", row.name, got.errOut, part)
			}
		}
	}
}

// TestADecisionWithoutAnAnswerMayHaveBeenTaken: a ring may take longer to build
// than anybody waits.
func TestADecisionWithoutAnAnswerMayHaveBeenTaken(t *testing.T) {
	const doubt = "may have been taken all the same"
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	f := &fakeAPI{Server: cut}
	if got := f.ctl(t, "drain", "ide-1", "--yes"); got.code != exitFailed || !strings.Contains(got.errOut, doubt) || !strings.Contains(got.errOut, "lb ctl hosts") {
		t.Errorf("cut off: exit %d, %s", got.code, got.errOut)
	}
	for _, args := range [][]string{{"drain", "ide-1"}, {"status"}} { // whose question comes first
		if got := f.ctl(t, args...); got.code != exitFailed || strings.Contains(got.errOut, doubt) {
			t.Errorf("%s, cut off: exit %d, %s", args, got.code, got.errOut)
		}
	}
	cut.Close()
	if got := f.ctl(t, "drain", "ide-1", "--yes"); got.code != exitFailed || strings.Contains(got.errOut, doubt) {
		t.Errorf("nobody there: exit %d, %s", got.code, got.errOut)
	}
}

// TestAnotherServicesAnswerIsNoSuccess: any JSON decodes, and an operator whose
// drain went elsewhere must not take it for done.
func TestAnotherServicesAnswerIsNoSuccess(t *testing.T) {
	for _, answer := range []string{`{"hello":"world"}`, `null`, `[]`, `"ok"`, `{"name":"ide-2","status":"ok"}`} {
		f := newFakeAPI(t, map[string]string{
			"GET /v1/status": `{"hosts":{"total":3}}`, "GET /v1/hosts": answer, "GET /v1/ring": answer,
			"POST /v1/whatif": answer, "POST /v1/explain": answer, "PATCH /v1/hosts/ide-1": answer,
		})
		for _, args := range [][]string{
			{"status"},
			{"hosts"},
			{"ring"},
			{"whatif", "--leave", "ide-1"},
			{"explain", "a"},
			{"explain", "a", "b"},
			{"drain", "ide-1"},
			{"drain", "ide-1", "--yes"},
			{"weight", "ide-1", "own", "-y"},
		} {
			for _, format := range []string{"table", "json"} {
				got := f.ctl(t, append(args, "--format", format)...)
				if got.code != exitFailed || !strings.Contains(got.errOut, "?") || strings.Contains(got.out, "ide-2") {
					t.Errorf("%s to %q: exit %d, %s%s", answer, args, got.code, got.out, got.errOut)
				}
			}
		}
	}
}

// TestTablesShowWhatOthersAddToTheAPI: the fields may be there or not.
func TestTablesShowWhatOthersAddToTheAPI(t *testing.T) {
	f := newFakeAPI(t, map[string]string{
		"GET /v1/hosts": `{"hosts":[{"name":"ide-1","state":"ready","weight":3,"announced_weight":1,"weight_decided":{"by":"eva","reason":"more disks"},` +
			`"warming":{"since":"2026-03-01T12:00:00Z","until":"2026-03-01T12:00:30Z","taken":0.4},"full":true,"new_field":[1]}]}`,
		"GET /v1/ring": `{"policy":"consistent","slow_start_seconds":30,"bounded_load":1.25,"agree":false,"disagree_since":"2026-03-01T12:00:00Z","rebuilding":true,` +
			`"frozen":true,"alarm":"look at it","peers":[{"name":"lb-2","alive":true,"ring_digest":"abc"},{"name":"lb-3"}]}`,
		"GET /v1/status": `{"name":"lb-1","ready":false,"not_ready":"stopping","frozen":true,"frozen_since":"2026-03-01T12:00:00Z","frozen_until":"2026-03-01T12:02:00Z",` +
			`"alarm":"look at it","alarms":["look at it","certificate a: it expires"],"certificates":[{"names":["a","b"],"problem":"expired"}]}`,
	})
	for command, parts := range map[string][]string{
		"hosts":  {"weight by eva: more disks (its own is 1)", "warming up: 40.0 % of its keys, all by 2026-03-01 12:00:30 UTC", "full"},
		"ring":   {"slow start    30s", "bounded load  1.25", "not all balancers have it since 2026-03-01 12:00:00 UTC", "of another mind", "lost", "is being built", "ALARM", "look at it", "frozen"},
		"status": {"takes no traffic: stopping", "a b: none yet; expired", "no other balancers are known", "yes since 2026-03-01 12:00:00 UTC, until 2026-03-01 12:02:00 UTC at the latest", "ALARM        look at it\nALARM        certificate a: it expires\n"},
	} {
		got := f.ctl(t, command)
		for _, part := range parts {
			if got.code != exitOK || !strings.Contains(got.out, part) {
				t.Errorf("%s: exit %d, %s%s, want %q in it", command, got.code, got.out, got.errOut, part)
			}
		}
	}
}

// TestExplainEchoesNoToken: what goes wrong ends up in terminals and logs.
func TestExplainEchoesNoToken(t *testing.T) {
	f := newFakeAPI(t, map[string]string{"POST /v1/explain": `422 {"status":422,"detail":"body: too long"}`})
	for _, format := range []string{"table", "json"} {
		got := f.ctl(t, "explain", "--format", format, secret)
		if got.code != exitFailed || !strings.Contains(got.errOut, "too long") || strings.Contains(got.out+got.errOut, secret) {
			t.Errorf("%s, refused: exit %d, %s%s", format, got.code, got.out, got.errOut)
		}
	}
	if got := f.ctl(t, "explain", "", secret); !strings.HasPrefix(got.errOut, "lb: token 2: body: too long") {
		t.Errorf("the second of two: %s", got.errOut)
	}
	f.Close()
	if got := f.ctl(t, "explain", secret); got.code != exitFailed || strings.Contains(got.out+got.errOut, secret) {
		t.Errorf("nobody there: exit %d, %s%s", got.code, got.out, got.errOut)
	}
}

func TestAddressesOfAdminEndpoints(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.2:7000":           "https://10.0.0.2:7000",
		"lb.internal:7000":        "https://lb.internal:7000",
		"127.0.0.1:7000":          "http://127.0.0.1:7000",
		"[::1]:7000":              "http://[::1]:7000",
		"localhost:7000":          "http://localhost:7000",
		"localhost.evil.com:7000": "https://localhost.evil.com:7000",
		"127.0.0.1.evil.com:7000": "https://127.0.0.1.evil.com:7000",
		"http://10.0.0.2:7000/":   "http://10.0.0.2:7000",
		"https://lb.internal/api": "https://lb.internal/api",
		"ftp://lb.internal":       "no address of an admin endpoint",
		"http://":                 "no address of an admin endpoint",
		"http://a:hidden@lb:7000": "belongs in --token-file",
		"http://lb:7000?a=hidden": "belongs in --token-file",
		"http://lb:70 00/hidden":  "no address of an admin endpoint",
	} {
		got := ""
		if u, err := baseURL(address, ""); err != nil {
			got = err.Error()
		} else {
			got = u.String()
		}
		if !strings.Contains(got, want) || strings.Contains(got, "hidden") {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	if u, err := baseURL("127.0.0.1:7000", "ca.crt"); err != nil || u.String() != "https://127.0.0.1:7000" {
		t.Errorf("with a certificate: got %v, %v; want TLS", u, err)
	}
	for address, want := range map[string]string{
		":7000": "127.0.0.1:7000", "0.0.0.0:7000": "127.0.0.1:7000", "[::]:7000": "[::1]:7000",
		"10.0.0.2:7000": "10.0.0.2:7000", "lb.internal:7000": "lb.internal:7000", "[fe80::1%eth0]:7000": "[fe80::1%25eth0]:7000",
	} {
		got := reachable(address)
		if _, err := baseURL(got, ""); got != want || err != nil {
			t.Errorf("%s: reached at %s, want %s; %v", address, got, want, err)
		}
	}
}

// TestTheAdminTokenIsNeverShown sends it where it could come back from.
func TestTheAdminTokenIsNeverShown(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody else was asked, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer web.Close()
	file := filepath.Join(t.TempDir(), "token")
	for _, token := range []string{adminSecret, adminSecret + "\x01", "two\n" + adminSecret} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{redirect.URL, web.URL, "http://127.0.0.1:1"} {
			got := runProgram(t.Context(), t, "ctl", "--address", url, "--token-file", file, "status")
			if got.code == exitOK || strings.Contains(got.out+got.errOut, adminSecret) {
				t.Errorf("%s: exit %d, %s%s", url, got.code, got.out, got.errOut)
			}
		}
	}
}
