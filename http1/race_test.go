//go:build race

package http1

// raced is true under the race detector, where a sync.Pool drops some of what
// it is given: allocations can't be counted then.
const raced = true
