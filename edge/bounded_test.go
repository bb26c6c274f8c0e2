package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A pairEdge is a balancer in front of the hosts a and b. Each answers with its name, but a
// gives requests for givenPath away.
type pairEdge struct {
	*Edge
	t *testing.T
}

// startPair runs a pairEdge with one more line of configuration, and one more line in the
// section pool.
func startPair(t *testing.T, line, inPool string) *pairEdge {
	t.Helper()
	text := line + `
name: lb-1
listen: [{address: "127.0.0.1:0"}]
health: {interval: 1s, timeout: 1s, rise: 1, fall: 5}
admin: {address: "127.0.0.1:0", token_file: given.token}
state_dir: state
pool:
  ` + inPool + `
  hosts:
`
	for _, name := range []string{"a", "b"} {
		host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name == "a" && r.URL.Path == givenPath {
				w.Header().Set("X-Elsewhere", "yes")
				w.WriteHeader(http.StatusMisdirectedRequest)
				return
			}
			_, _ = io.WriteString(w, name)
		}))
		t.Cleanup(host.Close)
		text += fmt.Sprintf("    - {name: %s, address: %q}\n", name, host.Listener.Addr())
	}
	b := &pairEdge{t: t}
	var err error
	if b.Edge, err = open(parsed(t, t.TempDir(), text), io.Discard); err != nil {
		t.Fatal(err)
	}
	runs(t, b.Edge)
	<-b.pool.Ready()
	for end := time.Now().Add(time.Minute); len(b.pool.Snapshot().Table.Hosts()) < 2; <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) { // on a busy machine a host may miss its first checks
			t.Fatalf("the ring has %d of 2 hosts", len(b.pool.Snapshot().Table.Hosts()))
		}
	}
	return b
}

// say sends a request, and returns the body of the answer.
func (b *pairEdge) say(req *http.Request) string {
	b.t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatal(resp.Status, string(body), err)
	}
	return string(body)
}

// page returns the name of the host that answers a request with token.
func (b *pairEdge) page(token string) string { return b.at("/", token) }

// at is page for another path.
func (b *pairEdge) at(path, token string) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), "GET", "http://"+b.sockets.Clients[0].Addr().String()+path+"?token="+token, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.say(req)
}

// An answer is the part of the API's answer that the tests read.
type answer struct {
	Host, Rule string
	Full       bool
}

// api sends a request to the admin endpoint.
func (b *pairEdge) api(method, path, body string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.sockets.Admin.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminSecret)
	req.Header.Set("Content-Type", "application/json")
	var a answer
	if err := json.Unmarshal([]byte(b.say(req)), &a); err != nil {
		b.t.Fatal(err)
	}
	return a
}

// tokens returns n tokens that a owns.
func (b *pairEdge) tokens(n int) []string {
	table := b.pool.Snapshot().Table
	var tokens []string
	for i := 0; len(tokens) < n; i++ {
		token := fmt.Sprintf("token-%d", i)
		if table.Hosts()[table.Owner([]byte(token))].Name == "a" {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// TestABoundedLoadInTheFileBoundsTheHosts sends eight users of one host to a
// balancer, which gives it five: 1.25 × 8 / 2.
func TestABoundedLoadInTheFileBoundsTheHosts(t *testing.T) {
	b := startPair(t, "hash: {bounded_load: 1.25}", "")
	tokens := b.tokens(9)
	users, late := tokens[:8], tokens[8]
	at, count := map[string]string{}, map[string]int{}
	for _, token := range users {
		at[token] = b.page(token)
		count[at[token]]++
	}
	if count["a"] != 5 || count["b"] != 3 {
		t.Errorf("the users are on %v, want 5 on a and 3 on b", count)
	}
	rules := map[string]string{"a": "owner", "b": "placed"}
	for _, token := range users {
		if again := b.page(token); again != at[token] {
			t.Errorf("a user of %s is on %s now", at[token], again)
		}
		if e := b.api("POST", "/v1/explain", `{"token":"`+token+`"}`); e.Host != at[token] || e.Rule != rules[e.Host] {
			t.Errorf("a user of %s is explained as %+v", at[token], e)
		}
	}
	terminals := &b.pool.Snapshot().Host("a").Gauges.Sessions
	terminals.Add(2) // with them a has 7, and 1.25 × 11 / 2 is less
	defer terminals.Add(-2)
	if a, other := b.api("GET", "/v1/hosts/a", ""), b.api("GET", "/v1/hosts/b", ""); !a.Full || other.Full {
		t.Errorf("a is full: %t, b is full: %t", a.Full, other.Full)
	}
	if e := b.api("POST", "/v1/explain", `{"token":"`+late+`"}`); e.Host != "b" || e.Rule != "overflow" {
		t.Errorf("one more user is explained as %+v", e)
	}
	if host := b.page(late); host != "b" {
		t.Errorf("one more user is on %s", host)
	}
}
