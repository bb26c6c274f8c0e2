//go:build race

package balancer

// racing says that the race detector makes arithmetic ten times slower.
const racing = true
