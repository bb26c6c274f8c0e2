package balancer

// Moved returns Movement.Moved of Compare without the rest, and so a hundred times as fast:
// the share of the keys, 0..1, that has another host when the table before is replaced by
// the table after. With 1,000 hosts it takes less than 10 ms.
func Moved(before, after *Table) float64 {
	a, b := &before.layout, &after.layout
	alike := sameHosts(before.hosts, after.hosts)
	switch {
	case len(a.owners) == 0 || len(b.owners) == 0:
		if len(a.owners) == len(b.owners) {
			return 0
		}
		return 1
	case a.space != b.space || (a.ends == nil) != (b.ends == nil):
		return 1 - independentStay(before.Shares(), after.Shares(), alike)
	case a.ends != nil:
		return share(overlapMoved(a, b, alike), 1<<32)
	case len(a.owners) == len(b.owners):
		return share(slotsMoved(a.owners, b.owners, alike), uint64(len(a.owners)))
	}
	return residuesMoved(a.owners, b.owners, alike)
}

func share(part, total uint64) float64 { return float64(part) / float64(total) }

// sameHosts returns by the index of each host of before its index in after, -1 if it isn't
// there. Both are sorted by name.
func sameHosts(before, after []Host) []int {
	alike := make([]int, len(before))
	j := 0
	for i, h := range before {
		for j < len(after) && after[j].Name < h.Name {
			j++
		}
		if alike[i] = -1; j < len(after) && after[j].Name == h.Name {
			alike[i] = j
		}
	}
	return alike
}

// independentStay returns the share of the keys that stays if the place of a key in one
// table doesn't depend on its place in the other.
func independentStay(was, is []float64, alike []int) (stay float64) {
	for i, j := range alike {
		if j >= 0 {
			stay += was[i] * is[j]
		}
	}
	return stay
}

// overlapMoved returns how much of a ring has another owner on the other ring.
func overlapMoved(a, b *layout, alike []int) (moved uint64) {
	var i, j int
	for at := uint64(0); at < 1<<32; {
		end := min(endOf(a.ends, i), endOf(b.ends, j))
		if alike[a.owners[i%len(a.owners)]] != int(b.owners[j%len(b.owners)]) {
			moved += end - at
		}
		at = end
		for i < len(a.ends) && endOf(a.ends, i) <= at {
			i++
		}
		for j < len(b.ends) && endOf(b.ends, j) <= at {
			j++
		}
	}
	return moved
}

// slotsMoved returns how many slots have another owner. There are as many before as after.
func slotsMoved(before, after []uint16, alike []int) (moved uint64) {
	for slot, owner := range before {
		if alike[owner] != int(after[slot]) {
			moved++
		}
	}
	return moved
}

// residuesMoved is slotsMoved for different numbers of slots: see residues.
func residuesMoved(before, after []uint16, alike []int) float64 {
	common := divisor(len(before), len(after))
	stay := uint64(0)
	for r := range common {
		to := countOwners(after, r, common)
		for x, n := range countOwners(before, r, common) {
			if y := alike[x]; y >= 0 {
				stay += n * to[uint16(y)]
			}
		}
	}
	return 1 - share(stay, uint64(len(before)/common)*uint64(len(after)))
}
