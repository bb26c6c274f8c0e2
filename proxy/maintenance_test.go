package proxy

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tokenring/maintenance"
	"tokenring/proxy/routing"
)

// switches returns what is in maintenance in a lab: nothing yet.
func switches(t *testing.T) *maintenance.Switches {
	t.Helper()
	s, err := maintenance.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// say begins or ends maintenance.
func say(t *testing.T, s *maintenance.Switches, route string, on bool) {
	t.Helper()
	if _, err := s.Set(maintenance.Switch{Route: route, On: on}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestARouteInMaintenanceHasAPage(t *testing.T) {
	s := switches(t)
	l := start(t, func(l *lab) {
		l.maintenance = s
		l.cfg.Routes = []routing.Config{
			{Name: "gone", Path: "/gone", Respond: &routing.RespondConfig{Status: 410}},
			{PathPrefix: "/api/", Pool: routing.MainPool},
		}
	}, newHost(t, "a"))
	for _, step := range []struct {
		route           string
		on              bool
		gone, api, rest int
	}{
		{"gone", false, 410, 200, 200},
		{"gone", true, 503, 200, 200},
		{"routes[1]", true, 503, 503, 200},
		{"", true, 503, 503, 503},
		{"gone", false, 503, 503, 503},
		{"", false, 410, 503, 200},
	} {
		say(t, s, step.route, step.on)
		for path, want := range map[string]int{"/gone": step.gone, "/api/x": step.api, "/x": step.rest} {
			a := l.ask("GET "+path+"?token="+mark+" HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n", want)
			if page := strings.Contains(a.body, "Down for maintenance"); page != (want == 503) || page && a.Header.Get("Retry-After") != "30" {
				t.Errorf("%q is %t: %s has %v %s", step.route, step.on, path, a.Header, a.body)
			}
		}
	}
	l.ask(get("/api/last?token="+mark), 503)
	if line := l.logged("/api/last"); line["end"] != endMaintenance {
		t.Errorf("the access log has %v", line)
	}
}

// TestTerminalsStayDuringMaintenance: and no new one opens.
func TestTerminalsStayDuringMaintenance(t *testing.T) {
	s, h := switches(t), newWSHost(t)
	l := start(t, func(l *lab) { l.maintenance = s }, newHost(t, "a"))
	l.hosts[0].Address = h.srv.Listener.Addr().String()
	l.use()
	c := l.webSocket(false)
	say(t, s, "", true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != "still here" {
		t.Errorf("got %q, %v", got, err)
	}
	_, resp, err := websocket.Dial(ctx, "ws://"+l.addr+"/ws?token="+mark, nil)
	if err == nil || resp == nil || resp.StatusCode != 503 {
		t.Errorf("another terminal: got %v, %v", resp, err)
	}
	_ = c.Close(websocket.StatusNormalClosure, "")
}

func TestHTTP2HasMaintenance(t *testing.T) {
	s, secure := switches(t), speaksH2(t)
	l := start(t, func(l *lab) { secure(l); l.maintenance = s }, newHost(t, "a"))
	say(t, s, "", true)
	if a := l.do(l.h2client(), "GET", "/x", nil); a.StatusCode != 503 || a.ProtoMajor != 2 {
		t.Errorf("got %s %s", a.Proto, a.Status)
	}
}
