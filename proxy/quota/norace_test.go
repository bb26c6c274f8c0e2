//go:build !race

package quota

// racing says that the race detector makes arithmetic ten times slower.
const racing = false
