package peers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"tokenring/route"
	"tokenring/statefile"
)

// A Precedence is since when a host has been in the ring with its address and its id. Of
// hosts that announce the same address or id, the one with the earliest Since comes first
// on all balancers. A balancer tells it of a host only when another one is in the way.
//
// Each balancer that sees the host with another address or id adds one to Number. If
// several balancers see the same, the earliest of their times counts.
type Precedence struct {
	Host    string
	Number  uint64 // of the host's addresses and ids, at most maxReturns
	Address string // of its service, ip:port
	ID      uint32
	Since   time.Time
}

// precedenceEntry is the JSON form of a Precedence: an entry of the list "registers".
type precedenceEntry struct {
	otherEntry
	Address string    `json:"address"`
	ID      uint32    `json:"id,omitempty"`
	Since   time.Time `json:"since"`
}

// Check returns what is wrong with p.
func (p Precedence) Check() error {
	switch {
	case !statefile.ValidTime(p.Since):
		return fmt.Errorf("a host in the ring since %s", p.Since.UTC().Format(time.RFC3339))
	case p.Number > maxReturns:
		return fmt.Errorf("a host that has had %d addresses", p.Number)
	case len(p.Address) > route.MaxAddress:
		return fmt.Errorf("an address of %d bytes", len(p.Address))
	}
	return cmp.Or(route.CheckHostName(p.Host), route.CheckAddress(p.Address))
}

// Register returns the register of p. It is an error if there is something wrong with p.
func (p Precedence) Register() (Register, error) {
	if err := p.Check(); err != nil {
		return Register{}, err
	}
	entry, err := statefile.EncodeJSON(precedenceEntry{
		otherEntry: otherEntry{Kind: KindPrecedence, Key: p.Host, Epoch: p.Number, Rank: -p.Since.UnixNano()},
		Address:    p.Address, ID: p.ID, Since: p.Since.UTC().Round(0),
	})
	if err != nil {
		return Register{}, err
	}
	return decodeOther(entry)
}

// decodePrecedence reads an entry of the list "registers" that is about a precedence.
func decodePrecedence(entry []byte) (Precedence, error) {
	var e precedenceEntry
	if err := json.Unmarshal(entry, &e); err != nil {
		return Precedence{}, err
	}
	p := Precedence{Host: e.Key, Number: e.Epoch, Address: e.Address, ID: e.ID, Since: e.Since}
	if err := p.Check(); err != nil {
		return Precedence{}, err
	}
	if e.Rank != -p.Since.UnixNano() {
		return Precedence{}, fmt.Errorf("a precedence with the rank %d", e.Rank)
	}
	return p, nil
}

// Precedence returns what r says, false if it isn't about a precedence.
func (r Register) Precedence() (Precedence, bool) {
	p, ok := r.value.(Precedence)
	return p, ok
}

// Precedence returns the precedence of a host, the zero value if none is known.
func (s *Set) Precedence(host string) Precedence {
	p, _ := s.all[Topic{KindPrecedence, host}].Precedence()
	return p
}

// compareAge orders precedences by what is to be forgotten first.
func (p Precedence) compareAge(q Precedence) int {
	return cmp.Or(p.Since.Compare(q.Since), cmp.Compare(p.Host, q.Host))
}
