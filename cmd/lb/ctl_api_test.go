package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tokenring/gossip"
)

// A fakeAPI answers as an admin endpoint does, and keeps the requests.
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

// ctl runs lb ctl with the fake's address.
func (f *fakeAPI) ctl(t *testing.T, args ...string) output {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(adminSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return runProgram(t.Context(), t, append([]string{"ctl", "--address", f.URL + "/", "--token-file", file}, args...)...)
}

const statusAnswer = `{"name":"lb-1","confirm_share":0.3}`

func TestOverridesAreSentAsTheAPIWantsThem(t *testing.T) {
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

func TestRefusalsSayHowToContinue(t *testing.T) {
	much := `409 {"status":409,"detail":"too much","moved":0.666,"max_moved":0.3,"sessions":40,"sessions_moved":12,"sessions_exact":false}`
	for _, row := range []struct {
		name, answer string
		want         []string
	}{
		{"it moves too much", much, []string{"66.6 % of the tokens", "about 12 of the 40 terminals", "30.0 %", "--yes"}},
		{"another conflict", `409 {"status":409,"detail":"there is a conflict"}`, []string{"lb: there is a conflict"}},
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

// TestAnOverrideWithoutAnAnswerMayBeInForce: to build a ring may take longer than lb ctl
// waits.
func TestAnOverrideWithoutAnAnswerMayBeInForce(t *testing.T) {
	const doubt = "may be in force nevertheless"
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	f := &fakeAPI{Server: cut}
	if got := f.ctl(t, "drain", "ide-1", "--yes"); got.code != exitFailed || !strings.Contains(got.errOut, doubt) || !strings.Contains(got.errOut, "lb ctl hosts") {
		t.Errorf("cut off: exit %d, %s", got.code, got.errOut)
	}
	if got := f.ctl(t, "rekey", "ide-1", "--forget"); got.code != exitFailed || !strings.Contains(got.errOut, "the key "+doubt+": lb ctl --format json hosts") || strings.Contains(got.errOut, "override") {
		t.Errorf("rekey, cut off: exit %d, %s", got.code, got.errOut)
	}
	for _, args := range [][]string{{"drain", "ide-1"}, {"status"}} { // whose question comes first
		if got := f.ctl(t, args...); got.code != exitFailed || strings.Contains(got.errOut, doubt) {
			t.Errorf("%s, cut off: exit %d, %s", args, got.code, got.errOut)
		}
	}
	cut.Close()
	if got := f.ctl(t, "drain", "ide-1", "--yes"); got.code != exitFailed || strings.Contains(got.errOut, doubt) {
		t.Errorf("nothing there: exit %d, %s", got.code, got.errOut)
	}
}

// TestAnotherServicesAnswerIsNoSuccess: any JSON object can be decoded. An
// operator must learn that another service has got the drain.
func TestAnotherServicesAnswerIsNoSuccess(t *testing.T) {
	for _, answer := range []string{`{"hello":"world"}`, `null`, `[]`, `"ok"`, `{"name":"ide-2","status":"ok"}`} {
		f := newFakeAPI(t, map[string]string{
			"GET /v1/status": `{"hosts":{"total":3}}`, "GET /v1/hosts": answer, "GET /v1/ring": answer, "GET /v1/pool-key": answer,
			"POST /v1/whatif": answer, "POST /v1/explain": answer, "PATCH /v1/hosts/ide-1": answer,
		})
		for _, args := range [][]string{
			{"status"},
			{"hosts"},
			{"ring"},
			{"pool-key"},
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

// TestTablesShowWhatOthersAddToTheAPI, and work without these fields, too.
func TestTablesShowWhatOthersAddToTheAPI(t *testing.T) {
	f := newFakeAPI(t, map[string]string{
		"GET /v1/hosts": `{"hosts":[{"name":"ide-1","state":"ready","weight":3,"announced_weight":1,"weight_decided":{"by":"eva","reason":"more disks"},` +
			`"slow_start":{"since":"2026-03-01T12:00:00Z","until":"2026-03-01T12:00:30Z","taken":0.4},"full":true,"new_field":[1]}]}`,
		"GET /v1/ring": `{"policy":"consistent","slow_start_seconds":30,"bounded_load":1.25,"agree":false,"disagree_since":"2026-03-01T12:00:00Z","rebuilding":true,` +
			`"frozen":true,"alarm":"look at it","peers":[{"name":"lb-2","alive":true,"ring_digest":"abc"},{"name":"lb-3"}]}`,
		"GET /v1/pool-key": `{"gossips":[{"gossip":"pool","secrets":[{"digest":"0a1b2c3d","sends":true,"heard":1},{"digest":"deadbeef","heard":1}],"since":"2026-03-01T12:00:00Z","problem":"it is empty",` +
			`"members":[{"role":"balancer","name":"lb-2","address":"10.0.0.3:7946","secret":"0a1b2c3d","heard_at":"2026-03-01T12:00:05Z"},` +
			`{"role":"host","name":"ide-1","address":"10.0.0.11:7946","secret":"deadbeef","heard_at":"2026-03-01T12:00:06Z"},` +
			`{"role":"host","name":"ide-2","address":"10.0.0.12:7946","lost":true},{"address":"10.0.0.66:7946","secret":"deadbeef","heard_at":"2026-03-01T12:00:07Z"}]},{"gossip":"peers"}]}`,
		"GET /v1/status": `{"name":"lb-1","ready":false,"not_ready":"stopping","frozen":true,"frozen_since":"2026-03-01T12:00:00Z","frozen_until":"2026-03-01T12:02:00Z",` +
			`"alarm":"look at it","alarms":["look at it","certificate a: it expires"],"certificates":[{"names":["a","b"],"problem":"expired"},{"names":[],"file":"certs/c.pem","problem":"no certificate"}]}`,
	})
	for command, parts := range map[string][]string{
		"hosts": {"weight by eva: more disks (its own is 1)", "in slow start: 40.0 % of its keys, all by 2026-03-01 12:00:30 UTC", "full"},
		"ring":  {"slow start    30s", "bounded load  1.25", "not all balancers have it since 2026-03-01 12:00:00 UTC", "differs", "lost", "is being built", "ALARM", "look at it", "frozen"},
		"pool-key": {
			"0a1b2c3d, this balancer sends with it; 1 of 2 members were last heard with it", "deadbeef, this balancer reads it; 1 of 2", "ALARM   the changed file isn't used: it is empty",
			"balancer lb-2  10.0.0.3:7946   0a1b2c3d  2026-03-01 12:00:05 UTC  -", "deadbeef  2026-03-01 12:00:06 UTC  not the secret that this balancer sends with",
			"host ide-2     10.0.0.12:7946  -         never                    lost", "10.0.0.66:7946  deadbeef  2026-03-01 12:00:07 UTC  no member, but it has the secret; not the secret", "gossip  peers",
		},
		"status": {"takes no traffic: stopping", "a b: none yet; expired", "certificate  certs/c.pem: no certificate", "no other balancers are known", "yes since 2026-03-01 12:00:00 UTC, until 2026-03-01 12:02:00 UTC at the latest", "ALARM        look at it\nALARM        certificate a: it expires\n"},
	} {
		got := f.ctl(t, command)
		for _, part := range parts {
			if got.code != exitOK || !strings.Contains(got.out, part) {
				t.Errorf("%s: exit %d, %s%s, want %q in it", command, got.code, got.out, got.errOut, part)
			}
		}
	}
}

func TestStatusSaysWhatWaitsForWhom(t *testing.T) {
	const waiting = `"waiting":{"for":["lb-2","lb-3"],"since":"2026-03-01T12:00:00Z","until":"2026-03-01T12:10:00Z","changes":["ide-1 leaves the ring: draining","ide-9 joins"]}`
	answers := map[string]string{
		"GET /v1/status":        `{"name":"lb-1",` + waiting + `}`,
		"GET /v1/hosts":         `{"hosts":[{"name":"ide-1","state":"drain","waits":"ide-1 leaves the ring: draining, which waits for lb-2"}]}`,
		"PATCH /v1/hosts/ide-1": `{"name":"ide-1","state":"drain","waits":"ide-1 leaves the ring: draining, which waits for lb-2"}`,
		"POST /v1/insist":       `{"peers":["lb-2","lb-3"],"changes":["ide-9 joins"],"by":["lb-1","lb-4"],"missing":[{"balancer":"lb-5","why":"too slow"}]}`,
	}
	f := newFakeAPI(t, answers)
	for _, row := range []struct{ command, want string }{
		{"status", "waiting    for lb-2, lb-3, missing since 2026-03-01 12:00:00 UTC, until 2026-03-01 12:10:00 UTC: ide-1 leaves the ring: draining; ide-9 joins\n" +
			"           to go on without: lb ctl insist lb-2 lb-3\n"},
		{"hosts", "ide-1 leaves the ring: draining, which waits for lb-2"},
		{"drain ide-1", "ide-1 leaves the ring: draining, which waits for lb-2"},
		{"insist --yes", "lb-1, lb-4: changes of the ring wait for lb-2, lb-3 no longer, until they are back: ide-9 joins\nnot known of lb-5, which may wait still: too slow\n"},
		{"insist lb-2 --yes --reason off", "until they are back"},
	} {
		if got := f.ctl(t, strings.Fields(row.command)...); got.code != exitOK || !strings.Contains(got.out, row.want) {
			t.Errorf("%s: exit %d, %s%s; want %q in it", row.command, got.code, got.out, got.errOut, row.want)
		}
	}
	got := f.ctl(t, "insist")
	for _, part := range []string{"nothing was changed", "without lb-2, lb-3, missing since 2026-03-01 12:00:00 UTC", "ide-9 joins", "--yes"} {
		if got.code != exitFailed || !strings.Contains(got.errOut, part) {
			t.Errorf("unconfirmed: exit %d, %s; want %q in it", got.code, got.errOut, part)
		}
	}
	f = newFakeAPI(t, map[string]string{"GET /v1/status": `{"name":"lb-1","waiting":{"for":["1 that peers.expect counts"],"changes":["ide-9 joins"]}}`})
	if got := f.ctl(t, "status"); !strings.Contains(got.out, "to go on without: lb ctl insist \n") {
		t.Errorf("a balancer that nobody knows: %s", got.out)
	}
	f = newFakeAPI(t, map[string]string{"GET /v1/status": `{"name":"lb-1"}`})
	if got := f.ctl(t, "insist"); got.code != exitFailed || !strings.Contains(got.errOut, "no change of the ring waits for a balancer") {
		t.Errorf("nothing waits: exit %d, %s", got.code, got.errOut)
	}
}

// TestExplainEchoesNoToken: errors are shown in terminals and logs.
// TestTablesShowWhatOtherBalancersHave: terminals, and why a token stays.
func TestTablesShowWhatOtherBalancersHave(t *testing.T) {
	f := newFakeAPI(t, map[string]string{
		"GET /v1/status": `{"name":"lb-1","sessions":12,"sessions_at_peers":30}`,
		"GET /v1/hosts":  `{"hosts":[{"name":"ide-1","state":"ready","sessions":12,"sessions_at_peers":30},{"name":"ide-2","state":"ready","sessions":7}]}`,
		"POST /v1/explain": `{"rule":"session-at-peer","host":"ide-1","candidates":[{"host":"ide-1"}],"stays":[` +
			`{"host":"ide-1","rule":"session-at-peer","balancer":"lb-2","since":"2026-03-01T12:00:00Z"},{"host":"ide-2","rule":"lingering","since":"2026-03-01T11:00:00Z"}]}`,
	})
	for _, row := range []struct{ command, want string }{
		{"status", "12 open here, 30 through other balancers, 0 requests in progress"},
		{"hosts", "  12 + 30  "},
		{"hosts", "  7  "},
		{"explain", "on ide-1 by session-at-peer, through lb-2, 2026-03-01 12:00:00 UTC"},
		{"explain", "on ide-2 by lingering, through this balancer, 2026-03-01 11:00:00 UTC"},
	} {
		args := []string{row.command}
		if row.command == "explain" {
			args = append(args, "alice")
		}
		if got := f.ctl(t, args...); got.code != exitOK || !strings.Contains(got.out, row.want) {
			t.Errorf("%s: exit %d, %s%s; want %q in it", row.command, got.code, got.out, got.errOut, row.want)
		}
	}
}

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
		t.Errorf("nothing there: exit %d, %s%s", got.code, got.out, got.errOut)
	}
}

// TestTheAdminTokenIsNeverShown sends the token to servers that could return it.
func TestTheAdminTokenIsNeverShown(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another server was asked, with %q", r.Header.Get("Authorization"))
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

// TestPoolKeyWaitsUntilAllUseASecret: a script goes on only then.
func TestPoolKeyWaitsUntilAllUseASecret(t *testing.T) {
	before, after := filepath.Join(t.TempDir(), "before"), filepath.Join(t.TempDir(), "after")
	lines := map[string]string{before: strings.Repeat("01", 32) + "\n", after: strings.Repeat("02", 32) + "\n" + strings.Repeat("01", 32) + "\n"}
	digests := map[string]string{}
	for file, line := range lines {
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := gossip.ReadSecrets(file)
		if err != nil {
			t.Fatal(err)
		}
		digests[file] = gossip.SecretDigest(keys[0])
	}
	answer := func(more string) string {
		return strings.NewReplacer("NEW", digests[after], "OLD", digests[before], "MORE", more).Replace(
			`{"gossips":[{"gossip":"pool","secrets":[{"digest":"NEW","sends":true},{"digest":"OLD"}],"since":"2026-03-01T12:00:00Z","members":[` +
				`{"role":"balancer","name":"lb-2","address":"10.0.0.3:7946","secret":"NEW"},{"role":"host","name":"ide-9","address":"10.0.0.19:7946","lost":true,"secret":"OLD","heard_at":"2026-03-01T11:49:59Z"},` +
				`{"address":"10.0.0.66:7946","secret":"OLD"}MORE]},{"gossip":"peers","secrets":[{"digest":"0badcafe"}],"members":[{"role":"balancer","name":"lb-2","secret":"deadbeef"}]}]}`)
	}
	all := newFakeAPI(t, map[string]string{"GET /v1/pool-key": answer("")})
	if got := all.ctl(t, "pool-key", "--expect", after, "--wait", "1h"); got.code != exitOK || !strings.Contains(got.out, digests[after]+", this balancer sends with it") {
		t.Errorf("all use it: exit %d, %s%s", got.code, got.out, got.errOut)
	}
	if got := all.ctl(t, "pool-key", "--expect", before, "--wait", "1ms"); got.code != exitFailed || !strings.HasSuffix(got.errOut, "this balancer sends with another one\n") {
		t.Errorf("the balancer sends with another one: exit %d, %s%s", got.code, got.out, got.errOut)
	}
	some := newFakeAPI(t, map[string]string{"GET /v1/pool-key": answer(
		`,{"role":"host","name":"ide-1","address":"10.0.0.11:7946","secret":"` + digests[before] + `"},{"role":"host","name":"ide-2","address":"10.0.0.12:7946"},` +
			`{"role":"host","name":"ide-3","address":"10.0.0.13:7946","lost":true,"secret":"0badcafe","heard_at":"2026-03-01T11:59:59Z"}`)})
	got := some.ctl(t, "pool-key", "--expect", after)
	if want := "host ide-1 at 10.0.0.11:7946 uses " + digests[before] + ", host ide-2 at 10.0.0.12:7946 hasn't been heard, host ide-3 at 10.0.0.13:7946 uses 0badcafe and is lost\n"; got.code != exitFailed || !strings.HasSuffix(got.errOut, want) {
		t.Errorf("some don't: exit %d, %s%s", got.code, got.out, got.errOut)
	}
	if got := some.ctl(t, "pool-key", "--expect", after, "--except", "ide-1,ide-2,ide-3"); got.code != exitOK {
		t.Errorf("all but those named use it: exit %d, %s", got.code, got.errOut)
	}
	if got := some.ctl(t, "pool-key"); got.code != exitOK {
		t.Errorf("nothing is expected: exit %d, %s", got.code, got.errOut)
	}
	for _, args := range [][]string{{"pool-key", "--wait", "1s"}, {"pool-key", "--expect", before + ".no"}} {
		if got := all.ctl(t, args...); got.code != exitUsage {
			t.Errorf("%q: exit %d, %s", args, got.code, got.errOut)
		}
	}
}
