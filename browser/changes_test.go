package browser

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// refusals are what a console says of calls that were refused on purpose.
func (p *tab) refusals(status string) {
	p.t.Helper()
	for _, fault := range p.seen.complaints() {
		if !strings.Contains(fault, "status of "+status) {
			p.t.Errorf("%s: the console says %s", p.name, fault)
		}
	}
}

// fill puts text in place of what a field holds, as a user does.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.do("fill "+selector, chromedp.Focus(selector, chromedp.ByQuery), chromedp.Evaluate(`document.activeElement.select()`, nil), chromedp.KeyEvent(text))
}

// sent fails the test if the decisions that have reached the balancer aren't these.
func (r *pretence) sent(t *testing.T, want ...fields) {
	t.Helper()
	if got := r.decisions(); !reflect.DeepEqual(got, want) {
		t.Errorf("the balancer has got\n%v, want\n%v", got, want)
	}
}

func TestWeightIsSetAndTakenBack(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	weight := `button[aria-label="weight 1: ide-2"]`
	p.press("the weight", weight)
	p.until("#override h2", "^Weight of ide-2$")
	p.fill(`#override input[name="weight"]`, "2")
	p.fill(`#override input[name="reason"]`, "more memory")
	p.fill(`#override input[name="by"]`, "eva")
	p.press("Set", "#override .primary")
	p.closed()

	p.press("the weight", weight)
	p.until("#override .own", "^The host's own: 1$")
	p.press("its own", `#override input[value="own"]`)
	p.press("Set", "#override .primary")
	p.closed()
	region.sent(t,
		fields{"weight": 2.0, "reason": "more memory", "by": "eva", "max_moved": 0.5},
		fields{"weight": nil, "reason": "", "by": "eva", "max_moved": 0.5})
	p.clean()
}

// The same with a balancer, whose hosts and shares follow.
func TestWeightOfADemo(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p := openDashboard(t, browser, d)
	p.press("the weight", `button[aria-label="weight 1: ide-2"]`)
	p.fill(`#override input[name="weight"]`, "0")
	p.fill(`#override input[name="reason"]`, "small disk")
	p.press("Set", "#override .primary")
	p.closed()
	p.until("#serving", "^2 of 3$")
	p.until(row("ide-2")+` td[data-label="Weight"]`, `^0\s*its own is 1 · small disk · by dashboard · `)
	p.until(`#legend tr[data-key="ide-2"]`, `0 %\s+–\s+0$`)

	p.press("the weight", `button[aria-label="weight 0: ide-2"]`)
	p.press("its own", `#override input[value="own"]`)
	p.press("Set", "#override .primary")
	p.closed()
	p.until("#serving", "^3 of 3$")
	p.until(row("ide-2")+` td[data-label="Weight"]`, "^1$")
	p.clean()
}

func TestChangeThatMovesMuchAsksTwice(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() { region.status["confirm_share"] = 0.2 })
	p := openPretence(t, browser, region)
	p.press("drain", `button[aria-label="drain: ide-1"]`)
	p.fill(`#override input[name="reason"]`, "new kernel")
	p.types("") // Enter, which sends it
	p.until("#override .impact .warning", `^This would move 33\.3 % of the tokens; up to 20\.0 % may move without confirmation`)
	p.until("#override .figures", `Tokens that move\s+33\.3 %`)
	p.untilTrue("move the focus to what would move", `document.activeElement.matches("#override .impact")`)
	p.types("") // another Enter isn't the word
	p.until("#override .primary", "^Do it anyway$")
	first := fields{"state": "drain", "reason": "new kernel", "max_moved": 0.2}
	region.sent(t, first)

	p.press("Back", "#override .back")
	p.untilTrue("show the fields again", `document.querySelector("#override .change").checkVisibility()`)
	p.press("Set", "#override .primary")
	p.until("#override .primary", "^Do it anyway$")
	p.phone(800)
	p.fits()
	p.press("the word", "#override .primary")
	p.closed()
	region.sent(t, first, first, fields{"state": "drain", "reason": "new kernel"})
	p.refusals("409")
}

// TestAChangeIsComparedWithTheRingOfItsPool: what moves is asked of the pool that the host is in.
func TestAChangeIsComparedWithTheRingOfItsPool(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() { region.status["confirm_share"], region.host(3)["name"] = 0.2, "api/a1" })
	p := openPretence(t, browser, region)
	p.press("drain", `button[aria-label="drain: api/a1"]`)
	p.press("Set", "#override .primary")
	p.until("#override .impact .warning", `^This would move 33\.3 % of the tokens`)
	if got, want := fmt.Sprint(region.asked()), "[map[leave:[api/a1] pool:api]]"; got != want {
		t.Errorf("the dashboard asked %s, want %s", got, want)
	}
	p.refusals("409")
}

// focused waits until what selector finds has the focus.
func (p *tab) focused(selector string) {
	p.t.Helper()
	p.untilTrue("focus "+selector, fmt.Sprintf(`document.activeElement.matches(%q)`, selector))
}

// Who works with the keyboard goes on from where they are, after refusals, too.
func TestFocusStaysWhereTheOperatorIs(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() { region.status["confirm_share"] = 0.2 })
	p := openPretence(t, browser, region)
	release := region.hold("whatif")
	p.press("drain", `button[aria-label="drain: ide-1"]`)
	p.press("Set", "#override .primary")
	p.do("go on to Cancel", chromedp.Focus("#override .cancel", chromedp.ByQuery))
	release()
	p.until("#override .primary", "^Do it anyway$")
	p.focused("#override .cancel")
	p.types("")
	p.closed()
	p.focused(`button[aria-label="drain: ide-1"]`)

	region.refuse("hosts")
	p.press("drain", `button[aria-label="drain: ide-2"]`)
	p.do("go on to Set", chromedp.Focus("#override .primary", chromedp.ByQuery))
	p.types("")
	p.until("#override .problem", "^there is no such host$")
	p.focused("#override .primary")
	p.press("Cancel", "#override .cancel")

	p.press("What if?", "details.card > summary")
	p.press("Add a host", "#join")
	p.focused("#joining input")
	p.press("don't", "#joining button")
	p.focused("#join")
	for _, fault := range p.seen.complaints() {
		if !strings.Contains(fault, "status of 4") {
			t.Errorf("the console says %s", fault)
		}
	}
}

func TestDrainOfTheLastHostAsks(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p := openDashboard(t, browser, d)
	p.set("ide-1", "drain", "")
	p.set("ide-3", "drain", "")
	p.until("#serving", "^1 of 3$")
	p.press("drain", `button[aria-label="drain: ide-2"]`)
	p.press("Set", "#override .primary")
	p.until("#override .impact .warning", `^This would move 100\.0 % of the tokens; up to 50\.0 % may move without confirmation`)
	p.until("#override .flows .before", `ide-2\s+100\.0 %`)
	p.until("#override .flows .after", `100\.0 %$`) // no host's
	p.until("#serving", "^1 of 3$")
	p.press("the word", "#override .primary")
	p.until("#serving", "^0 of 3$")
	p.refusals("409")
}

// A balancer of an earlier version knows of no weights of operators, no limit and
// no what-if.
func TestDashboardOfAnEarlierVersion(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() {
		delete(region.status, "confirm_share")
		for i := range region.hosts {
			delete(region.hosts[i], "announced_weight")
			delete(region.hosts[i], "full")
		}
	})
	region.refuse("whatif")
	p := openPretence(t, browser, region)
	p.until(row("ide-1")+` td[data-label="Weight"] button:disabled`, "^1$")
	p.press("maint", `button[aria-label="maint: ide-1"]`)
	p.press("Set", "#override .primary")
	p.closed()
	region.sent(t, fields{"state": "maint", "reason": ""})
	p.press("What if?", "details.card > summary")
	p.press("ide-1", "#whatif-hosts input[type=checkbox]")
	p.press("Ask", "#whatif .primary")
	p.until("#moves", "version doesn't answer this")
	p.refusals("404")
}

func TestWhatifAsksForAllThatTheFormSays(t *testing.T) {
	region, browser := startPretence(t, 4), startChromium(t)
	region.change(func() {
		h := region.host(4)
		h["state"], h["in_ring"], h["serving"], h["why_not"] = "drain", false, false, "drain"
	})
	p := openPretence(t, browser, region)
	p.press("What if?", "details.card > summary")
	p.press("Ask", "#whatif .primary")
	p.until("#moves", "This is the ring as it is now")
	p.press("ide-1", `#whatif-hosts [data-key="ide-1"] input[type=checkbox]`)
	p.fill(`#whatif-hosts [data-key="ide-2"] input[type=number]`, "3")
	p.press("ide-4", `#whatif-hosts [data-key="ide-4"] input[type=checkbox]`)
	region.change(func() { region.host(1)["requests"] = 777 })
	p.until(row("ide-1")+` td[data-label="Requests"]`, "777") // news don't undo what is filled in
	p.press("Add a host", "#join")
	p.types("ide-9") // its name has the focus; Enter asks
	p.until("#whatif-news", `of the tokens would move, and \d+ of \d+ open terminals would change hosts when they reconnect\.$`)
	want := fields{
		"leave": []any{"ide-1"}, "weights": fields{"ide-2": 3.0},
		"join": []any{fields{"name": "ide-4", "weight": 1.0, "id": 4.0}, fields{"name": "ide-9", "weight": 1.0, "id": 5.0}},
	}
	if got := region.asked(); !reflect.DeepEqual(got, []fields{want}) {
		t.Errorf("the balancer was asked\n%v, want\n%v", got, want)
	}
	rows := evaluate[[]string](p, `[...document.querySelectorAll(".flows .before b")].map((b) => b.textContent)`)
	if hosts := []string{"ide-1", "ide-2", "ide-3", "ide-4", "ide-9"}; !slices.Equal(rows, hosts) {
		t.Errorf("the picture has the hosts %q, want %q", rows, hosts)
	}

	p.do("choose a policy", chromedp.SetValue("#whatif select", "maglev", chromedp.ByQuery))
	p.untilTrue("mark the answer as another question's", `document.querySelector("#moves").hasAttribute("data-outdated")`)
	region.change(func() { region.host(1)["requests"] = 778 })
	p.until(row("ide-1")+` td[data-label="Requests"]`, "778")
	p.press("Ask", "#whatif .primary")
	p.until("#whatif-news", "about")
	p.until(".movement", "(?s)maglev instead of consistent.*hash differently")
	region.change(func() { region.ring["digest"] = "0000000000000000" })
	p.until("#stale", "^The ring has changed since")
	p.press("As it is", `#whatif button[type="reset"]`)
	p.until("#moves", "^No question yet")
	p.press("Ask", "#whatif .primary")
	p.until("#moves", "This is the ring as it is now")
	p.clean()
}

// An operator's weight of 0 keeps a host out of the ring. What it would weigh there
// is its own, as `lb ctl whatif --join` has it.
func TestWhatifAsksForTheWeightThatItShows(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() {
		h := region.host(2)
		h["weight"], h["announced_weight"], h["weight_decided"] = 0, 5, fields{"by": "eva"}
		h["in_ring"], h["serving"], h["why_not"] = false, false, "weight 0"
	})
	p := openPretence(t, browser, region)
	p.press("What if?", "details.card > summary")
	p.press("ide-2", `#whatif-hosts [data-key="ide-2"] input[type=checkbox]`)
	p.untilTrue("show the host's own weight", `document.querySelector("#whatif-hosts [data-key=ide-2] input[type=number]").value === "5"`)
	p.press("Ask", "#whatif .primary")
	p.until("#moves .figures", "Tokens that move")
	p.fill(`#whatif-hosts [data-key="ide-2"] input[type=number]`, "0")
	p.press("Ask", "#whatif .primary")
	p.untilTrue("refuse a weight that nothing joins with", `document.activeElement.matches("#whatif-hosts [data-key=ide-2] input[type=number]:invalid")`)
	want := fields{"join": []any{fields{"name": "ide-2", "weight": 5.0, "id": 2.0}}}
	if got := region.asked(); !reflect.DeepEqual(got, []fields{want}) {
		t.Errorf("the balancer was asked\n%v, want\n%v", got, want)
	}
	p.clean()
}

// A change that no override can make needs no confirmation.
func TestWhatifMentionsConfirmationOnlyIfAnOverrideCanDoIt(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() {
		region.status["confirm_share"] = 0.2
		h := region.host(3)
		h["verdict"], h["in_ring"], h["serving"], h["why_not"] = "down", false, false, "its checks fail"
	})
	p := openPretence(t, browser, region)
	p.press("What if?", "details.card > summary")
	host := func(i int) func() {
		return func() { p.press("a host", fmt.Sprintf("#whatif-hosts li:nth-child(%d) input[type=checkbox]", i)) }
	}
	for _, c := range []struct {
		what string
		asks bool
		fill func()
	}{
		{"a host leaves", true, host(1)},
		{"another policy", false, func() { p.do("choose", chromedp.SetValue("#whatif select", "maglev", chromedp.ByQuery)) }},
		{"a host that isn't there", false, func() { p.press("Add a host", "#join") }},
		{"a host that is down", false, host(3)},
	} {
		c.fill()
		p.press("Ask", "#whatif .primary")
		p.until("#moves .figures", "Tokens that move")
		if asks := strings.Contains(p.text("#moves"), "asks for confirmation"); asks != c.asks {
			t.Errorf("%s: it speaks of confirmation: %v, want %v", c.what, asks, c.asks)
		}
		p.press("As it is", `#whatif button[type="reset"]`)
		p.until("#moves", "^No question yet")
	}
	p.clean()
}

// measureFlows lays a movement out, and says how long its bars and how thick its
// ribbons are, or where they don't fit together.
const measureFlows = `(layOut, before, after, routes) => {
	const list = (text) => text.split(", ").filter(Boolean);
	const hosts = (text) => ({ hosts: list(text).map((item) => item.split(" ")).map(([host, share]) => ({ host, share: Number(share) })) });
	const known = list(routes).filter((item) => item !== "...");
	const { rows, ribbons, height } = layOut({
		before: hosts(before),
		after: hosts(after),
		routes: known.map((item) => item.match(/(.*)>(.*) (.*)/)).map(([, from, to, share]) => ({ from, to, share: Number(share) })),
		routes_left_out: list(routes).length - known.length,
	}, { most: 3, height: 100 });
	const near = 1e-6;
	for (const row of rows) {
		for (const [side, host, edge, other] of [["left", "from", "start", "to"], ["right", "to", "end", "from"]]) {
			const bar = row[side];
			let at = bar.top, last = 0;
			for (const r of ribbons.filter((r) => r[host] === row.name).sort((a, b) => a[edge] - b[edge])) {
				const peer = rows.findIndex((row) => row.name === r[other]);
				if (Math.abs(r[edge] - at) > near) return "a gap or an overlap on the " + side + " of " + row.name;
				if (peer < last) return "ribbons cross on the " + side + " of " + row.name;
				at += r.height;
				last = peer;
			}
			if (at > bar.top + bar.height + near) return "too much on the " + side + " of " + row.name;
			if (bar.top < 0 || bar.top + bar.height > height + near) return "no room on the " + side + " for " + row.name;
		}
	}
	const scale = ribbons[0].height / ribbons[0].share;
	const share = (x) => String(+x.toFixed(4)).replace(/^0\./, ".");
	return [
		...rows.map((r) => r.name + ":" + share(r.left.height / scale) + ">" + share(r.right.height / scale)),
		...ribbons.map((r) => r.from + (r.stays ? "=" : "→") + r.to + ":" + share(r.share)).sort(),
	].join(" ");
}`

// The picture is arithmetic: what goes off a bar fills it, and what comes in, too.
func TestRibbonsFillTheBars(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	for _, c := range []struct{ name, before, after, routes, want string }{
		{"one leaves", "a .5, b .5", "b 1", "a>b .5", "a:.5>0 b:.5>1 a→b:.5 b=b:.5"},
		{"the last leaves", "a 1", "", "a> 1", "a:1>0 :0>1 a→:1"},
		{"the first joins", "", "a 1", ">a 1", "a:0>1 :1>0 →a:1"},
		{"nothing changes", "a 1", "a 1", "", "a:1>1 a=a:1"},
		{"the last routes are left out", "a .5, b .5", "a .4, b .6", "a>b .05, ...", "a:.5>.4 b:.5>.6 a→b:.05"},
		{"terminals alone go from a host outside the ring", "a 1", "a 1", "x>a 0", "a:1>1 a=a:1"},
		{
			"more hosts than rows", "a .25, b .25, c .25, d .25", "b .5, c .25, d .25", "a>b .2, a>c .05, c>d .1, d>b .05",
			"a:.25>0 b:.25>.5 (others):.5>.5 (others)=(others):.45 (others)→b:.05 a→(others):.05 a→b:.2 b=b:.25",
		},
	} {
		got := evaluate[string](p, fmt.Sprintf(`import("/assets/movementlayout.js").then((flows) => (%s)(flows.layOut, %q, %q, %q))`, measureFlows, c.before, c.after, c.routes))
		if got != c.want {
			t.Errorf("%s: got  %s\nwant %s", c.name, got, c.want)
		}
	}
	p.clean()
}
