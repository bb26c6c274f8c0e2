package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"tokenring/config"
	"tokenring/haproxycfg"
)

type importCmd struct {
	File    string   `arg:"" placeholder:"FILE" help:"The haproxy.cfg to read, - for standard input."`
	More    []string `arg:"" optional:"" help:"Refused: put several files together with cat, and read them with -."`
	Backend string   `placeholder:"NAME" help:"The backend to take over; needed if several have servers."`
	Report  string   `placeholder:"FILE" help:"Where to write the report (default, or -: standard error)."`
	Only    string   `placeholder:"WORD" enum:",took,changed,left out,unknown,decide" default:"" help:"Report the notes of one kind only: took, changed, \"left out\", unknown, or decide for the summary."`
}

// Help is the text that --help adds.
func (importCmd) Help() string {
	return `Writes lb.yaml to standard output: the listeners, certificates, hosts with the
ids that HAProxy numbers them by, checks and timeouts, and HAProxy's own ring, so
that no token moves. The report says first what moves, what stops working and what to
decide; then what became of each line of the file:

  took      lb.yaml says the same
  changed   it serves the same end in another way
  left out  lb has nothing for it, and why that matters
  unknown   no keyword that is known here
  decide    somebody has to decide before lb can take over

It ends with what "lb check" says of the result. Files that haproxy.cfg names are
looked at to find certificates and keys, and variables of the environment are
expanded as HAProxy does: run it on HAProxy's machine, with its environment, if
you can. Several files: cat them in HAProxy's order, and read them with -.

Exits with 0 if lb.yaml was written, even if something is left to decide, and
with 2 if the file can't be imported.`
}

// Run imports the file.
func (c *importCmd) Run(s *streams) error {
	if len(c.More) > 0 {
		return usageError{fmt.Errorf("lb import: unexpected argument %s; one file is read, and several are one when they are put together in the order in which HAProxy reads them: cat %s %s | lb import -", c.More[0], c.File, strings.Join(c.More, " "))}
	}
	name, data, err := c.read(s.in)
	if err == nil {
		err = c.checkReport()
	}
	if err != nil {
		return usageError{err}
	}
	result, err := haproxycfg.Import(name, data, haproxycfg.Options{Backend: c.Backend, Files: os.DirFS("/"), Env: os.LookupEnv})
	if err != nil {
		return usageError{err}
	}
	if _, err := s.out.Write(result.YAML); err != nil {
		return fmt.Errorf("write lb.yaml: %w", err)
	}
	report := c.reportOf(result.Report) + "\n" + verdictOf(result.YAML)
	if c.Report == "" || c.Report == "-" {
		_, err = io.WriteString(s.err, report)
	} else {
		err = os.WriteFile(c.Report, []byte(report), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// reportOf returns what of the report is asked for.
func (c *importCmd) reportOf(r *haproxycfg.Report) string {
	if v, ok := haproxycfg.ParseVerdict(c.Only); ok {
		return r.Only(v)
	}
	return r.String()
}

// read reads the file, or a byte more than can be imported of it.
func (c *importCmd) read(stdin io.Reader) (name string, data []byte, err error) {
	name = "haproxy.cfg"
	if c.File != "-" {
		name = c.File
		info, err := os.Stat(name) // before it is opened: a pipe would wait for whoever writes
		switch {
		case err != nil:
			return "", nil, err
		case info.IsDir():
			return "", nil, fmt.Errorf("%s is a directory; cat its files in the order in which HAProxy reads them: cat %s/*.cfg | lb import -", name, strings.TrimRight(name, "/"))
		case !info.Mode().IsRegular():
			return "", nil, fmt.Errorf("%s is no plain file; cat what it gives: cat %s | lb import -", name, name)
		}
		file, err := os.Open(name)
		if err != nil {
			return "", nil, err
		}
		defer file.Close() // it was only read
		stdin = file
	}
	data, err = io.ReadAll(io.LimitReader(stdin, haproxycfg.MaxBytes+1))
	return name, data, err
}

// checkReport refuses to write the report over the file that is read.
func (c *importCmd) checkReport() error {
	report, err := os.Stat(c.Report)
	if err != nil || c.File == "-" {
		return nil // it will be made, or says by itself what is wrong
	}
	if file, err := os.Stat(c.File); err == nil && os.SameFile(file, report) {
		return fmt.Errorf("--report %s is the file to import, which it would overwrite: name another file", c.Report)
	}
	return nil
}

// verdictOf says what lb check would say of the configuration in this place.
func verdictOf(yaml []byte) string {
	if _, err := config.Parse("lb.yaml", yaml); err != nil {
		return fmt.Sprintf("lb check says of the result:\n\n%v\n", err)
	}
	return "lb check accepts the result.\n"
}
