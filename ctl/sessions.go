package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tokenring/session"
)

// A SessionFilter says which terminals are meant; each field narrows it.
type SessionFilter struct {
	Host     string
	Balancer string
	Idle     time.Duration // nothing was sent for so long
	Keys     []string      // digests of keys, or their first 12 hexadecimal digits
}

// Check returns an error if f is wrong, as far as it can be checked without a balancer.
func (f SessionFilter) Check() error {
	if f.Idle < 0 {
		return fmt.Errorf("--idle: %v is less than nothing", f.Idle)
	}
	return session.Selection{Keys: f.Keys}.CheckKeys()
}

// idle returns f.Idle as the API takes it.
func (f SessionFilter) idle() string {
	if f.Idle == 0 {
		return ""
	}
	return f.Idle.String()
}

// path returns where the terminals are listed.
func (f SessionFilter) path(limit int) string {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for _, k := range f.Keys {
		query.Add("key", k)
	}
	for name, value := range map[string]string{"host": f.Host, "balancer": f.Balancer, "idle": f.idle()} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return "/v1/sessions?" + query.Encode()
}

type (
	sessionList struct {
		Sessions []openTerminal
		Total    *int
		Missing  []missing
	}
	openTerminal struct {
		Key, Host, Balancer string
		Generation          int
		OpenedAt            time.Time `json:"opened_at"`
		Age                 float64   `json:"age_seconds"`
		Idle                float64   `json:"idle_seconds"`
		In                  int64     `json:"bytes_in"`
		Out                 int64     `json:"bytes_out"`
		Client              string
	}
	missing struct {
		Balancer   string
		Generation int
		Why        string
	}
)

func (l sessionList) sound() bool { return l.Total != nil }

// sessionsCall bounds a call that other processes and balancers answer, too.
const sessionsCall = 40 * time.Second

// Sessions lists the open terminals, limit at most.
func (c *Client) Sessions(ctx context.Context, f SessionFilter, limit int, out Output) error {
	answer, err := c.call(ctx, http.MethodGet, f.path(limit), nil, sessionsCall)
	if err != nil {
		return err
	}
	return show(out, answer, func(out io.Writer, l sessionList) error {
		if err := l.table(out); err != nil {
			return err
		}
		if more := *l.Total - len(l.Sessions); more > 0 {
			fmt.Fprintf(out, "… and %d more, which were idle for less time: --limit shows them\n", more)
		}
		return l.tellMissing(out)
	})
}

func (l sessionList) table(out io.Writer) error {
	w := columns(out)
	fmt.Fprintln(w, "KEY\tHOST\tBALANCER\tGENERATION\tAGE\tIDLE\tIN\tOUT\tCLIENT")
	for _, t := range l.Sessions {
		generation := "-"
		if t.Generation > 0 {
			generation = strconv.Itoa(t.Generation)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			t.Key, t.Host, t.Balancer, generation, seconds(t.Age), seconds(t.Idle), size(t.In), size(t.Out), dash(t.Client))
	}
	return w.Flush()
}

func (l sessionList) tellMissing(out io.Writer) error {
	for _, m := range l.Missing {
		if _, err := fmt.Fprintf(out, "not in the list: the terminals of %s: %s\n", m, m.Why); err != nil {
			return err
		}
	}
	return nil
}

// String names whose terminals are missing.
func (m missing) String() string {
	if m.Generation > 0 {
		return fmt.Sprintf("%s's generation %d", m.Balancer, m.Generation)
	}
	return m.Balancer
}

// seconds writes a number of seconds as 3s, 5m, 2h10m or 3d4h.
func seconds(n float64) string {
	d := time.Duration(n * float64(time.Second))
	switch day := 24 * time.Hour; {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}

// size writes a number of bytes with three digits at most.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 999.5 && unit < len("kMGTP")-1 {
		value, unit = value/1000, unit+1
	}
	digits := 0
	if value < 9.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %cB", digits, value, "kMGTP"[unit])
}

type foundSessions struct {
	sessionList
	Key          string
	Host         string
	Rule, Reason string
	Since        *time.Time
}

func (f foundSessions) sound() bool { return f.Rule != "" && f.sessionList.sound() }

// FindSession says where a token's terminals are. Errors don't contain the token.
func (c *Client) FindSession(ctx context.Context, token string, out Output) error {
	if token == "" {
		return errors.New("lb ctl sessions find: an empty token: requests without one go to the hosts in turn")
	}
	answer, err := c.call(ctx, http.MethodPost, "/v1/sessions/find", map[string]string{"token": token}, sessionsCall)
	if err != nil {
		return err
	}
	return show(out, answer, func(out io.Writer, f foundSessions) error {
		if f.Since == nil {
			fmt.Fprintf(out, "%s has no terminal", f.Key)
		} else {
			fmt.Fprintf(out, "%s has %s since %s", f.Key, count(*f.Total, "terminal"), instant(*f.Since))
		}
		fmt.Fprintf(out, "; its requests go to %s (%s): %s\n", dash(f.Host), f.Rule, f.Reason)
		if len(f.Sessions) > 0 {
			if err := f.table(out); err != nil {
				return err
			}
		}
		return f.tellMissing(out)
	})
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// A SessionEnd has sessions ended.
type SessionEnd struct {
	SessionFilter
	Rate       int    // terminals in a second; 0: all at once
	Reason, By string // for the log
	Confirmed  bool   // also if a filter, and not keys, says which
}

// maxEnded is the API's bound of one call.
const maxEnded = 4000

type ended struct {
	Ended   *int
	Left    int
	Missing []missing
}

func (e ended) sound() bool { return e.Ended != nil }

// EndSessions ends sessions, as many in a second as e.Rate says, and writes how it goes on.
// If ctx ends first, those that are left stay.
func (c *Client) EndSessions(ctx context.Context, e SessionEnd, out Output) error {
	if len(e.Keys) == 0 && !e.Confirmed {
		return c.refuseEnd(ctx, e)
	}
	limit := maxEnded
	if e.Rate > 0 {
		limit = min(e.Rate, maxEnded)
	}
	body := map[string]any{"limit": limit}
	for name, value := range map[string]string{"host": e.Host, "balancer": e.Balancer, "idle": e.idle(), "reason": e.Reason, "by": e.By} {
		if value != "" {
			body[name] = value
		}
	}
	if len(e.Keys) > 0 {
		body["keys"] = e.Keys
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		answer, err := c.call(ctx, http.MethodPost, "/v1/sessions/end", body, sessionsCall)
		if err != nil {
			return err
		}
		var last ended
		if err := show(out, answer, func(out io.Writer, e ended) error { return e.write(out, &last) }); err != nil || last.Left == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s are left: %w", count(last.Left, "terminal"), ctx.Err())
		}
	}
}

func (e ended) write(out io.Writer, last *ended) error {
	*last = e
	_, err := fmt.Fprintf(out, "%s ended, %d left\n", count(*e.Ended, "terminal"), e.Left)
	return errors.Join(err, sessionList{Missing: e.Missing}.tellMissing(out))
}

// refuseEnd says how many terminals would end.
func (c *Client) refuseEnd(ctx context.Context, e SessionEnd) error {
	answer, err := c.call(ctx, http.MethodGet, e.path(1), nil, sessionsCall)
	l, err := read[sessionList](answer, err)
	if err != nil {
		return err
	}
	return fmt.Errorf("nothing has ended: this would close up to %s, whose users connect again; to do it, give the command again with --yes", count(*l.Total, "terminal"))
}
