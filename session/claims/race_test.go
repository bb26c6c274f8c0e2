//go:build race

package claims

// racing says that the race detector makes arithmetic ten times slower.
const racing = true
