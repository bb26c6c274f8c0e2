package haproxycfg_test

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
	"tokenring/haproxycfg"
	"tokenring/tlsterm"
)

var update = flag.Bool("update", false, "rewrite what the stories expect")

// A story is a haproxy.cfg, the files that it names, and what an import gives:
// lb.yaml, report, and what a check of lb.yaml says; or error.
type story struct {
	archive *txtar.Archive
	backend string
	files   fstest.MapFS
	cfg     []byte
}

// outcomes are the files that an import writes.
var outcomes = []string{"lb.yaml", "report", "check", "error"}

func readStory(t *testing.T, file string) *story {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{archive: archive, files: fstest.MapFS{}}
	for line := range strings.Lines(string(archive.Comment)) {
		if name, ok := strings.CutPrefix(line, "backend: "); ok {
			s.backend = strings.TrimSpace(name)
		}
	}
	for _, f := range archive.Files {
		switch {
		case f.Name == "haproxy.cfg":
			s.cfg = f.Data
		case !slices.Contains(outcomes, f.Name):
			s.files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	return s
}

// tell imports the story's file, and returns what an import writes, by name.
func (s *story) tell(t *testing.T) map[string]string {
	result, err := haproxycfg.Import("haproxy.cfg", s.cfg, haproxycfg.Options{Backend: s.backend, Files: s.files})
	if err != nil {
		if errs := haproxycfg.Errors(nil); !errors.As(err, &errs) || len(errs) == 0 {
			t.Errorf("the error is no haproxycfg.Errors: %v", err)
		}
		return map[string]string{"error": err.Error() + "\n"}
	}
	again, err := haproxycfg.Import("haproxy.cfg", s.cfg, haproxycfg.Options{Backend: s.backend, Files: s.files})
	if err != nil || !bytes.Equal(again.YAML, result.YAML) || again.Report.String() != result.Report.String() {
		t.Errorf("a second import differs: %v", err)
	}
	return map[string]string{
		"lb.yaml": string(result.YAML),
		"report":  result.Report.String(),
		"check":   s.check(t, string(result.YAML)),
	}
}

var certificates = regexp.MustCompile(`\{cert: "[^"]*", key: "[^"]*"\}`)

// check says what lb check says. A real certificate and its key, in one file as
// HAProxy has them, take the place of those in text; the story's files are those that it has.
func (s *story) check(t *testing.T, text string) string {
	dir := t.TempDir()
	cert, key, err := tlsterm.SelfSigned("ide.example.com")
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "ide.pem")
	if err := os.WriteFile(bundle, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	text = certificates.ReplaceAllString(text, `{cert: "`+bundle+`", key: "`+bundle+`"}`)
	for name, f := range s.files {
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
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, `"/`+name+`"`, `"`+file+`"`)
		text = strings.ReplaceAll(text, `directory: "/`+path.Dir(name)+`"`, `directory: "`+filepath.Dir(file)+`"`)
	}
	if _, err := config.Parse("lb.yaml", []byte(text)); err != nil {
		return strings.ReplaceAll(err.Error(), dir, "/etc") + "\n"
	}
	return "accepted\n"
}

// TestStories imports the haproxy.cfg of each testdata/haproxycfg/*.txtar.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../testdata/haproxycfg/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatal("where are the stories?", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := readStory(t, file)
			s.compare(t, s.tell(t))
			if !*update {
				return
			}
			if err := os.WriteFile(file, txtar.Format(s.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// compare holds what an import wrote, by name, against the story, or updates it.
func (s *story) compare(t *testing.T, got map[string]string) {
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
