package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// serving runs n hosts until the test ends.
func serving(t *testing.T, n int) *hosts {
	t.Helper()
	h, err := listen(n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return h
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

func TestHostsAnswerCountAndEcho(t *testing.T) {
	h := serving(t, 2)
	c := &http.Client{Timeout: 5 * time.Second}
	defer c.CloseIdleConnections()
	second := "http://" + h.list()[1].Address
	for range 3 {
		if body := get(t, c, second+"/environment?token=a"); len(body) != 100 {
			t.Errorf("an answer of %d bytes, want 100", len(body))
		}
	}
	if body := get(t, c, second+"/echo?token=a"); !strings.HasPrefix(body, "ide-2\nGET /echo?token=a HTTP/1.1\r\n") {
		t.Errorf("echo %q", body)
	}
	if body := get(t, c, second+largePath+"?token=a"); len(body) != 1<<20 {
		t.Errorf("a large answer of %d bytes, want 1 MiB", len(body))
	}
	get(t, c, second+"/healthz")
	if served, links := h.served.Load(), h.links.Load(); served != 4 || links != 1 {
		t.Errorf("counted %d requests on %d connections, want 4 on 1: checks and echoes don't count", served, links)
	}
}

func TestForwardedHeadIsChecked(t *testing.T) {
	for name, row := range map[string]struct {
		head string
		ok   bool
	}{
		"as it should be":     {"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n", true},
		"no X-Forwarded-For":  {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", false},
		"HTTP/1.0":            {"GET / HTTP/1.0\r\nHost: h\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n", false},
		"not to be kept open": {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n", false},
	} {
		if err := forwarded([]byte(row.head)); (err == nil) != row.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
