package accesslog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"tokenring/balancer"
	"tokenring/http1"
	"tokenring/proxy/hashkey"
)

const secret = "s3cr3t-token"

var digest = balancer.NewDigester([]byte("0123456789abcdef")).Digest([]byte(secret))

// newLog returns a log that writes to a buffer.
func newLog() (*Log, *bytes.Buffer) {
	out := new(bytes.Buffer)
	logger := zerolog.New(out)
	return &Log{
		Out:  &logger,
		Keys: hashkey.Rules{{Source: balancer.KeyQuery, Name: "token"}},
	}, out
}

func TestALineTellsOfARequestWithoutItsKey(t *testing.T) {
	l, out := newLog()
	for _, row := range []struct {
		what, method, path string
		refused            bool
		wantMethod         any
		wantPath           any
	}{
		{"a plain one", "GET", "/app.js", false, "GET", "/app.js"},
		{"the key in the path", "GET", "/x;token=" + secret, false, "GET", "(redacted)"},
		{"the key alone in the path", "GET", "/" + secret, false, "GET", "(redacted)"},
		{"the key as the method", secret, "/", false, "(other)", "/"},
		{"no head in time", "", "", false, "", ""},
		{"refused for its form", secret, "/" + secret, true, nil, nil},
	} {
		out.Reset()
		e := Entry{Request: Request{ID: []byte("id-1"), Client: "192.0.2.1", Protocol: "HTTP/1.1"}, TLS: true, Refused: row.refused, Started: time.Now(), Host: "a", End: "done"}
		l.Describe(&e, &http1.Request{Method: []byte(row.method), Path: []byte(row.path)}, []byte(secret), digest, &l.Keys[0])
		l.Write(&e, "")
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %q", row.what, err, out)
		}
		for name, want := range map[string]any{
			"id": "id-1", "client": "192.0.2.1", "tls": true, "method": row.wantMethod, "path": row.wantPath,
			"key": digest.String(), "key_rule": "{query: token}", "host": "a", "end": "done", "reason": nil,
		} {
			if got[name] != want {
				t.Errorf("%s: %s is %v, want %v", row.what, name, got[name], want)
			}
		}
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s: the key is in %s", row.what, out)
		}
	}
}

func TestALineSaysWhyARequestFailed(t *testing.T) {
	l, out := newLog()
	l.Write(&Entry{Status: 503, End: "no-host"}, "no host can serve the request")
	if got := out.String(); !strings.Contains(got, `"reason":"no host can serve the request"`) || strings.Contains(got, "connect_ms") || strings.Contains(got, "gave_away") {
		t.Errorf("got %s", got)
	}
	hosts := "a,b"
	l.Write(&Entry{Status: 503, End: "no-host", GaveAway: &hosts}, "no host can serve the request")
	if got := out.String(); !strings.Contains(got, `"gave_away":"a,b"`) {
		t.Errorf("got %s", got)
	}
}

func TestAKeptEntryOutlivesTheRequest(t *testing.T) {
	id, path := []byte("id"), []byte("/path")
	e := Entry{Request: Request{ID: id, Path: path}}.Keep()
	copy(id, "xx")
	copy(path, "xxxxx")
	if string(e.ID) != "id" || string(e.Path) != "/path" {
		t.Errorf("got %s %s", e.ID, e.Path)
	}
}

func TestTheZeroLogWritesNothing(t *testing.T) {
	var l Log
	l.Write(&Entry{}, "reason")
	if l.Enabled() {
		t.Error("it says that it does")
	}
}

// TestALineAllocatesNothing guards the path of every request.
func TestALineAllocatesNothing(t *testing.T) {
	l, out := newLog()
	out.Grow(1 << 20)
	r := &http1.Request{Method: []byte("GET"), Path: []byte("/app.js")}
	key := []byte(secret)
	n := testing.AllocsPerRun(100, func() {
		e := Entry{Request: Request{ID: key[:2], Client: "192.0.2.1", Protocol: "HTTP/1.1"}}
		l.Describe(&e, r, key, digest, &l.Keys[0])
		l.Write(&e, "")
	})
	if n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
