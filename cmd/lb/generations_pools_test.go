package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

// withPool returns a child with a pool of three hosts beside the main one, which serves all paths
// below /api/. Each host answers with its name.
func withPool(t *testing.T) *child {
	t.Helper()
	hosts := ""
	for _, name := range []string{"a1", "a2", "a3"} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
		t.Cleanup(h.Close)
		hosts += fmt.Sprintf("{name: %s, address: %q}, ", name, h.Listener.Addr())
	}
	c := startChild(t, 0, fmt.Sprintf(`
pools: {api: {hosts: [%s], health: {interval: 1s, timeout: 1s, rise: 1, fall: 5, path: /up}, hash: {consistent: {partitions: 257, replicas: 20}}}}
routes: [{path_prefix: /api/, pool: api}]`, hosts))
	c.wait("the hosts of the pool", func() bool { return c.servingInAPI() == 3 })
	return c
}

// servingInAPI returns how many hosts of the pool serve.
func (c *child) servingInAPI() (n float64) {
	for _, name := range []string{"a1", "a2", "a3"} {
		n += c.metric(fmt.Sprintf("lb_host_serving{host=%q}", "api/"+name))
	}
	return n
}

// hostsInAPI returns which host serves each of some tokens, on connections of their own.
func (c *child) hostsInAPI() (all [20]string) {
	c.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range all {
		resp, err := client.Get(fmt.Sprintf("http://%s/api/?token=t%d", c.plain, i))
		if err != nil {
			c.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			c.t.Fatalf("token %d got status %d, %v", i, resp.StatusCode, err)
		}
		all[i] = string(body)
	}
	return all
}

// TestAReloadHandsPoolsOver: the next process knows at once which hosts of a pool serve, what
// operators have decided about them, and where tokens are that a host keeps though it is drained.
func TestAReloadHandsPoolsOver(t *testing.T) {
	t.Parallel()
	c := withPool(t)
	ws := c.terminal(c.plain) // in the main pool
	c.ctl("maint", "api/a1", "--yes")
	c.wait("one host in maintenance", func() bool { return c.servingInAPI() == 2 })
	before := c.hostsInAPI()
	for _, host := range before {
		if host == "a1" {
			t.Fatalf("a host in maintenance serves: %v", before)
		}
	}
	c.ctl("drain", "api/a2", "--yes") // its tokens linger there
	for i := range 2 {
		if i == 1 {
			c.edit("fall: 5, path: /up", "fall: 6, path: /up")
		}
		c.ctl("reload")
		if after := c.hostsInAPI(); after != before {
			t.Errorf("reload %d: the tokens are on %v, were on %v", i, after, before)
		}
		if n := c.servingInAPI(); n != 1 {
			t.Errorf("reload %d: %v hosts serve, want the one that isn't drained", i, n)
		}
	}
	if err := c.echoes(ws); err != nil {
		t.Error(err)
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
}
