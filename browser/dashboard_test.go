package browser

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// openDashboard opens the link that signs in, and waits for the hosts.
func openDashboard(t *testing.T, browser context.Context, d *demo) *tab {
	t.Helper()
	p := open(t, browser, "dashboard", d.dashboard)
	p.until("#live", "^live$")
	p.until("#serving", "^3 of 3$")
	return p
}

// row selects the row of a host.
func row(host string) string { return `#hosts tr[data-key="` + host + `"]` }

// set has an operator set a host to a state, for a reason.
func (p *tab) set(host, state, reason string) {
	p.t.Helper()
	p.do("press "+state, chromedp.Click(`button[aria-label="`+state+`: `+host+`"]`, chromedp.ByQuery))
	p.until("#override h2", "^Set "+host+" to "+state+"$")
	p.do("override", chromedp.SendKeys(`#override input[name="reason"]`, reason, chromedp.ByQuery), chromedp.Click("#override .primary", chromedp.ByQuery))
	p.closed()
	p.until(row(host)+` td[data-label="State"] .badge`, "^"+state+"$")
}

// closed waits until the dialog has closed: what it asked for has been answered.
func (p *tab) closed() {
	p.t.Helper()
	p.untilTrue("close the dialog", `!document.querySelector("#override").open`)
}

func TestDashboardLinkSignsInAndForgetsTheToken(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p := openDashboard(t, browser, d)
	for _, host := range []string{"ide-1", "ide-2", "ide-3"} {
		p.until(row(host)+` td[data-label="Checks"] .badge`, "^up$")
	}
	link, err := url.Parse(d.dashboard)
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimPrefix(link.Fragment, "token=")
	var address, html string
	p.do("look", chromedp.Location(&address), chromedp.OuterHTML("html", &html, chromedp.ByQuery))
	if strings.Contains(address, token) || strings.Contains(html, token) {
		t.Error("the admin token is in the address bar or in the page")
	}
	p.fits()
	p.phone(800)
	p.fits()
	p.clean()
}

// visit puts an address into the address bar. If only its fragment is another, the
// page stays.
func (p *tab) visit(url string) {
	p.t.Helper()
	p.do("visit", chromedp.ActionFunc(func(ctx context.Context) error {
		_, _, _, _, err := page.Navigate(url).Do(ctx)
		return err
	}))
}

func TestLinkSignsInWhereTheSignInFormIsShown(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	place, token, _ := strings.Cut(d.dashboard, "#token=")
	p := open(t, browser, "dashboard", place)
	p.until("#signin label", "^Admin token$")
	p.visit(place + "#token=another")
	p.until("#problem", "token")
	p.visit(d.dashboard)
	p.until("#live", "^live$")
	p.visit(d.dashboard) // signed in already
	p.untilTrue("clear the address bar", `location.hash === ""`)
	history := evaluate[[]string](p, `navigation.entries().map((entry) => entry.url)`)
	if all := strings.Join(history, " "); strings.Contains(all, token) {
		t.Error("the admin token is in the history")
	}
	p.refusals("401")
}

func TestDashboardDrainsAHostAndItsTerminalStays(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	terminal, host := openTerminal(t, browser, d, users[0])
	p := openDashboard(t, browser, d)
	p.do("ask", chromedp.SendKeys("#explain input", users[0], chromedp.ByQuery), chromedp.Click("#explain .primary", chromedp.ByQuery))
	p.until("#answer .verdict b", "^"+host+"$")

	p.set(host, "drain", "kernel update")
	p.until(row(host)+` td[data-label="State"] small`, "kernel update")
	p.until("#serving", "^2 of 3$")
	terminal.front()
	terminal.types("echo drained-$((40+2))")
	terminal.until("#screen", `(?m)^drained-42$`)
	if now := terminal.text("#host"); now != host {
		t.Errorf("the terminal was on %s and is on %s", host, now)
	}
	p.front()
	p.set(host, "ready", "")
	p.until("#serving", "^3 of 3$")
	p.clean()
	terminal.clean()
}

func TestTheDashboardShowsEveryAlarm(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() {
		region.status["alarms"] = []string{"certificate ide.crt for ide.example.com: it expires soon", "another alarm"}
	})
	p := open(t, browser, "dashboard", region.url)
	p.until("#alarm", "(?s)ide.example.com: it expires soon.*another alarm")
	if title := evaluate[string](p, "document.title"); !strings.HasPrefix(title, "⚠ ") {
		t.Errorf("the title is %q", title)
	}
	region.change(func() { region.status["alarms"] = []string{} })
	p.untilTrue("the alarm goes", `document.getElementById("alarm").hidden`)
	p.clean()
}

// A connection may be dead without having ended: the laptop slept, or a box on
// the way has forgotten it.
func TestADashboardThatHearsNothingConnectsAgain(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() { region.silent = 1 })
	p := open(t, browser, "dashboard", region.url)
	p.until("#live", "^live$")
	p.until("#serving", "^3 of 3$")
	p.clean()
}

// A policy that nobody enforces, or a console that nobody reads, would let all
// the tests above pass.
func TestBrokenPoliciesAreNoticed(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	terminal, _ := openTerminal(t, browser, d, users[0])
	for _, p := range []*tab{terminal, openDashboard(t, browser, d)} {
		p.clean()
		p.do("break the policy", chromedp.Evaluate(`{
			const s = document.createElement("script");
			s.textContent = "document.body.dataset.ran = 'yes'";
			document.body.append(s);
		}`, nil))
		var ran bool
		p.do("look", chromedp.Evaluate(`document.body.dataset.ran === "yes"`, &ran))
		if faults := strings.Join(p.seen.complaints(), "\n"); ran || !strings.Contains(faults, "Content Security Policy") {
			t.Errorf("%s: an inline script ran: %v; the console says %q", p.name, ran, faults)
		}
	}
}
