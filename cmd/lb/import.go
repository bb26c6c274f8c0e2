package main

import (
	"fmt"
	"io"
	"os"

	"tokenring/config"
	"tokenring/haproxycfg"
)

type importCmd struct {
	File    string `arg:"" placeholder:"FILE" help:"The haproxy.cfg to read, - for standard input."`
	Backend string `placeholder:"NAME" help:"The backend to take over; needed if several have servers."`
	Report  string `placeholder:"FILE" help:"Where to write the report (default: standard error)."`
}

// Help is the text that --help adds.
func (importCmd) Help() string {
	return `Writes lb.yaml to standard output: the listeners, certificates, hosts with the
ids that HAProxy numbers them by, checks and timeouts, and HAProxy's own ring, so
that no token moves. The report has each line of the file and what became of it:

  took      lb.yaml says the same
  changed   it serves the same end in another way
  left out  lb has nothing for it, and why that matters
  unknown   no keyword that is known here
  decide    somebody has to decide before lb can take over

It ends with what "lb check" says of the result. Files that haproxy.cfg names are
looked at to find certificates and keys, so run it on HAProxy's machine if you
can. Several files: cat them in HAProxy's order, and read them with -.

Exits with 0 if lb.yaml was written, even if something is left to decide, and
with 2 if the file can't be imported.`
}

// Run imports the file.
func (c *importCmd) Run(s *streams) error {
	name, data, err := c.read(s.in)
	if err != nil {
		return usageError{err}
	}
	result, err := haproxycfg.Import(name, data, haproxycfg.Options{Backend: c.Backend, Files: os.DirFS("/")})
	if err != nil {
		return usageError{err}
	}
	if _, err := s.out.Write(result.YAML); err != nil {
		return fmt.Errorf("write lb.yaml: %w", err)
	}
	report := result.Report.String() + "\n" + verdictOf(result.YAML)
	if c.Report == "" {
		_, err = io.WriteString(s.err, report)
	} else {
		err = os.WriteFile(c.Report, []byte(report), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func (c *importCmd) read(stdin io.Reader) (name string, data []byte, err error) {
	if c.File == "-" {
		data, err = io.ReadAll(stdin)
		return "haproxy.cfg", data, err
	}
	data, err = os.ReadFile(c.File)
	return c.File, data, err
}

// verdictOf says what lb check would say of the configuration in this place.
func verdictOf(yaml []byte) string {
	if _, err := config.Parse("lb.yaml", yaml); err != nil {
		return fmt.Sprintf("lb check says of the result:\n\n%v\n", err)
	}
	return "lb check accepts the result.\n"
}
