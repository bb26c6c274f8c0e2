package claims

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tokenring/balancer"
)

// A model is some balancers that claim one key, with their messages in queues. It makes one
// step after the other, in an order that a seed decides. It has the real tables and answers;
// what Claims and the asker do between these, its actors do.
type model struct {
	random *rand.Rand
	mutant string
	short  bool // nothing lingers, so that hosts are claimed all the time
	nodes  []*node
	queues map[[2]int][]message // by the nodes from which and to which they go
	actors []*actor
	begun  int
	dead   map[string]bool // hosts
	lost   map[[2]int]bool // pairs of nodes that were cut from each other, the smaller one first
	log    []string
}

// A node is a balancer.
type node struct {
	name  string
	table table
	last  string // the host that the key has used last, as far as is known
}

// A message goes from one node to another one: a question, an answer, or the last use.
type message struct {
	actor, round int // of a question or an answer
	question     bool
	answer       *[2]Answer
	used         string
}

var modelKey = balancer.Digest{7}

// The mutants, which the model must catch.
const (
	mutantStubborn  = "one that is beaten does not ask again"
	mutantDeaf      = "a pending claim is answered with free"
	mutantSilent    = "a held claim is answered with free"
	mutantHasty     = "it asks before it notes its claim"
	mutantForgetful = "it releases its claim before its use is known"
	mutantRude      = "nobody goes first: each is told that the other one decides"
)

// runModel runs one schedule. It returns what is wrong, "" if nothing is, and how many claims
// were decided.
func runModel(seed uint64, mutant string, faults bool) (wrong string, claims int) {
	m := &model{
		random: rand.New(rand.NewPCG(seed, 1)), mutant: mutant, short: seed%4 >= 2,
		queues: map[[2]int][]message{}, dead: map[string]bool{}, lost: map[[2]int]bool{},
	}
	for i := range 2 + m.random.IntN(3) {
		m.nodes = append(m.nodes, &node{name: fmt.Sprintf("lb-%d", i)})
	}
	actors := 2 + m.random.IntN(6)
	for range 40 + m.random.IntN(200) {
		m.step(actors, faults)
		if wrong := m.check(); wrong != "" {
			return wrong + "\n" + strings.Join(m.log, "\n"), claims
		}
	}
	for steps := 0; m.busy(); steps++ { // nothing new begins, so all must end
		m.step(0, false)
		if wrong := m.check(); wrong != "" {
			return wrong + "\n" + strings.Join(m.log, "\n"), claims
		}
		if steps > 20_000 {
			return "a claim waits for ever\n" + strings.Join(m.log[:min(len(m.log), 300)], "\n"), claims
		}
	}
	for _, n := range m.nodes {
		if len(n.table.lock(modelKey).claims) != 0 {
			return "a claim is left\n" + strings.Join(m.log, "\n"), claims
		}
	}
	return "", m.begun
}

func (m *model) busy() bool {
	return slices.ContainsFunc(m.actors, func(a *actor) bool { return a.phase != over })
}

func (m *model) note(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// step makes one step: any that is possible.
func (m *model) step(actors int, faults bool) {
	var steps []func()
	live := 0
	for _, a := range m.actors {
		if a.phase != over {
			live++
			steps = append(steps, func() { m.act(a) })
		}
	}
	if live < actors {
		steps = append(steps, m.begin)
	}
	for _, from := range m.nodesInOrder() {
		for _, to := range m.nodesInOrder() {
			if len(m.queues[[2]int{from, to}]) > 0 {
				steps = append(steps, func() { m.deliver(from, to) })
			}
		}
	}
	if faults && m.random.IntN(60) == 0 {
		steps = append(steps, m.kill, m.cut)
	}
	if len(steps) > 0 {
		steps[m.random.IntN(len(steps))]()
	}
}

func (m *model) nodesInOrder() (all []int) {
	for i := range m.nodes {
		all = append(all, i)
	}
	return all
}

// host returns a host that lives: each balancer has another ring all the time.
func (m *model) host() string {
	for {
		if h := string(rune('a' + m.random.IntN(4))); !m.dead[h] {
			return h
		}
	}
}

// kill has a host die. All balancers know it at once, and some hosts stay.
func (m *model) kill() {
	if len(m.dead) < 2 {
		h := m.host()
		m.dead[h] = true
		m.note("%s dies", h)
		for _, a := range m.actors {
			if a.host == h && a.phase != over {
				a.host = "" // what it does there doesn't count any more
			}
		}
	}
}

// cut cuts two balancers from each other, for good. What is under way is lost.
func (m *model) cut() {
	i, j := m.random.IntN(len(m.nodes)), m.random.IntN(len(m.nodes))
	if i >= j || m.lost[[2]int{i, j}] {
		return
	}
	m.lost[[2]int{i, j}] = true
	m.note("%d and %d are cut from each other", i, j)
	delete(m.queues, [2]int{i, j})
	delete(m.queues, [2]int{j, i})
	for _, a := range m.actors {
		other := j
		if a.node == j {
			other = i
		}
		if (a.node == i || a.node == j) && a.left[other] {
			delete(a.left, other)
			a.lost = true
		}
	}
}

func (m *model) connected(i, j int) bool { return !m.lost[[2]int{min(i, j), max(i, j)}] }

func (m *model) begin() {
	a := &actor{id: len(m.actors), node: m.random.IntN(len(m.nodes)), wish: m.host(), phase: claiming}
	m.actors = append(m.actors, a)
	n := m.nodes[a.node]
	m.note("actor %d begins at %d and wants %s", a.id, a.node, a.wish)
	switch {
	case n.last != "" && !m.dead[n.last]:
		a.phase, a.host = staying, n.last
		m.note("actor %d stays on %s", a.id, a.host)
	case m.mutant == mutantHasty:
		m.questions(a)
	}
}

// questions has an actor ask all nodes that it can reach.
func (m *model) questions(a *actor) {
	a.phase, a.round, a.lost, a.answers, a.left = asking, a.round+1, false, nil, map[int]bool{}
	for i := range m.nodes {
		if i != a.node && m.connected(i, a.node) {
			a.left[i] = true
			m.send(a.node, i, message{actor: a.id, round: a.round, question: true})
		}
	}
}

func (m *model) send(from, to int, one message) {
	if m.connected(from, to) {
		m.queues[[2]int{from, to}] = append(m.queues[[2]int{from, to}], one)
	}
}

func (m *model) deliver(from, to int) {
	at := [2]int{from, to}
	one := m.queues[at][0]
	m.queues[at] = m.queues[at][1:]
	switch {
	case one.used != "":
		m.nodes[to].last = one.used
	case one.question:
		answer := m.answer(from, to)
		m.note("%d answers actor %d at %d in round %d: %v", to, one.actor, from, one.round, answer)
		m.send(to, from, message{actor: one.actor, round: one.round, answer: &answer})
	default:
		a := m.actors[one.actor]
		if a.phase == asking && a.round == one.round && a.left[from] {
			delete(a.left, from)
			for _, answer := range one.answer {
				a.answers = append(a.answers, told{answer, m.nodes[from].name})
			}
		}
	}
}

// answer is what Claims.Answer does for one key.
func (m *model) answer(from, to int) (all [2]Answer) {
	n := m.nodes[to]
	claimed := n.table.lock(modelKey)
	c := claimed.claims[modelKey]
	claimed.mu.Unlock()
	first := m.nodes[from].name < n.name
	switch {
	case c != nil && c.state == held && m.mutant == mutantSilent, c != nil && c.state == pending && m.mutant == mutantDeaf:
	case m.mutant == mutantRude:
		all[0] = n.table.answer(modelKey, false)
	default:
		all[0] = n.table.answer(modelKey, first)
	}
	if n.last != "" {
		all[1] = Answer{Lingers, n.last}
	}
	return all
}

func (m *model) binds(w Where) bool { return !m.dead[w.Host] }

// check returns what is wrong now. While no two balancers were cut from each other, no two
// actors use the key on two hosts that live. Otherwise this holds for the balancers that
// weren't, as far as they have chosen the hosts themselves.
func (m *model) check() string {
	for i, a := range m.actors {
		for _, b := range m.actors[i+1:] {
			if !m.uses(a) || !m.uses(b) || a.host == b.host {
				continue
			}
			if len(m.lost) == 0 || m.connected(a.node, b.node) && m.own(a) && m.own(b) {
				return fmt.Sprintf("actor %d uses %s at %d, and actor %d uses %s at %d", a.id, a.host, a.node, b.id, b.host, b.node)
			}
		}
	}
	return ""
}

func (m *model) uses(a *actor) bool {
	return a.host != "" && !m.dead[a.host] && (a.phase == using || a.phase == staying)
}

func (m *model) own(a *actor) bool {
	return a.phase == using && a.hold.claim.where.Kind == Free
}

// TestNoKeyIsOnTwoHosts over many schedules of messages, lost connections and hosts that die.
func TestNoKeyIsOnTwoHosts(t *testing.T) {
	t.Parallel()
	total, schedules := 0, schedules
	if racing {
		schedules /= 10 // one goroutine computes
	}
	for seed := range uint64(schedules) {
		wrong, claims := runModel(seed, "", seed%2 == 1)
		if wrong != "" {
			t.Fatalf("seed %d: %s", seed, wrong)
		}
		total += claims
	}
	if total < schedules {
		t.Errorf("%d claims in %d schedules: the model claims too little", total, schedules)
	}
}

// schedules is how many the tests run. A million have found nothing, either.
const schedules = 3_000

// TestTheModelCatchesMutants, each within the schedules of the test.
func TestTheModelCatchesMutants(t *testing.T) {
	for _, mutant := range []string{mutantStubborn, mutantDeaf, mutantSilent, mutantHasty, mutantForgetful, mutantRude} {
		t.Run(mutant, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(schedules) {
				if wrong, _ := runModel(seed, mutant, false); wrong != "" {
					t.Logf("seed %d: %s", seed, strings.SplitN(wrong, "\n", 2)[0])
					return
				}
			}
			t.Error("it isn't caught")
		})
	}
}
