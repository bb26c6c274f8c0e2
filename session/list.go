package session

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tokenring/balancer"
)

// A Selection says which terminals are meant. Each field narrows it; the zero Selection is
// all of them. Processes and balancers send it to one another as JSON.
type Selection struct {
	Host     string        `json:"host,omitempty"`     // they are on this host
	Balancer string        `json:"balancer,omitempty"` // this balancer carries them
	Idle     time.Duration `json:"idle,omitempty"`     // nothing was sent for at least so long
	Keys     []string      `json:"keys,omitempty"`     // their keys' digests begin with one of these: see CheckKeys
	Limit    int           `json:"limit"`              // how many are listed at most: those that were idle the longest
}

// shownDigits is the length of a digest as Digest.String and the access log have it, and
// the least that names a key.
const shownDigits = 12

// CheckKeys says what is wrong with the keys of s: each is 12 to 32 hexadecimal digits.
func (s Selection) CheckKeys() error {
	for _, k := range s.Keys {
		if len(k) < shownDigits || len(k) > 2*len(balancer.Digest{}) || strings.Trim(k, "0123456789abcdef") != "" {
			return fmt.Errorf("%.40q names no key: write the 12 to 32 hexadecimal digits by which the list of sessions or the access log has it", k)
		}
	}
	return nil
}

// A Listed is one terminal of a list.
type Listed struct {
	Digest     balancer.Digest `json:"digest"` // of its key; of one without a key it is unique
	Host       string          `json:"host"`
	Balancer   string          `json:"balancer,omitempty"`   // set by who merges lists
	Generation int             `json:"generation,omitempty"` // likewise; 0 if there are none
	Detail
}

// A Detail is what a tunnel knows of itself.
type Detail struct {
	Opened   time.Time     `json:"opened_at"`
	Idle     time.Duration `json:"idle"`             // since when nothing was sent
	Received int64         `json:"bytes_in"`         // from the client since it was opened
	Sent     int64         `json:"bytes_out"`        // from the host since it was opened
	Client   string        `json:"client,omitempty"` // the client's network; "" if it isn't known
}

// A Page is part of a list: the terminals that were idle the longest, in that order.
type Page struct {
	Terminals []Listed `json:"terminals"`
	Total     int      `json:"total"` // how many there are in all
}

// Page lists the terminals of a selection, without those of older processes. It visits all
// sessions, so it is only for operators' questions.
func (s *Sessions) Page(sel Selection) Page {
	var p Page
	for _, f := range s.find(sel) {
		detail, open := f.tunnel.Detail()
		if open && detail.Idle >= sel.Idle {
			p.Terminals = append(p.Terminals, Listed{Digest: f.digest, Host: f.host, Detail: detail})
		}
	}
	p.Total = len(p.Terminals)
	p.cut(sel.Limit)
	return p
}

// A Listing is a list of the terminals of several processes or balancers.
type Listing struct {
	Page
	Missing []Missing `json:"missing,omitempty"` // who hasn't answered
}

// A Missing is a process whose terminals aren't in a list.
type Missing struct {
	Balancer   string `json:"balancer"`
	Generation int    `json:"generation,omitempty"` // 0: all of the balancer's
	Why        string `json:"why"`
}

// An Ending says how many terminals have been ended.
type Ending struct {
	Ended   int       `json:"ended"`
	Left    int       `json:"left"`              // those that are meant, too, beyond Selection.Limit
	Missing []Missing `json:"missing,omitempty"` // who hasn't answered
}

// In returns p as a page of a generation.
func (p Page) In(generation int) Page {
	for i := range p.Terminals {
		p.Terminals[i].Generation = generation
	}
	return p
}

// Merge returns the pages of several processes as one, of at most limit terminals.
func Merge(limit int, pages ...Page) (all Page) {
	for _, p := range pages {
		all.Terminals = append(all.Terminals, p.Terminals...)
		all.Total += p.Total
	}
	all.cut(limit)
	return all
}

// cut sorts the terminals, and keeps limit of them.
func (p *Page) cut(limit int) {
	slices.SortFunc(p.Terminals, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(b.Idle, a.Idle), a.Opened.Compare(b.Opened), slices.Compare(a.Digest[:], b.Digest[:]))
	})
	p.Terminals = slices.Clip(p.Terminals[:min(limit, len(p.Terminals))])
}

// A found is a tunnel of this process.
type found struct {
	tunnel Tunnel
	digest balancer.Digest
	host   string
}

// find returns the tunnels of a selection, but doesn't look at Selection.Idle: that would
// take the tunnels' locks, which are taken before those of the shards.
func (s *Sessions) find(sel Selection) (all []found) {
	keys := prefixes(sel.Keys)
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		for digest, live := range shard.live {
			if sel.Host != "" && live.endpoint.Name != sel.Host || keys != nil && !keys.has(digest) {
				continue
			}
			for t := live.newest; t != nil; t = t.next {
				if _, elsewhere := t.Tunnel.(*older); !elsewhere {
					all = append(all, found{t.Tunnel, digest, live.endpoint.Name})
				}
			}
		}
		shard.mu.Unlock()
	}
	return all
}

// prefixSet has beginnings of digests by their first shownDigits digits.
type prefixSet map[string][]string

// prefixes returns the set of keys that Selection.CheckKeys takes; nil if there are none.
func prefixes(keys []string) prefixSet {
	if len(keys) == 0 {
		return nil
	}
	set := prefixSet{}
	for _, k := range keys {
		set[k[:shownDigits]] = append(set[k[:shownDigits]], k)
	}
	return set
}

func (p prefixSet) has(d balancer.Digest) bool {
	longer := p[d.String()]
	if longer == nil {
		return false
	}
	text, _ := d.MarshalText() // never fails
	return slices.ContainsFunc(longer, func(k string) bool { return strings.HasPrefix(string(text), k) })
}
