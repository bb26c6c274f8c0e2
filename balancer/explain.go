package balancer

// A Role is what a host is to a key.
type Role string

// The roles.
const (
	RoleOwner    Role = "owner"    // the key's slot is its
	RoleHeir     Role = "heir"     // the key is its once the owner has left
	RoleFallback Role = "fallback" // it comes after those
)

// An Explanation says where a key goes and why. Hosts are indices in Table.Hosts.
// It holds nothing from which the key could be told but its slot.
type Explanation struct {
	Policy string
	Slot   int     // -1 if the table has no hosts
	Slots  int     // of the table
	Share  float64 // of the key space that lies in the slot
	Point  *uint32 // on a ring of 2^32, the host's point to which the key belongs; else nil
	Owner  int     // of the slot; -1 if the table has no hosts
	Host   int     // that serves the key; -1 if none can
	Rule   Rule
	// Candidates are all hosts of the table, in the order in which Pick tries them.
	Candidates []Candidate
}

// A Candidate is a host as one key sees it.
type Candidate struct {
	Host   int
	Role   Role
	Chosen bool
	// WhyNot is why the host can't serve. If it is empty and the host isn't Chosen, it
	// isn't asked, since one before it serves.
	WhyNot string
}

// Explain says where key goes and why, as Pick would decide. whyNot says why a
// host can't serve at the moment, "" if it can; it is asked once for each host.
func (t *Table) Explain(key []byte, whyNot func(Host) string) Explanation {
	e := Explanation{Policy: t.policy, Slot: t.Slot(key), Slots: t.Slots(), Owner: t.Owner(key), Host: -1, Rule: RuleNone}
	if e.Slot < 0 {
		return e
	}
	e.Share = float64(t.layout.size(e.Slot)) / float64(t.layout.total())
	if ring, ok := t.layout.router.(*circle); ok {
		point := ring.points[e.Slot]
		e.Point = &point
	}
	roles := []Role{RoleOwner, RoleHeir}
	for i, host := range t.Candidates(key) {
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
