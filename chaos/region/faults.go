package region

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tokenring/chaos/network"
	"tokenring/chaos/oracle"
	"tokenring/chaos/record"
)

// A Log is which faults there were. It is safe for concurrent use.
type Log struct {
	Out func(at time.Duration, text string) // called for each beginning and end; not nil

	mu     sync.Mutex
	faults []*oracle.Fault
}

// Begin notes that a fault begins. The caller calls end when it is over.
func (l *Log) Begin(f oracle.Fault) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.From == 0 {
		f.From = record.Now()
	}
	f.To = record.Open
	l.faults = append(l.faults, &f)
	l.Out(f.From, f.String())
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		f.To = record.Now()
		l.Out(f.To, "over: "+f.String())
	}
}

// Faults returns all faults so far.
func (l *Log) Faults() (all []oracle.Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		all = append(all, *f)
	}
	return all
}

// A target is what a fault is about to concern. Its hosts and balancers have no other fault.
type target struct {
	host     *Host
	balancer *Balancer // the one that breaks, or that an operator asks
	rng      *rand.Rand
}

// hold is how long a fault lasts: long enough that it is noticed, or too short for that.
func (t target) hold() time.Duration {
	return 2*time.Second + time.Duration(t.rng.Int64N(int64(7*time.Second)))
}

// A fault breaks something, and mends it again before it returns. It notes in the log from when to when.
type fault struct {
	kind     oracle.Kind
	host     bool // it needs a host of its own
	balancer bool // it needs a balancer of its own
	network  bool // it needs the whole network of balancers: no balancer has another fault
	inject   func(r *Region, l *Log, t target) error
}

// faults are all that can happen. oracle.Join and oracle.Deadline are parts of others.
var faults = []fault{
	{kind: oracle.Leave, host: true, inject: leave},
	{kind: oracle.Drain, host: true, inject: drain},
	{kind: oracle.Weight, host: true, inject: weigh},
	{kind: oracle.Crash, host: true, inject: crash},
	{kind: oracle.Power, host: true, inject: power},
	{kind: oracle.Freeze, host: true, inject: freeze},
	{kind: oracle.Agent, host: true, inject: loseAgent},
	{kind: oracle.Address, host: true, inject: changeAddress},
	{kind: oracle.CutOne, host: true, balancer: true, inject: cutOne},
	{kind: oracle.OneWay, host: true, balancer: true, inject: cutOneWay},
	{kind: oracle.CutMost, host: true, balancer: true, inject: cutMost},
	{kind: oracle.BalancerCrash, balancer: true, inject: crashBalancer},
	{kind: oracle.BalancerStop, balancer: true, inject: stopBalancer},
	{kind: oracle.BalancerRestart, balancer: true, inject: restartBalancer},
	{kind: oracle.Reload, balancer: true, inject: reload},
	{kind: oracle.Upgrade, balancer: true, inject: upgrade},
	{kind: oracle.Partition, balancer: true, network: true, inject: partition},
	{kind: oracle.Delay, inject: delay},
	{kind: oracle.Loss, inject: lose},
}

func (t target) of(kind oracle.Kind) oracle.Fault {
	f := oracle.Fault{Kind: kind}
	if t.host != nil {
		f.Hosts = []string{t.host.Name}
	}
	if t.balancer != nil {
		f.Balancers = []string{t.balancer.Name}
	}
	return f
}

// ofHost is of without the balancer: that is only the one that an operator has asked.
func (t target) ofHost(kind oracle.Kind) oracle.Fault {
	return oracle.Fault{Kind: kind, Hosts: []string{t.host.Name}}
}

func leave(r *Region, l *Log, t target) error {
	end := l.Begin(t.ofHost(oracle.Leave))
	t.host.leave(3 * time.Second)
	r.pause(t.hold())
	return rejoin(r, l, t, end)
}

// rejoin starts a host, which is a join. end notes the end of what was before.
func rejoin(r *Region, l *Log, t target, end func()) error {
	err := t.host.start()
	end()
	joined := l.Begin(t.ofHost(oracle.Join))
	r.pause(4 * time.Second)
	joined()
	return err
}

func drain(r *Region, l *Log, t target) error {
	deadline := time.Second + time.Duration(t.rng.IntN(4))*time.Second
	end := l.Begin(t.ofHost(oracle.Drain))
	defer end()
	if err := r.operate("drain", t.host.Name, "--deadline", deadline.String(), "--rate", "50", "--yes"); err != nil {
		return err
	}
	r.pause(deadline - 200*time.Millisecond) // clocks and the command's start aside
	late := l.Begin(t.ofHost(oracle.Deadline))
	defer late()
	r.pause(t.hold())
	return r.operate("ready", t.host.Name, "--yes")
}

func weigh(r *Region, l *Log, t target) error {
	f := t.ofHost(oracle.Weight)
	weight := fmt.Sprint(1 + t.rng.IntN(4))
	f.Detail = weight
	defer l.Begin(f)()
	if err := r.operate("weight", t.host.Name, weight, "--yes"); err != nil {
		return err
	}
	r.pause(t.hold())
	return r.operate("weight", t.host.Name, "own", "--yes")
}

func crash(r *Region, l *Log, t target) error {
	end := l.Begin(t.ofHost(oracle.Crash))
	t.host.kill()
	r.pause(t.hold())
	return rejoin(r, l, t, end)
}

func power(r *Region, l *Log, t target) error {
	end := l.Begin(t.ofHost(oracle.Power))
	var others []*network.Node
	for _, i := range r.everywhere(0, 0).paths {
		if i[0] == t.host.node {
			others = append(others, i[1])
		}
	}
	undo := r.links.add(cut([]*network.Node{t.host.node}, others, false))
	t.host.kill() // nobody hears of it
	r.pause(t.hold())
	undo()
	return rejoin(r, l, t, end)
}

func freeze(r *Region, l *Log, t target) error {
	defer l.Begin(t.ofHost(oracle.Freeze))()
	t.host.freeze()
	r.pause(t.hold())
	t.host.thaw()
	return nil
}

func loseAgent(r *Region, l *Log, t target) error {
	defer l.Begin(t.ofHost(oracle.Agent))()
	t.host.agent.kill()
	r.pause(t.hold())
	return t.host.startAgent()
}

func changeAddress(r *Region, l *Log, t target) error {
	defer l.Begin(t.ofHost(oracle.Address))()
	err := t.host.move()
	r.pause(3 * time.Second)
	return err
}

func cutOne(r *Region, l *Log, t target) error {
	return r.cutOff(l, t.of(oracle.CutOne), t, cut([]*network.Node{t.host.node}, []*network.Node{t.balancer.node}, false))
}

func cutOneWay(r *Region, l *Log, t target) error {
	from, to, f := t.host.node, t.balancer.node, t.of(oracle.OneWay)
	f.Detail = "to the balancer"
	if t.rng.IntN(2) == 0 {
		from, to, f.Detail = to, from, "to the host"
	}
	return r.cutOff(l, f, t, cut([]*network.Node{from}, []*network.Node{to}, true))
}

// cutMost cuts a host off from all balancers but one, or from all.
func cutMost(r *Region, l *Log, t target) error {
	from, f := r.balancerNodes(t.balancer), t.ofHost(oracle.CutMost)
	f.Detail = "from all but " + t.balancer.Name
	if t.rng.IntN(3) == 0 {
		from, f.Detail = r.balancerNodes(), "from all"
	}
	return r.cutOff(l, f, t, cut([]*network.Node{t.host.node}, from, false))
}

// partition cuts a balancer off from the others, or from one, or one way.
func partition(r *Region, l *Log, t target) error {
	others, f := r.balancerNodes(t.balancer), t.of(oracle.Partition)
	f.Detail = "from all others"
	if t.rng.IntN(2) == 0 {
		others, f.Detail = others[:1], "from "+others[0].Name
	}
	oneWay := t.rng.IntN(3) == 0
	if oneWay {
		f.Detail += ", which hear nothing from it"
	}
	return r.cutOff(l, f, t, cut([]*network.Node{t.balancer.node}, others, oneWay))
}

func (r *Region) cutOff(l *Log, f oracle.Fault, t target, i *impairment) error {
	defer l.Begin(f)()
	undo := r.links.add(i)
	r.pause(t.hold())
	undo()
	return nil
}

func crashBalancer(r *Region, l *Log, t target) error {
	defer l.Begin(t.of(oracle.BalancerCrash))()
	t.balancer.run.kill()
	r.pause(t.hold())
	return r.comeBack(t.balancer)
}

func stopBalancer(r *Region, l *Log, t target) error {
	defer l.Begin(t.of(oracle.BalancerStop))()
	t.balancer.run.stop()
	r.pause(t.hold())
	return r.comeBack(t.balancer)
}

func restartBalancer(r *Region, l *Log, t target) error {
	defer l.Begin(t.of(oracle.BalancerRestart))()
	t.balancer.run.stop()
	return r.comeBack(t.balancer)
}

// comeBack starts a balancer again, and waits until it serves.
func (r *Region) comeBack(b *Balancer) error {
	if err := b.start(); err != nil {
		return err
	}
	return r.until(60*time.Second, func() error { return b.ready(r.ctx) })
}

func reload(r *Region, l *Log, t target) error {
	defer l.Begin(t.of(oracle.Reload))()
	return t.balancer.ctl(r.ctx, "reload", "--yes")
}

func upgrade(r *Region, l *Log, t target) error {
	defer l.Begin(t.of(oracle.Upgrade))()
	return t.balancer.ctl(r.ctx, "upgrade", "--yes")
}

func delay(r *Region, l *Log, t target) error {
	d := time.Duration(10+t.rng.IntN(70)) * time.Millisecond
	return r.cutOff(l, oracle.Fault{Kind: oracle.Delay, Detail: d.String()}, t, r.everywhere(0, d))
}

func lose(r *Region, l *Log, t target) error {
	share := 0.005 + 0.02*t.rng.Float64()
	return r.cutOff(l, oracle.Fault{Kind: oracle.Loss, Detail: fmt.Sprintf("%.1f %%", 100*share)}, t, r.everywhere(share, 0))
}
