//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"
)

// marker begins every token, and must stand in no log.
const marker = "hush-this-is-a-token"

// tokens are the users of the region.
var tokens = func() []string {
	all := make([]string, 200)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%03d", marker, i)
	}
	return all
}()

// crowd is how many users come at a time.
const crowd = 8

// A seat is which host each token is on.
type seats map[string]string

// of returns the tokens that are on host, in the order of tokens.
func (s seats) of(host string) []string {
	var there []string
	for _, token := range tokens {
		if s[token] == host {
			there = append(there, token)
		}
	}
	return there
}

// find returns where lb sends each token.
func (lb *balancer) find(t *testing.T) seats {
	t.Helper()
	found := make([]string, len(tokens))
	var g errgroup.Group
	g.SetLimit(crowd)
	for i, token := range tokens {
		g.Go(func() (err error) {
			found[i], err = lb.whoami(token)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	s := seats{}
	for i, token := range tokens {
		s[token] = found[i]
	}
	return s
}

// find returns where both balancers send each token. They must do so alike.
func (r *region) find(t *testing.T) seats {
	t.Helper()
	first, second := r.lbs[0].find(t), r.lbs[1].find(t)
	first.mustBe(t, second, "the balancers disagree")
	return first
}

// mustBe fails the test if a token is elsewhere in want.
func (s seats) mustBe(t *testing.T, want seats, what string) {
	t.Helper()
	differ := 0
	for _, token := range tokens {
		if s[token] != want[token] {
			differ++
		}
	}
	if differ > 0 {
		t.Fatalf("%s: %d of %d tokens are elsewhere", what, differ, len(tokens))
	}
}

// A refusal is an answer that isn't 200.
type refusal struct {
	status     int
	retryAfter string
	body       string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.body) }

// whoami returns the name of the host that answers a plain request of token.
func (lb *balancer) whoami(token string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "https://"+lb.address+"/whoami?token="+token, nil)
	if err != nil {
		return "", err
	}
	resp, err := lb.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w", lb.name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text := new(strings.Builder)
		_ = resp.Write(text)
		return "", &refusal{resp.StatusCode, resp.Header.Get("Retry-After"), text.String()}
	}
	var answer struct{ Host string }
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.Host, err
}

// A terminal is a WebSocket of one user to the host that says it has it.
type terminal struct {
	conn  *websocket.Conn
	lb    *balancer
	token string
	host  string
	beats int
}

// dial opens a terminal. The caller closes it.
func (lb *balancer) dial(token string) (*terminal, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	url := "wss://" + lb.address + "/environment/websocket?token=" + token + "&mode=echo"
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: lb.client})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lb.name, err)
	}
	var hello struct{ Host string }
	_, msg, err := conn.Read(ctx)
	if err == nil {
		err = json.Unmarshal(msg, &hello)
	}
	if err != nil {
		conn.CloseNow()
		return nil, err
	}
	return &terminal{conn: conn, lb: lb, token: token, host: hello.Host}, nil
}

// open opens a terminal per token, and closes them with the test.
func (lb *balancer) open(t *testing.T, tokens ...string) []*terminal {
	t.Helper()
	opened := make([]*terminal, len(tokens))
	var g errgroup.Group
	g.SetLimit(crowd)
	for i, token := range tokens {
		g.Go(func() (err error) {
			opened[i], err = lb.dial(token)
			return err
		})
	}
	err := g.Wait()
	t.Cleanup(func() {
		for _, one := range opened {
			if one != nil {
				one.conn.CloseNow()
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// beat sends a message and waits for its echo.
func (m *terminal) beat() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m.beats++
	want := fmt.Sprintf("beat %d", m.beats)
	if err := m.conn.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
		return fmt.Errorf("a terminal on %s through %s broke: %w", m.host, m.lb.name, err)
	}
	_, got, err := m.conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("a terminal on %s through %s broke: %w", m.host, m.lb.name, err)
	}
	if string(got) != want {
		return fmt.Errorf("a terminal on %s echoes %q, want %q", m.host, got, want)
	}
	return nil
}

// mustLive fails the test unless each terminal still echoes, and new requests of
// its token still reach its host.
func mustLive(t *testing.T, terminals []*terminal) {
	t.Helper()
	for _, m := range terminals {
		if err := m.beat(); err != nil {
			t.Fatal(err)
		}
		if host, err := m.lb.whoami(m.token); err != nil || host != m.host {
			t.Fatalf("a request beside a live terminal on %s reached %q, %v", m.host, host, err)
		}
	}
}
