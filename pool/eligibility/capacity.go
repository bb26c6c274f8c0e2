package eligibility

import (
	"cmp"
	"slices"

	"tokenring/balancer"
)

// A Demand is a host that asks for a place in the ring.
type Demand struct {
	Host     balancer.Host // with its own weight
	Listed   bool          // in the config file or in pool.hosts_file
	Operator bool          // listed by operators
	Set      SetWeight
}

// A SetWeight is the weight that operators have set for a host. The zero value is that they
// have set none.
type SetWeight struct {
	Is     bool
	Weight int
	Order  int // the older of two weights has the lesser
}

// A Capacity says which hosts a table can hold, and with which weights of operators.
type Capacity struct {
	Weights map[string]int // the weights of operators that are in force, by host
	Excess  []string       // hosts whose weights of operators are not in force
	Out     []string       // hosts that have no place; sorted
}

// Excludes reports whether a host has no place.
func (r Capacity) Excludes(host string) bool {
	_, out := slices.BinarySearch(r.Out, host)
	return out
}

// Allocate gives the demands places in the ring. The demands must be sorted by name. If no
// table can hold all demands, there is an order. The hosts that are listed and the hosts whose
// weights operators have set come first. Then come these weights, the oldest override
// first. Then come the other hosts, the lightest first. The result depends only on the
// demands. So all balancers have the same result, though hosts come in another order.
func Allocate(all []Demand, hash balancer.Config) Capacity {
	r := Capacity{Weights: map[string]int{}}
	whole := make([]balancer.Host, len(all))
	for i, c := range all {
		whole[i] = c.Host
		if c.Set.Is {
			whole[i].Weight = c.Set.Weight
			r.Weights[c.Host.Name] = c.Set.Weight
		}
	}
	if hash.Check(whole) == nil {
		return r
	}
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b Demand) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.least(), b.least()))
	})
	firm, _ := slices.BinarySearchFunc(order, 2, func(c Demand, rank int) int { return cmp.Compare(c.rank(), rank) })
	t := trial{hash: hash}
	r.place(&t, order[:firm])
	r.raise(&t, order[:firm])
	r.place(&t, order[firm:])
	slices.Sort(r.Excess)
	slices.Sort(r.Out)
	return r
}

// rank returns the rank of c: 0 for a host of the config file or of pool.hosts_file, 1 for a
// host that operators have added or whose weight they have set, 2 for other hosts. Lower ranks come first.
func (c Demand) rank() int {
	switch {
	case c.Listed:
		return 0
	case c.Operator, c.Set.Is:
		return 1
	}
	return 2
}

// least returns the least weight of c: its own weight, or the operators' if that is less.
func (c Demand) least() int {
	if c.Set.Is {
		return min(c.Set.Weight, c.Host.Weight)
	}
	return c.Host.Weight
}

// place gives demands places with their least weights, as long as the table can hold
// them.
func (r *Capacity) place(t *trial, all []Demand) {
	least := make([]balancer.Host, len(all))
	for i, c := range all {
		least[i] = c.Host
		least[i].Weight = c.least()
	}
	for _, i := range inBatches(len(all), len(all), func(from, to int) bool { return t.adds(least[from:to]) }) {
		r.Out = append(r.Out, least[i].Name)
	}
}

// raise gives demands with places the greater weights that operators have set, as long
// as the table can hold them.
func (r *Capacity) raise(t *trial, all []Demand) {
	at := make(map[string]int, len(t.hosts))
	for i, h := range t.hosts {
		at[h.Name] = i
	}
	raised := slices.DeleteFunc(slices.Clone(all), func(c Demand) bool {
		_, placed := at[c.Host.Name]
		return !c.Set.Is || c.Set.Weight <= c.Host.Weight || !placed
	})
	slices.SortStableFunc(raised, func(a, b Demand) int { return cmp.Compare(a.Set.Order, b.Set.Order) })
	largest := len(raised)
	if !t.hash.LessFits() {
		largest = 1
	}
	for _, i := range inBatches(len(raised), largest, func(from, to int) bool { return t.raises(raised[from:to], at) }) {
		r.Excess = append(r.Excess, raised[i].Host.Name)
		delete(r.Weights, raised[i].Host.Name)
	}
}

// inBatches takes n demands one after the other, and returns the indices of those that don't
// fit beside what was taken before. fits takes a range of them, all or none. Where a range
// fits, each of its demands would fit in its turn. So a range is tried at once, of largest
// demands at most: twice as many after one that fits, half as many after one that doesn't.
func inBatches(n, largest int, fits func(from, to int) bool) (all []int) {
	for from, size := 0, 1; from < n; {
		size = min(size, largest, n-from)
		switch {
		case fits(from, from+size):
			from += size
			size *= 2
		case size > 1:
			size /= 2
		default:
			all = append(all, from)
			from++
		}
	}
	return all
}

// A trial is a set of hosts that one table can hold.
type trial struct {
	hash  balancer.Config
	hosts []balancer.Host
}

// adds adds new hosts to the set. It returns false and changes nothing if no table can hold
// the new set.
func (t *trial) adds(hosts []balancer.Host) bool {
	larger := append(t.hosts, hosts...)
	if t.hash.Check(larger) != nil {
		return false
	}
	t.hosts = larger
	return true
}

// raises gives hosts of the set the weights that operators have set. at has the indices of
// the hosts by name. It returns false and changes nothing if no table can hold the new set.
func (t *trial) raises(raised []Demand, at map[string]int) bool {
	for _, c := range raised {
		t.hosts[at[c.Host.Name]].Weight = c.Set.Weight
	}
	if t.hash.Check(t.hosts) == nil {
		return true
	}
	for _, c := range raised {
		t.hosts[at[c.Host.Name]].Weight = c.least()
	}
	return false
}
