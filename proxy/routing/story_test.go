package routing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/goccy/go-yaml"
)

// Stories are about which route a request matches. Their commands are
//
//	routes                 the items of routes, in YAML
//	match                  METHOD URL, each in a line: which route it matches
//	covered                which routes can never match
func TestStories(t *testing.T) {
	datadriven.Walk(t, "../../testdata/routing", func(t *testing.T, path string) {
		var all []Config
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "routes":
				all = nil
				if err := yaml.UnmarshalWithOptions([]byte(d.Input), &all, yaml.Strict()); err != nil {
					t.Fatal(err)
				}
				return checked(all)
			case "match":
				return matches(New(all), d.Input)
			case "covered":
				return covered(all)
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

// checked returns what is wrong with routes.
func checked(all []Config) string {
	var out strings.Builder
	for i := range all {
		c := &all[i]
		if c.Host != "" {
			if err := CheckHost(c.Host); err != nil {
				fmt.Fprintf(&out, "%s: %v\n", c.Label(i), err)
			}
		}
		if path := c.Path + c.PathPrefix; path != "" {
			if err := CheckPath(path); err != nil {
				fmt.Fprintf(&out, "%s: %v\n", c.Label(i), err)
			}
		}
	}
	return out.String()
}

func matches(table *Table, requests string) string {
	var out strings.Builder
	for line := range strings.Lines(requests) {
		method, url, _ := strings.Cut(strings.TrimSpace(line), " ")
		host, path, slash := strings.Cut(url, "/")
		if slash {
			path = "/" + path
		} else {
			path = "*"
		}
		r, clear := table.Match([]byte(host), []byte(path), []byte(method))
		switch {
		case !clear:
			out.WriteString("refused\n")
		case r == nil:
			out.WriteString("none\n")
		default:
			fmt.Fprintf(&out, "%s: %s\n", r.Label, r.Does())
		}
	}
	return out.String()
}

func covered(all []Config) string {
	var out strings.Builder
	for i := range all {
		for j := range i {
			if all[j].Covers(&all[i]) {
				fmt.Fprintf(&out, "%s is covered by %s\n", all[i].Label(i), all[j].Label(j))
				break
			}
		}
	}
	return out.String()
}
