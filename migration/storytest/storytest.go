// Package storytest holds the import of another balancer's configuration to its stories. A story is a
// txtar archive: the configuration, the files that it names, and what an import makes of them, which
// are lb.yaml, the report and what a check of lb.yaml says, or else an error. It is for tests.
package storytest

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"tokenring/config"
	"tokenring/migration"
	"tokenring/tlsterm"
)

var update = flag.Bool("update", false, "rewrite what the stories expect")

// outcomes are the files that an import writes.
var outcomes = []string{"lb.yaml", "report", "check", "error"}

// An Import imports the configuration of a story.
type Import func(*Story) (yaml []byte, report *migration.Report, err error)

// A Story is one that has been read.
type Story struct {
	Backend string         // of the comment's line "backend: NAME"
	Config  []byte         // the configuration
	Files   fstest.MapFS   // those that it names
	archive *txtar.Archive // with all of it
}

// Read reads a story, in which the configuration has a name such as haproxy.cfg.
func Read(t *testing.T, file, name string) *Story {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &Story{archive: archive, Files: fstest.MapFS{}}
	for line := range strings.Lines(string(archive.Comment)) {
		if backend, ok := strings.CutPrefix(line, "backend: "); ok {
			s.Backend = strings.TrimSpace(backend)
		}
	}
	for _, f := range archive.Files {
		switch {
		case f.Name == name:
			s.Config = f.Data
		case !slices.Contains(outcomes, f.Name):
			s.Files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return s
}

// Run imports the configuration of each story in a directory, which has at least some. With the flag
// -update it rewrites what they expect.
func Run(t *testing.T, dir, name string, least int, imports Import) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) < least {
		t.Fatal("where are the stories?", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := Read(t, file, name)
			s.compare(t, s.tell(t, imports))
			if !*update {
				return
			}
			if err := os.WriteFile(file, txtar.Format(s.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// tell returns what an import writes, by name.
func (s *Story) tell(t *testing.T, imports Import) map[string]string {
	t.Helper()
	yaml, report, err := imports(s)
	if err != nil {
		if errs := migration.Errors(nil); !errors.As(err, &errs) || len(errs) == 0 {
			t.Errorf("the error is no migration.Errors: %v", err)
		}
		return map[string]string{"error": err.Error() + "\n"}
	}
	again, other, err := imports(s)
	if err != nil || !bytes.Equal(again, yaml) || other.String() != report.String() {
		t.Errorf("a second import differs: %v", err)
	}
	if strings.Contains(report.String(), "hunter2") {
		t.Errorf("the report has a secret:\n%s", report)
	}
	return map[string]string{"lb.yaml": string(yaml), "report": report.String(), "check": s.check(t, string(yaml))}
}

var certificates = regexp.MustCompile(`\{cert: "[^"]*", key: "[^"]*"\}`)

// check says what lb check says. A real certificate and its key, in one file, take the place of those
// in text; the story's files are those that it has.
func (s *Story) check(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	cert, key, err := tlsterm.SelfSigned("ide.example.com")
	if err != nil {
		t.Fatal(err)
	}
	bundle := write(t, dir, "ide.pem", slices.Concat(cert, key))
	text = certificates.ReplaceAllString(text, `{cert: "`+bundle+`", key: "`+bundle+`"}`)
	for name, f := range s.Files {
		data := f.Data
		hasCert, hasKey := bytes.Contains(data, []byte("BEGIN CERTIFICATE")), bytes.Contains(data, []byte("BEGIN PRIVATE KEY"))
		switch {
		case hasCert && hasKey:
			data = slices.Concat(cert, key)
		case hasCert:
			data = cert
		case hasKey:
			data = key
		}
		file := write(t, dir, name, data)
		text = strings.NewReplacer(`"/`+name+`"`, `"`+file+`"`, `"`+name+`"`, `"`+file+`"`).Replace(text)
		text = strings.ReplaceAll(text, `directory: "/`+path.Dir(name)+`"`, `directory: "`+filepath.Dir(file)+`"`)
	}
	if _, err := config.Parse("lb.yaml", []byte(text)); err != nil {
		return strings.ReplaceAll(err.Error(), dir, "/etc") + "\n"
	}
	return "accepted\n"
}

func write(t *testing.T, dir, name string, data []byte) (file string) {
	t.Helper()
	file = filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	return file
}

// compare holds what an import wrote, by name, against the story, or updates it.
func (s *Story) compare(t *testing.T, got map[string]string) {
	t.Helper()
	for i, f := range s.archive.Files {
		if !slices.Contains(outcomes, f.Name) {
			continue
		}
		if *update {
			s.archive.Files[i].Data = []byte(got[f.Name])
		} else if diff := cmp.Diff(string(f.Data), got[f.Name]); diff != "" {
			t.Errorf("%s: -want +got\n%s", f.Name, diff)
		}
		delete(got, f.Name)
	}
	for name, text := range got {
		t.Errorf("the story has no file %s; there is one now:\n%s", name, text)
	}
}
