package proxy

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"tokenring/proxy/localreply"
	"tokenring/proxy/pools"
)

// TestErrorsHaveTheConfiguredPages: over HTTP/1.1 and HTTP/2, and without its body for HEAD.
func TestErrorsHaveTheConfiguredPages(t *testing.T) {
	const text = "<p>{status} {request_id}</p>"
	pages := localreply.Config{HTML: localreply.Templates{{Status: 503, Text: text}}}
	clients := map[string]func(t *testing.T) (*lab, *http.Client){
		"HTTP/1.1": func(t *testing.T) (*lab, *http.Client) {
			client := &http.Client{Transport: &http.Transport{}}
			t.Cleanup(client.CloseIdleConnections)
			return start(t, func(l *lab) { l.cfg.Pages = pages }), client
		},
		"HTTP/2.0": func(t *testing.T) (*lab, *http.Client) {
			secure := speaksH2(t)
			l := start(t, func(l *lab) { secure(l); l.cfg.Pages = pages })
			return l, l.h2client()
		},
	}
	for protocol, begin := range clients {
		t.Run(protocol, func(t *testing.T) {
			l, client := begin(t)
			scheme := map[bool]string{true: "https://", false: "http://"}[protocol == "HTTP/2.0"]
			for _, method := range []string{"GET", "HEAD"} {
				r, _ := http.NewRequest(method, scheme+l.addr+"/x?token="+mark, nil)
				r.Header.Set("Accept", "text/html")
				answer, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				want := "<p>503 " + answer.Header.Get("X-Request-Id") + "</p>"
				if answer.Header.Get("Content-Length") != strconv.Itoa(len(want)) {
					t.Errorf("%s: the length is %q", method, answer.Header.Get("Content-Length"))
				}
				if method == "HEAD" {
					want = ""
				}
				if err != nil || answer.StatusCode != 503 || answer.Proto != protocol || string(body) != want || answer.Header.Get("Retry-After") == "" {
					t.Errorf("%s: got %s %s %q, %v; want %q", method, answer.Proto, answer.Status, body, err, want)
				}
			}
		})
	}
}

// TestUsersAreToldThatTheirMachineComes: those of another pool have none.
func TestUsersAreToldThatTheirMachineComes(t *testing.T) {
	l := start(t, withAPI(pools.Config{}))
	page := func(path string) string {
		return l.ask("GET "+path+"?token="+mark+" HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n", 503).body
	}
	if body := page("/x"); !strings.Contains(body, "Your machine is on its way") || !strings.Contains(body, "location.reload()") {
		t.Errorf("the main pool: got %s", body)
	}
	if body := page("/api/x"); strings.Contains(body, "Your machine") || !strings.Contains(body, "Service Unavailable") {
		t.Errorf("the pool api: got %s", body)
	}
}
