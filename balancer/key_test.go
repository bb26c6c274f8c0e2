package balancer

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestQueryValueIsTheFirstExactMatchRaw(t *testing.T) {
	for _, row := range []struct {
		query, want string // want "" means that there is no key
	}{
		{"token=alice", "alice"},
		{"a=1&token=alice", "alice"},
		{"&&token=alice", "alice"},
		{"token=alice&token=carol", "alice"},
		{"token&token=bob", "bob"},             // without '=' it is not a parameter
		{"token=&token=carol", ""},             // the first match decides, although it is empty
		{"token=", ""},                         //
		{"token=&x=1", ""},                     //
		{"token", ""},                          //
		{"", ""},                               //
		{"x=1", ""},                            //
		{"Token=a", ""},                        // names have a case
		{"xtoken=a", ""},                       // the name begins the parameter
		{"tokens=a", ""},                       // and ends at '='
		{"a=1;token=a", ""},                    // ';' separates nothing
		{"b?token=a", ""},                      // a second '?' is ordinary
		{"%74oken=a", ""},                      // names aren't decoded
		{"token=%61lice", "%61lice"},           // nor are values
		{"token=a+b", "a+b"},                   //
		{"token=alice;x=1", "alice;x=1"},       //
		{"token=ali?ce", "ali?ce"},             //
		{"token=a=b=c", "a=b=c"},               //
		{"token=\xff\x00&x", "\xff\x00"},       //
		{"token=tok&token=tokentoken=", "tok"}, //
	} {
		got, ok := QueryValue([]byte(row.query), "token")
		if string(got) != row.want || ok != (row.want != "") {
			t.Errorf("QueryValue(%q) = %q, %v, want %q", row.query, got, ok, row.want)
		}
	}
}

func TestQueryValueFindsWhatHAProxyFinds(t *testing.T) {
	data, err := os.ReadFile("../testdata/balancer/haproxy-url.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Cases []struct {
			URI   string
			Value *string
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Cases) < 300 {
		t.Fatalf("got %d cases, want 300", len(vectors.Cases))
	}
	for _, c := range vectors.Cases {
		want := ""
		if c.Value != nil {
			want = *c.Value
		}
		_, query, _ := strings.Cut(c.URI, "?")
		if got, ok := QueryValue([]byte(query), "token"); string(got) != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", c.URI, got, ok, want)
		}
	}
}

func TestQueryValueDoesNotAllocate(t *testing.T) {
	query, name := []byte("a=1&b=2&token=alice"), strings.Clone("token")
	if n := testing.AllocsPerRun(100, func() { QueryValue(query, name) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzQueryValue(f *testing.F) {
	f.Add([]byte("a=1&token=alice&token=carol"), "token")
	f.Add([]byte("token=&token=x"), "token")
	f.Add([]byte("&=&==&"), "")
	f.Fuzz(func(t *testing.T, query []byte, name string) {
		var want []byte
		for _, piece := range bytes.Split(query, []byte("&")) {
			if value, found := bytes.CutPrefix(piece, []byte(name+"=")); found {
				want = value
				break
			}
		}
		got, ok := QueryValue(query, name)
		if !bytes.Equal(got, want) || ok != (len(want) > 0) {
			t.Errorf("QueryValue(%q, %q) = %q, %v, want %q", query, name, got, ok, want)
		}
	})
}

func TestKeyRulesAreReadFromYAML(t *testing.T) {
	const text = `
key:
  - query: token
  - {cookie: ide_session}
  - {"header": "X-Token"}
  - source
`
	var cfg Config
	if err := yaml.UnmarshalWithOptions([]byte(text), &cfg, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := []KeyRule{{KeyQuery, "token"}, {KeyCookie, "ide_session"}, {KeyHeader, "X-Token"}, {KeyClient, ""}}
	if diff := cmp.Diff(want, cfg.Key); diff != "" {
		t.Errorf("rules differ (-want +got):\n%s", diff)
	}
	if problems := cfg.Validate(); len(problems) > 0 {
		t.Errorf("got problems %v, want none", problems)
	}
}

func TestBadKeyRulesAreRefusedAtTheirPlace(t *testing.T) {
	for _, row := range []struct{ rule, want string }{
		{"token", `[1:9] "token" is not a key rule`},
		{"{parameter: x}", `[1:10] "parameter" is not a source of keys`},
		{"{query: token, cookie: x}", "[1:9] a key rule names one place; this one names 2"},
		{"{query: }", "[1:10] query needs a name"},
		{"{query: 7}", "[1:10] query needs a name"},
		{"{query: [a]}", "[1:10] query needs a name"},
		{"{path_segment: x}", "[1:10] path_segment needs a number"},
		{"{client_certificate: {a: b}}", "[1:10] client_certificate needs a name"},
		{"{trusted_header: 7}", "[1:10] trusted_header needs a name"},
		{"{source: x}", `[1:10] "source" is not a source of keys`},
		{"[query]", "[1:9] not a key rule"},
		{"12", "[1:9] not a key rule"},
	} {
		var cfg Config
		err := yaml.Unmarshal([]byte("key: [  "+row.rule+"]"), &cfg)
		if err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: got error %v, want %s", row.rule, err, row.want)
		}
	}
}

func TestKeyRulesAreWrittenAsTheyAreRead(t *testing.T) {
	for _, text := range []string{"{query: token}", "{cookie: c}", "{header: X-A}", "{path_segment: 2}", "{trusted_header: X-User}", "{client_certificate: subject}", "{client_certificate: fingerprint}", "source"} {
		var rule KeyRule
		if err := yaml.Unmarshal([]byte(text), &rule); err != nil || rule.String() != text {
			t.Errorf("got %q (%v), want %q", rule, err, text)
		}
	}
}

func TestAPrintableKeyHasNoControlCharacters(t *testing.T) {
	for key, want := range map[string]string{
		"alice":     "alice",
		"a b%20c":   "a b%20c",
		"żółw":      "żółw",
		"":          "",
		"a\x1b[2Jb": `"a\x1b[2Jb"`,
		"a\nb":      `"a\nb"`,
		"a\xffb":    `"a\xffb"`,
		"a\u202eb":  `"a\u202eb"`, // would reverse the rest of the line
	} {
		if got := PrintableKey(key); got != want {
			t.Errorf("%q: got %s, want %s", key, got, want)
		}
	}
}
