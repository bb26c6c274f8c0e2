package users

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"tokenring/chaos/host"
	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// What users do, and how patient they are.
const (
	maxTabs  = 3
	pace     = 2500 * time.Millisecond // between two things that a user does, on average
	retry    = 300 * time.Millisecond  // after a failure
	patience = 15 * time.Second        // with a request and the opening of a terminal
)

// A user is one user. It is for one goroutine; its tabs have one each.
type user struct {
	users  *Users
	token  string
	digest string
	rng    *rand.Rand
	at     int // the balancer that the user prefers
	want   int // how many tabs
	tabs   []*tab
	ended  chan *tab // tabs that something has ended
}

// work is a user's day.
func (u *user) work(ctx context.Context) {
	defer u.leave()
	pause := time.Duration(u.rng.Int64N(int64(4 * time.Second))) // not all at once
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-u.ended:
			if i := slices.Index(u.tabs, t); i >= 0 { // it isn't closed already
				u.tabs = slices.Delete(u.tabs, i, i+1)
				t.close()
			}
			pause = time.Duration(u.rng.Int64N(int64(retry)))
		case <-time.After(pause):
			pause = u.act(ctx)
		}
	}
}

// act does one thing, and returns how long the user waits then.
func (u *user) act(ctx context.Context) time.Duration {
	ok := true
	switch n := u.rng.IntN(100); {
	case len(u.tabs) < u.want:
		ok = u.open(ctx)
	case u.users.calm.Load():
	case n < 30:
		ok = u.request(ctx)
	case n < 45:
		u.want = min(u.want+1, maxTabs)
	case n < 55 && len(u.tabs) > 1:
		u.close()
	case n < 75:
		u.at = u.rng.IntN(len(u.users.balancers))
	case n < 80:
		for len(u.tabs) > 0 {
			u.close()
		}
		return time.Duration(u.rng.Int64N(int64(12 * time.Second))) // a coffee
	default:
		u.want = max(u.want, 1)
	}
	if !ok {
		u.at = (u.at + 1) % len(u.users.balancers)
		return retry
	}
	return time.Duration(float64(pace) * min(u.rng.ExpFloat64(), 4))
}

// open opens a terminal.
func (u *user) open(ctx context.Context) bool {
	e := u.event(oracle.Opened)
	if len(u.tabs) > 0 {
		e.What = oracle.Second
	}
	t, err := u.dial(ctx)
	if err != nil {
		e.What, e.Text = oracle.Failed, "terminal: "+u.clean(err)
	} else {
		e.Host = t.host
		u.tabs = append(u.tabs, t)
	}
	if ctx.Err() == nil {
		u.users.note(e)
	}
	if err == nil {
		t.start(ctx)
	}
	return err == nil
}

// close closes the oldest terminal, and wants one less.
func (u *user) close() {
	t := u.tabs[0]
	u.tabs = u.tabs[1:]
	u.want--
	t.close()
}

// leave closes all terminals.
func (u *user) leave() {
	for _, t := range u.tabs {
		t.close()
	}
}

// request sends one request. One in three takes the host a while.
func (u *user) request(ctx context.Context) bool {
	e, ms := u.event(oracle.Answered), 0
	if u.rng.IntN(3) == 0 {
		ms = u.rng.IntN(1500)
	}
	var err error
	if e.Host, err = u.ask(ctx, ms); err != nil {
		e.What, e.Text = oracle.Failed, "request: "+u.clean(err)
	}
	if ctx.Err() == nil {
		u.users.note(e)
	}
	return err == nil
}

// ask sends a request, and returns which host has answered.
func (u *user) ask(ctx context.Context, ms int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	url := fmt.Sprintf("https://%s%s?ms=%d&token=%s", u.balancer().Address, host.RequestPath, ms, u.token)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := u.users.clients[u.at].Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1000))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s, retry after %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	if err != nil {
		return "", err
	}
	return string(text), nil
}

func (u *user) balancer() Balancer { return u.users.balancers[u.at] }

// event begins an event.
func (u *user) event(what string) oracle.Event {
	return oracle.Event{Token: u.digest, What: what, Began: record.Now(), Balancer: u.balancer().Name}
}

// clean is an error's text without the token.
func (u *user) clean(err error) string {
	return strings.ReplaceAll(err.Error(), u.token, u.digest)
}
