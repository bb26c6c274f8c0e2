package reference

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"tokenring/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md and docs/lb.schema.json")

const docs = "../../docs"

// entries returns all keys.
func entries(t *testing.T) []Entry {
	t.Helper()
	all, err := Entries()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestNoKeyIsMissingOnThePage holds docs/configuration.md and docs/lb.schema.json to the program.
func TestNoKeyIsMissingOnThePage(t *testing.T) {
	all := entries(t)
	schema, err := Schema(all)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"configuration.md": Page(all), "lb.schema.json": string(schema)} {
		file := filepath.Join(docs, name)
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s isn't what the program has; run go test ./config/reference -update\n%s", file, diff)
		}
	}
}

// TestThePageLeadsToPagesThatAreThere looks for the pages that keys.yaml names.
func TestThePageLeadsToPagesThatAreThere(t *testing.T) {
	for _, name := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(Page(entries(t)), -1) {
		if _, err := os.Stat(filepath.Join(docs, name[1])); err != nil && name[1] != "lb.schema.json" {
			t.Error(err)
		}
	}
}

// TestTheFullExamplesHaveEveryKey holds full.yaml and dns.yaml to what their first lines say.
func TestTheFullExamplesHaveEveryKey(t *testing.T) {
	there := map[string]bool{}
	named := map[string]bool{} // the sections that have names for keys
	for _, e := range entries(t) {
		if section, ok := strings.CutSuffix(strings.TrimSuffix(e.Path, "[]"), "."+config.AnyName); ok {
			named[section] = true
		}
	}
	for _, name := range []string{"full.yaml", "dns.yaml"} {
		text, err := os.ReadFile("../../testdata/config/examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var full any
		if err := yaml.Unmarshal(text, &full); err != nil {
			t.Fatal(err)
		}
		paths("", full, named, there)
	}
	for _, e := range entries(t) {
		if !there[e.Path] && e.As == "" {
			t.Errorf("neither full.yaml nor dns.yaml has %s", e.Path)
		}
	}
}

// paths notes the path of each key below a value.
func paths(path string, v any, named, all map[string]bool) {
	all[path] = true
	switch v := v.(type) {
	case map[string]any:
		for key, sub := range v {
			if named[path] {
				key = config.AnyName
			}
			paths(strings.TrimPrefix(path+"."+key, "."), sub, named, all)
		}
	case []any:
		for _, sub := range v {
			paths(path+"[]", sub, named, all)
		}
	}
}

// TestExamplesAreAccepted parses a configuration with the example of each key that can stand
// in one without files.
func TestExamplesAreAccepted(t *testing.T) {
	for _, e := range entries(t) {
		if e.Form == config.FormSection {
			continue
		}
		text := nested(e)
		_, err := config.Parse("lb.yaml", []byte(text))
		problems, ok := err.(config.Errors)
		if err != nil && !ok {
			t.Fatal(err)
		}
		for _, p := range problems {
			// A form that is wrong is reported whatever else is missing.
			if strings.Contains(p.Error(), "belongs") || strings.Contains(p.Error(), "unknown key") || strings.Contains(p.Error(), "no duration") {
				t.Errorf("%s\n%v", text, p)
			}
		}
	}
}

// nested returns a configuration that has the example of a key.
func nested(e Entry) string {
	value := e.exampleText()
	words := strings.Split(e.Path, ".")
	for i := len(words) - 1; i >= 0; i-- {
		name, list := strings.CutSuffix(words[i], "[]")
		if list {
			value = "[" + value + "]"
		}
		value = name + ": " + value
		if i > 0 {
			value = "{" + value + "}"
		}
	}
	return value + "\n"
}

// TestTheSchemaKnowsTheExamples holds the schema to files that the program accepts, and to some
// mistakes.
func TestTheSchemaKnowsTheExamples(t *testing.T) {
	text, err := Schema(entries(t))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../testdata/config/examples/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if problem := check(schema, parse(t, string(text))); problem != "" {
			t.Errorf("%s: %s", file, problem)
		}
	}
	for _, text := range []string{"unmatched: 421", `unmatched: "404"`, "tls: {min_version: 1.2}", `tls: {min_version: "1.3"}`} {
		if problem := check(schema, parse(t, text)); problem != "" {
			t.Errorf("%s: %s", text, problem)
		}
	}
	for _, text := range []string{"unmatched: 500", "listn: []", "listen: {address: a}", "hash: {policy: best}", "health: {interval: 2}", "health: {interval: 2 s}", "pool: {freeze: never}", "limits: {fields: many}", "log: {access: 3}", "pools: {api: {hots: []}}", "pools: {api: {health: {rise: x}}}", "pools: {API: {}}", "pages: {html: {302: a.html}}", "pages: {html: {503: 5}}"} {
		if check(schema, parse(t, text)) == "" {
			t.Errorf("the schema accepts %s", text)
		}
	}
}

func parse(t *testing.T, text string) (v any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// check returns what a schema finds wrong with a value, "" if nothing. It knows the words that
// Schema uses.
func check(schema map[string]any, v any) string {
	if any, ok := schema["anyOf"].([]any); ok {
		problem := ""
		for _, one := range any {
			if problem = check(one.(map[string]interface{}), v); problem == "" {
				return ""
			}
		}
		return problem
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.ContainsFunc(enum, func(e any) bool { return e == v || e == number(v) }) {
		return fmt.Sprintf("%v isn't one of %v", v, enum)
	}
	if types := schema["type"]; types != nil && !hasType(types, v) {
		return fmt.Sprintf("%v (%T) isn't of the type %v", v, v, types)
	}
	if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(fmt.Sprint(v)) {
		return fmt.Sprintf("%v doesn't match %s", v, pattern)
	}
	switch v := v.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for key, sub := range v {
			one, ok := properties[key].(map[string]any)
			named, _ := schema["patternProperties"].(map[string]any)
			for pattern, schema := range named {
				if regexp.MustCompile(pattern).MatchString(key) {
					one, ok = schema.(map[string]any)
				}
			}
			if !ok {
				return "unknown: " + key
			}
			if problem := check(one, sub); problem != "" {
				return key + ": " + problem
			}
		}
	case []any:
		for _, sub := range v {
			if problem := check(schema["items"].(map[string]any), sub); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// number returns a whole number as JSON has it.
func number(v any) any {
	switch n := v.(type) {
	case uint64:
		return float64(n)
	case int64:
		return float64(n)
	}
	return nil
}

// hasType reports whether a value has one of the types of a schema.
func hasType(types, v any) bool {
	if list, ok := types.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return hasType(one, v) })
	}
	switch v.(type) {
	case map[string]any:
		return types == "object"
	case []any:
		return types == "array"
	case string:
		return types == "string"
	case bool:
		return types == "boolean"
	case uint64, int64:
		return types == "integer" || types == "number"
	case float64:
		return types == "number"
	}
	return false
}
