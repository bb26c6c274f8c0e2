package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// cores are the two that are used: one for the proxy alone, one for all the
// rest.
type cores struct{ proxy, load int }

// pin moves this process to the second core that it may use, and leaves the
// first to the proxies. What this process starts inherits that, so the load
// generator and the IDE hosts never run on the proxy's core.
func pin() (cores, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cores{}, fmt.Errorf("cores of this process: %w", err)
	}
	var ids []int
	for id := 0; len(ids) < 2 && id < 1024; id++ {
		if allowed.IsSet(id) {
			ids = append(ids, id)
		}
	}
	if len(ids) < 2 {
		return cores{}, errors.New("two cores are needed, one for the proxy and one for the load")
	}
	runtime.GOMAXPROCS(1)
	c := cores{proxy: ids[0], load: ids[1]}
	return c, pinThreads(c.load)
}

// pinThreads moves every thread of this process. A thread that is created
// meanwhile by one that hasn't been moved is found by the next pass.
func pinThreads(core int) error {
	var only unix.CPUSet
	only.Set(core)
	moved := map[int]bool{}
	for {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		before := len(moved)
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil || moved[id] {
				continue
			}
			if err := unix.SchedSetaffinity(id, &only); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pin to core %d: %w", core, err)
			}
			moved[id] = true
		}
		if len(moved) == before {
			return nil
		}
	}
}

// allowDescriptors lets this process, and those that it starts, have at least n
// descriptors each.
func allowDescriptors(n uint64) error {
	var l syscall.Rlimit // not unix's: only this call makes os/exec pass the limit on
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("limit of descriptors: %w", err)
	}
	had := l.Max
	l.Cur, l.Max = n, max(l.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("%d descriptors are needed, but only %d allowed (%w): raise the limit with ulimit -Hn", n, had, err)
	}
	return nil
}
