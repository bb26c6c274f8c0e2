package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tokenring/proxy/metrics"
	"tokenring/proxy/secondchance"
	"tokenring/route"
)

// chances is for a lab with second chances. change may be nil.
func chances(change func(*secondchance.Config)) func(*lab) {
	return func(l *lab) {
		l.cfg.SecondChance = &secondchance.Config{}
		if change != nil {
			change(l.cfg.SecondChance)
		}
	}
}

const givingAway = "HTTP/1.1 421 Misdirected Request\r\nx-lb-second-CHANCE: 1\r\nContent-Length: 4\r\n\r\nmine"

// givesAway is a script that gives all requests away.
var givesAway = says(givingAway, true)

// chanceLab is a lab of four hosts, and a token with the order in which they may get it.
type chanceLab struct {
	*lab
	token string
	order []*host
}

func startChances(t *testing.T, change func(*lab)) *chanceLab {
	t.Helper()
	all := map[string]*host{}
	var hosts []*host
	for _, name := range []string{"a", "b", "c", "d"} {
		all[name] = newHost(t, name)
		hosts = append(hosts, all[name])
	}
	l := &chanceLab{lab: start(t, change, hosts...)}
	l.token = l.lab.token("a")
	s := l.p.pools.Main.Snapshot()
	for _, c := range s.Explain(s.Key([]byte(l.token)), route.Stay{}, route.Placement{}, time.Now()).Candidates {
		l.order = append(l.order, all[c.Name])
	}
	return l
}

// names returns the names of hosts by their places in the order, separated by commas.
func (l *chanceLab) names(places ...int) string {
	var all []string
	for _, at := range places {
		all = append(all, l.order[at].name)
	}
	return strings.Join(all, ",")
}

// wantResults checks how second chances have ended.
func (l *lab) wantResults(want map[string]float64) {
	l.t.Helper()
	got := map[string]float64{}
	eventually(l.t, "the counters of second chances", func() bool {
		clear(got)
		for _, result := range []string{metrics.ChanceTaken, metrics.ChanceExhausted, metrics.ChanceLimited, metrics.ChanceFenced, metrics.ChanceLive, metrics.ChanceBody, metrics.ChanceBegun, metrics.ChanceFailed} {
			if n := testutil.ToFloat64(l.p.opt.Metrics.Requests.Chances.WithLabelValues(result)); n > 0 {
				got[result] = n
			}
		}
		return cmp.Equal(got, want)
	})
}

// TestARequestThatWasGivenAwayGetsASecondChance has all that may come of it, for one
// request on a connection of its own. Hosts are given by their places in the token's order.
func TestARequestThatWasGivenAwayGetsASecondChance(t *testing.T) {
	plain := says("HTTP/1.1 421 Misdirected Request\r\nContent-Length: 2\r\n\r\nno", true)
	fenced := strings.Replace(givingAway, ": 1", ": fenced", 1)
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
	all := []int{0, 1, 2, 3}
	for _, row := range []struct {
		name   string
		method string // GET
		body   string
		change func(*lab) // with second chances
		gives  []int      // the hosts that give the request away
		script script     // of the owner, instead
		down   []int      // hosts that refuse connections

		status   int
		by       int    // who answers, -1 for the balancer
		gave     []int  // as the log says it
		result   string // "" for none
		asked    []int  // hosts that have got the request
		suspects int64
	}{
		{name: "the owner takes it", status: 200, by: 0, asked: []int{0}},
		{name: "the successor takes it", gives: []int{0}, status: 200, by: 1, gave: []int{0}, result: metrics.ChanceTaken, asked: []int{0, 1}},
		{name: "the last one takes it", gives: []int{0, 1, 2}, status: 200, by: 3, gave: []int{0, 1, 2}, result: metrics.ChanceTaken, asked: all},
		{name: "HEAD", method: "HEAD", gives: []int{0}, status: 200, by: 1, gave: []int{0}, result: metrics.ChanceTaken, asked: []int{0, 1}},
		{name: "POST without a body", method: "POST", gives: []int{0}, status: 200, by: 1, gave: []int{0}, result: metrics.ChanceTaken, asked: []int{0, 1}},
		{name: "POST with a body", method: "POST", body: "hello", gives: []int{0}, status: 503, by: -1, gave: []int{0}, result: metrics.ChanceBody, asked: []int{0}},
		{name: "nobody takes it", gives: all, status: 503, by: -1, gave: all, result: metrics.ChanceExhausted, asked: all},
		{name: "no more tries", gives: all, change: chances(func(c *secondchance.Config) { c.Tries = 1 }), status: 503, by: -1, gave: []int{0, 1}, result: metrics.ChanceExhausted, asked: []int{0, 1}},
		{name: "the successor is down", gives: []int{0}, down: []int{1}, status: 200, by: 2, gave: []int{0}, result: metrics.ChanceTaken, asked: []int{0, 2}, suspects: 1},
		{name: "the others are down", gives: []int{0}, down: []int{1, 2, 3}, status: 503, by: -1, gave: []int{0}, result: metrics.ChanceExhausted, asked: []int{0}, suspects: 2},
		{name: "a hint has reached the client", script: says(hint+givingAway, true), status: 503, by: -1, gave: []int{0}, result: metrics.ChanceBegun, asked: []int{0}},
		{name: "a 421 of the application", script: plain, status: 421, by: 0, asked: []int{0}},
		{name: "not configured", gives: []int{0}, change: func(l *lab) { l.cfg.SecondChance = nil }, status: 421, by: 0, asked: []int{0}},
		{name: "the host is fenced", script: says(fenced, true), status: 503, by: -1, gave: []int{0}, result: metrics.ChanceFenced, asked: []int{0}},
		{name: "the host is fenced, and there are no second chances", script: says(fenced, true), change: chances(func(c *secondchance.Config) { c.FencedOnly = true }), status: 503, by: -1, gave: []int{0}, result: metrics.ChanceFenced, asked: []int{0}},
		{name: "there are no second chances but for fenced hosts", gives: []int{0}, change: chances(func(c *secondchance.Config) { c.FencedOnly = true }), status: 421, by: 0, asked: []int{0}},
		{name: "another field", gives: []int{0}, change: chances(func(c *secondchance.Config) { c.Header = "X-Other" }), status: 421, by: 0, asked: []int{0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			change := row.change
			if change == nil {
				change = chances(nil)
			}
			l := startChances(t, change)
			for _, at := range row.gives {
				l.order[at].on("/x", givesAway)
			}
			if row.script != nil {
				l.order[0].on("/x", row.script)
			}
			for _, at := range row.down {
				l.order[at].stop()
			}
			method := row.method
			if method == "" {
				method = "GET"
			}
			w := l.dial()
			head := method + " /x?token=" + l.token + " HTTP/1.1\r\nHost: ide.example\r\n"
			if method == "POST" {
				head += "Content-Length: " + map[bool]string{true: "0", false: "5"}[row.body == ""] + "\r\n"
			}
			w.send(head + "\r\n" + row.body)
			if row.result == metrics.ChanceBegun {
				w.expect(hint)
			}
			a := w.answer(method)
			own := l.cfg.SecondChance != nil && a.Header.Get("X-Lb-Second-Chance") != "" && row.status != 421
			if a.StatusCode != row.status || own || row.by < 0 && a.Header.Get("Retry-After") == "" {
				t.Errorf("got %d %v %q, want %d", a.StatusCode, a.Header, a.body, row.status)
			}
			if row.by >= 0 && a.StatusCode == 200 && method != "HEAD" && a.body != l.order[row.by].name+" "+method+" /x" {
				t.Errorf("got %q, want it of %s", a.body, l.order[row.by].name)
			}
			e := l.logged("/x")
			if gave, _ := e["gave_away"].(string); gave != l.names(row.gave...) || row.by >= 0 && e["host"] != l.order[row.by].name {
				t.Errorf("the log says %v, want that %s gave it away", e, l.names(row.gave...))
			}
			if reason, _ := e["reason"].(string); row.status == 503 && reason != (&secondchance.Request{Result: row.result}).Page().Detail {
				t.Errorf("the log says %v", e)
			}
			want := map[string]float64{}
			if row.result != "" {
				want[row.result] = 1
			}
			l.wantResults(want)
			var asked []int
			for at, h := range l.order {
				if n := strings.Count(h.received(), method+" /x"); n > 1 {
					t.Errorf("%s was asked %d times", h.name, n)
				} else if n == 1 {
					asked = append(asked, at)
				}
			}
			if l.names(asked...) != l.names(row.asked...) || l.suspects.Load() != row.suspects {
				t.Errorf("asked are %s and %d suspected, want %s and %d", l.names(asked...), l.suspects.Load(), l.names(row.asked...), row.suspects)
			}
		})
	}
}

// TestOurFieldNeverReachesTheClient: in a hint, a head and a trailer section.
func TestOurFieldNeverReachesTheClient(t *testing.T) {
	l := startChances(t, chances(nil))
	l.order[0].on("/x", says("HTTP/1.1 103 Early Hints\r\nX-Lb-Second-Chance: 1\r\nX-Hint: 1\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nX-Lb-Second-Chance: 1\r\nX-Head: 1\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"2\r\nok\r\n0\r\nX-Lb-Second-Chance: 1\r\nX-Trailer: 1\r\n\r\n", true))
	w := l.dial().send("GET /x?token=" + l.token + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	got, err := io.ReadAll(w.in)
	text := strings.ToLower(string(got))
	for _, field := range []string{"x-hint", "x-head", "x-trailer"} {
		if !strings.Contains(text, field) {
			t.Errorf("%s is missing", field)
		}
	}
	if err != nil || strings.Contains(text, "second-chance") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAHostGivesAwaySoManyRequestsInASecond(t *testing.T) {
	l := startChances(t, chances(func(c *secondchance.Config) { c.PerHost = 2 }))
	l.order[0].on("/x", givesAway)
	statuses := map[int]int{}
	for _, token := range l.tokens("a", 12) {
		w := l.dial()
		statuses[w.send(get("/x?token="+token)).answer("GET").StatusCode]++
		w.Close()
	}
	if statuses[200] < 2 || statuses[503] == 0 || statuses[200]+statuses[503] != 12 {
		t.Errorf("got %v", statuses)
	}
	l.wantResults(map[string]float64{metrics.ChanceTaken: float64(statuses[200]), metrics.ChanceLimited: float64(statuses[503])})
	if n := strings.Count(l.log.String(), "gives more requests away than sessions.second_chance.per_host allows"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	if n := l.hosts[0].Gauges.GivenAway.Load(); n != 12 {
		t.Errorf("%d requests are counted for the host", n)
	}
}

// TestABodyThatTheClientHoldsBackIsSentToTheHostThatTakesIt: the first host refuses before
// it has asked for the body.
func TestABodyThatTheClientHoldsBackIsSentToTheHostThatTakesIt(t *testing.T) {
	plainAndTLS(t, func(t *testing.T, kind func(*lab), dial func(*lab) *wire) {
		for _, framing := range []struct{ field, body string }{{"Content-Length: 5", "hello"}, {"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"}} {
			l := startChances(t, all(kind, chances(nil)))
			l.order[0].on("/x", says(givingAway, false))
			l.order[1].on("/x", func(w *wire, r *http.Request) bool {
				w.send("HTTP/1.1 100 Continue\r\n\r\n")
				body, _ := io.ReadAll(r.Body)
				w.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + string(body))
				return true
			})
			w := dial(l.lab)
			w.send("POST /x?token=" + l.token + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + framing.field + "\r\n\r\n")
			w.expect("HTTP/1.1 100 Continue\r\n\r\n")
			if a := w.send(framing.body).answer("POST"); a.StatusCode != 200 || a.body != "hello" {
				t.Errorf("got %d %q, %v", a.StatusCode, a.body, a.err)
			}
			if a := w.send(get("/y?token=" + l.token)).answer("GET"); a.StatusCode != 200 || a.body != l.order[1].name+" GET /y" {
				t.Errorf("the next request got %d %q, %v", a.StatusCode, a.body, a.err)
			}
			if e := l.logged("/x"); e["in"] != 5.0 {
				t.Errorf("the log says %v", e)
			}
			w.Close()
		}
	})
}

func TestSecondChancesOfHTTP2(t *testing.T) {
	l := startChances(t, all(speaksH2(t), chances(nil)))
	c := l.h2client()
	for _, h := range l.order[:2] {
		h.on("/x", givesAway)
	}
	resp, err := c.Get("https://" + l.addr + "/x?token=" + l.token)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || string(body) != l.order[2].name+" GET /x" || resp.Header.Get("X-Lb-Second-Chance") != "" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
	other := l.tokens("a", 2)[1]
	resp, err = c.Post("https://"+l.addr+"/x?token="+other, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v for a body", resp.StatusCode, resp.Header)
	}
	l.wantResults(map[string]float64{metrics.ChanceTaken: 1, metrics.ChanceBody: 1})
}

func TestAKeyThatWasGivenAwayWaitsInAFrozenRing(t *testing.T) {
	l := startChances(t, chances(nil))
	l.order[0].on("/x", givesAway)
	freeze := func(gone string) {
		l.use(func(s *route.Snapshot) {
			s.Frozen = true
			s.Host(gone).Verdict = route.Down
		})
	}
	freeze(l.order[1].name) // it may hold the container
	l.ask(get("/x?token="+l.token), 503)
	l.wantResults(map[string]float64{metrics.ChanceExhausted: 1})
	l.use()
	l.ask(get("/x?token="+l.token), 200)
	freeze(l.order[1].name) // it holds the container
	l.ask(get("/y?token="+l.token), 503)
	if e := l.logged("/y"); e["why"] != string(route.RuleFrozen) {
		t.Errorf("the log says %v", e)
	}
}

// talk asks for a path with a token on a connection of its own, and returns the answer.
func (l *chanceLab) talk(dial func(*lab) *wire, path, token string) string {
	w := dial(l.lab)
	defer w.Close()
	return w.send(get(path + "?token=" + token)).want(200).body
}
