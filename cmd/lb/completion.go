package main

import (
	"github.com/alecthomas/kong"

	"tokenring/completion"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" placeholder:"SHELL" help:"bash, zsh or fish."`
}

// Help is the text that --help adds.
func (completionCmd) Help() string {
	return `The package installs it for all users. Without the package:

  source <(lb completion bash)                                     (in .bashrc)
  lb completion zsh > ~/.zfunc/_lb                                 (in a directory of fpath)
  lb completion fish > ~/.config/fish/completions/lb.fish`
}

// Run prints the completion of one shell.
func (c *completionCmd) Run(k *kong.Kong, s *streams) error {
	return completion.Write(s.out, c.Shell, k.Model)
}
