package parent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tokenring/handover"
)

// bound has generations close their terminals if there are too many or if they are too old.
func (p *Parent) bound(ctx context.Context, now time.Time) {
	var carrying []*generation
	for _, g := range p.generations() {
		if g != p.serving && !g.retired.IsZero() && !g.closing.Load() {
			carrying = append(carrying, g)
		}
	}
	for i, g := range carrying {
		switch {
		case len(carrying)-i > p.bounds.Max:
			p.end(ctx, g, fmt.Sprintf("there are more than %d older generations", p.bounds.Max))
		case now.Sub(g.retired) > p.bounds.Age:
			p.end(ctx, g, fmt.Sprintf("it has carried terminals for %v", p.bounds.Age))
		}
	}
}

// end has a generation close its terminals. It doesn't wait.
func (p *Parent) end(ctx context.Context, g *generation, why string) {
	g.closing.Store(true)
	end := handover.End{Rate: p.bounds.Rate, Why: why}
	p.Logger.Warn().Int("generation", g.id).Str("why", why).Int("rate", end.Rate).Msg("a generation closes its terminals")
	p.closings.Go(func() {
		err := g.call(ctx, p.limits.close, handover.KindEnd, end, nil)
		if errors.Is(err, handover.ErrNoAnswer) {
			p.mustObey(ctx, g, err)
		} else if err != nil { // it has ended, or is told again, by the program that replaces this one
			g.closing.Store(false)
		}
	})
}

// commit ends the probation of the newest generation when its time is over.
func (p *Parent) commit(ctx context.Context, now time.Time) {
	if p.previous.until.IsZero() || now.Before(p.previous.until) || p.serving == nil {
		return
	}
	upgraded := p.previous.binary != p.binary
	p.forgetPrevious()
	p.sockets.keep(p.serving)
	if !upgraded {
		return
	}
	if err := p.replaceSelf(ctx); err != nil {
		p.Logger.Error().Err(err).Msg("the parent goes on with the program that it was started from")
	}
}

// forgetPrevious gives up what could be put back.
func (p *Parent) forgetPrevious() {
	if g := p.previous.generation; g != nil {
		_ = g.conn.Notify(handover.KindCommit, nil) // an error means that it has ended
	}
	if p.previous.binary != p.binary {
		p.previous.binary.close()
	}
	p.previous = previous{}
}

// What a new generation needs at least. One that has just started has about 40 MB; its hosts,
// tables and what it learns of sessions come to that.
const (
	leastMemory      = 128 << 20
	leastDescriptors = 1024
	leastDisk        = 4 << 20
)

// room returns why the machine has no room for another generation, nil if it has. What can't
// be read counts as enough.
func (p *Parent) room() error {
	if free, ok := availableMemory(); ok && free < leastMemory {
		return fmt.Errorf("a new generation needs %d MB of memory, and %d MB are free; end terminals of older generations, or add memory", leastMemory>>20, free>>20)
	}
	if free, ok := freeFiles(); ok && free < leastDescriptors {
		return fmt.Errorf("a new generation needs %d open files, and the machine has %d left; raise fs.file-max", leastDescriptors, free)
	}
	dir := filepath.Dir(p.Socket)
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err == nil && disk.Bavail*uint64(disk.Bsize) < leastDisk {
		return fmt.Errorf("%s has %d KB left on its disk, and a new generation needs %d KB there; free some", dir, disk.Bavail*uint64(disk.Bsize)>>10, leastDisk>>10)
	}
	return nil
}

// availableMemory returns how many bytes of memory the machine and the control group of this
// process have left.
func availableMemory() (free uint64, ok bool) {
	free, ok = meminfo("/proc/meminfo", "MemAvailable:")
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return free, ok
	}
	_, path, found := strings.Cut(strings.TrimSpace(string(group)), "0::")
	if !found {
		return free, ok
	}
	dir := filepath.Join("/sys/fs/cgroup", path)
	limit, limited := number(filepath.Join(dir, "memory.max"))
	used, known := number(filepath.Join(dir, "memory.current"))
	if limited && known {
		left := limit - min(used, limit)
		if !ok || left < free {
			return left, true
		}
	}
	return free, ok
}

// meminfo returns a line of /proc/meminfo in bytes.
func meminfo(path, key string) (bytes uint64, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) >= 2 && fields[0] == key {
			kilobytes, err := strconv.ParseUint(fields[1], 10, 64)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}

// number returns the number in a file of the kernel; false for a word such as "max".
func number(path string) (n uint64, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// freeFiles returns how many more files the machine can open.
func freeFiles() (free uint64, ok bool) {
	text, err := os.ReadFile("/proc/sys/fs/file-nr")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) != 3 {
		return 0, false
	}
	open, openErr := strconv.ParseUint(fields[0], 10, 64)
	limit, limitErr := strconv.ParseUint(fields[2], 10, 64)
	return limit - min(open, limit), openErr == nil && limitErr == nil
}

// ticksPerSecond is the unit of times in /proc/PID/stat: USER_HZ is 100 on every platform
// that Go knows.
const ticksPerSecond = 100

// usage returns the processor time of a process, and its memory in bytes; zero if it has
// ended.
func usage(pid int) (cpu time.Duration, rss int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // the name before may have spaces
	fields := strings.Fields(string(rest))
	const user, system, resident = 11, 12, 21 // proc(5), counted from the state
	if len(fields) <= resident {
		return 0, 0
	}
	var ticks [2]int64
	for i, f := range []string{fields[user], fields[system]} {
		ticks[i], _ = strconv.ParseInt(f, 10, 64)
	}
	pages, _ := strconv.ParseInt(fields[resident], 10, 64)
	return time.Duration(ticks[0]+ticks[1]) * time.Second / ticksPerSecond, pages * int64(os.Getpagesize())
}
