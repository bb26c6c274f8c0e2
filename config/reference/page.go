package reference

import (
	"fmt"
	"regexp"
	"strings"

	"tokenring/config"
)

const head = `# Every key of lb.yaml

This page is made from the program (` + "`go test ./config/reference -update`" + `). What belongs together and why, README.md and the pages that are named
here say. [` + "`full.yaml`" + `](../testdata/config/examples/full.yaml) has all keys in one file. ` + "`lb check -c lb.yaml`" + ` shows every mistake with its
line. Editors show the same texts, and mistakes while you type, by the schema [lb.schema.json](lb.schema.json):

` + "```yaml\n# yaml-language-server: $schema=/usr/share/doc/tokenring/lb.schema.json\n```" + `

Durations are written like 500ms, 2s, 1m30s or 1h. Relative paths of files begin at the directory of lb.yaml. A key with [] is an item of a list.
`

// Page returns docs/configuration.md.
func Page(entries []Entry) string {
	var b strings.Builder
	b.WriteString(head)
	section := ""
	for _, e := range entries {
		top, _, _ := strings.Cut(strings.TrimSuffix(e.Path, "[]"), ".")
		if top = strings.TrimSuffix(top, "[]"); top != section {
			section = top
			fmt.Fprintf(&b, "\n## %s\n\n", section)
			if e.Form == config.FormSection {
				fmt.Fprintf(&b, "%s\n\n", linked(e.What+offToo(e)))
			}
			b.WriteString("| key | what | form | default | example |\n|---|---|---|---|---|\n")
			if e.Form == config.FormSection {
				continue
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", e.Path, linked(e.What+offToo(e)), e.form(), e.defaultText(), code(e.exampleText()))
	}
	return b.String()
}

// offToo says that a section may be off.
func offToo(e Entry) string {
	if e.Off && e.Form == config.FormSection && !strings.Contains(e.What, " off") {
		return " Or off."
	}
	return ""
}

// form says what a value looks like.
func (e Entry) form() string {
	form := string(e.Form)
	switch {
	case len(e.Values) > 0:
		words := make([]string, len(e.Values))
		for i, v := range e.Values {
			words[i] = "`" + v + "`"
		}
		form = strings.Join(words, ", ")
	case e.Unit != "":
		form += ": " + e.Unit
	}
	if e.Off && e.Form != config.FormSection {
		form += ", or `off`"
	}
	return form
}

func (e Entry) defaultText() string {
	if e.Unset != "" {
		return e.Unset
	}
	return code(e.Default)
}

func (e Entry) exampleText() string {
	if e.Form == config.FormSection {
		return ""
	}
	if e.Form == config.FormText {
		return quoted(e.example())
	}
	return e.example()
}

// quoted returns a text as YAML needs it.
func quoted(text string) string {
	if strings.ContainsAny(text, ":{}[]#") || text != "" && strings.Trim(text, "0123456789.") == "" {
		return `"` + text + `"`
	}
	return text
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

var pageName = regexp.MustCompile(`\b[a-z-]+\.md\b`)

// linked has the names of pages in a text lead there.
func linked(text string) string { return pageName.ReplaceAllString(text, "[$0]($0)") }
