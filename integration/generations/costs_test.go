//go:build integration

package generations

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleReloads is how many reloads there are without load, for their processor time.
const idleReloads = 10

// whileIdle makes reloads while nobody comes, and logs what they cost: processor time, that of
// the command included, and memory before and after. root is the service's main process, which
// has processes processes when nothing is left of a reload.
func whileIdle(t *testing.T, name string, root, processes int, reload func() time.Duration) {
	t.Helper()
	settled := func() {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); len(tree(root)) != processes; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s has %d processes, want %d", name, len(tree(root)), processes)
			}
		}
	}
	settled()
	memory, used, commands := pss(root), cpu(root), ended()
	var total time.Duration
	for range idleReloads {
		total += reload()
		settled()
	}
	used, commands = cpu(root)-used, ended()-commands
	t.Logf("%s, idle: %d reloads, %v each, %v of processor time each; memory %.0f MB, then %.0f MB", name, idleReloads,
		(total / idleReloads).Round(time.Millisecond), ((used + commands) / idleReloads).Round(time.Millisecond), memory, pss(root))
}

// tree returns a process and its descendants.
func tree(root int) []int {
	all := []int{root}
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, name := range stats {
		if pid, fields := stat(name); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], pid)
		}
	}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// stat returns the number of a process, and what its stat has from the state on: proc(5). Both
// are zero if it has ended.
func stat(name string) (pid int, fields []string) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, nil
	}
	pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(name)))
	return pid, strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// cpu returns the processor time of a process and its descendants, those that have ended included.
func cpu(root int) (total time.Duration) {
	const user, ofChildren, tick = 11, 14, 10 * time.Millisecond
	for _, pid := range tree(root) {
		_, fields := stat(fmt.Sprintf("/proc/%d/stat", pid))
		for i := user; i <= ofChildren && i < len(fields); i++ {
			ticks, _ := strconv.Atoi(fields[i])
			total += time.Duration(ticks) * tick
		}
	}
	return total
}

// ended returns the processor time of this test's children that have ended: the commands.
func ended() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pss returns the memory of a process and its descendants in MB. What they share counts once.
func pss(root int) (megabytes float64) {
	for _, pid := range tree(root) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)) // it may have ended
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
				kilobytes, _ := strconv.ParseFloat(fields[1], 64)
				megabytes += kilobytes / 1024
			}
		}
	}
	return megabytes
}
