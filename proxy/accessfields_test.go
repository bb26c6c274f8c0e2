package proxy

import (
	"net/http"
	"testing"

	"tokenring/proxy/accesslog"
	"tokenring/proxy/routing"
)

// logsMore has lines with all fields, and a route.
func logsMore(l *lab) {
	l.name, l.more, l.listener.Address = "lb-1", accesslog.MoreFields, ":8443"
	l.cfg.Routes = []routing.Config{{Name: "tools", PathPrefix: "/routed", Pool: routing.MainPool}}
}

// wantsLine compares the further fields of a line; nil is for none.
func wantsLine(t *testing.T, line, want map[string]any) {
	t.Helper()
	want["listener"], want["pool"], want["balancer"] = ":8443", "pool", "lb-1"
	for _, name := range []string{"host_name", "user_agent", "route", "listener", "pool", "balancer"} {
		if line[name] != want[name] {
			t.Errorf("%s is %v, want %v", name, line[name], want[name])
		}
	}
	if port, _ := line["client_port"].(float64); port == 0 {
		t.Errorf("the port of the client is %v", line["client_port"])
	}
}

func TestLinesTellMoreIfTheyAreToldTo(t *testing.T) {
	l := start(t, logsMore, newHost(t, "a").on("/routed", mirror(make(chan *http.Request, 2))).on("/page", mirror(make(chan *http.Request, 2))))
	l.ask("GET /routed HTTP/1.1\r\nHost: ide.example\r\nUser-Agent: curl/8\r\n\r\n", 200)
	wantsLine(t, l.logged("/routed"), map[string]any{"host_name": "ide.example", "user_agent": "curl/8", "route": "tools"})
	l.ask("GET /page?token="+mark+" HTTP/1.1\r\nHost: "+mark+".example\r\nUser-Agent: with "+mark+"\r\n\r\n", 200) // the lab looks for the token in its log
	wantsLine(t, l.logged("/page"), map[string]any{"host_name": "(redacted)", "user_agent": "(redacted)"})
}

func TestLinesOfHTTP2TellMoreIfTheyAreToldTo(t *testing.T) {
	l := start(t, func(l *lab) {
		speaksH2(t)(l)
		logsMore(l)
	}, newHost(t, "a").on("/routed", mirror(make(chan *http.Request, 1))))
	l.do(l.h2client(), "GET", "/routed", nil, func(r *http.Request) {
		r.Host = "ide.example"
		r.Header.Set("User-Agent", "h2")
	})
	wantsLine(t, l.logged("/routed"), map[string]any{"host_name": "ide.example", "user_agent": "h2", "route": "tools"})
}

// TestLinesOfTerminalsTellMoreWhenTheyEnd: by then the request's bytes are gone.
func TestLinesOfTerminalsTellMoreWhenTheyEnd(t *testing.T) {
	l := start(t, logsMore, newHost(t, "a").on("/ws", accept(echo)))
	l.webSocket(false).CloseNow()
	line := l.logged("/ws")
	wantsLine(t, line, map[string]any{"host_name": l.addr, "user_agent": "Go-http-client/1.1"})
}

func TestLinesTellNoMoreUnlessTheyAreToldTo(t *testing.T) {
	l := start(t, nil, newHost(t, "a"))
	l.ask(get("/canary"), 200)
	line := l.logged("/canary")
	for _, name := range []string{"host_name", "user_agent", "client_port", "listener", "route", "pool", "balancer"} {
		if line[name] != nil {
			t.Errorf("%s is %v", name, line[name])
		}
	}
}
