// Package reference describes the keys of lb.yaml: as a page for operators, and as a JSON
// schema for editors. The keys, their forms and their defaults come from package config, so
// that none can be missing; what they are for is in keys.yaml.
package reference

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"tokenring/config"
)

//go:embed keys.yaml
var texts []byte

// An Entry is a key, and what there is to know of it.
type Entry struct {
	config.Key
	Text
	As string // the key that means the same and whose text this is; "" if the key has its own
}

// A Text is what keys.yaml says of a key.
type Text struct {
	What    string   `yaml:"what"`    // a sentence or two
	Unit    string   `yaml:"unit"`    // of a number; "" if it has none
	Unset   string   `yaml:"default"` // in words, where config sets no default; or "" if a section has none
	Values  []string `yaml:"values"`  // the texts that are possible; empty if others are
	Example string   `yaml:"example"` // a value; "" for the default
}

// Entries returns all keys, in their order. The error says which keys of keys.yaml are
// missing, or too many, or say less than they must.
func Entries() ([]Entry, error) {
	var all map[string]Text
	if err := yaml.UnmarshalWithOptions(texts, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("keys.yaml: %w", err)
	}
	var entries []Entry
	var wrong []string
	used := map[string]bool{}
	for _, key := range config.Keys() {
		text, as, ok := textOf(all, key.Path)
		used[cmp.Or(as, key.Path)] = true
		e := Entry{Key: key, Text: text, As: as}
		if problem := e.problem(ok); problem != "" {
			wrong = append(wrong, key.Path+" "+problem)
		}
		entries = append(entries, e)
	}
	for path := range all {
		if used[path] {
			continue
		}
		wrong = append(wrong, path+" isn't a key of lb.yaml")
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return nil, fmt.Errorf("keys.yaml: %s", strings.Join(wrong, "; "))
	}
	return entries, nil
}

// textOf returns the text of a key. The keys of a pool that have none of their own have that of
// the main pool's key, or of the section at the top: as is its path then.
func textOf(all map[string]Text, path string) (text Text, as string, ok bool) {
	if text, ok = all[path]; ok {
		return text, "", true
	}
	rest, ofPool := strings.CutPrefix(path, "pools."+config.AnyName+".")
	if !ofPool {
		return Text{}, "", false
	}
	for _, as := range []string{"pool." + rest, rest} {
		if text, ok = all[as]; ok {
			return text, as, true
		}
	}
	return Text{}, "", false
}

// problem returns what is wrong with the text of a key, "" if nothing.
func (e Entry) problem(known bool) string {
	switch {
	case !known || e.What == "":
		return "has no text"
	case e.Form == config.FormSection:
		return ""
	case e.Default == "" && e.Unset == "" && e.example() == "":
		return "has neither a default nor an example"
	case e.Default == "" && e.Unset == "" && !strings.HasSuffix(e.Path, "[]"):
		return "has no default"
	case e.Default != "" && e.Unset != "" && e.Form != config.FormFlag:
		return "has a default of the program's, and another one"
	case (e.Form == config.FormWhole || e.Form == config.FormNumber) && e.Unit == "" && !strings.HasSuffix(e.Path, ".id"):
		return "has no unit"
	}
	return ""
}

// example returns a value that the key may have.
func (e Entry) example() string {
	first := ""
	if len(e.Values) > 0 {
		first = e.Values[0]
	}
	plain := e.Unset
	if strings.ContainsAny(plain, " ") && e.Form != config.FormKeyRule {
		plain = "" // words
	}
	return cmp.Or(e.Example, e.Default, first, plain)
}
