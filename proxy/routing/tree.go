package routing

import "bytes"

// A tree has the paths and prefixes of routes, as a radix tree: the way to a node spells a path.
type tree struct {
	prefix   string  // what the way to this node has beyond its parent's
	first    int32   // the lowest index here and below
	items    []item  // whose path or prefix ends here, by index
	starts   []byte  // the first byte of each child
	children []*tree // in the order of starts
}

// An item is a route in a tree.
type item struct {
	route   int32
	exact   bool // for this path alone, not for those below it
	methods Methods
}

func (i *item) allows(method []byte) bool {
	if len(i.methods) == 0 {
		return true
	}
	for _, m := range i.methods {
		if m == string(method) {
			return true
		}
	}
	return false
}

func newTree() *tree { return &tree{first: none} }

// match returns the lowest index of a route that matches, if it is lower than found; else found.
func (t *tree) match(path, method []byte, found int32) int32 {
	for t.first < found && len(path) >= len(t.prefix) && string(path[:len(t.prefix)]) == t.prefix {
		path = path[len(t.prefix):]
		for i := range t.items {
			one := &t.items[i]
			if one.route >= found {
				break
			}
			if (!one.exact || len(path) == 0) && one.allows(method) {
				found = one.route
				break
			}
		}
		if len(path) == 0 {
			break
		}
		next := bytes.IndexByte(t.starts, path[0])
		if next < 0 {
			break
		}
		t = t.children[next]
	}
	return found
}

// insert adds a route. Routes must be added by rising index.
func (t *tree) insert(path string, one item) {
	t.first = min(t.first, one.route)
	if path == "" {
		t.items = append(t.items, one)
		return
	}
	next := bytes.IndexByte(t.starts, path[0])
	if next < 0 {
		t.starts = append(t.starts, path[0])
		t.children = append(t.children, &tree{prefix: path, first: one.route, items: []item{one}})
		return
	}
	child := t.children[next]
	n := common(child.prefix, path)
	if n < len(child.prefix) {
		child = child.split(n)
		t.children[next] = child
	}
	child.insert(path[n:], one)
}

// split returns a node for the first n bytes of t's prefix, with t below it.
func (t *tree) split(n int) *tree {
	above := &tree{prefix: t.prefix[:n], first: t.first, starts: []byte{t.prefix[n]}, children: []*tree{t}}
	t.prefix = t.prefix[n:]
	return above
}

// common returns how many bytes a and b have in common at their beginnings.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
