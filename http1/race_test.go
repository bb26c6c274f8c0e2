//go:build race

package http1

// raced is true under the race detector. A sync.Pool then drops some of its items, so
// that allocations can't be counted.
const raced = true
