package haproxycfg_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"

	"tokenring/config"
	"tokenring/haproxycfg"
)

// FuzzImport holds, for whatever there may be in a file: an import never
// panics; it fails with errors that name lines of the file, or else it accounts
// for every line once, and its lb.yaml has no key that lb.yaml can't have.
func FuzzImport(f *testing.F) {
	stories, err := filepath.Glob("../testdata/haproxycfg/*.txtar")
	if err != nil || len(stories) == 0 {
		f.Fatal("no stories", err)
	}
	for _, story := range stories {
		archive, err := txtar.ParseFile(story)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "haproxy.cfg" {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte("defaults\n mode http\nlisten a\n bind :1\n server \"\x00\u2028$\" 10.0.0.1:1 weight\n no\n no no\n default\n"))
	f.Add([]byte("defaults\n mode http\nlisten a\n bind :1-9,[::]:1-70000\n server a 1:1 id 1048577 id\n server b 2:2 id 1 weight 0\n stats\n option\n timeout\n log\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		result, err := haproxycfg.Import("haproxy.cfg", data, haproxycfg.Options{})
		if err != nil {
			mustNameLines(t, err, data)
			return
		}
		mustAccountForAll(t, result.Report, data)
		mustBeYAML(t, result.YAML)
	})
}

// linesOf counts the lines of data.
func linesOf(data []byte) int { return strings.Count(strings.TrimSuffix(string(data), "\n"), "\n") + 1 }

func mustNameLines(t *testing.T, err error, data []byte) {
	t.Helper()
	var errs haproxycfg.Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("the error is no haproxycfg.Errors: %v", err)
	}
	for _, e := range errs {
		if e.Line < 0 || e.Line > linesOf(data) || e.Message == "" || e.Hint == "" {
			t.Errorf("an error with a wrong line, or without words: %#v", e)
		}
	}
}

var (
	reported = regexp.MustCompile(`(?m)^haproxy\.cfg:([\d, -]+): `)
	skipped  = regexp.MustCompile(`(?m)^haproxy\.cfg: (?:empty or comments|see above|as in lb\.yaml): (.*)$`)
)

// mustAccountForAll wants each line of the file once, in the report's parts and
// in its text.
func mustAccountForAll(t *testing.T, r *haproxycfg.Report, data []byte) {
	t.Helper()
	for i, l := range r.Lines {
		if l.Number != i+1 {
			t.Fatalf("line %d of the report has the number %d", i+1, l.Number)
		}
	}
	text, seen := r.String(), map[int]int{}
	for _, m := range append(reported.FindAllStringSubmatch(text, -1), skipped.FindAllStringSubmatch(text, -1)...) {
		for part := range strings.SplitSeq(m[1], ", ") {
			for _, n := range span(t, part) {
				seen[n]++
			}
		}
	}
	for n := 1; n <= linesOf(data); n++ {
		if seen[n] != 1 {
			t.Errorf("line %d is %d times in the report:\n%s", n, seen[n], text)
		}
	}
	if len(seen) != linesOf(data) {
		t.Errorf("the report has %d lines, the file %d", len(seen), linesOf(data))
	}
}

// span returns the numbers of "7" or "3-5".
func span(t *testing.T, part string) (numbers []int) {
	t.Helper()
	low, high, isRange := strings.Cut(part, "-")
	if !isRange {
		high = low
	}
	first, err := strconv.Atoi(low)
	last, err2 := strconv.Atoi(high)
	if err != nil || err2 != nil {
		t.Fatalf("%q is no number", part)
	}
	for n := first; n <= last; n++ {
		numbers = append(numbers, n)
	}
	return numbers
}

func mustBeYAML(t *testing.T, text []byte) {
	t.Helper()
	var keys map[string]any
	if err := yaml.Unmarshal(text, &keys); err != nil {
		t.Fatalf("lb.yaml is no YAML: %v\n%s", err, text)
	}
	_, err := config.Parse("lb.yaml", text)
	var errs config.Errors
	if err != nil && !errors.As(err, &errs) {
		t.Fatal(err)
	}
	for _, e := range errs {
		if strings.Contains(e.Message, "unknown key") || e.Key == "" {
			t.Errorf("%v\n%s", e, text)
		}
	}
}

// TestSecretsAreNotReported: a report shows each line, but for what may be secret.
func TestSecretsAreNotReported(t *testing.T) {
	const secret = "hunter2"
	for _, line := range []string{
		"stats auth admin:hunter2",
		"dynamic-cookie-key hunter2",
		`http-request set-header Authorization "Basic hunter2"`,
		`http-request set-header X-Api-Key hunter2 if { path / }`,
		"http-check send meth GET uri / hdr Authorization hunter2",
		`option httpchk GET / HTTP/1.1\r\nAuthorization:\ Basic\ hunter2`,
		"http-request set-header X-Origin-Verify hunter2",
		"http-request set-header X-Edge hunter2 if { ssl_fc }",
		`http-request replace-header X-Edge (.*) hunter2`,
		"http-request redirect location https://me:hunter2@a.example.com/",
		"http-request redirect location https://a.example.com/?key=hunter2 if { path / }",
		"http-request set-query token=hunter2&%[query]",
		"http-request set-var(txn.a) str(hunter2)",
		"http-request deny unless { req.hdr(X-Edge) -m str hunter2 }",
		"http-request deny if { query -m sub hunter2 } or { path / }",
		"http-request deny unless { req.hdr(x-sig),hmac(sha256,hunter2) -m found }",
		"http-check send meth GET uri /up?key=hunter2",
		"option httpchk GET /up?api_key=hunter2",
		"http-check send meth GET uri /up body hunter2",
		`tcp-check send "AUTH hunter2"`,
		"default-server agent-check agent-send hunter2",
		"timeout tunnel 1h # hunter2",
		"redirect scheme https if { hdr(X-Edge) hunter2 }",
		"acl me hdr_sub(cookie) -i hunter2",
		"acl me url_param(token) hunter2",
		"acl me hdr(Authorization) -m str hunter2",
		"use_backend b if { urlp(token) hunter2 }",
		"http-request deny unless { req.cook(token) -m str hunter2 }",
		"bind 127.0.0.1:81 ssl generate-certificates ca-sign-pass hunter2",
		"no stats auth admin:hunter2",
	} {
		cfg := "global\n  setenv DB_PASSWORD hunter2\n  presetenv X hunter2\ndefaults\n  mode http\nlisten b\n  bind 127.0.0.1:80\n  " + line +
			"\n  server a 10.0.0.1:80\nuserlist u\n  user a insecure-password hunter2\n  user a password hunter2 groups g\n"
		result, err := haproxycfg.Import("haproxy.cfg", []byte(cfg), haproxycfg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if text := result.Report.String(); strings.Contains(text, secret) {
			t.Errorf("%s: the secret is shown:\n%s", line, text)
		}
		_, err = haproxycfg.Import("haproxy.cfg", []byte(cfg+" "+line+` "`), haproxycfg.Options{})
		if err == nil && !strings.Contains(line, "#") || err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s, with an open quote: got %v, want an error without the secret", line, err)
		}
	}
}

// TestWhatIsNoSecretIsShown: a masked line says little.
func TestWhatIsNoSecretIsShown(t *testing.T) {
	for _, line := range []string{
		"http-request set-header X-Forwarded-Proto https if { ssl_fc }",
		"http-request set-header X-Client %[src]",
		"http-request deny if { path_beg /admin } !{ src 10.0.0.0/8 }",
		"use_backend b if { hdr(host) -i ide.example.com }",
		"http-check send meth GET uri /up hdr Host ide.example.com",
		"option forwardfor header X-Client if-none",
		"http-request set-var(txn.a) path,lower",
		"bind 127.0.0.1:81 ssl crt /etc/key.pem verify required ca-file /etc/ca.pem",
	} {
		cfg := "defaults\n  mode http\nlisten b\n  bind 127.0.0.1:80\n  " + line + "\n  server a 10.0.0.1:80\n"
		result, err := haproxycfg.Import("haproxy.cfg", []byte(cfg), haproxycfg.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := result.Report.Lines[4].Text; got != line {
			t.Errorf("%s: got %s", line, got)
		}
	}
}

// TestErrorsAreCut: a file that has one long line doesn't fill the terminal.
func TestErrorsAreCut(t *testing.T) {
	_, err := haproxycfg.Import("haproxy.cfg", []byte("hash-type "+strings.Repeat("é", 1<<16)), haproxycfg.Options{})
	if err == nil || len(err.Error()) > 1000 || !utf8.ValidString(err.Error()) {
		t.Errorf("got %d bytes: %.2000q", len(fmt.Sprint(err)), err)
	}
}

// TestLargeFilesAreRefused: what is no configuration isn't read into memory
// many times over.
func TestLargeFilesAreRefused(t *testing.T) {
	_, err := haproxycfg.Import("haproxy.cfg", []byte(strings.Repeat("#\n", 5<<20)), haproxycfg.Options{})
	if err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("got %v, want an error about the size", err)
	}
}

// TestTimesAreHAProxys goes through the units of timeouts.
func TestTimesAreHAProxys(t *testing.T) {
	for _, row := range []struct{ written, want string }{
		{"5s", "5s"},
		{"5000", "5s"},
		{"250ms", "250ms"},
		{"1500us", "1.5ms"},
		{"2m", "2m"},
		{"90s", "1m30s"},
		{"1h", "1h"},
		{"3601s", "1h0m1s"},
		{"2d", "48h"},
		{"100us", "100us"},
		{"", ""},
		{"s", ""},
		{"-1s", ""},
		{"+1s", ""},
		{"1.5s", ""},
		{"1h30m", ""},
		{"1w", ""},
		{"99999999999999999999", ""},
		{"9999999999d", ""},
	} {
		cfg := "defaults\n mode http\nlisten a\n bind :1\n timeout connect " + row.written + "\n server a 10.0.0.1:1\n"
		result, err := haproxycfg.Import("haproxy.cfg", []byte(cfg), haproxycfg.Options{})
		if row.want == "" {
			if err == nil {
				t.Errorf("timeout connect %s: got no error", row.written)
			}
			continue
		}
		if err != nil {
			t.Errorf("timeout connect %s: %v", row.written, err)
			continue
		}
		if line := fmt.Sprintf("\n  connect: %s  # 5\n", row.want); !strings.Contains(string(result.YAML), line) {
			t.Errorf("timeout connect %s: lb.yaml has no %q:\n%s", row.written, line, result.YAML)
		}
		if _, err := config.Parse("lb.yaml", result.YAML); err != nil {
			t.Errorf("timeout connect %s: %v", row.written, err)
		}
	}
}
