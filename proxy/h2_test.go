package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// speaksH2 is for a lab whose clients are offered HTTP/2.
func speaksH2(t testing.TB) func(*lab) {
	return func(l *lab) {
		withTLS(t, nil)(l)
		l.listener.HTTP2 = true
	}
}

// h2client returns a client that speaks nothing but HTTP/2 to the lab.
func (l *lab) h2client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	tr := &http.Transport{
		Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true,
	}
	l.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func TestHTTP2RequestIsForwarded(t *testing.T) {
	l := start(t, speaksH2(t), newHost(t, "a"))
	c := l.h2client()
	for range 3 {
		resp, err := c.Get("https://" + l.addr + "/canary?token=" + mark)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || resp.Proto != "HTTP/2.0" || !strings.HasSuffix(string(body), " GET /canary") {
			t.Fatalf("got %s %d %q, %v", resp.Proto, resp.StatusCode, body, err)
		}
	}
	resp, err := c.Post("https://"+l.addr+"/post?token="+mark, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := l.logged("/canary")["protocol"]; got != "HTTP/2" {
		t.Errorf("logged as %v", got)
	}
	if got := gaugeValue(l, "lb_connections"); got != 1 {
		t.Errorf("%v connections are counted", got)
	}
}

func TestHTTP2ClientThatLeavesIsNotCountedAsAFailureOfTheHost(t *testing.T) {
	asked, letGo := make(chan bool), make(chan bool)
	l := start(t, speaksH2(t), newHost(t, "a").on("/hold", hold(asked, letGo)))
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", "https://"+l.addr+"/hold", nil)
	done := make(chan error, 1)
	go func() { _, err := l.h2client().Do(req); done <- err }()
	<-asked
	cancel()
	if err := <-done; err == nil {
		t.Error("answered")
	}
	if got := l.logged("/hold")["end"]; got != endClientGone {
		t.Errorf("ended by %v", got)
	}
	close(letGo)
	if n := l.suspects.Load(); n != 0 {
		t.Errorf("the host was blamed %d times", n)
	}
}
