package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

const (
	patience = 30 * time.Second // for anything that a page should come to show
	lifetime = 3 * time.Minute  // of a browser, whatever happens
)

// startChromium starts a browser that knows nothing of earlier ones and ends with
// the test. It accepts the demo's certificate, which nobody has signed.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	path := findChromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("disable-dev-shm-usage", true), // small in containers
		chromedp.WSURLReadTimeout(patience),
		chromedp.WindowSize(1280, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // root has none in Chromium
	}
	ctx, done := context.WithTimeout(context.Background(), lifetime)
	ctx, free := chromedp.NewExecAllocator(ctx, options...)
	// Chromium is newer than chromedp, which complains of events that it doesn't
	// know. What matters comes back as an error.
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // in order, if it still answers
		cancel()
		free() // waits for the process
		done()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: install it (Debian: apt-get install chromium)")
	return ""
}

// A tab is one page in a browser, and what its network and console reported. It
// isn't safe for concurrent use.
type tab struct {
	t    *testing.T
	ctx  context.Context
	name string
	seen *record
}

// open opens url in a new tab. The name is for messages, as urls hold secrets.
func open(t *testing.T, browser context.Context, name, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	p := &tab{t: t, ctx: ctx, name: name, seen: newRecord()}
	t.Cleanup(func() {
		p.picture()
		cancel()
	})
	chromedp.ListenTarget(ctx, p.seen.hear)
	if err := chromedp.Run(ctx); err != nil { // its context is the tab's life: not one with patience
		t.Fatalf("%s: open a tab: %v", name, err)
	}
	p.do("open", network.Enable(), log.Enable(), chromedp.Navigate(url))
	return p
}

// do carries out what a user does.
func (p *tab) do(what string, actions ...chromedp.Action) {
	p.t.Helper()
	ctx, done := context.WithTimeout(p.ctx, patience)
	defer done()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, what, err)
	}
}

// front makes the tab the one that is shown: the others draw nothing.
func (p *tab) front() {
	p.t.Helper()
	p.do("bring to front", page.BringToFront())
}

// types types a line and Enter into what has the focus. Enter is one event, whose
// text the page may prevent, as with a keyboard.
func (p *tab) types(line string) {
	p.t.Helper()
	enter := func(kind input.KeyType) *input.DispatchKeyEventParams {
		return input.DispatchKeyEvent(kind).WithKey("Enter").WithCode("Enter").WithWindowsVirtualKeyCode(13)
	}
	p.do("type", chromedp.KeyEvent(line), enter(input.KeyDown).WithText("\r"), enter(input.KeyUp))
}

// text returns what the element that selector finds first shows.
func (p *tab) text(selector string) string {
	p.t.Helper()
	text, err := p.read(selector)
	if err != nil {
		p.t.Fatalf("%s: read %s: %v", p.name, selector, err)
	}
	return text
}

func (p *tab) read(selector string) (text string, err error) {
	ctx, done := context.WithTimeout(p.ctx, patience)
	defer done()
	err = chromedp.Run(ctx, chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector), &text))
	return text, err
}

// until waits until the text of selector matches the pattern, and returns what
// its first group has matched, or all of it. While one page follows another,
// nothing can be read.
func (p *tab) until(selector, pattern string) string {
	p.t.Helper()
	wanted := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := p.read(selector)
		if m := wanted.FindStringSubmatch(text); err == nil && m != nil {
			return m[len(m)-1]
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.t.Fatalf("%s: %s doesn't come to show %q (%v); it shows\n%s", p.name, selector, pattern, err, text)
		}
	}
}

// untilTrue waits until a JavaScript expression is true.
func (p *tab) untilTrue(what, expression string) {
	p.t.Helper()
	p.do(what, chromedp.Poll(expression, nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(patience)))
}

// phone makes the tab as narrow as a phone held upright.
func (p *tab) phone(height int64) {
	p.t.Helper()
	p.resize(400, height)
}

func (p *tab) resize(width, height int64) {
	p.t.Helper()
	p.do("resize", emulation.SetDeviceMetricsOverride(width, height, 1, width < 500))
}

// fits fails the test if the page is wider than the tab.
func (p *tab) fits() {
	p.t.Helper()
	var width, room int
	p.do("measure", chromedp.Evaluate(`document.documentElement.scrollWidth`, &width), chromedp.Evaluate(`innerWidth`, &room))
	if width > room {
		p.t.Errorf("%s: the page is %d pixels wide, in a tab of %d", p.name, width, room)
	}
}

// clean fails the test if the console has had anything to complain about.
func (p *tab) clean() {
	p.t.Helper()
	if faults := p.seen.complaints(); len(faults) > 0 {
		p.t.Errorf("%s: the console says\n%s", p.name, strings.Join(faults, "\n"))
	}
}

// picture keeps what a failed test's tab shows, for whoever looks into it.
func (p *tab) picture() {
	if !p.t.Failed() {
		return
	}
	ctx, done := context.WithTimeout(p.ctx, 5*time.Second)
	defer done()
	var png []byte
	if err := chromedp.Run(ctx, page.BringToFront(), chromedp.CaptureScreenshot(&png)); err != nil {
		p.t.Logf("%s: no picture: %v", p.name, err)
		return
	}
	file := filepath.Join("..", "bin", "browser", p.t.Name()+"-"+p.name+".png")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Log(err)
		return
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		p.t.Log(err)
		return
	}
	p.t.Logf("%s: see %s", p.name, file)
}
