package balancer

import (
	"fmt"
	"math"
	"strings"
)

// The measures of the plot, in pixels.
const (
	plotLeft  = 150.0 // where the scales begin
	plotWide  = 290.0 // how wide each of the two panels is
	plotGap   = 40.0
	plotTop   = 60.0
	plotLine  = 13.0 // height of a row
	plotSpace = 9.0  // between policies
)

// plot draws the trials: the shares' range at the left, what a leaving host moves
// at the right, a row for each number of hosts.
func plot(made []trial) string {
	var b strings.Builder
	high := plotTop + float64(len(made))*plotLine + float64(len(paged))*plotSpace + 10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="11">`+"\n", plotLeft+2*plotWide+plotGap+20, high)
	b.WriteString("<title>Shares and movement by policy and number of hosts</title>\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	shares := scale{from: plotLeft, least: 0.5, most: 1.75}
	moved := scale{from: plotLeft + plotWide + plotGap, least: 0, most: 2.5}
	shares.draw(&b, high, "shares of the hosts, in fair shares", 0.5, 0.75, 1, 1.25, 1.5, 1.75)
	moved.draw(&b, high, "keys that a leaving host moves, in fair shares", 0, 0.5, 1, 1.5, 2, 2.5)
	y := plotTop
	for _, p := range paged {
		fmt.Fprintf(&b, `<text x="8" y="%.1f" font-weight="bold">%s</text>`+"\n", y+9, p.name)
		for _, m := range made {
			if m.name == p.name {
				m.draw(&b, y, shares, moved)
				y += plotLine
			}
		}
		y += plotSpace
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// draw draws one row of both panels: black is what must move, red what moves
// between hosts that stay.
func (m trial) draw(b *strings.Builder, y float64, shares, moved scale) {
	fmt.Fprintf(b, `<text x="%.0f" y="%.1f" text-anchor="end" fill="#555">%d</text>`+"\n", plotLeft-6, y+9, m.hosts)
	bar := func(from, to float64, fill string) {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="8" fill="%s"/>`+"\n", from, y+1, max(to-from, 1), fill)
	}
	bar(shares.at(m.least), shares.at(m.most), "#2b6cb0")
	own := (m.leave.Moved - m.leave.Astray) / m.leave.Ideal
	all := m.leave.Moved / m.leave.Ideal
	bar(moved.at(0), moved.at(own), "#333")
	if m.leave.Astray == 0 {
		return
	}
	bar(moved.at(own), moved.at(all), "#c53030")
	if all > moved.most {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="end" font-size="9" fill="#fff">%.0f</text>`+"\n", moved.at(all)-4, y+8.5, all)
	}
}

// A scale is the horizontal axis of a panel.
type scale struct {
	from, least, most float64
}

// at returns where a value stands; what is too great stands at the edge.
func (s scale) at(value float64) float64 {
	part := (value - s.least) / (s.most - s.least)
	return s.from + plotWide*math.Min(1, math.Max(0, part))
}

func (s scale) draw(b *strings.Builder, high float64, title string, ticks ...float64) {
	fmt.Fprintf(b, `<text x="%.1f" y="18" font-weight="bold">%s</text>`+"\n", s.from, title)
	for _, tick := range ticks {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.0f" stroke="#ccc"/>`+"\n", s.at(tick), s.at(tick), plotTop-16, high-10)
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="middle" fill="#555">%g</text>`+"\n", s.at(tick), plotTop-20, tick)
	}
}
