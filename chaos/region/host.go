package region

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tokenring/chaos/network"
	"tokenring/chaos/record"
)

// A Host is a machine with an IDE and an agent. Its methods are for one goroutine.
type Host struct {
	Name string

	region  *Region
	id      int
	node    *network.Node
	at      int // which of the node's addresses it has
	ide     *process
	agent   *process
	records []*recording
}

// A recording is what one process of a host has recorded.
type recording struct {
	file string
	died time.Duration // record.Open while it lives
}

// ports of a host.
const (
	idePort  = 4000
	poolPort = 7946
)

func (h *Host) address(port uint16) string {
	return netip.AddrPortFrom(h.node.Addresses[h.at], port).String()
}

// start starts the IDE and the agent.
func (h *Host) start() error { return errors.Join(h.startIDE(), h.startAgent()) }

func (h *Host) startIDE() (err error) {
	r := &recording{file: filepath.Join(h.region.dir, fmt.Sprintf("%s.%d.record", h.Name, len(h.records)+1)), died: record.Open}
	h.records = append(h.records, r)
	h.ide, err = start(h.node, h.region.dir, h.Name, h.region.self, "host", h.Name, h.address(idePort), r.file)
	return err
}

func (h *Host) startAgent() (err error) {
	args := []string{
		"agent", "--name", h.Name, "--id", fmt.Sprint(h.id), "--address", h.address(idePort), "--bind", h.address(poolPort),
		"--secret-file", "pool.key", "--state-dir", h.Name,
	}
	for _, b := range h.region.Balancers {
		args = append(args, "--join", b.address(poolPort))
	}
	h.agent, err = start(h.node, h.region.dir, h.Name+"-agent", h.region.lb, args...)
	return err
}

// kill ends the host's processes at once.
func (h *Host) kill() {
	h.agent.kill()
	h.killIDE()
}

func (h *Host) killIDE() {
	h.ide.kill()
	h.records[len(h.records)-1].died = record.Now()
}

// leave has the agent say that the host leaves, and the IDE end a while later.
func (h *Host) leave(after time.Duration) {
	h.agent.stop()
	h.region.pause(after)
	h.killIDE()
}

// freeze stops all processes of the host, and thaw has them go on.
func (h *Host) freeze() {
	h.ide.signal(syscall.SIGSTOP)
	h.agent.signal(syscall.SIGSTOP)
}

func (h *Host) thaw() {
	h.ide.signal(syscall.SIGCONT)
	h.agent.signal(syscall.SIGCONT)
}

// move starts the host at its other address.
func (h *Host) move() error {
	h.kill()
	h.at = 1 - h.at
	return h.start()
}

// served returns what the host has recorded so far. What was open in a process that has died
// ended with it.
func (h *Host) served() (all []record.Serving, err error) {
	for _, r := range h.records {
		file, err := os.Open(r.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the process has died before it could make it
		}
		if err != nil {
			return nil, err
		}
		servings, err := record.Read(file, h.Name)
		_ = file.Close()
		if err != nil {
			return nil, err
		}
		for _, s := range servings {
			if s.To == record.Open {
				s.To = r.died
			}
			all = append(all, s)
		}
	}
	return all, nil
}
