package region

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// names gives hosts numbers, so that an entry has no pointer, and counts the terminals that
// each host has through peers. Safe for concurrent use. Reading a text takes no lock.
type names struct {
	list atomic.Pointer[[]*name] // by number; nil for a number that isn't used

	mu     sync.Mutex
	byText map[string]uint32
	sweeps uint32 // counts calls of release
}

type name struct {
	text  string
	live  atomic.Int64  // terminals
	asked atomic.Uint32 // sweeps at the last call of intern
}

func (n *names) init() {
	n.byText = map[string]uint32{}
	n.list.Store(new([]*name))
}

// intern returns the number of a host's name. It stays the same until the second call of
// release from now on that doesn't find it in use.
func (n *names) intern(text string) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := *n.list.Load()
	i, ok := n.byText[text]
	if !ok {
		list = slices.Clone(list)
		fresh := &name{text: strings.Clone(text)}
		if free := slices.Index(list, nil); free >= 0 {
			i, list[free] = uint32(free), fresh
		} else {
			i, list = uint32(len(list)), append(list, fresh)
		}
		n.byText[fresh.text] = i
		n.list.Store(&list)
	}
	list[i].asked.Store(n.sweeps)
	return i
}

// text returns the name that has a number.
func (n *names) text(i uint32) string { return n.of(i).text }

func (n *names) of(i uint32) *name { return (*n.list.Load())[i] }

// terminals returns how many terminals a host has through peers.
func (n *names) terminals(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i, ok := n.byText[host]; ok {
		return int(n.of(i).live.Load())
	}
	return 0
}

// size returns how many numbers there are or have been at once.
func (n *names) size() int { return len(*n.list.Load()) }

// release makes numbers free that aren't in use. A number that intern has returned since the
// call before the last one counts as used: it may be on its way into a table.
func (n *names) release(used []bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sweeps++
	list := slices.Clone(*n.list.Load())
	for i, one := range list {
		if one == nil || i >= len(used) || used[i] || n.sweeps-one.asked.Load() < 2 {
			continue
		}
		delete(n.byText, one.text)
		list[i] = nil
	}
	n.list.Store(&list)
}
