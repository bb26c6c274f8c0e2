package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tokenring/proxy/fields"
	"tokenring/proxy/routing"
)

// changed has fields changed at all levels, and a route that answers without a host.
func changed(l *lab) {
	set := func(name, text string) fields.Changes {
		return fields.Changes{Set: fields.Values{{Name: name, Text: text}}}
	}
	l.cfg.Fields = &fields.Config{
		Request:  fields.Changes{Remove: []string{"X-Debug"}, Set: fields.Values{{Name: "X-Real-IP", Text: "{client}"}, {Name: "X-Level", Text: "top"}}},
		Response: fields.Changes{Remove: []string{"Server"}, Set: fields.Values{{Name: "X-Edge", Text: "lb {tls_version}"}}},
	}
	l.listener.Fields = []*fields.Config{{Request: set("X-Level", "listener"), Response: set("X-Level", "listener")}}
	l.cfg.HostFields = &fields.Config{Request: set("X-Pool", "main"), Response: set("X-Pool", "main")}
	l.cfg.Routes = []routing.Config{
		{PathPrefix: "/routed", Pool: routing.MainPool, Fields: &fields.Config{Request: set("X-Level", "route"), Response: set("X-Level", "route")}},
		{Path: "/gone", Respond: &routing.RespondConfig{Status: 410}},
	}
}

// speaks is a script that answers with fields of its own.
func speaks(heads chan<- *http.Request) script {
	return func(w *wire, r *http.Request) bool {
		heads <- r
		w.send("HTTP/1.1 200 OK\r\nServer: host\r\nX-Edge: host\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n")
		return true
	}
}

func TestFieldsOfRequestsAndAnswersAreChanged(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, changed, newHost(t, "a").on("/page", speaks(heads)).on("/routed", speaks(heads)))
	for path, level := range map[string]string{"/page": "listener", "/routed": "route"} {
		a := l.ask("GET "+path+" HTTP/1.1\r\nHost: x\r\nX-Debug: 1\r\nX-Real-IP: 6.6.6.6\r\n\r\n", 200)
		h := (<-heads).Header
		for name, want := range map[string]string{"X-Debug": "", "X-Real-Ip": "127.0.0.1", "X-Level": level, "X-Pool": "main"} {
			if got := strings.Join(h[name], "|"); got != want {
				t.Errorf("%s: the host got %s %q, want %q", path, name, got, want)
			}
		}
		for name, want := range map[string]string{"Server": "", "X-Edge": "lb ", "X-Kept": "1", "X-Level": level, "X-Pool": "main"} {
			if got := strings.Join(a.Header[name], "|"); strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("%s: the client got %s %q, want %q", path, name, got, want)
			}
		}
	}
	if a := l.ask(get("/gone"), 410); a.Header.Get("X-Level") != "listener" || a.Header["X-Pool"] != nil {
		t.Errorf("without a host the client got %v", a.Header)
	}
	if a := l.ask("GET / HTTP/1.1\r\n\r\n", 400); a.Header.Get("X-Level") != "listener" {
		t.Errorf("a request that is refused got %v", a.Header)
	}
}

func TestFieldsOfHandshakesAreChanged(t *testing.T) {
	l := start(t, changed, newHost(t, "a").on("/routed", accept(echo)))
	w := l.dial().send(upgrade("/routed", mark))
	if a := w.answer("GET"); a.StatusCode != 101 || a.Header.Get("X-Level") != "route" {
		t.Errorf("got %v, %v", a.Status, a.Header)
	}
}

func TestFieldsAreChangedOverHTTP2(t *testing.T) {
	heads := make(chan *http.Request, 1)
	l := start(t, all(speaksH2(t), changed), newHost(t, "a").on("/routed", speaks(heads)))
	w := l.dialH2()
	id := w.get("/routed")
	w.send(atOnce)
	r := w.reply(id)
	if h := (<-heads).Header; h.Get("X-Real-Ip") != "127.0.0.1" || h.Get("X-Level") != "route" {
		t.Errorf("the host got %v", h)
	}
	for _, want := range []string{"x-edge: lb TLSv1.3", "x-level: route", "x-kept: 1"} {
		if !slices.Contains(r.final.fields, want) {
			t.Errorf("the client got %q, without %q", r.final.fields, want)
		}
	}
	if slices.ContainsFunc(r.final.fields, func(f string) bool { return strings.HasPrefix(f, "server:") }) {
		t.Errorf("the client got %q", r.final.fields)
	}
}
