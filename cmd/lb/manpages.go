package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"tokenring/manpage"
)

type manpagesCmd struct {
	Dir  string `arg:"" placeholder:"DIR" help:"Where to write the pages."`
	Date string `required:"" placeholder:"YYYY-MM-DD" help:"The date at the foot of each page."`
}

// Run writes a manual page for each command.
func (m *manpagesCmd) Run(k *kong.Kong, s *streams) error {
	names, err := manpage.Write(m.Dir, k.Model, aboutPages(m.Date))
	if err != nil {
		return fmt.Errorf("manpages: %w", err)
	}
	fmt.Fprintf(s.out, "%d pages\n", len(names))
	return nil
}

// aboutPages is what the manual pages say beside the help of the commands.
func aboutPages(date string) manpage.About {
	return manpage.About{
		Source: "lb " + version(), Manual: "Tokenring", Date: date,
		Exit: []manpage.Exit{
			{Code: exitOK, Meaning: "Success."},
			{Code: exitFailed, Meaning: "It failed while running."},
			{Code: exitUsage, Meaning: "The command line or the configuration is wrong. It fails again until that is changed."},
		},
		Files: []manpage.File{
			{Path: "/etc/lb/lb.yaml", Content: "The configuration of the balancer that the package runs as a service."},
			{Path: "/usr/share/doc/tokenring/examples/full.yaml", Content: "All keys of the configuration with their defaults."},
		},
	}
}
