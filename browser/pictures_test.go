package browser

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// openPretence opens the dashboard of a region that a test has made up.
func openPretence(t *testing.T, browser context.Context, region *pretence) *tab {
	t.Helper()
	p := open(t, browser, "dashboard", region.url)
	p.until("#live", "^live$")
	return p
}

// press clicks on what selector finds first.
func (p *tab) press(what, selector string) {
	p.t.Helper()
	p.do("press "+what, chromedp.Click(selector, chromedp.ByQuery))
}

// explain has the dashboard say where a token goes.
func (p *tab) explain(token string) {
	p.t.Helper()
	p.do("enter a token", chromedp.SendKeys("#explain input", token, chromedp.ByQuery))
	p.press("Explain", "#explain .primary")
}

// evaluate returns the value of a JavaScript expression, awaited.
func evaluate[T any](p *tab, expression string) (value T) {
	p.t.Helper()
	p.do("evaluate", chromedp.Evaluate(expression, &value, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	return value
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.ReplaceAll(text, ",", ""), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestExplainDrawsTheWayOfAToken(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p := openDashboard(t, browser, d)
	p.explain(users[0])
	host := p.until("#answer .verdict b", `^ide-\d$`)
	p.until(`.chain [data-is="serves"]`, "^"+host+`\s+owner · serves$`)
	next := p.until(`.chain [data-is="next"]`, `^(ide-\d)\s+successor · next, if `+host+` couldn't serve$`)

	where := p.until(`.chain [data-is="place"]`, `Slot [\d,]+ of [\d,]+`)
	m := regexp.MustCompile(`Slot (\S+) of (\S+)`).FindStringSubmatch(where)
	angle := 360 * (number(t, m[1]) + 0.5) / number(t, m[2])
	var turn float64
	if _, err := fmt.Sscanf(evaluate[string](p, `document.querySelector(".dial line").getAttribute("transform")`), "rotate(%g)", &turn); err != nil || math.Abs(turn-angle) > 0.01 {
		t.Errorf("%s is drawn at %g degrees (%v), want %g", where, turn, err, angle)
	}

	p.set(host, "drain", "")
	p.explain(users[0])
	p.until("#answer .verdict b", "^"+next+"$")
	p.until("#answer .trail details summary", "^1 host not in the ring$")
	p.clean()
}

func TestWhatifOfADemo(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	_, host := openTerminal(t, browser, d, users[0])
	p := openDashboard(t, browser, d)
	p.press("What if?", "details.card > summary")
	p.press(host, `#whatif-hosts [data-key="`+host+`"] input[type=checkbox]`)
	p.press("Ask", "#whatif .primary")
	p.until("#whatif-news", `^3\d\.\d % of the tokens would move, and 1 of 1 open terminals would change hosts when they reconnect\.$`)
	p.until(".figures", `Go astray\s+0 %`)
	p.until(".flows .after", "gone")
	if sources := evaluate[[]string](p, `[...new Set([...document.querySelectorAll(".flows path:not([data-stays])")].map((path) => path.dataset.from))]`); len(sources) != 1 || sources[0] != host {
		t.Errorf("the picture moves tokens of %q, want those of %s only", sources, host)
	}
	p.press("figures", ".movement summary")
	p.until(".figure:last-child tbody", `^`+host+`\s+ide-\d\s+[12]\d\.\d %\s+\d\n`)
	p.until("#serving", "^3 of 3$") // it was only a question
	p.phone(800)
	p.fits()
	p.clean()
}

func TestExplainDrawsALiveTerminalBeforeTheRing(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	_, host := openTerminal(t, browser, d, users[0])
	p := openDashboard(t, browser, d)
	p.set(host, "drain", "")
	p.explain(users[0])
	p.until("#answer .badge", "^session$")
	p.until(".chain li:first-child", "^"+host+`\s+1 live terminal, which takes precedence over the ring$`)
	p.until(".chain li:nth-child(2)", "^Slot ")
	p.clean()
}

// Which hosts serve, who would be next and what folds away is the page's to tell.
func TestExplainTellsWhyHostsAreSkipped(t *testing.T) {
	region, browser := startPretence(t, 12), startChromium(t)
	candidates := []fields{
		{"host": "ide-4", "role": "owner", "state": "ready", "verdict": "down", "chosen": false, "why_not": "its checks fail: refused"},
		{"host": "ide-9", "role": "successor", "state": "ready", "verdict": "up", "chosen": false, "why_not": "in slow start: takes this key later"},
		{"host": "ide-2", "role": "fallback", "state": "ready", "verdict": "up", "chosen": false, "why_not": "full: 12 terminals, the bound is 11"},
		{"host": "ide-1", "role": "fallback", "state": "ready", "verdict": "up", "chosen": true},
		{"host": "ide-3", "role": "fallback", "state": "ready", "verdict": "down", "chosen": false, "why_not": "its checks fail"},
	}
	for i := 5; i <= 12; i++ {
		if i != 9 {
			candidates = append(candidates, fields{"host": fmt.Sprint("ide-", i), "role": "fallback", "state": "ready", "verdict": "up", "chosen": false, "why_not": "an earlier host in this order serves"})
		}
	}
	region.answer("explain", fields{
		"token_digest": "7c9e6a12", "ring_digest": "a41f09c26be35d77", "slot": 5310, "slots": 16381, "point": 1 << 31, "slot_share": 0.0001,
		"owner": "ide-4", "host": "ide-1", "rule": "overflow", "reason": "Because.", "candidates": candidates,
	})
	p := openPretence(t, browser, region)
	p.explain("anything")
	p.until("#answer .badge", "^overflow$")
	stations := func() []string {
		return evaluate[[]string](p, `[...document.querySelectorAll(".trail > .chain > li")].map((li) => li.dataset.is + " " + li.querySelector("b").textContent)`)
	}
	got, want := stations(), []string{"place Slot 5,310 of 16,381", "cannot ide-4", "cannot ide-9", "cannot ide-2", "serves ide-1", "cannot ide-3", "next ide-5", "later ide-6", "later ide-7"}
	if !slices.Equal(got, want) {
		t.Errorf("the line has the stations\n%q, want\n%q", got, want)
	}
	p.until(".trail details summary", "^4 more hosts, in this order$")
	if at := evaluate[string](p, `document.querySelector(".dial line").getAttribute("transform")`); at != "rotate(180)" {
		t.Errorf("the point half way around is drawn at %s", at)
	}

	region.answer("explain", fields{
		"token_digest": "7c9e6a12", "ring_digest": "a41f09c26be35d77", "slot": 5310, "slots": 16381, "owner": "ide-4", "rule": "frozen", "reason": "Because.",
		"candidates": []fields{
			{"host": "ide-4", "role": "owner", "state": "ready", "verdict": "down", "chosen": false, "why_not": "its checks fail"},
			{"host": "ide-9", "role": "successor", "state": "ready", "verdict": "up", "chosen": false, "why_not": "the ring is frozen"},
		},
	})
	p.explain("anything")
	p.until("#answer .badge", "^frozen$")
	if got, want := stations(), []string{"place Slot 5,310 of 16,381", "cannot ide-4", "cannot ide-9"}; !slices.Equal(got, want) {
		t.Errorf("while the ring is frozen, the line has the stations\n%q, want\n%q", got, want)
	}
	p.clean()
}

func TestHostsInSlowStartOrAreFullAreMarked(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	region.change(func() {
		region.host(1)["slow_start"] = fields{"since": "2026-03-01T12:00:00Z", "until": "2099-03-01T12:00:00Z", "taken": 0.4}
		region.host(2)["full"] = true
		region.host(3)["weight"], region.host(3)["weight_decided"] = 2, fields{"by": "eva", "reason": "more memory", "since": "2026-03-01T12:00:00Z"}
		region.ring["slow_start_seconds"], region.ring["bounded_load"] = 30, 1.25
	})
	p.until(row("ide-1")+` td[data-label="State"]`, `^ready\s*slow start 40 %\s*all of its tokens in`)
	p.until(row("ide-2")+` td[data-label="State"]`, `^ready\s*full\s*no new tokens`)
	p.until(row("ide-3")+` td[data-label="Weight"]`, `^2\s*its own is 1 · more memory · by eva · `)
	p.until(`#legend tr[data-key="ide-1"]`, `slow start 40 %`)
	p.until(`#legend tr[data-key="ide-2"]`, `full`)
	p.until(`#legend tr[data-key="ide-3"]`, `50.0 %\s+1.00\s+2$`)
	p.until("#policy", "slow start 30 s · bounded load 1.25")
	p.until("#news", "ide-1 is in slow start, ide-2 is full")
	if arcs := evaluate[int](p, `document.querySelectorAll("#ring .shares circle").length`); arcs != 4 {
		t.Errorf("the ring has %d arcs, want one for each host and one for what ide-1 hasn't taken yet", arcs)
	}
	for _, width := range []int64{320, 400, 770, 1000, 1130, 1280} {
		p.resize(width, 900)
		p.fits()
	}
	p.clean()
}

func TestBalancersThatDisagreeAreShownSideBySide(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	p.until("#agree", "^alone$")
	region.change(func() {
		region.status["peers"] = []fields{
			{"name": "lb-2", "address": "10.0.0.3:7947", "version": "v1", "ring_digest": "a41f09c26be35d77", "alive": true, "agrees": true},
			{"name": "lb-3", "address": "10.0.0.4:7947", "version": "v1", "ring_digest": "0b77e1f4c0a99e21", "alive": true, "agrees": false},
		}
		region.status["agree"] = false
	})
	p.until("#agree", "^differ$")
	p.until("#disagreement", `^lb-3 has another ring than this balancer\.$`) // since when, an earlier version doesn't say
	region.change(func() { region.ring["disagree_since"] = "2026-03-01T12:00:00Z" })
	p.until("#disagreement", `^lb-3 has another ring than this balancer, for \d+ .* now \(since `)
	p.until("#digests li:first-child", `^a41f09c26be35d77\s+lb-1 \(this one\), lb-2$`)
	p.until("#digests li:last-child", `^0b77e1f4c0a99e21\s+lb-3$`)
	region.change(func() { region.status["agree"] = true })
	p.untilTrue("hide it when they agree", `document.querySelector("#differ").hidden`)
	p.clean()
}

func TestGenerationsAreShownIfThereAreSeveral(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	p.until("#agree", "^alone$")
	p.untilTrue("hide what there is one of", `document.querySelector("#generations-card").hidden`)
	region.change(func() {
		for i, state := range []string{"closing", "old", "serving"} {
			region.processes = append(region.processes, fields{
				"id": i + 4, "state": state, "version": "v1.2.3", "terminals": i * 1200, "rss_bytes": 31 << 20, "started": time.Now().Add(-3 * time.Minute), "hangs": state == "old",
			})
		}
	})
	p.until("#generations li:first-child", `^closing\s+generation 4\s*0 terminals · v1\.2\.3 · started 3 min ago · 31 MB$`)
	p.until("#generations li:nth-child(2)", `^hangs\s+generation 5\s*\? terminals · `)
	p.until("#generations li:last-child", `^serving\s+generation 6\s*2,400 terminals · `)
	p.phone(800)
	p.fits()
	p.clean()
}

func TestRoutesAreShownIfThereAreAny(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	p.until("#agree", "^alone$")
	p.untilTrue("hide what isn't there", `document.querySelector("#routes-card").hidden`)
	region.change(func() {
		region.routes = append(region.routes, fields{"name": "api", "matches": "GET *.example.com/v1*", "does": "pool api", "requests": 2400})
	})
	p.until("#routes li:first-child", `^api\s*GET \*\.example\.com/v1\* · pool api · 2,400 requests$`)
	p.until("#routes li:last-child", `^other requests\s*pool pool · 1 request$`)
	p.phone(800)
	p.fits()
	p.clean()
}

func TestTerminalsOfAHostAreListed(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() {
		for i := range 2 {
			region.terminals = append(region.terminals, fields{
				"key": fmt.Sprintf("3f8a2c9d01b%d", i), "digest": fmt.Sprintf("3f8a2c9d01b%d00000000000000000000", i), "host": "ide-2", "balancer": "lb-2", "generation": 3 * i,
				"opened_at": "2026-03-01T12:00:00Z", "age_seconds": 7300, "idle_seconds": 200 - i, "bytes_in": 1200, "bytes_out": 0, "client": "192.0.2.0/24",
			})
		}
		region.missing = []fields{{"balancer": "lb-3", "why": "there is no stream to it"}}
	})
	p := openPretence(t, browser, region)
	p.press("the terminals of ide-2", row("ide-2")+` td[data-label="Sessions"] button`)
	p.until("#terminals-title", `^Terminals on ide-2$`)
	p.until("#terminals .summary", `^2 terminals$`)
	p.until("#terminals li:first-child", `^3f8a2c9d01b0\s+through lb-2 · open for 2 h · idle for 3 min · 1,200 bytes in, 0 out · from 192\.0\.2\.0/24$`)
	p.until("#terminals li:last-child", `through lb-2, generation 3 · `)
	p.until("#terminals .problem", `^Not listed: those of lb-3: there is no stream to it\.$`)
	region.change(func() { region.terminals = region.terminals[1:] })
	p.until("#terminals .summary", `^1 terminal$`)
	p.press("close", "#terminals .cancel")
	p.untilTrue("close the list", `!document.querySelector("#terminals").open`)
	p.press("the terminals of ide-1", row("ide-1")+` td[data-label="Sessions"] button`)
	p.until("#terminals .summary", `^0 terminals$`)
	p.phone(800)
	p.fits()
	p.clean()
}

func TestRingTellsThePolicyAndItsTable(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	p.until("#policy", `^consistent: load 1\.25, partitions 16381, replicas 160$`)
	p.until("#key", "^–$") // an earlier version doesn't say
	for _, c := range []struct {
		policy     string
		parameters fields
		want       string
	}{
		{"rendezvous", fields{"slots": 16381}, "rendezvous: slots 16381"},
		{"maglev", fields{"slots": 65537}, "maglev: slots 65537"},
		{"ketama", fields{"points": 160}, "ketama: points 160"},
		{"haproxy", fields{"type": "consistent", "function": "sdbm", "avalanche": true, "hash_key": "id"}, "haproxy: avalanche true, function sdbm, hash_key id, type consistent"},
	} {
		region.change(func() { region.ring["policy"], region.ring["parameters"] = c.policy, c.parameters })
		p.until("#policy", "^"+c.want+"$")
	}
	region.change(func() {
		region.ring["key"] = []string{"{query: token}", "{cookie: user}", "source"}
		region.ring["version"], region.ring["built_at"], region.ring["rebuilding"] = 12, time.Now().Add(-3*time.Minute), true
	})
	p.until("#key", "^{query: token}, then {cookie: user}, then source$")
	p.until("#table", `^16,381 slots · version 12 · built 3 min ago, .*\d+:\d+:\d+ · the next is being built$`)
	p.phone(800)
	p.fits()
	p.clean()
}

// The same with a balancer.
func TestRingOfADemo(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p := openDashboard(t, browser, d)
	p.until("#policy", `^consistent: load \S+, partitions \d+, replicas \d+$`)
	p.until("#key", `^{query: token}`)
	p.until("#table", `^[\d,]+ slots · version \d+ · built \d+ s ago, .*\d+:\d+:\d+$`)
	p.clean()
}

// TestOneRingIsOfOnePool: the hosts of other pools are in the table of hosts, and neither in the
// picture of the main pool's ring nor among those that a what-if about it may be about.
func TestOneRingIsOfOnePool(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	p.until("#ring-title", "^Ring$")
	region.change(func() { region.host(3)["name"] = "api/a1" })
	p.until("#ring-title", "^Ring of the main pool$")
	p.untilTrue("count the hosts of the ring", `document.querySelector("#ring .count").textContent === "2/2"`)
	p.until(row("api/a1")+` td[data-label="State"] .badge`, "^ready$")
	for _, places := range []string{`#ring .shares circle`, `#legend tr`, `#whatif-hosts > *`} {
		if n := evaluate[int](p, `document.querySelectorAll("`+places+`").length`); n != 2 {
			t.Errorf("%s: there are %d, want one for each host of the main pool", places, n)
		}
	}
	p.phone(800)
	p.fits()
	p.clean()
}
