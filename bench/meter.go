package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// cpuTime is the user and system time of a process, with its threads and
// children. What the kernel does for it while it is in a system call counts too,
// and so does the network stack's part of that.
func cpuTime(pid int) (sum time.Duration, err error) {
	all, err := family(pid)
	for _, s := range all {
		sum += s.cpu
	}
	return sum, err
}

// A stat is what /proc/PID/stat says of a process, see proc_pid_stat(5).
type stat struct {
	pid, parent int
	ended       bool          // it waits for its parent to notice
	cpu         time.Duration // user and system time of all its threads, with those that have ended
}

// tick is the unit of times in /proc: USER_HZ is 100 on all of Linux's
// architectures that lb runs on.
const tick = time.Second / 100

// parseStat reads a line of /proc/PID/stat. The name in it may hold anything,
// parentheses and spaces included.
func parseStat(line string) (stat, error) {
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return stat{}, fmt.Errorf("stat without a name: %q", line)
	}
	fields := strings.Fields(line[shut+1:])
	const stateAt, parentAt, userAt, systemAt = 0, 1, 11, 12
	if len(fields) <= systemAt {
		return stat{}, fmt.Errorf("stat with too few fields: %q", line)
	}
	var numbers [4]int
	for i, s := range []string{strings.TrimSpace(line[:open]), fields[parentAt], fields[userAt], fields[systemAt]} {
		n, err := strconv.Atoi(s)
		if err != nil {
			return stat{}, fmt.Errorf("stat: %w", err)
		}
		numbers[i] = n
	}
	return stat{
		pid:    numbers[0],
		parent: numbers[1],
		ended:  fields[stateAt] == "Z",
		cpu:    time.Duration(numbers[2]+numbers[3]) * tick,
	}, nil
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(data))
}

// family returns the process pid and all its descendants.
func family(pid int) ([]stat, error) {
	first, err := readStat(pid)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]stat{}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(id); err == nil { // else it has just ended
			children[s.parent] = append(children[s.parent], s)
		}
	}
	return descend(first, children), nil
}

// descend returns s and its descendants.
func descend(s stat, children map[int][]stat) []stat {
	all := []stat{s}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}

// pss returns how many bytes of memory a process and its descendants hold; of
// what several processes share, each counts its part.
func pss(pid int) (sum float64, err error) {
	all, err := family(pid)
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", s.pid))
		if err != nil {
			return 0, err
		}
		bytes, err := parsePSS(string(data))
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", s.pid, err)
		}
		sum += bytes
	}
	return sum, nil
}

// parsePSS finds the sum in what /proc/PID/smaps_rollup says, see proc_pid_smaps(5).
func parsePSS(rollup string) (float64, error) {
	for line := range strings.Lines(rollup) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			return float64(kib) * 1024, err
		}
	}
	return 0, fmt.Errorf("smaps_rollup without a line Pss: %q", rollup)
}
