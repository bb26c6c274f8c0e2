package fields

import (
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"tokenring/http1"
)

// read returns the configuration in a text.
func read(t *testing.T, text string) *Config {
	t.Helper()
	c := &Config{}
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

var vars = Vars{Client: "192.0.2.1", ClientPort: 40001, Host: []byte("ide.example:8443"), RequestID: []byte("id-1"), TLSVersion: "TLSv1.3", ListenerPort: "8443"}

// answer applies what levels say of answers to fields that are written as lines.
func answer(p *Program, lines string) string {
	var all []string
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		if name, _, _ := strings.Cut(line, ":"); !p.Hides([]byte(name)) {
			all = append(all, line)
		}
	}
	all = append(all, strings.Split(strings.TrimSuffix(string(p.Append(nil, &vars)), "\r\n"), "\r\n")...)
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "\n")
}

func TestFieldsAreChangedLevelByLevel(t *testing.T) {
	for _, row := range []struct {
		what   string
		levels []string
		before string
		want   string
	}{
		{"nothing", []string{`{}`}, "Server: x", "Server: x"},
		{"one is removed, whatever its case", []string{`{response: {remove: [server]}}`}, "SERVER: x\nA: 1\nServer: y", "A: 1"},
		{"one is set", []string{`{response: {set: {A: new}}}`}, "a: old\nA: older\nB: 1", "B: 1\nA: new"},
		{"one is added", []string{`{response: {add: {A: new}}}`}, "A: old", "A: old\nA: new"},
		{"the inner level wins", []string{`{response: {set: {A: outer, B: 1}}}`, `{response: {set: {a: inner}}}`}, "A: old", "B: 1\na: inner"},
		{"the inner level removes", []string{`{response: {set: {A: outer}, add: {A: more}}}`, `{response: {remove: [A]}}`}, "A: old", ""},
		{"the inner level adds", []string{`{response: {set: {A: outer}}}`, `{response: {add: {A: inner}}}`}, "A: old", "A: outer\nA: inner"},
		{"within one, what is removed may be set", []string{`{response: {remove: [A], set: {A: new}, add: {A: more}}}`}, "A: old", "A: new\nA: more"},
		{
			"variables",
			[]string{`{response: {set: {A: "{client}:{client_port} {host} {request_id} {tls_version} {listener_port} {{x}}"}}}`},
			"",
			"A: 192.0.2.1:40001 ide.example:8443 id-1 TLSv1.3 8443 {x}",
		},
		{"numbers and flags", []string{`{response: {set: {A: 5, B: true, C: 0.5}}}`}, "", "A: 5\nB: true\nC: 0.5"},
	} {
		var levels []*Config
		for _, text := range row.levels {
			levels = append(levels, read(t, text))
		}
		for _, c := range levels {
			if wrong := c.Check(); len(wrong) > 0 {
				t.Errorf("%s: %v", row.what, wrong)
			}
		}
		if got := answer(NewPlan(levels...).Response(), row.before); got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", row.what, got, row.want)
		}
	}
}

func TestWhatCanNotBeChanged(t *testing.T) {
	for text, want := range map[string]string{
		`{request: {set: {Content-Length: 5}}}`:                    "request.set.Content-Length: Content-Length can't be changed: it says where a message ends",
		`{request: {add: {transfer-encoding: chunked}}}`:           "request.add.transfer-encoding: transfer-encoding can't be changed",
		`{request: {remove: [Connection]}}`:                        "it belongs to one connection",
		`{request: {set: {Sec-WebSocket-Key: x}}}`:                 "a handshake of a WebSocket would fail",
		`{request: {remove: [Host]}}`:                              "a request has one field Host",
		`{request: {add: {Host: a}}}`:                              "a request has one field Host",
		`{request: {set: {Cookie: a}}}`:                            "Cookie can't be changed",
		`{response: {remove: [Set-Cookie]}}`:                       "Set-Cookie can't be changed",
		`{response: {set: {Host: a}}}`:                             "answers have no field Host",
		`{response: {set: {X-Request-Id: a}}}`:                     "lb sets it",
		`{response: {set: {"a b": c}}}`:                            "can't be the name of a field",
		`{response: {set: {A: "{token}"}}}`:                        "there is no variable {token}",
		`{response: {set: {A: "a}"}}}`:                             "a } without a {",
		`{response: {set: {A: "{client"}}}`:                        "a { without a }",
		"{response: {set: {A: \"a\\r\\nSet-Cookie: b\"}}}":         "control characters",
		`{response: {set: {A: " a"}}}`:                             "neither begins nor ends with a space",
		`{request: {add: {A: "{client_certificate_subject}"}}}`:    "request.add.A: beside the field that is added, a client could send one",
		`{request: {set: {host: "{client_certificate_subject}"}}}`: "request.set.host: a client without a certificate would have no Host",
		`{response: {set: {A: 1, a: 2}}}`:                          "a is there twice",
		`{request: {set: {Host: "a b"}}}`:                          `"a b" is no host name`,
		`{request: {remove: [X-A, Cookie]}}`:                       "request.remove[1]: Cookie",
	} {
		all := read(t, text).Check()
		if len(all) == 0 || !strings.Contains(all[0].Path+": "+all[0].What, want) {
			t.Errorf("%s: got %v, want %q", text, all, want)
		}
	}
}

// TestAClientInjectsNothing by what a variable takes from it.
func TestAClientInjectsNothing(t *testing.T) {
	p := Compile(Changes{Set: Values{{"A", "{host}"}}})
	if got := string(p.Append(nil, &Vars{Host: []byte("a\r\nSet-Cookie: b\x00\x7f")})); got != "A: aSet-Cookie: b\r\n" {
		t.Errorf("got %q", got)
	}
}

// TestNoClientForgesItsSubject: its own field isn't passed on, also under a name that hosts may take for
// it, whether it has a certificate or not.
func TestNoClientForgesItsSubject(t *testing.T) {
	p := NewPlan(read(t, `{request: {set: {X-Client-DN: "<{client_certificate_subject}>", A: 1}}}`)).Request()
	for _, name := range []string{"X-Client-DN", "x-client-dn", "X_Client_Dn", "X-CLIENT_DN", "x.client.dn"} {
		if !p.Hides([]byte(name)) {
			t.Errorf("%s is passed on", name)
		}
	}
	for _, name := range []string{"X-Client-D", "X-Client-DNS", "XClient-DN", "B"} {
		if p.Hides([]byte(name)) {
			t.Errorf("%s isn't passed on", name)
		}
	}
	for subject, want := range map[string]string{"CN=eva": "X-Client-DN: <CN=eva>\r\nA: 1\r\n", "": "A: 1\r\n"} {
		v := Vars{CertificateSubject: []byte(subject)}
		if got := string(p.Append(nil, &v)); got != want {
			t.Errorf("%q: got %q, want %q", subject, got, want)
		}
		var each strings.Builder
		p.Each(&v, func(name, value []byte) { each.WriteString(string(name) + ": " + string(value) + "\r\n") })
		if each.String() != want {
			t.Errorf("%q: got each of %q, want %q", subject, each.String(), want)
		}
	}
}

func TestTheHostOfARequest(t *testing.T) {
	p := Compile(Changes{Set: Values{{"host", "ide.internal"}}}, Changes{Set: Values{{"Host", "{listener_port}.internal"}}})
	if got, ok := p.Host(nil, &vars); string(got) != "8443.internal" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
	if p.Hides([]byte("Host")) || len(p.Append(nil, &vars)) > 0 {
		t.Error("it is a field like others, too")
	}
}

// TestWithoutChangesThereIsNoPlan: a request then costs a comparison with nil.
func TestWithoutChangesThereIsNoPlan(t *testing.T) {
	if NewPlan(nil, &Config{}, read(t, `{request: {}}`)) != nil {
		t.Error("there is one")
	}
	var none *Plan
	if none.Request() != nil || none.Response().Hides([]byte("A")) || len(none.Response().Append(nil, nil)) > 0 {
		t.Error("no plan changes something")
	}
}

func TestChangesAllocateNothing(t *testing.T) {
	p := Compile(Changes{Remove: []string{"X-Debug"}, Set: Values{{"X-Real-IP", "{client}"}, {"Host", "{host}"}}})
	buf, name := make([]byte, 0, 256), []byte("Accept")
	if n := testing.AllocsPerRun(100, func() {
		p.Hides(name)
		p.Host(buf, &vars)
		p.Append(buf, &vars)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHSTS(t *testing.T) {
	year := int64(31536000)
	h := &HSTS{MaxAge: &year, IncludeSubdomains: true, Preload: true}
	if got := answer(NewPlan(h.Config(true)).Response(), "strict-transport-security: max-age=0"); got != "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload" {
		t.Errorf("got %q", got)
	}
	if got := answer(NewPlan(h.Config(false)).Response(), "Strict-Transport-Security: max-age=0\nA: 1"); got != "A: 1" {
		t.Errorf("without TLS: got %q", got)
	}
	if (*HSTS)(nil).Config(true) != nil {
		t.Error("without hsts there are changes")
	}
}

// FuzzValues: whatever a value is, it makes one line.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"a", "{client}", "{{", "{host} {", "\r\n", "{request_id}}}"} {
		f.Add(seed, []byte("host"))
	}
	f.Fuzz(func(t *testing.T, text string, host []byte) {
		if _, err := parse(text); err != nil {
			return
		}
		got := Compile(Changes{Set: Values{{"A", text}}}).Append(nil, &Vars{Host: host, RequestID: host})
		var r http1.Request
		if err := http1.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: a\r\n"+string(got)+"\r\n"), http1.Limits{}).ReadRequest(&r); err != nil {
			t.Errorf("%q makes %q: %v", text, got, err)
		}
	})
}
