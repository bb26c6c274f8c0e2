package nginxcfg_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
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
	"tokenring/nginxcfg"
	"tokenring/tlsterm"
)

var update = flag.Bool("update", false, "rewrite what the stories expect")

// outcomes are the files of a story that an import writes. The others are nginx.conf, and the files
// that it names.
var outcomes = []string{"lb.yaml", "report", "check", "error"}

// TestStories imports the nginx.conf of each testdata/nginxcfg/*.txtar.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../testdata/nginxcfg/*.txtar")
	if err != nil || len(files) < 6 {
		t.Fatal("where are the stories?", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, archive, importStory(t, archive))
			if !*update {
				return
			}
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// importStory returns what an import of the story's file writes, by name.
func importStory(t *testing.T, archive *txtar.Archive) map[string]string {
	t.Helper()
	files := fstest.MapFS{}
	var cfg []byte
	for _, f := range archive.Files {
		switch {
		case f.Name == "nginx.conf":
			cfg = f.Data
		case !slices.Contains(outcomes, f.Name):
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	result, err := nginxcfg.Import("nginx.conf", cfg, nginxcfg.Options{Files: files})
	if err != nil {
		if errs := migration.Errors(nil); !errors.As(err, &errs) || len(errs) == 0 {
			t.Errorf("the error is no migration.Errors: %v", err)
		}
		return map[string]string{"error": err.Error() + "\n"}
	}
	again, err := nginxcfg.Import("nginx.conf", cfg, nginxcfg.Options{Files: files})
	if err != nil || !bytes.Equal(again.YAML, result.YAML) || again.Report.String() != result.Report.String() {
		t.Errorf("a second import differs: %v", err)
	}
	if strings.Contains(result.Report.String(), "hunter2") {
		t.Errorf("the report has a secret:\n%s", result.Report)
	}
	return map[string]string{"lb.yaml": string(result.YAML), "report": result.Report.String(), "check": check(t, string(result.YAML))}
}

var named = regexp.MustCompile(`\{cert: "[^"]*", key: "[^"]*"\}`)

// check says what lb check says, with real certificates in the place of those that lb.yaml names.
func check(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	cert, key, err := tlsterm.SelfSigned("ide.example.com")
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "ide.pem")
	if err := os.WriteFile(bundle, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	text = named.ReplaceAllString(text, `{cert: "`+bundle+`", key: "`+bundle+`"}`)
	text = strings.ReplaceAll(text, `"/etc/ssl/hosts.pem"`, `"`+bundle+`"`)
	if _, err := config.Parse("lb.yaml", []byte(text)); err != nil {
		return strings.ReplaceAll(err.Error(), dir, "/etc") + "\n"
	}
	return "accepted\n"
}

// compare holds what an import wrote, by name, against the story, or updates it.
func compare(t *testing.T, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	for i, f := range archive.Files {
		if !slices.Contains(outcomes, f.Name) {
			continue
		}
		if *update {
			archive.Files[i].Data = []byte(got[f.Name])
		} else if diff := cmp.Diff(string(f.Data), got[f.Name]); diff != "" {
			t.Errorf("%s: -want +got\n%s", f.Name, diff)
		}
		delete(got, f.Name)
	}
	for name, text := range got {
		t.Errorf("the story has no file %s; there is one now:\n%s", name, text)
	}
}
