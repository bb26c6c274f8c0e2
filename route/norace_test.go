//go:build !race

package route

// racing says that the race detector makes arithmetic ten times slower.
const racing = false
