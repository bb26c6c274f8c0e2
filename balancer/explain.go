package balancer

// A Role is what a host is to a key.
type Role string

// The roles.
const (
	RoleOwner     Role = "owner"     // it owns the key's slot
	RoleSuccessor Role = "successor" // it gets the key when the owner can't serve, and owns it when the owner has left
	RoleFallback  Role = "fallback"  // it comes after owner and successor
)

// An Explanation says where a key goes and why. Hosts are indices in Table.Hosts.
// It reveals only the slot of the key.
type Explanation struct {
	Policy string
	Slot   int     // -1 if the table has no hosts
	Slots  int     // of the table
	Share  float64 // the slot's part of the key space, 0..1
	Point  *uint32 // the point to which the key belongs, on a ring of 2^32; nil with other policies
	Owner  int     // of the slot; -1 if the table has no hosts
	Host   int     // the host that serves the key; -1 if none can
	Rule   Rule
	// Candidates are all hosts of the table, in the order in which Pick tries them.
	Candidates []Candidate
}

// A Candidate is a host in the order of one key.
type Candidate struct {
	Host   int
	Role   Role
	Chosen bool
	// WhyNot says why the host can't serve. If it is empty and the host isn't Chosen,
	// an earlier candidate serves.
	WhyNot string
}

// Explain returns where key goes and why; its choice is that of Pick. whyNot returns
// why a host can't serve at the moment, or "" if it can. It is called once for each
// host.
func (t *Table) Explain(key []byte, whyNot func(Host) string) Explanation {
	return t.ExplainHash(t.Hash(key), whyNot)
}

// ExplainHash is Explain for a key of which only the Hash is known.
func (t *Table) ExplainHash(hash uint64, whyNot func(Host) string) Explanation {
	e := Explanation{Policy: t.policy, Slot: -1, Slots: t.Slots(), Owner: -1, Host: -1, Rule: RuleNone}
	if e.Slots == 0 {
		return e
	}
	e.Slot = t.layout.router.locate(hash)
	e.Owner = t.SlotOwner(e.Slot)
	e.Share = float64(t.layout.size(e.Slot)) / float64(t.layout.total())
	if ring, ok := t.layout.router.(*hashRing); ok {
		point := ring.points[e.Slot]
		e.Point = &point
	}
	roles := []Role{RoleOwner, RoleSuccessor}
	for i, host := range t.candidates(hash) {
		c := Candidate{Host: host, Role: RoleFallback, WhyNot: whyNot(t.hosts[host])}
		if i < len(roles) {
			c.Role = roles[i]
		}
		if c.WhyNot == "" && e.Host < 0 {
			c.Chosen, e.Host, e.Rule = true, host, RuleFallback
			if i == 0 {
				e.Rule = RuleOwner
			}
		}
		e.Candidates = append(e.Candidates, c)
	}
	return e
}
