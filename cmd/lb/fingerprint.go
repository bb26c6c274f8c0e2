package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tokenring/config"
	"tokenring/stream"
)

type fingerprintCmd struct {
	Config string `short:"c" placeholder:"FILE" default:"lb.yaml" help:"The configuration file (default: lb.yaml)."`
}

// Help is the text that --help adds.
func (fingerprintCmd) Help() string {
	return `Prints NAME=KEY for this balancer: its name, and the SHA-256 of the key by which other
balancers know it. The agents of hosts with a gate (lb agent --gate) need this line
of each balancer. The key is in peer.key in state_dir; lb run makes it at its first
start with a peers section.`
}

// Run prints the line.
func (f *fingerprintCmd) Run(s *streams) error {
	cfg, err := config.Load(f.Config)
	if err != nil {
		return usageError{err}
	}
	file := filepath.Join(cfg.StateDir, stream.KeyName)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("fingerprint: there is no %s yet: lb run makes it when it starts with a peers section", file)
	}
	identity, err := stream.OpenIdentity(file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s=%s\n", cfg.Name, identity.Fingerprint())
	return err
}
