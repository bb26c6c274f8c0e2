package tokenring_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite NOTICE")

// A part is somebody else's code in the binary, with all that its licence wants to
// be told.
type part struct {
	name, version string
	dir           string   // the root of its files
	texts         []string // licences, and notices that they want to be kept; each once
}

// TestNoticeIsTrue: NOTICE names each module that the binary contains, and has its
// licences.
func TestNoticeIsTrue(t *testing.T) {
	want := notice(t, parts(t))
	if *update {
		if err := os.WriteFile("NOTICE", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("NOTICE"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("NOTICE isn't that of the modules that cmd/lb is built from (%v): run go test . -run Notice -update", err)
	}
}

// parts lists the Go standard library and the modules of which the binary for
// Linux has a package.
func parts(t *testing.T) []*part {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/lb")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	std := &part{name: "Go's standard library"} // of whatever version builds it
	std.add(t, strings.TrimSpace(string(root)))
	byName := map[string]*part{std.name: std}
	for list := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := list.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Standard || p.Module.Main {
			continue
		}
		m := byName[p.Module.Path]
		if m == nil {
			m = &part{name: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir}
			byName[m.name] = m
		}
		m.addUpTo(t, p.Dir)
	}
	all := make([]*part, 0, len(byName))
	for _, p := range byName {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *part) int { return strings.Compare(a.name, b.name) })
	return all
}

// addUpTo adds the licences in dir and in the directories above it, up to p's own:
// a package that comes from elsewhere has one beside it.
func (p *part) addUpTo(t *testing.T, dir string) {
	t.Helper()
	for ; strings.HasPrefix(dir, p.dir); dir = filepath.Dir(dir) {
		p.add(t, dir)
	}
}

// add adds the texts in dir.
func (p *part) add(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "NOTICE*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if clean := tidyText(string(text)); !slices.Contains(p.texts, clean) {
				p.texts = append(p.texts, clean)
			}
		}
	}
}

// tidyText is text without the blanks that make equal licences different.
func tidyText(text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "")) {
		b.WriteString(strings.TrimRight(line, " \t\f\n") + "\n")
	}
	return strings.Trim(b.String(), "\n") + "\n"
}

// licences are what the texts are told by, and their SPDX identifiers.
var licences = []struct{ mark, id string }{
	{"Mozilla Public License, version 2.0", "MPL-2.0"},
	{"Mozilla Public License Version 2.0", "MPL-2.0"},
	{"Apache License", "Apache-2.0"},
	{"Permission is hereby granted, free of charge", "MIT"},
	{"Neither the name", "BSD-3-Clause"},
	{"Permission to use, copy, modify, and distribute this software", "ISC"},
}

// ids returns p's licences.
func (p *part) ids() (all []string) {
	for _, text := range p.texts {
		flat := strings.Join(strings.Fields(text), " ")
		for _, l := range licences {
			if strings.Contains(flat, l.mark) {
				if !slices.Contains(all, l.id) {
					all = append(all, l.id)
				}
				break
			}
		}
	}
	return all
}

// notice writes NOTICE.
func notice(t *testing.T, all []*part) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`Tokenring is licensed under the Apache License 2.0, which is in the file LICENSE.

The binary lb contains Go's standard library and the modules below, unchanged. Each has a licence of its own.
A module's source is where its name says, behind https:// and without a /v2 at its end, in the version that is named.
The texts of the licences follow.

`)
	users := map[string][]string{} // of a text
	var texts []string
	for _, p := range all {
		ids := p.ids()
		if len(ids) == 0 {
			t.Errorf("%s has no licence that is known here", p.name)
		}
		fmt.Fprintf(&b, "  %s: %s\n", strings.TrimSpace(p.name+" "+p.version), strings.Join(ids, ", "))
		for _, text := range p.texts {
			if users[text] == nil {
				texts = append(texts, text)
			}
			users[text] = append(users[text], p.name)
		}
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s:\n\n%s", strings.Repeat("=", 80), strings.Join(users[text], ",\n"), text)
	}
	return b.Bytes()
}
