package accesslog

import (
	"encoding/json"
	"strings"
	"testing"

	"tokenring/http1"
)

// lineWith returns the line of a request with a Host and a User-Agent, by a log with fields.
func lineWith(t *testing.T, fields []string, host, agent string) (got map[string]any, text string) {
	t.Helper()
	l, out := newLog()
	l.Fields, l.Balancer = fields, "lb-1"
	more := &More{ClientPort: 4711, Listener: ":443", Route: "api", Pool: "pool"}
	l.DescribeMore(more, &http1.Request{
		Host:   []byte(host),
		Fields: []http1.Field{{Name: []byte("User-Agent"), Value: []byte(agent), Kind: http1.KindUserAgent}},
	}, []byte(secret))
	e := Entry{Host: "ide-1", More: more}.Keep()
	l.Write(&e, "")
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return got, out.String()
}

func TestALineHasTheFieldsThatAreAskedFor(t *testing.T) {
	want := map[string]any{
		FieldHost: "ide.example", FieldUserAgent: "curl/8 \"x\"", FieldClientPort: 4711.0, FieldListener: ":443",
		FieldRoute: "api", FieldPool: "pool", FieldBalancer: "lb-1",
	}
	for _, asked := range MoreFields {
		got, _ := lineWith(t, []string{asked}, "ide.example", "curl/8 \"x\"")
		for _, name := range MoreFields {
			shown := name
			if name == FieldHost {
				shown = "host_name"
			}
			if wanted := want[name]; name == asked && got[shown] != wanted {
				t.Errorf("%s is %v, want %v", shown, got[shown], wanted)
			} else if name != asked && got[shown] != nil {
				t.Errorf("with %s alone there is %s: %v", asked, shown, got[shown])
			}
		}
		if got["host"] != "ide-1" {
			t.Errorf("with %s the host is %v", asked, got["host"])
		}
	}
}

// TestWhatClientsSayOfThemselvesIsBoundedAndNoKey: a key that is repeated there isn't shown.
func TestWhatClientsSayOfThemselvesIsBoundedAndNoKey(t *testing.T) {
	for _, row := range []struct{ host, agent, wantHost, wantAgent string }{
		{secret + ".example", "x " + secret, "(redacted)", "(redacted)"},
		{"a", "x?token=another", "a", "(redacted)"},
		{"a", "%73" + secret[1:], "a", "(redacted)"},
		{"a", strings.Repeat("m", 255) + "nop" + secret, "a", "(redacted)"},
		{"a", strings.Repeat("m", 300), "a", strings.Repeat("m", 256) + "…"},
		{"a", "\x1b[31m\xff\n", "a", "\x1b[31m\ufffd\n"},
	} {
		got, text := lineWith(t, MoreFields, row.host, row.agent)
		if got["host_name"] != row.wantHost || got["user_agent"] != row.wantAgent {
			t.Errorf("%q, %q: got %q and %q", row.host, row.agent, got["host_name"], got["user_agent"])
		}
		if strings.Contains(text, secret) || strings.ContainsRune(text, '\x1b') || strings.Count(text, "\n") != 1 {
			t.Errorf("%q, %q: the line is %q", row.host, row.agent, text)
		}
	}
}

func TestAKeptEntryKeepsWhatTheClientSays(t *testing.T) {
	l, out := newLog()
	l.Fields = MoreFields
	host := []byte("ide.example")
	m := &More{}
	l.DescribeMore(m, &http1.Request{Host: host}, nil)
	e := Entry{More: m}.Keep()
	copy(host, "xxx")
	if l.Write(&e, ""); !strings.Contains(out.String(), `"host_name":"ide.example"`) {
		t.Errorf("got %s", out)
	}
}
