package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// evil is text that would do something if a page took it for markup.
const evil = `<img src=x onerror="document.body.dataset.ran=1"><script>document.body.dataset.ran=1</script>&amp;`

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestTextsOfOthersStayTexts has hosts, operators and other balancers say what
// they shouldn't.
func TestTextsOfOthersStayTexts(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	region.change(func() {
		h := region.host(1)
		for _, name := range []string{"name", "address", "zone", "version", "reason", "by", "check_error", "why_not"} {
			h[name] = evil
		}
		h["verdict"], h["serving"], h["in_ring"], h["since"] = "down", false, false, time.Now()
		h["weight_decided"] = fields{"by": evil, "reason": evil}
		region.host(2)["name"] = "__proto__"
		region.status["agree"] = false
		region.status["alarms"] = []string{evil, evil}
		region.status["peers"] = []fields{{"name": evil, "address": evil, "version": evil, "ring_digest": evil, "alive": true, "agrees": false}}
		region.status["certificates"] = []fields{{"file": evil, "names": []string{evil}, "problem": evil}}
		region.ring["policy"], region.ring["parameters"], region.ring["key"] = evil, fields{evil: evil}, []string{evil}
	})
	region.answer("explain", fields{
		"rule": evil, "reason": evil, "host": evil, "owner": evil, "token_digest": evil, "ring_digest": evil, "slot": 1, "slots": 2,
		"slot_share": 0.5, "session": fields{"host": evil, "tunnels": 1},
		"candidates": []fields{{"host": evil, "role": evil, "state": "ready", "verdict": "up", "why_not": evil}},
	})
	p := openPretence(t, browser, region)
	p.explain("a token")
	p.until("#answer .verdict b", "onerror")
	p.press("What if?", "details.card > summary")
	p.press("__proto__", `#whatif-hosts li[data-key="__proto__"] input[type=checkbox]`)
	p.press("Ask", "#whatif .primary")
	p.until("#moves .figures", `Tokens that move`)
	p.press("drain", `#hosts tr:last-child .states button:nth-child(2)`)
	p.until("#override h2", "to drain$")
	if evaluate[bool](p, `document.body.dataset.ran !== undefined || document.querySelector("main img, main script, dialog img, dialog script") !== null`) {
		t.Error("a text has become markup")
	}
	for _, width := range []int64{1280, 1000, 800, 400} {
		p.resize(width, 900)
		p.fits()
	}
	p.clean()
}

func TestDashboardOfNoHostsAndOfMany(t *testing.T) {
	browser := startChromium(t)
	for _, n := range []int{0, 300} {
		region := startPretence(t, n)
		for i := 1; i <= n; i++ {
			region.change(func() { region.host(i)["name"] = fmt.Sprintf("ide-%d.%s", i, strings.Repeat("long", 25)) })
		}
		p := openPretence(t, browser, region)
		p.until("#serving", fmt.Sprintf("^%d of %d$", n, n))
		p.press("What if?", "details.card > summary")
		if n > 0 {
			p.press("the first", "#whatif-hosts input[type=checkbox]")
			p.press("Ask", "#whatif .primary")
			p.until("#moves .figures", `Tokens that move`)
		}
		for _, width := range []int64{1280, 1000, 800, 400} {
			p.resize(width, 900)
			p.fits()
		}
		p.clean()
	}
}

// TestATokenStaysOutOfTheAddressWithoutTheScript types the token before the script
// is there, or where it can't run.
func TestATokenStaysOutOfTheAddressWithoutTheScript(t *testing.T) {
	region, browser := startPretence(t, 1), startChromium(t)
	p := open(t, browser, "dashboard", "about:blank")
	p.do("open without scripts", emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(region.url),
		chromedp.SendKeys("#explain input", "s3cr3t", chromedp.ByQuery))
	p.types("") // Enter, with which the browser asks for the page once more
	eventually(t, "the form's end", func() bool { return len(region.pages()) == 2 })
	var address string
	p.do("look", chromedp.Location(&address))
	if pages := strings.Join(region.pages(), " "); strings.Contains(address+pages, "s3cr3t") {
		t.Errorf("the address is %s, and the balancer was asked for %s", address, pages)
	}
}

// TestAnAnswerThatComesLateChangesNoOtherDialog leaves a dialog whose change isn't
// answered yet, and opens another.
func TestAnAnswerThatComesLateChangesNoOtherDialog(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	release := region.hold("hosts")
	p.press("maint", `button[aria-label="maint: ide-1"]`)
	p.press("Set", "#override .primary")
	p.press("Cancel", "#override .cancel")
	p.press("drain", `button[aria-label="drain: ide-2"]`)
	p.until("#override h2", "^Set ide-2 to drain$")
	release()
	eventually(t, "the first decision", func() bool { return len(region.decisions()) == 1 })
	p.until("#override h2", "^Set ide-2 to drain$")
	p.press("Set", "#override .primary")
	p.closed()
	region.sent(t, fields{"state": "maint", "reason": "", "max_moved": 0.5}, fields{"state": "drain", "reason": "", "max_moved": 0.5})
	p.clean()
}

// TestAnAnswerToAnotherQuestionIsMarked changes the form while it is worked out.
func TestAnAnswerToAnotherQuestionIsMarked(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	release := region.hold("whatif")
	p.press("What if?", "details.card > summary")
	p.press("ide-1", `#whatif-hosts li[data-key="ide-1"] input[type=checkbox]`)
	p.press("Ask", "#whatif .primary")
	p.press("ide-1", `#whatif-hosts li[data-key="ide-1"] input[type=checkbox]`)
	p.press("ide-2", `#whatif-hosts li[data-key="ide-2"] input[type=checkbox]`)
	release()
	p.until("#moves .figures", "Tokens that move")
	p.until("#stale", "^The question has changed since")
	p.clean()
}
