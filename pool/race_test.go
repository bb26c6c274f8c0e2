//go:build race

package pool

// racing says that the race detector makes arithmetic ten times slower.
const racing = true
