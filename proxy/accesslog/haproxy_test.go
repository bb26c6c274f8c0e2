package accesslog

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/http1"
)

// arrived is when requests of tests arrive.
var arrived = time.Date(2009, time.February, 6, 12, 14, 14, 655_400_000, time.UTC)

const redispatched = "retry"

// newHAProxyLog returns a log that writes HAProxy's lines to a buffer.
func newHAProxyLog() (*Log, *bytes.Buffer) {
	l, _ := newLog()
	out := new(bytes.Buffer)
	load := func(pool, host string) Load {
		if host == "" {
			return Load{Process: 9, Pool: int64(len(pool))}
		}
		return Load{Process: 9, Pool: int64(len(pool)), Host: 2}
	}
	l.Out, l.HAProxy, l.Redispatched = nil, HAProxy{Out: out, Load: load}, redispatched
	return l, out
}

// served returns an entry about a request that a host has answered.
func served() Entry {
	return Entry{
		Request: Request{Client: "10.0.1.2", Protocol: "HTTP/1.1", Method: "GET", Path: []byte("/index.html")},
		Host:    "ide-1", Started: arrived, Connected: 30 * time.Millisecond, Answered: 99 * time.Millisecond,
		Status: 200, Sent: 2750, End: "done",
		More: &More{ClientPort: 33317, Listener: ":443", Pool: "pool"},
	}
}

func TestHAProxysLine(t *testing.T) {
	for _, row := range []struct {
		what   string
		change func(*Entry)
		want   string // after the client and the date
	}{
		{"served", func(*Entry) {}, `:443 pool/ide-1 0/0/30/69/109 200 2750 - - ---- 9/9/4/2/0 0/0 "GET /index.html HTTP/1.1"`},
		{"over TLS and HTTP/2", func(e *Entry) {
			e.TLS, e.Protocol = true, "HTTP/2"
		}, `:443~ pool/ide-1 0/0/30/69/109 200 2750 - - ---- 9/9/4/2/0 0/0 "GET /index.html HTTP/2.0"`},
		{"by a further pool", func(e *Entry) {
			e.Host, e.More.Pool = "api/a1", "api"
		}, `:443 api/a1 0/0/30/69/109 200 2750 - - ---- 9/9/3/2/0 0/0 "GET /index.html HTTP/1.1"`},
		{"sent again to the same host", func(e *Entry) {
			e.Retried = true
		}, `:443 pool/ide-1 0/0/30/69/109 200 2750 - - ---- 9/9/4/2/1 0/0 "GET /index.html HTTP/1.1"`},
		{"sent again to another host", func(e *Entry) {
			e.Retried, e.Rule = true, redispatched
		}, `:443 pool/ide-1 0/0/30/69/109 200 2750 - - ---- 9/9/4/2/+1 0/0 "GET /index.html HTTP/1.1"`},
		{"a tunnel that opens", func(e *Entry) {
			e.Status, e.End, e.Sent = 101, "open", 0
		}, `:443 pool/ide-1 0/0/30/69/+109 101 +0 - - ---- 9/9/4/2/0 0/0 "GET /index.html HTTP/1.1"`},
		{"it has waited for its turn", func(e *Entry) {
			e.More.Queued = 20 * time.Millisecond
		}, `:443 pool/ide-1 0/20/10/69/109 200 2750 - - ---- 9/9/4/2/0 0/0 "GET /index.html HTTP/1.1"`},
		{"without a host", func(e *Entry) {
			e.Host, e.Connected, e.Answered, e.Status, e.End = "", 0, 0, 503, "no-host"
		}, `:443 pool/<NOSRV> 0/-1/-1/-1/109 503 2750 - - SC-- 9/9/4/0/0 0/0 "GET /index.html HTTP/1.1"`},
		{"answered here", func(e *Entry) {
			e.TLS, e.Host, e.Connected, e.Answered, e.Status = true, "", 0, 0, 308
		}, `:443~ :443~/<NOSRV> 0/-1/-1/-1/109 308 2750 - - LR-- 9/9/4/0/0 0/0 "GET /index.html HTTP/1.1"`},
		{"malformed", func(e *Entry) {
			e.Host, e.Connected, e.Answered, e.Status, e.End, e.Refused, e.Method = "", 0, 0, 400, "refused", true, ""
		}, `:443 :443/<NOSRV> -1/-1/-1/-1/109 400 2750 - - PR-- 9/9/4/0/0 0/0 "<BADREQ>"`},
		{"no answer", func(e *Entry) {
			e.Answered, e.Status, e.End, e.Sent = 0, 0, "client-gone", 0
		}, `:443 pool/ide-1 0/0/30/-1/109 -1 0 - - CH-- 9/9/4/2/0 0/0 "GET /index.html HTTP/1.1"`},
		{"odd bytes", func(e *Entry) {
			e.Path = []byte("/a\"b#c\x1b\xff{}")
		}, `:443 pool/ide-1 0/0/30/69/109 200 2750 - - ---- 9/9/4/2/0 0/0 "GET /a#22b#23c#1B#FF{} HTTP/1.1"`},
	} {
		l, _ := newHAProxyLog()
		e := served()
		row.change(&e)
		got := string(l.appendHAProxy(nil, &e, "", 109*time.Millisecond))
		if want := "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] " + row.want; got != want {
			t.Errorf("%s:\n got %s\nwant %s", row.what, got, want)
		}
	}
}

func TestFieldsOfTheConfigurationAreHAProxysCaptures(t *testing.T) {
	for _, row := range []struct {
		fields []string
		want   string
	}{
		{MoreFields, `0/0 {ide.example|a #7C#22#7D b|tools|lb-1} "GET`},
		{[]string{FieldUserAgent, FieldHost}, `0/0 {a #7C#22#7D b|ide.example} "GET`},
		{[]string{FieldPool, FieldListener, FieldClientPort}, `0/0 "GET`},
	} {
		l, _ := newHAProxyLog()
		l.Fields, l.Balancer = row.fields, "lb-1"
		e := served()
		e.More.Route = "tools"
		l.DescribeMore(e.More, &http1.Request{
			Host:   []byte("ide.example"),
			Fields: []http1.Field{{Name: []byte("User-Agent"), Value: []byte(`a |"} b`), Kind: http1.KindUserAgent}},
		}, nil)
		if got := string(l.appendHAProxy(nil, &e, "", 0)); !strings.Contains(got, row.want) {
			t.Errorf("%v: got %s, want %s", row.fields, got, row.want)
		}
	}
}

func TestHAProxysLineHasNoKey(t *testing.T) {
	l, out := newHAProxyLog()
	l.Fields = MoreFields
	for _, path := range []string{"/" + secret, "/x;token=" + secret, "/%73" + secret[1:]} {
		e := served()
		r := &http1.Request{Method: []byte(secret), Path: []byte(path), Host: []byte(secret + ".example")}
		l.Describe(&e, r, []byte(secret), digest, &balancer.KeyRule{Source: balancer.KeyQuery, Name: "token"})
		l.DescribeMore(e.More, r, []byte(secret))
		l.Write(&e, "")
	}
	got := out.String()
	if strings.Contains(got, secret) || strings.Contains(got, secret[1:]) || strings.Count(got, `"(other) (redacted) HTTP/1.1"`) != 3 || strings.Count(got, "\n") != 3 {
		t.Errorf("got %s", got)
	}
}

// TestHalogReadsTheLines compares with the program that reads HAProxy's logs, if it is there.
func TestHalogReadsTheLines(t *testing.T) {
	halog, err := exec.LookPath("halog")
	if err != nil {
		t.Skip("halog isn't installed; it is in the package haproxy")
	}
	l, out := newHAProxyLog()
	for range 3 {
		e := served()
		e.Started = time.Now()
		l.Write(&e, "")
	}
	lost := served()
	lost.Host, lost.Connected, lost.Answered, lost.Status, lost.End = "", 0, 0, 503, "no-host"
	l.Write(&lost, "")
	opened := served()
	opened.Status, opened.End = 101, "open"
	l.Write(&opened, "")
	for what, want := range map[string]string{
		"-st":  "101 1\n200 3\n503 1\n",
		"-tc":  "-- 4\nSC 1\n",
		"-srv": "pool/<NOSRV> 0 0 0 0 1 0 1 0 0.0 0 0\npool/ide-1 1 3 0 0 0 0 4 4 100.0 30 69\n",
		"-u":   "5 1 ",
	} {
		run := exec.Command(halog, "-q", "-s", "-4", what) // lines begin without the words of syslog
		run.Stdin = bytes.NewReader(out.Bytes())
		got, err := run.CombinedOutput()
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("halog %s: got %s, %v, want %s", what, got, err, want)
		}
	}
}
