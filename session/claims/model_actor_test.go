package claims

// An actor is an exchange with the key.
type actor struct {
	id, node int
	hold     Hold
	wish     string // the host that it has chosen
	phase    phase
	host     string // while it uses one
	round    int
	left     map[int]bool // nodes whose answers are missing
	lost     bool         // a node was lost in this round
	answers  []told
	disputes int // rounds; they end when the peers have truly two hosts, after a cut
}

type phase string

const (
	claiming phase = "claiming" // it enters next
	asking   phase = "asking"
	decided  phase = "decided" // it sends next
	using    phase = "using"
	staying  phase = "staying" // it uses the host without a claim
	leaving  phase = "leaving" // it has released its claim, and says too late what it has used
	over     phase = "over"
)

// act has an actor make its next step, if it waits for nothing.
func (m *model) act(a *actor) {
	n := m.nodes[a.node]
	switch a.phase {
	case claiming:
		m.enter(a)
	case asking:
		if len(a.left) == 0 {
			m.conclude(a)
		}
	case decided:
		if host := a.host; n.table.send(&a.hold, host) && !m.dead[host] {
			a.phase = using
			m.note("actor %d uses %s", a.id, host)
		} else {
			a.host, a.phase = "", claiming
		}
	case using:
		if m.random.IntN(3) == 0 {
			m.finish(a)
		} else if m.random.IntN(4) == 0 && m.mutant == "" {
			m.move(a)
		}
	case staying, leaving:
		m.used(a)
		a.phase = over
	}
}

func (m *model) enter(a *actor) {
	n := m.nodes[a.node]
	if m.dead[a.wish] {
		a.wish = m.host()
	}
	w, next, _ := n.table.enter(&a.hold, modelKey, a.wish, false)
	switch {
	case next == ask:
		m.note("actor %d at %d claims %s", a.id, a.node, a.wish)
		m.questions(a)
	case next == wait:
	case w.Host == a.wish || m.binds(w):
		a.host, a.phase = w.Host, decided
		m.note("actor %d at %d gets %s", a.id, a.node, a.host)
	default:
		n.table.reopen(&a.hold, w.Host, true)
	}
}

// conclude is one round of Claims.decide.
func (m *model) conclude(a *actor) {
	n := m.nodes[a.node]
	if m.mutant == mutantHasty && !a.hold.Held() {
		if _, next, _ := n.table.enter(&a.hold, modelKey, a.wish, false); next != ask {
			a.phase = claiming
			return
		}
	}
	w, doubt := best(a.answers, m.binds)
	a.disputes++
	if doubt == disagreed && (a.disputes > 20) {
		doubt = certain
	}
	if m.mutant == mutantStubborn {
		n.table.again(&a.hold)
	}
	if doubt != certain || a.lost || !n.table.conclude(&a.hold, w) {
		n.table.again(&a.hold)
		m.questions(a)
		return
	}
	m.begun++
	a.phase = claiming
}

// move has an actor find that it can't use its host.
func (m *model) move(a *actor) {
	n := m.nodes[a.node]
	if a.host == "" {
		return
	}
	if n.table.reopen(&a.hold, a.host, false) {
		m.note("actor %d gives %s up", a.id, a.host)
		a.host, a.phase, a.wish = "", claiming, m.host()
	}
}

func (m *model) finish(a *actor) {
	n := m.nodes[a.node]
	m.note("actor %d ends", a.id)
	if m.short || m.random.IntN(2) == 0 { // its host has refused it
		a.host = ""
	}
	if m.mutant != mutantForgetful {
		m.used(a)
		a.phase = over
	} else if a.phase = leaving; a.host == "" {
		a.phase = over
	}
	n.table.release(&a.hold)
}

// used has the key's last use known here, and then told to the others.
func (m *model) used(a *actor) {
	if a.host == "" {
		return
	}
	m.nodes[a.node].last = a.host
	for i := range m.nodes {
		if i != a.node {
			m.send(a.node, i, message{used: a.host})
		}
	}
}
