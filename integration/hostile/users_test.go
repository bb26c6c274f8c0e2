//go:build integration

package hostile

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"sync"
	"time"
)

const (
	userCount = 60
	userPause = 300 * time.Millisecond // between two requests of one user
	maxMemory = 100 << 10              // kilobytes that an attack may cost a process
)

// users are 60 tokens that come all the time, through both balancers in turn.
type users struct {
	region *region
	client *http.Client
	home   map[string]string // the host of each token before the attack
	stop   chan struct{}
	active sync.WaitGroup

	mu       sync.Mutex
	requests int
	moved    map[string]string // the other host that a token was on last
	failed   map[string]string // why the last request of a token failed that did
}

// startUsers finds out which host each token has, and lets all of them come from then on.
func (r *region) startUsers() *users {
	r.t.Helper()
	u := &users{
		region: r, client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: userCount}},
		home: map[string]string{}, stop: make(chan struct{}), moved: map[string]string{}, failed: map[string]string{},
	}
	r.t.Cleanup(u.client.CloseIdleConnections)
	for i := range userCount {
		token := fmt.Sprintf("token-%d", i)
		host, err := u.send(token, 0)
		if err != nil || r.hosts[host] == nil {
			r.t.Fatalf("before the attack, %s is on %q: %v", token, host, err)
		}
		u.home[token] = host
	}
	for _, p := range append(r.balancers, r.agents...) {
		p.watch()
	}
	for token := range maps.Keys(u.home) {
		u.active.Go(func() { u.come(token) })
	}
	r.t.Cleanup(u.leave)
	return u
}

// come sends a token until leave is called.
func (u *users) come(token string) {
	tick := time.NewTicker(userPause)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-u.stop:
			return
		case <-tick.C:
		}
		host, err := u.send(token, i%len(u.region.balancers))
		u.mu.Lock()
		u.requests++
		switch {
		case err != nil:
			u.failed[token] = time.Now().Format(time.TimeOnly) + " " + err.Error()
		case host != u.home[token]:
			u.moved[token] = host
		}
		u.mu.Unlock()
	}
}

// send sends a token through a balancer, and returns the host that has answered.
func (u *users) send(token string, balancer int) (host string, err error) {
	answer, err := u.client.Get(fmt.Sprintf("http://%s/?token=%s", u.region.at(firstBalancer+byte(balancer), clientPort), token))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return "", fmt.Errorf("%s: %s", answer.Status, why)
	}
	return answer.Header.Get("X-Host"), nil
}

// waitForAll waits until each user has come a few times since startUsers.
func (u *users) waitForAll() {
	u.region.t.Helper()
	wait(u.region.t, "all users have come", func() string {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.requests < 5*userCount {
			return fmt.Sprintf("%d requests", u.requests)
		}
		return ""
	})
}

// leave ends what the users do, and waits until it has ended.
func (u *users) leave() {
	select {
	case <-u.stop:
	default:
		close(u.stop)
	}
	u.active.Wait()
}

// A loss is what an attack may cost users, where the thief is a member that may have users
// of its own. The zero value is nothing.
type loss struct {
	tokens int  // that may have been on the thief, or have moved for it
	failed bool // whether requests may have failed while their tokens were on the thief
}

// fair returns how many tokens a host may have whose share of the ring is this one: as
// many as it has on average, and three standard deviations.
func fair(share float64) int {
	return int(math.Ceil(userCount*share + 3*math.Sqrt(userCount*share*(1-share))))
}

// check ends the users, and fails the test unless the attack was of no use: no token was on
// another host than before or on the thief, no request has failed, no honest host is out
// of a ring, no process is down, and none has taken much memory.
func (u *users) check(allowed loss) {
	u.region.t.Helper()
	u.leave()
	r, t := u.region, u.region.t
	if u.requests < userCount {
		t.Errorf("%d requests were sent, want some of each user", u.requests)
	}
	if allowed.failed {
		r.thief.mu.Lock()
		maps.DeleteFunc(u.failed, func(token, _ string) bool { return r.thief.tokens[token] > 0 })
		r.thief.mu.Unlock()
	}
	if len(u.failed) > 0 {
		t.Errorf("of %d requests, some failed of %d tokens: %v", u.requests, len(u.failed), u.failed)
	}
	if len(u.moved) > allowed.tokens {
		t.Errorf("%d tokens have moved, at most %d may: %v", len(u.moved), allowed.tokens, u.moved)
	}
	tokens, _ := r.thief.seen()
	t.Logf("%d requests of %d tokens; the thief has seen %d of them, and %d have moved", u.requests, userCount, tokens, len(u.moved))
	if tokens > allowed.tokens {
		t.Errorf("the thief has seen %d tokens, at most %d may come", tokens, allowed.tokens)
	}
	for _, p := range append(r.balancers, r.agents...) {
		p.check()
	}
	for i, b := range r.balancers {
		if why := r.missing(i); why != "" {
			t.Errorf("%s lacks honest hosts: %s", b.name, why)
		}
	}
}
