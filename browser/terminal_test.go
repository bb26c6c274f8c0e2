package browser

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

// users are names that a few hosts are sure to share among them.
var users = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

// openTerminal opens a user's page and waits for a shell in it.
func openTerminal(t *testing.T, browser context.Context, d *demo, user string) (p *tab, host string) {
	t.Helper()
	p = open(t, browser, user, d.site+"/?token="+user)
	p.until("#state", "^connected$")
	p.until("#screen", `\$ `)
	return p, p.text("#host")
}

// openElsewhere opens the page of another user, whose host is another one.
func openElsewhere(t *testing.T, browser context.Context, d *demo, host string) (p *tab, other string) {
	t.Helper()
	for _, user := range users[1:] {
		if p, other = openTerminal(t, browser, d, user); other != host {
			return p, other
		}
	}
	t.Fatalf("all of %q are on %s", users, host)
	return nil, ""
}

func TestTerminalLivesOnWhenAnotherHostStops(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	mine, host := openTerminal(t, browser, d, users[0])
	mine.types("kept=4; echo first-$((40+2))")
	mine.until("#screen", `(?m)^first-42$`)

	theirs, other := openElsewhere(t, browser, d, host)
	theirs.do("press the stop button", chromedp.Click("#stop", chromedp.ByQuery))
	refuge := theirs.until("#note", `^Another host answered: (ide-\d) instead of `+other)
	if now := theirs.text("#host"); now != refuge || refuge == other {
		t.Errorf("%s was on %s, has moved to %s and is on %s", theirs.name, other, refuge, now)
	}
	if answers, closed := theirs.seen.handshakes(); closed == 0 || len(answers) < 2 {
		t.Errorf("the terminal that moved had the WebSockets %q, %d of them have ended; want two, and one", answers, closed)
	}

	mine.front()
	mine.types("echo again-${kept}2")
	mine.until("#screen", `(?m)^again-42$`)
	if now := mine.text("#host"); now != host {
		t.Errorf("%s was on %s and is on %s", mine.name, host, now)
	}
	if answers, closed := mine.seen.handshakes(); closed != 0 || len(answers) != 1 {
		t.Errorf("the terminal that lives on had the WebSockets %q, %d of them have ended; want one, and none", answers, closed)
	}
	mine.clean()
}

func TestPageComesByHTTP2AndItsWebSocketByHTTP1(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p, _ := openTerminal(t, browser, d, users[0])
	all := p.seen.protocols()
	for _, path := range []string{"/", "/demo/app.js", "/demo/style.css"} {
		if len(all[path]) == 0 {
			t.Errorf("%s was not asked for", path)
		}
	}
	for path, protocols := range all {
		for _, protocol := range protocols {
			if protocol != "h2" {
				t.Errorf("%s came by %s, want h2", path, protocol)
			}
		}
	}
	answers, _ := p.seen.handshakes()
	if len(answers) != 1 || answers[0] != "HTTP/1.1 101 Switching Protocols" {
		t.Errorf("the WebSocket was answered with %q, want HTTP/1.1 101", answers)
	}
	p.clean()
}

func TestTerminalFitsAPhoneAndKeepsItsPromptInView(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p, _ := openTerminal(t, browser, d, users[0])
	p.types("seq 45") // a few lines more than there is room for
	p.until("#screen", `(?m)^45$`)
	p.showsPrompt()
	p.phone(800)
	p.showsPrompt()
	p.phone(400) // its keyboard comes up
	p.showsPrompt()
	p.phone(800)
	p.types("stty size")
	p.until("#screen", `(?m)^[34]\d [345]\d$`) // 400 pixels hold about 45 columns
	p.showsPrompt()
	p.fits()
	p.clean()
}

// showsPrompt waits until the row with the cursor is in view.
func (p *tab) showsPrompt() {
	p.t.Helper()
	p.untilTrue("have the prompt in view", `(() => {
		const box = document.querySelector("#terminal").getBoundingClientRect();
		const cursor = document.querySelector(".cursor")?.getBoundingClientRect();
		return cursor && cursor.top >= box.top && cursor.bottom <= box.bottom && box.bottom <= innerHeight;
	})()`)
}

func TestPageWithoutTokenAsksWhoseTerminalToOpen(t *testing.T) {
	d, browser := startDemo(t), startChromium(t)
	p := open(t, browser, "nobody", d.site+"/")
	p.until("#choose h1", "Whose terminal")
	p.phone(800)
	p.fits()
	p.do("choose", chromedp.SendKeys("#other", users[1], chromedp.ByQuery), chromedp.Click("#go", chromedp.ByQuery))
	p.until("#state", "^connected$")
	p.until("#token", "^"+users[1]+"$")
	p.clean()
}
