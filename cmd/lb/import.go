package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tokenring/config"
	"tokenring/haproxycfg"
	"tokenring/migration"
	"tokenring/nginxcfg"
	"tokenring/statefile"
)

type importCmd struct {
	File    string   `arg:"" placeholder:"FILE" help:"The haproxy.cfg or nginx.conf to read, - for standard input."`
	More    []string `arg:"" optional:"" help:"Refused: join several files with cat, and read them with -."`
	From    string   `placeholder:"NAME" enum:",haproxy,nginx" default:"" help:"Whose file it is: haproxy or nginx (default: what it looks like)."`
	Backend string   `placeholder:"NAME" help:"The backend or upstream to import; needed if several have servers."`
	Report  string   `placeholder:"FILE" help:"Where to write the report (default, or -: standard error)."`
	Files   string   `placeholder:"DIR" type:"existingdir" help:"Where to write the files that lb.yaml names and that haproxy.cfg has in itself: users and the hashes of their passwords. Without it, they aren't written."`
	Only    string   `placeholder:"WORD" enum:",took,changed,left out,unknown,decide" default:"" help:"Report only the notes of one kind: took, changed, \"left out\", unknown, or decide for the summary."`
}

// Help is the text that --help adds.
func (importCmd) Help() string {
	return `Writes lb.yaml to standard output: the listeners, certificates, hosts, checks and
timeouts, and the ring of HAProxy or of nginx, so that no token moves.
The report first says what moves, what stops working, and what you have to decide.
Then it says what became of each line of the file:

  took      lb.yaml says the same
  changed   lb.yaml does the same in another way
  left out  lb doesn't have this; the report says why that matters
  unknown   the import doesn't know this keyword
  decide    you have to decide this before lb can take over

It ends with the result of "lb check". The import reads files that haproxy.cfg names
to find certificates and keys, and expands variables of the environment as HAProxy
does. So run it on HAProxy's machine, with HAProxy's environment, if you can. If there
are several files, cat them in HAProxy's order, and read them with -. Files that an
nginx.conf includes are read with it; the output of nginx -T can be read, too.

Exits with 0 if lb.yaml was written, even if there is something to decide, and with 2
if the file can't be imported.`
}

// Run imports the file.
func (c *importCmd) Run(s *streams) error {
	if len(c.More) > 0 {
		return usageError{fmt.Errorf("lb import: unexpected argument %s; lb import reads one file. Join several files in the order in which HAProxy reads them: cat %s %s | lb import -", c.More[0], c.File, strings.Join(c.More, " "))}
	}
	name, data, err := c.read(s.in)
	if err == nil {
		err = c.checkReport()
	}
	if err != nil {
		return usageError{err}
	}
	yaml, full, err := c.translate(name, data)
	if err != nil {
		return err
	}
	if _, err := s.out.Write(yaml); err != nil {
		return fmt.Errorf("write lb.yaml: %w", err)
	}
	report := c.reportOf(full) + "\n" + verdictOf(filepath.Join(c.Files, "lb.yaml"), yaml)
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

// translate imports the text by the package for its kind.
func (c *importCmd) translate(name string, data []byte) (yaml []byte, report *migration.Report, err error) {
	if c.From == "nginx" || c.From == "" && nginxcfg.Looks(data) {
		if c.File == "-" {
			name = "nginx.conf"
		} else if path, err := filepath.Abs(name); err == nil {
			name = path // names of files in it are relative to its directory
		}
		result, err := nginxcfg.Import(name, data, nginxcfg.Options{Backend: c.Backend, Files: os.DirFS("/")})
		if err != nil {
			return nil, nil, usageError{err}
		}
		return result.YAML, result.Report, nil
	}
	result, err := haproxycfg.Import(name, data, haproxycfg.Options{Backend: c.Backend, Files: os.DirFS("/"), Env: os.LookupEnv})
	if err != nil {
		return nil, nil, usageError{err}
	}
	return result.YAML, result.Report, c.writePasswords(result.Passwords)
}

// writePasswords writes files of users into the directory that the flag names, for this user alone.
func (c *importCmd) writePasswords(all []*haproxycfg.Passwords) error {
	if c.Files == "" {
		return nil
	}
	for _, p := range all {
		text, err := p.Htpasswd()
		if err == nil {
			err = statefile.Write(filepath.Join(c.Files, p.Name), text)
		}
		if err != nil {
			return fmt.Errorf("write the users of a userlist: %w", err)
		}
	}
	return nil
}

// reportOf returns the part of the report that the flags ask for.
func (c *importCmd) reportOf(r *migration.Report) string {
	if v, ok := migration.ParseVerdict(c.Only); ok {
		return r.Only(v)
	}
	return r.String()
}

// read reads the file. Of a file that is too large it reads MaxBytes and one byte more.
func (c *importCmd) read(stdin io.Reader) (name string, data []byte, err error) {
	name = "haproxy.cfg"
	if c.File != "-" {
		name = c.File
		info, err := os.Stat(name) // before it is opened: opening a pipe would wait for its writer
		switch {
		case err != nil:
			return "", nil, err
		case info.IsDir():
			return "", nil, fmt.Errorf("%s is a directory; join its files in the order in which HAProxy reads them: cat %s/*.cfg | lb import -", name, strings.TrimRight(name, "/"))
		case !info.Mode().IsRegular():
			return "", nil, fmt.Errorf("%s is not a regular file; pass its content on standard input: cat %s | lb import -", name, name)
		}
		file, err := os.Open(name)
		if err != nil {
			return "", nil, err
		}
		defer file.Close() // it was only read
		stdin = file
	}
	data, err = io.ReadAll(io.LimitReader(stdin, migration.MaxBytes+1))
	return name, data, err
}

// checkReport returns an error if the report would overwrite the file to import.
func (c *importCmd) checkReport() error {
	report, err := os.Stat(c.Report)
	if err != nil || c.File == "-" {
		return nil // the report's file will be made, or writing it will fail
	}
	if file, err := os.Stat(c.File); err == nil && os.SameFile(file, report) {
		return fmt.Errorf("--report %s would overwrite the file to import: name another file", c.Report)
	}
	return nil
}

// verdictOf returns the result of lb check for the configuration.
func verdictOf(name string, yaml []byte) string {
	if _, err := config.Parse(name, yaml); err != nil {
		return fmt.Sprintf("lb check says of the result:\n\n%v\n", err)
	}
	return "lb check accepts the result.\n"
}
