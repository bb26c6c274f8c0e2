package limit

import "testing"

func TestConnectionsLeaveFilesForTheirHosts(t *testing.T) {
	for _, tt := range []struct {
		files uint64
		want  int
	}{
		{0, 1},
		{1, 1},
		{100, 37}, // a quarter is kept, and each connection may need two
		{1024, 384},
		{20000, 9872},
		{1 << 20, 524160},
		{^uint64(0), 1 << 30}, // no limit
	} {
		if got := ConnectionsFor(tt.files); got != tt.want {
			t.Errorf("%d connections for %d files, want %d", got, tt.files, tt.want)
		}
	}
}
