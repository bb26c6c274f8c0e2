package users

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"tokenring/chaos/host"
	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// hangs is how long a terminal may take to answer.
const hangs = 6 * time.Second

// A tab is a terminal that is open. One goroutine types until it is closed, or something ends it;
// another one reads.
type tab struct {
	user  *user
	ws    *websocket.Conn
	event oracle.Event // of its balancer and host
	host  string
	rng   *rand.Rand
	typed int

	lines   chan string    // what has come
	failed  chan error     // why nothing comes any more; has room for it
	stop    chan struct{}  // closed by close
	running sync.WaitGroup // both
}

// dial opens a terminal through the user's balancer, and types the first line.
func (u *user) dial(ctx context.Context) (*tab, error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	url := fmt.Sprintf("wss://%s%s?token=%s", u.balancer().Address, host.TerminalPath, u.token)
	ws, answer, err := websocket.Dial(short, url, &websocket.DialOptions{HTTPClient: u.users.clients[u.at]})
	switch {
	case err != nil && answer != nil:
		return nil, fmt.Errorf("%s, retry after %q", answer.Status, answer.Header.Get("Retry-After"))
	case err != nil:
		return nil, err
	}
	t := &tab{
		user: u, ws: ws, event: u.event(oracle.Ended), rng: rand.New(rand.NewPCG(u.rng.Uint64(), 0)),
		lines: make(chan string), failed: make(chan error, 1), stop: make(chan struct{}),
	}
	t.running.Go(func() { t.read(ctx) })
	if t.host, err = t.typeLine(short); err != nil {
		t.close()
		return nil, err
	}
	t.event.Host = t.host
	return t, nil
}

// read reads what comes until the terminal ends.
func (t *tab) read(ctx context.Context) {
	for {
		_, text, err := t.ws.Read(ctx)
		if err != nil {
			t.failed <- err
			return
		}
		select {
		case t.lines <- string(text):
		case <-t.stop:
		case <-ctx.Done():
		}
	}
}

// start begins to type.
func (t *tab) start(ctx context.Context) { t.running.Go(func() { t.work(ctx) }) }

// close ends the terminal, and waits for it.
func (t *tab) close() {
	close(t.stop)
	_ = t.ws.CloseNow()
	t.running.Wait()
}

// work types until the terminal ends.
func (t *tab) work(ctx context.Context) {
	defer t.ws.CloseNow()
	for {
		t.event.Began = record.Now()
		pause := 300*time.Millisecond + time.Duration(t.rng.Int64N(int64(2500*time.Millisecond)))
		line, cancel := context.WithTimeout(ctx, pause+hangs)
		err := t.turn(line, pause)
		cancel()
		select {
		case <-t.stop:
			t.user.users.note(t.noted(oracle.Closed, ""))
			return
		default:
		}
		if err != nil {
			if ctx.Err() == nil {
				t.report(err)
				t.user.ended <- t // has room for all tabs
			}
			return
		}
	}
}

// errStrange says that another host has answered.
var errStrange = errors.New("another host has answered")

// turn waits, and types a line.
func (t *tab) turn(ctx context.Context, pause time.Duration) error {
	select {
	case err := <-t.failed:
		return err
	case <-t.stop:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
	}
	name, err := t.typeLine(ctx)
	if err == nil && name != t.host {
		return fmt.Errorf("%w: %s", errStrange, name)
	}
	return err
}

// report notes how the terminal has ended.
func (t *tab) report(err error) {
	switch {
	case errors.Is(err, errStrange):
		t.user.users.note(t.noted(oracle.Strange, err.Error()))
	case errors.Is(err, context.DeadlineExceeded):
		t.user.users.note(t.noted(oracle.Hung, fmt.Sprintf("no answer to line %d for %v", t.typed, hangs)))
	default:
		t.user.users.note(t.noted(oracle.Ended, t.user.clean(err)))
	}
}

func (t *tab) noted(what, text string) oracle.Event {
	e := t.event
	e.What, e.Text = what, text
	return e
}

// typeLine types a line, and returns which host has echoed it.
func (t *tab) typeLine(ctx context.Context) (string, error) {
	t.typed++
	line := fmt.Sprint(t.typed)
	if err := t.ws.Write(ctx, websocket.MessageText, []byte(line)); err != nil {
		return "", err
	}
	select {
	case text := <-t.lines:
		echo, name, _ := strings.Cut(text, " ")
		if echo != line {
			return "", fmt.Errorf("line %s was echoed as %q", line, echo)
		}
		return name, nil
	case err := <-t.failed:
		return "", err
	case <-t.stop:
		return t.host, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
