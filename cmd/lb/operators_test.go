package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOperatorsNoticeNoReload: nobody is signed out of the dashboard, and its numbers go on.
func TestOperatorsNoticeNoReload(t *testing.T) {
	t.Parallel()
	c := startChild(t, 0, "")
	var cookies []*http.Cookie
	do := func(method, path, body string, into any) int {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+c.admin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "http://"+c.admin)
		r.Header.Set("X-Lb-Dashboard", "1")
		for _, cookie := range cookies {
			r.AddCookie(cookie)
		}
		answer, err := c.operator.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		cookies = append(cookies, answer.Cookies()...)
		if err := json.NewDecoder(answer.Body).Decode(into); into != nil && err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return answer.StatusCode
	}
	if do("POST", "/signin", `{"token":"`+adminSecret+`"}`, nil); len(cookies) != 1 {
		t.Fatal("can't sign in")
	}
	type host struct{ Requests int }
	type status struct {
		Started time.Time `json:"started_at"`
	}
	var first, last status
	do("GET", "/v1/status", "", &first)
	for want := 1; want <= 3; want++ {
		if err := c.askOnce(); err != nil {
			t.Fatal(err)
		}
		c.ctl("reload")
		var h host
		if code := do("GET", "/v1/hosts/ide-1", "", &h); code != http.StatusOK || h.Requests != want {
			t.Errorf("after %d reloads and as many requests: status %d, %d requests", want, code, h.Requests)
		}
	}
	if do("GET", "/v1/status", "", &last); first.Started.IsZero() || !last.Started.Equal(first.Started) {
		t.Errorf("it has started at %v, and after reloads at %v", first.Started, last.Started)
	}
}
