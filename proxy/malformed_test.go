package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// counts returns the values of the counter of that name, by its only label.
func (l *lab) counts(name string) map[string]float64 {
	l.t.Helper()
	families, err := l.reg.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				all[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}

// What a host's answer was refused for is in the answer, in the access log, in a
// metric, and once in the log with the host's name.
func TestMalformedAnswersAreLoggedAndCounted(t *testing.T) {
	const reason = "more than one Content-Length (RFC 9112 §6.3)"
	const late = "a malformed chunk size (RFC 9112 §7.1)"
	h := newHost(t, "a").on("/head", says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"+mark, false)).
		on("/body", says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"+mark+"\r\n", false)).
		on("/ws", says("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false))
	l := start(t, nil, h)
	for range 3 {
		if a := l.ask(get("/head?token="+mark), 502); !strings.Contains(a.body, reason) {
			t.Errorf("got %q", a.body)
		}
	}
	if a := l.dial().send(get("/body")).answer("GET"); a.err == nil {
		t.Error("the broken body looks whole")
	}
	l.dial().send(upgrade("/ws", mark)).want(502)
	for path, want := range map[string]string{"/head": reason, "/body": late, "/ws": errBadUpgrade.Reason} {
		if e := l.logged(path); e["reason"] != "the host's answer was not valid HTTP: "+want || e["host"] != "a" || e["end"] != endHostFailed {
			t.Errorf("%s: the log says %v", path, e)
		}
	}
	got := fmt.Sprint(l.counts("lb_responses_refused_total"))
	if want := fmt.Sprint(map[string]float64{reason: 3, late: 1, errBadUpgrade.Reason: 1}); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
	warned := 0
	for _, e := range l.entries() {
		if e["message"] == "refused a host's answer" {
			warned++
			if e["host"] != "a" || e["reason"] != reason || e["level"] != "warn" {
				t.Errorf("logged %v", e)
			}
		}
	}
	if warned != 1 {
		t.Errorf("%d warnings, want 1", warned)
	}
}

func TestRepairedAnswersAreCounted(t *testing.T) {
	h := newHost(t, "a").on("/both", says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nX: y\r\n z\r\n\r\n1 \r\nx\r\n0\r\n\r\n", true))
	l := start(t, nil, h)
	w := l.dial()
	for range 3 {
		if a := w.send(get("/both")).want(200); a.body != "x" || a.Header.Get("X") != "y   z" {
			t.Errorf("got %v %q", a.Header, a.body)
		}
	}
	w.send(get("/")).want(200)
	l.waitUntilIdle()
	total := 0.0
	for reason, n := range l.counts("lb_responses_repaired_total") {
		if total += n; n != 0 && n != 3 {
			t.Errorf("%s: counted %v times", reason, n)
		}
	}
	if total != 9 || h.dials.Load() != 4 {
		t.Errorf("counted %v repairs in all, want 9, over %d connections, want 4", total, h.dials.Load())
	}
}

// A status that HTTP doesn't have is passed on, and counts as a 5xx.
func TestStatusOf600IsPassedOn(t *testing.T) {
	h := newHost(t, "a").on("/odd", says("HTTP/1.1 600 Odd\r\nContent-Length: 1\r\n\r\nx", true))
	l := start(t, speaksH2(t), h)
	if a := l.do(l.h2client(), "GET", "/odd", nil); a.StatusCode != 600 || a.body != "x" {
		t.Errorf("HTTP/2: got %d %q", a.StatusCode, a.body)
	}
	w := l.dialTLS().send(get("/odd"))
	w.expect("HTTP/1.1 600 Odd\r\n")
	l.waitUntilIdle()
	eventually(t, "two answers in the metric", func() bool { return l.counts("lb_requests_total")["5xx"] == 2 })
}

func TestMalformedAnswersOfOneHostAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &Proxy{opt: Options{Logger: zerolog.New(&out)}, refusedAnswers: newRefusedAnswers()}
		for range 150 { // seconds
			p.logRefusedAnswer("a", "reason", time.Now())
			time.Sleep(time.Second)
		}
		p.logRefusedAnswer("b", "other", time.Now())
		time.Sleep(2 * time.Hour)
		p.logRefusedAnswer("c", "reason", time.Now())
		p.logRefusedAnswer("a", "reason", time.Now()) // what is suppressed of it is forgotten
		var got []string
		for line := range strings.Lines(out.String()) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(e["level"], e["host"], e["reason"], e["suppressed"]))
		}
		want := "warnareason0 warnareason59 warnareason59 warnbother0 warncreason0 warnareason0"
		if got := strings.Join(got, " "); got != want {
			t.Errorf("logged %s, want %s", got, want)
		}
	})
}

// Each refusal has its reason in the access log: the one in the client's body.
func TestAccessLogHasTheReasonOfEachRefusal(t *testing.T) {
	t.Parallel()
	h := newHost(t, "a").on("/silent", func(w *wire, _ *http.Request) bool {
		_, _ = w.in.ReadByte()
		return false
	})
	l := start(t, func(l *lab) {
		l.cfg.Limits.Body = 1000
		l.cfg.Timeouts = Timeouts{Head: time.Second, Body: time.Second, Response: time.Second}
	}, h)
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"no host":      {"GET / HTTP/1.1\r\n\r\n", 400},
		"413":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
		"413 later":    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("x", 1001), 413},
		"414":          {"GET /" + strings.Repeat("x", 33000), 414},
		"431":          {"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 33000), 431},
		"408":          {"GET / HT", 408},
		"408 body":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", 408},
		"bad body":     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
		"417":          {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417},
		"426":          {strings.Replace(upgrade("/", mark), "13", "8", 1), 426},
		"501":          {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
		"Max-Forwards": {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", 501},
		"505":          {"GET / HTTP/3.0\r\n\r\n", 505},
		"504":          {get("/silent"), 504},
	} {
		a := l.ask(tt.request, tt.status)
		l.checkReason(name, a)
	}
	l.use()
	h.stop()
	l.checkReason("502", l.ask(get("/?token="+mark), 502))
	l.hosts[0].InRing = false
	l.use()
	l.checkReason("503", l.ask(get("/?token="+mark), 503))
}

// checkReason compares the reason in a fault's access line with the client's.
func (l *lab) checkReason(name string, a answer) {
	l.t.Helper()
	var body struct {
		Detail string
		ID     string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Detail == "" {
		l.t.Errorf("%s: %v in %q", name, err, a.body)
		return
	}
	eventually(l.t, "the access line of "+name, func() bool {
		for _, e := range l.entries() {
			if e["id"] == body.ID {
				if e["reason"] != body.Detail || int(e["status"].(float64)) != a.StatusCode {
					l.t.Errorf("%s: the client got %d %q, and the log %v", name, a.StatusCode, body.Detail, e)
				}
				return true
			}
		}
		return false
	})
}
