package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// about says what the figures were taken with: when, where, which versions.
func about(ctx context.Context, c cores, all []proxy) []string {
	ctx = context.WithoutCancel(ctx) // the figures are taken, and that is what has ended it
	model, count := processor(readFile("/proc/cpuinfo"))
	lines := []string{
		fmt.Sprintf("%s, %d cores of %s, Linux %s; proxy on core %d, load and hosts on core %d",
			time.Now().UTC().Format(time.DateOnly), count, model, kernel(), c.proxy, c.load),
	}
	var versions []string
	for _, p := range all {
		versions = append(versions, trimVersion(firstLine(ctx, p.version)))
	}
	versions = append(versions, trimVersion(firstLine(ctx, []string{"wrk", "-v"})))
	return append(lines, strings.Join(versions, "; "))
}

// processor returns the model and the number of processors in /proc/cpuinfo.
func processor(info string) (model string, count int) {
	model = "an unknown model"
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			count++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	return model, count
}

// trimVersion cuts what follows the version itself.
func trimVersion(line string) string {
	for _, end := range []string{" - ", " ["} {
		line, _, _ = strings.Cut(line, end)
	}
	return line
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "of an unknown release"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// readFile returns what is in a file of /proc, "" if it can't be read.
func readFile(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}
