package pool

import (
	"fmt"
	"time"

	"tokenring/route"
)

// A simKind is what happens in a schedule.
type simKind struct {
	name   string
	pause  time.Duration          // between two, at most
	faults []func(*simWorld) bool // each begins one, and reports false if that isn't possible now
}

// simKinds are the kinds of schedules, by what is promised in them.
var simKinds = []simKind{
	{"voluntary changes", 2 * time.Second, []func(*simWorld) bool{(*simWorld).slowWay, (*simWorld).loseAgent}},
	{"hosts die", 4 * time.Second, []func(*simWorld) bool{(*simWorld).killHost, (*simWorld).killHost, (*simWorld).slowWay, (*simWorld).loseAgent}},
	{"balancers are missing", 4 * time.Second, []func(*simWorld) bool{(*simWorld).partBalancers, (*simWorld).partBalancers, (*simWorld).crashBalancer, (*simWorld).slowWay}},
	{"everything", 5 * time.Second, []func(*simWorld) bool{
		(*simWorld).killHost, (*simWorld).freezeHost, (*simWorld).cutHost, (*simWorld).cutHost, (*simWorld).loseAgent,
		(*simWorld).partBalancers, (*simWorld).crashBalancer, (*simWorld).slowWay,
	}},
}

// voluntary are what operators do, and the agents of hosts.
var voluntary = []func(*simWorld) bool{
	(*simWorld).join, (*simWorld).join, (*simWorld).leave, (*simWorld).drain, (*simWorld).drain, (*simWorld).undrain, (*simWorld).undrain, (*simWorld).weigh, (*simWorld).maint,
	(*simWorld).reloadBalancer, (*simWorld).reloadBalancer,
}

// happen has things happen at random for a time.
func (w *simWorld) happen(kind simKind, lasts time.Duration) {
	for until := time.Now().Add(lasts); time.Now().Before(until); {
		w.pass(w.between(100*time.Millisecond, kind.pause))
		from := kind.faults
		if w.rng.IntN(2) == 0 {
			from = voluntary
		}
		from[w.rng.IntN(len(from))](w)
	}
}

// serving returns the hosts that run and aren't leaving.
func (w *simWorld) serving() (all []*simHost) {
	for _, h := range w.hosts {
		if _, answers := h.alive(); answers && !h.leaving {
			all = append(all, h)
		}
	}
	return all
}

// victim returns a host that runs, if another one is left.
func (w *simWorld) victim() *simHost {
	all := w.serving()
	if len(all) < 2 {
		return nil
	}
	return all[w.rng.IntN(len(all))]
}

func (w *simWorld) join() bool {
	for _, h := range w.hosts {
		if _, answers := h.alive(); !answers && h.leaving || h.version == 0 {
			w.note("", "%s joins", h.name)
			h.start()
			return true
		}
	}
	return false
}

func (w *simWorld) leave() bool {
	h := w.victim()
	if h == nil || len(w.serving()) < 3 {
		return false
	}
	w.note("", "%s leaves", h.name)
	h.leaving = true
	h.version++
	w.after(w.between(2*time.Second, 10*time.Second), func() {
		if h.leaving {
			w.oracle.fault(simFault{what: h.name + " has left", host: h.name})
			h.stop(false)
			h.agent = false
		}
	})
	return true
}

func (w *simWorld) drain() bool {
	o := route.Override{State: route.Drain}
	if w.rng.IntN(2) == 0 {
		o.Drain.Deadline = time.Now().Add(w.balancers[0].offset()).Add(w.between(time.Second, 20*time.Second))
	}
	return w.set(o)
}

func (w *simWorld) undrain() bool { return w.set(route.Override{State: route.Ready}) }
func (w *simWorld) maint() bool   { return w.set(route.Override{State: route.Maint}) }
func (w *simWorld) weigh() bool {
	return w.set(route.Override{Weight: new(1 + w.rng.IntN(4))})
}

// set has an operator set something of a host.
func (w *simWorld) set(o route.Override) bool {
	h := w.hosts[w.rng.IntN(len(w.hosts))]
	o.Host, o.By = h.name, "ops"
	w.override(o)
	return true
}

// offset returns how wrong the clock of a balancer is.
func (b *simBalancer) offset() time.Duration {
	if p := b.process.Load(); p != nil {
		return p.offset
	}
	return 0
}

// killHost ends a host's service, or cuts its power; it is back some seconds later.
func (w *simWorld) killHost() bool {
	h := w.victim()
	if h == nil {
		return false
	}
	off := w.rng.IntN(2) == 0
	mended := w.oracle.fault(simFault{what: fmt.Sprintf("%s dies, off=%v", h.name, off), host: h.name})
	h.stop(off)
	w.after(w.between(time.Second, 25*time.Second), func() {
		h.start()
		mended()
	})
	return true
}

func (w *simWorld) freezeHost() bool {
	h := w.victim()
	if h == nil {
		return false
	}
	mended := w.oracle.fault(simFault{what: h.name + " stands still", host: h.name})
	h.freeze(true)
	w.after(w.between(time.Second, 20*time.Second), func() {
		h.freeze(false)
		mended()
	})
	return true
}

// loseAgent ends the agent of a host, which goes on serving.
func (w *simWorld) loseAgent() bool {
	h := w.victim()
	if h == nil || !h.agent {
		return false
	}
	w.note("", "%s loses its agent", h.name)
	h.agent = false
	w.after(w.between(2*time.Second, 20*time.Second), func() {
		if !h.leaving {
			w.note("", "%s has its agent again", h.name)
			h.agent = true
			h.version++
		}
	})
	return true
}

// cutHost cuts a host off from some balancers, in one direction or in both.
func (w *simWorld) cutHost() bool {
	h := w.victim()
	if h == nil {
		return false
	}
	for i, j := range w.rng.Perm(len(w.balancers))[:1+w.rng.IntN(len(w.balancers))] {
		if i == 0 || w.rng.IntN(2) == 0 {
			w.cut(w.balancers[j].name, h.name, simFault{host: h.name, by: w.balancers[j].name}, w.between(time.Second, 20*time.Second))
		}
	}
	return true
}

// partBalancers cuts two balancers from each other, in one direction or in both.
func (w *simWorld) partBalancers() bool {
	i := w.rng.Perm(len(w.balancers))
	a, b := w.balancers[i[0]].name, w.balancers[i[1]].name
	w.cut(a, b, simFault{ways: [2]string{a, b}}, w.between(time.Second, 30*time.Second))
	return true
}

// cut cuts the ways between two machines for a time.
func (w *simWorld) cut(a, b string, f simFault, lasts time.Duration) {
	ways := [][]way{{{a, b}}, {{b, a}}, {{a, b}, {b, a}}}[w.rng.IntN(3)]
	f.what = fmt.Sprint("cut ", ways)
	mended := w.oracle.fault(f)
	for _, one := range ways {
		w.net.setCut(one, true)
	}
	w.after(lasts, func() {
		for _, one := range ways {
			w.net.setCut(one, false)
		}
		mended()
	})
}

// slowWay slows a way down, by seconds at most. A way by which answers don't come within a
// second is as bad as a cut.
func (w *simWorld) slowWay() bool {
	all := w.machines()
	one := way{all[w.rng.IntN(len(all))], all[w.rng.IntN(len(all))]}
	slow := w.between(10*time.Millisecond, 2*time.Second)
	text := fmt.Sprintf("%v is slow, by up to %v", one, slow)
	mended := func() { w.note("", "mended: %s", text) }
	if f := (simFault{what: text, host: w.hostOf(one), by: w.balancerAt(one), ways: [2]string{one.from, one.to}}); slow > 300*time.Millisecond {
		mended = w.oracle.fault(f)
	} else {
		w.note("", "%s", text)
	}
	w.net.setSlow(one, slow)
	w.after(w.between(time.Second, 10*time.Second), func() {
		w.net.setSlow(one, 0)
		mended()
	})
	return true
}

// balancerAt returns the balancer at an end of a way, "" if it is one between hosts.
func (w *simWorld) balancerAt(one way) string {
	for _, name := range []string{one.from, one.to} {
		if w.balancerOf(name) != nil {
			return name
		}
	}
	return ""
}

// hostOf returns the host at an end of a way, "" if it is one between balancers.
func (w *simWorld) hostOf(one way) string {
	for _, name := range []string{one.from, one.to} {
		if w.host(name) != nil {
			return name
		}
	}
	return ""
}

// crashBalancer ends the process of a balancer; it starts again some seconds later, maybe with
// another clock.
func (w *simWorld) crashBalancer() bool {
	running := 0
	for _, b := range w.balancers {
		if b.process.Load() != nil {
			running++
		}
	}
	b := w.balancer()
	if running < 2 || b.process.Load() == nil {
		return false
	}
	w.oracle.fault(simFault{what: b.name + " is off", balancer: b.name})
	b.crash()
	w.after(w.between(time.Second, 15*time.Second), func() { b.start(w.skew()) })
	return true
}

// calm has all hosts serve, and operators take back what they have set. Faults end by
// themselves.
func (w *simWorld) calm() {
	w.calmed = time.Now()
	for _, h := range w.hosts {
		if h.leaving {
			w.note("", "%s comes back", h.name)
			h.start()
			w.oracle.hostIsBack(h.name)
		}
	}
	for _, h := range w.hosts {
		w.override(route.Override{Host: h.name, State: route.Ready, Weight: new(route.OwnWeight), By: "ops"})
	}
}
