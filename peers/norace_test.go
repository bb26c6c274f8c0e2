//go:build !race

package peers

// racing says that the race detector makes arithmetic ten times slower.
const racing = false
