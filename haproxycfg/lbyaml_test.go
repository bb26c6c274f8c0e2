package haproxycfg_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tokenring/config"
	"tokenring/haproxycfg"
	"tokenring/migration/storytest"
)

// keyed finds the notes that name a key of lb.yaml, and the key.
var keyed = regexp.MustCompile(`^(listen|(?:tls|hash|pool|health|timeouts|shutdown|limits|affinity|log)(?:\.[a-z_]+)+): (.*)$`)

// TestWhatANoteSaysIsWritten: where a note names a key of lb.yaml, lb.yaml has
// that key with that value. It goes through all stories and lines of the tests.
func TestWhatANoteSaysIsWritten(t *testing.T) {
	seen := map[string]bool{}
	files, err := filepath.Glob("../testdata/haproxycfg/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		s := storytest.Read(t, file, "haproxy.cfg")
		result, err := haproxycfg.Import("haproxy.cfg", s.Config, haproxycfg.Options{Backend: s.Backend, Files: s.Files})
		if err == nil {
			w := readWritten(t, result)
			w.holdAll(filepath.Base(file), seen)
		}
	}
	for _, row := range allLines() {
		result, err := haproxycfg.Import("haproxy.cfg", []byte(row.cfg()), haproxycfg.Options{Files: lineFiles})
		if err != nil {
			t.Fatal(err)
		}
		w := readWritten(t, result)
		w.holdAll(row.line, seen)
	}
	for _, key := range []string{
		"listen", "tls.certificates", "tls.directory", "tls.min_version", "hash.key", "hash.haproxy", "hash.bounded_load", "pool.hosts", "pool.slow_start", "pool.send_proxy", "pool.queue.wait",
		"health.path", "health.host", "health.interval", "health.timeout", "health.rise", "health.fall", "health.port", "health.expect.status", "health.expect.text", "timeouts.tunnel", "timeouts.connect",
		"timeouts.body", "timeouts.response", "timeouts.head", "timeouts.idle", "shutdown.grace", "limits.head", "limits.fields",
		"limits.connections", "log.format", "limits.per_source.requests", "limits.per_source.connections", "limits.per_source.new_connections", "limits.response.head", "limits.response.fields", "affinity.cookie",
	} {
		if !seen[key] {
			t.Errorf("no note of the tests names %s", key)
		}
	}
}

// A written is an lb.yaml and the report that came with it.
type written struct {
	t      *testing.T
	yaml   string
	report *haproxycfg.Report
	cfg    *config.Config // as far as it could be read
	values map[string]string
}

var valueLine = regexp.MustCompile(`^( +)([a-z0-9_]+):(?: (.*?))?(?:  # .*)?$`)

func readWritten(t *testing.T, result *haproxycfg.Result) *written {
	w := &written{t: t, yaml: string(result.YAML), report: result.Report, values: map[string]string{}}
	path := make([]string, 8)
	for line := range strings.Lines(w.yaml) {
		line = strings.TrimRight(line, "\n")
		if key, _, top := strings.Cut(line, ":"); top && line[0] != ' ' && line[0] != '#' {
			path[0] = key
			continue
		}
		if m := valueLine.FindStringSubmatch(line); m != nil {
			depth := len(m[1]) / 2
			path[depth] = m[2]
			w.values[strings.Join(path[:depth+1], ".")] = m[3]
		}
	}
	w.cfg, _ = config.Parse("lb.yaml", result.YAML)
	return w
}

// mentioned finds values that a note names in passing.
var mentioned = regexp.MustCompile(`(?:^|[^.a-z])((?:timeouts|health|limits)\.[a-z_]+): (\d\w*)`)

func (w *written) holdAll(name string, seen map[string]bool) {
	w.holdSummary(name)
	for i := range w.report.Lines {
		l := &w.report.Lines[i]
		for _, n := range l.Notes {
			for _, m := range mentioned.FindAllStringSubmatch(n.Text, -1) {
				if w.values[m[1]] != m[2] && !stays.MatchString(n.Text) {
					w.t.Errorf("%s: line %d: %s: %s is %q", name, l.Number, n.Text, m[1], w.values[m[1]])
				}
			}
			w.holdListening(name, l, n)
			m := keyed.FindStringSubmatch(n.Text)
			if m == nil {
				continue
			}
			seen[m[1]] = true
			if why := w.wrong(n.Verdict, m[1], m[2]); why != "" {
				w.t.Errorf("%s: line %d: %s %s: %s\n%s", name, l.Number, n.Verdict, n.Text, why, w.yaml)
			}
		}
	}
}

// holdSummary wants HAProxy's ring where the report says that no token moves.
func (w *written) holdSummary(name string) {
	const ours = "  policy: haproxy\n"
	if strings.Contains(w.report.String(), "no token: each goes where") && !strings.Contains(w.yaml, ours) {
		w.t.Errorf("%s: no token moves, but the policy isn't HAProxy's:\n%s", name, w.yaml)
	}
}

// holdListening wants a listener from the lines of a frontend that says so, and
// none from one that says that there is none.
func (w *written) holdListening(name string, head *haproxycfg.Line, n haproxycfg.Note) {
	says, none := strings.Contains(n.Text, "its addresses are in listen"), strings.Contains(n.Text, "none of its addresses is in listen")
	if !says && !none {
		return
	}
	listens := false
	for _, l := range w.report.Lines[head.Number:] {
		if section.MatchString(l.Text) {
			break
		}
		listens = listens || strings.Contains(w.yaml, fmt.Sprintf("}  # %d\n", l.Number)) && strings.HasPrefix(l.Text, "bind ")
		listens = listens || slices.ContainsFunc(l.Notes, func(n haproxycfg.Note) bool { return strings.Contains(n.Text, ", with line ") })
	}
	if listens != says {
		w.t.Errorf("%s: line %d: %s, and it listens is %t\n%s", name, head.Number, n.Text, listens, w.yaml)
	}
}

var section = regexp.MustCompile(`^(frontend|backend|listen|defaults|global)\b`)

var offersHTTP2 = regexp.MustCompile(`tls: true(?:}|, (?:access|own_tls|proxy_protocol))`)

var (
	stays   = regexp.MustCompile(`: lb has one value for all, and line \d+'s (.*) stays$`)
	hostRow = regexp.MustCompile(`^(.*), id (\d+|"\$.*")(.*)$`)
	ringRow = regexp.MustCompile(`^type (\S+), function (\S+), avalanche (\S+)$`)
)

// wrong says what of a note about a key isn't so, "" if all of it is.
func (w *written) wrong(v haproxycfg.Verdict, key, text string) string {
	switch {
	case strings.HasPrefix(text, "fill in the value that "):
		return w.unless(strings.Contains(w.yaml, "${"), "no variable is in lb.yaml")
	case key == "listen":
		return w.wrongListener(text)
	case key == "pool.hosts":
		m := hostRow.FindStringSubmatch(text)
		item := fmt.Sprintf("- {name: %s, id: %s,", m[1], m[2])
		quoted := fmt.Sprintf("- {name: %q, id: %s,", m[1], m[2])
		comment := strings.Contains(w.yaml, "    # "+item) || strings.Contains(w.yaml, "    # "+quoted)
		item2 := strings.Contains(w.yaml, "    "+item) || strings.Contains(w.yaml, "    "+quoted)
		return w.unless(comment == (v == haproxycfg.LeftOut) && item2 == (v == haproxycfg.Took), "that host isn't there so")
	case key == "tls.certificates":
		return w.unless(strings.Contains(w.yaml, fmt.Sprintf("{cert: %q,", text)), "that certificate isn't there")
	case key == "hash.haproxy":
		m := ringRow.FindStringSubmatch(text)
		return w.unless(w.values[key] == fmt.Sprintf("{type: %s, function: %s, avalanche: %s}", m[1], m[2], m[3]), "the ring isn't so")
	}
	value := w.values[key]
	if key == "hash.key" {
		value = strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
	}
	if m := stays.FindStringSubmatch(text); m != nil {
		return w.unless(value == m[1], "another value stays")
	}
	after, ok := strings.CutPrefix(text, value)
	free := slices.Contains([]string{"health.timeout", "affinity.cookie"}, key) // notes that don't repeat the value
	return w.unless(value != "" && (free || ok && (after == "" || strings.ContainsAny(after[:1], ":, "))), "the value there is "+value)
}

func (w *written) wrongListener(text string) string {
	address, _, _ := strings.Cut(text, ", with line ")
	switch at, abort := strings.CutPrefix(text, "half_close: abort, at "); {
	case abort:
		return w.unless(strings.Contains(w.yaml, fmt.Sprintf("- {address: %q, half_close: abort}", at)), "that listener isn't so")
	case text == "http2: false":
		return w.unless(strings.Contains(w.yaml, "tls: true, http2: false}"), "no listener is so")
	case strings.HasPrefix(text, "clients are offered HTTP/2"):
		return w.unless(offersHTTP2.MatchString(w.yaml), "no listener is so")
	case strings.Contains(text, "is line"):
		address, _, _ = strings.Cut(text, " is line")
	}
	return w.unless(strings.Contains(w.yaml, fmt.Sprintf("- {address: %q", address)), "that address isn't there")
}

func (w *written) unless(so bool, why string) string {
	if so {
		return ""
	}
	return why
}
