package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A meter reads from the kernel what a process, with its threads and children,
// has used. It is read before and after; the difference, divided by what was
// done between, is the figure.
type meter struct {
	name string
	unit string
	read func(pid int) (float64, error)
}

// cpu is user and system time. What the kernel does for a process while it is
// in a system call counts too, and so does the network stack's part of it.
var cpu = meter{name: "CPU", unit: "µs", read: func(pid int) (float64, error) {
	used, err := cpuTime(pid)
	return float64(used) / float64(time.Microsecond), err
}}

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
