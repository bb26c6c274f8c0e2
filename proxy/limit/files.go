package limit

import "golang.org/x/sys/unix"

// ConnectionsFor returns how many connections a process may have if it may open a number
// of files. Each connection may need a second file, for its host; Streams and Idle make
// sure that it needs no third one. Some files are reserved for gossip, checks, the pipes
// of spliced bodies, and operators, who must be able to connect when the limit is
// reached.
func ConnectionsFor(files uint64) int {
	const reserve, most = 256, 1 << 30
	return int(min(max((files-min(reserve, files/4))/2, 1), most))
}

// MaxFiles returns how many files this process may open.
func MaxFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what every system gives
	}
	return limit.Cur
}
