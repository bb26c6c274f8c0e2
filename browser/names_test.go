package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rename gives the hosts of a region other names, by their numbers.
func (r *pretence) rename(format string) {
	r.change(func() {
		for i := range r.hosts {
			r.hosts[i]["name"] = fmt.Sprintf(format, i+1)
		}
	})
}

// readable is what can be read of the names in place: of those that are cut, the
// ends.
const readable = `((place) => [...document.querySelectorAll(place + " .name")].map((name) => {
	const [head, tail] = name.children;
	return head.scrollWidth > head.clientWidth ? tail.textContent : name.textContent;
}))`

// cut lists what of the labels and columns that the selectors find is out of its
// box's sight.
const cut = `((place, parts) => [...document.querySelectorAll(place)].flatMap((box) => {
	const room = box.getBoundingClientRect();
	return [...box.querySelectorAll(parts)].filter((part) => {
		const at = part.getBoundingClientRect();
		return part.checkVisibility() && (at.left < room.left - 1 || at.right > room.right + 1);
	}).map((part) => part.textContent);
}))`

// toldApart fails the test if names in place can't be told apart, or can't be
// learnt.
func (p *tab) toldApart(place string, hosts int) {
	p.t.Helper()
	shown := evaluate[[]string](p, readable+fmt.Sprintf("(%q)", place))
	if unique := slices.Compact(slices.Sorted(slices.Values(shown))); len(unique) != hosts {
		p.t.Errorf("%s: %s shows the names %q, which are to be %d", p.name, place, shown, hosts)
	}
	if titles := evaluate[[]string](p, fmt.Sprintf(`[...document.querySelectorAll(%q)].map((name) => name.title)`, place+" .name")); len(slices.Compact(titles)) != hosts {
		p.t.Errorf("%s: %s has the names %q as titles, want %d", p.name, place, titles, hosts)
	}
}

// uncut fails the test if parts of a place are out of sight.
func (p *tab) uncut(place, parts string) {
	p.t.Helper()
	if lost := evaluate[[]string](p, cut+fmt.Sprintf("(%q, %q)", place, parts)); len(lost) > 0 {
		p.t.Errorf("%s: %s has no room for %q", p.name, place, lost)
	}
}

// Names of three dozen bytes are usual, and the weights belong beside them.
func TestNamesAreToldApartAtEveryWidth(t *testing.T) {
	browser := startChromium(t)
	for _, names := range []string{"ide-%d", "ide-host-frankfurt-%02d", "host%04d.ide.frankfurt.prod.internal.example.com", "ide-%02d-frankfurt-production"} {
		region := startPretence(t, 3)
		region.rename(names)
		region.change(func() { region.host(2)["weight"], region.host(2)["weight_decided"] = 256, fields{"by": "eva"} })
		p := openPretence(t, browser, region)
		p.press("What if?", "details.card > summary")
		p.press("the second", "#whatif-hosts li:nth-child(2) input[type=checkbox]")
		p.press("Ask", "#whatif .primary")
		p.until("#moves .figures", `Tokens that move`)
		p.press("figures", ".movement summary")
		for _, width := range []int64{1280, 1121, 1000, 910, 800, 400, 360, 320} {
			p.name = fmt.Sprintf("%s at %d pixels", names, width)
			p.resize(width, 900)
			p.toldApart("#legend", 3)
			p.toldApart(".flows .before", 3)
			p.uncut(".legend", "th, td")
			p.uncut(".flows", "p, p > *")
			p.uncut(".flows .name", "span:last-child")
			p.fits()
		}
		p.clean()
	}
}

// A change of two digits is as long as they get.
func TestChangesOfSharesAreReadableOnAPhone(t *testing.T) {
	region, browser := startPretence(t, 3), startChromium(t)
	p := openPretence(t, browser, region)
	p.press("What if?", "details.card > summary")
	p.press("ide-1", "#whatif-hosts input[type=checkbox]")
	p.press("ide-2", "#whatif-hosts li:nth-child(2) input[type=checkbox]")
	p.press("Ask", "#whatif .primary")
	p.until(".flows .after", `100\.0 %\s+\+66\.7`)
	p.press("figures", ".movement summary")
	p.phone(800)
	p.uncut(".flows .after", "p > *")
	if tall := evaluate[float64](p, `Math.max(...[...document.querySelectorAll(".figure tbody th")].map((th) => th.getBoundingClientRect().height))`); tall > 32 {
		t.Errorf("a short name takes %g pixels of height in the table, more than a line", tall)
	}
	p.clean()
}

// The button that does it is of no use out of sight.
func TestDialogsHaveRoomForLongNames(t *testing.T) {
	browser := startChromium(t)
	for _, names := range []string{"host%04d.ide.frankfurt.prod.internal.example.com", strings.Repeat("x", 61) + "-%02d"} {
		region := startPretence(t, 3)
		region.rename(names)
		region.change(func() { region.status["confirm_share"] = 0.2 })
		p := openPretence(t, browser, region)
		p.press("drain", "#hosts .states button:nth-child(2)")
		p.until("#override h2", "to drain$")
		p.dialogFits(names)
		p.press("Set", "#override .primary")
		p.until("#override .primary", "^Do it anyway$")
		p.dialogFits(names)
		p.press("Cancel", "#override .cancel")
		p.press("the weight", `#hosts button[aria-label^="weight"]`)
		p.until("#override h2", "^Weight of")
		p.dialogFits(names)
		p.refusals("409")
	}
}

// dialogFits fails the test if the dialog is wider than there is room for, or its
// buttons aren't in sight.
func (p *tab) dialogFits(what string) {
	p.t.Helper()
	for _, width := range []int64{1280, 400, 320} {
		p.name = fmt.Sprintf("%s at %d pixels", what, width)
		p.resize(width, 800)
		if over := evaluate[int](p, `(() => { const d = document.querySelector("#override"); return d.scrollWidth - d.clientWidth; })()`); over > 0 {
			p.t.Errorf("%s: the dialog is %d pixels wider than its room", p.name, over)
		}
		p.uncut("#override", "h2, p, label, button, input")
		p.uncut("#override .flows .name", "span:last-child")
	}
	p.resize(1280, 900)
}
