package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tokenring/balancer"
	"tokenring/config"
)

// claimChecks: every host is checked by a GET with health.path and health.host,
// or by a TCP connect; 200 to 399 is up, anything else is down; the first check
// comes before the first request.
func claimChecks(t *testing.T) {
	host := newRecorder(t, plainAnswer)
	line := strings.TrimSpace(host.one("one")) + " no-check port 9 fastinter 1h agent-check"
	r := runLines(t, cfgLines{
		back:    "  default-server inter 100ms\n  option httpchk POST /up\n  http-check send meth POST uri /up hdr Host checks.example.com hdr X-Check b body x\n  http-check expect string fine\n  http-check disable-on-404",
		servers: "  " + line,
	})
	_, checks := host.got()
	want := []string{"GET /up HTTP/1.1\r\n", "\r\nHost: checks.example.com\r\n"}
	for _, part := range want {
		if !strings.Contains(checks[0], part) {
			t.Errorf("the check has no %q:\n%s", part, checks[0])
		}
	}
	if strings.Contains(checks[0], "X-Check") {
		t.Errorf("the check has a field that isn't sent:\n%s", checks[0])
	}
	up := func() bool { return r.get("/", "").StatusCode != 503 }
	for _, row := range []struct {
		status int
		up     bool
	}{{404, false}, {302, true}, {500, false}, {204, true}, {400, false}} {
		host.set(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n", row.status))
		r.wait(fmt.Sprintf("a host whose check gets %d is up: %t", row.status, row.up), func() bool { return up() == row.up })
	}
	plain := newRecorder(t, "not HTTP at all\r\n\r\n")
	runLines(t, cfgLines{back: "  option ssl-hello-chk\n  tcp-check expect string +PONG", servers: plain.one("one")}) // up by a TCP connect
}

// claimNextHost: a connection that fails goes on to the next host at once; what
// can't be repeated isn't sent twice; without any host there is 503.
func claimNextHost(t *testing.T) {
	named := func(name string) string {
		return "HTTP/1.1 200 OK\r\nX-Name: " + name + "\r\nContent-Length: 2\r\n\r\nok"
	}
	one, two := newRecorder(t, named("one")), newRecorder(t, named("two"))
	r := runLines(t, cfgLines{
		defaults: "  retries 0\n  option redispatch\n  option allbackups\n  option persist",
		back:     "  default-server inter 1h",
		servers:  one.one("one") + two.one("two"),
	})
	token := ""
	for i := 0; token == ""; i++ {
		if r.name(fmt.Sprintf("/?token=t%d", i), "") == "one" {
			token = fmt.Sprintf("t%d", i)
		}
	}
	before, _ := two.got()
	post := "POST /?token=" + token + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
	one.set("") // closes when it has read the request
	if resp := r.raw(0, post); resp.StatusCode != 502 {
		t.Errorf("a host that has read a POST and closes: got %s, want 502", resp.Status)
	}
	if after, _ := two.got(); len(after) != len(before) {
		t.Errorf("a POST was sent twice: %q", after[len(before):])
	}
	one.ln.Close()
	if resp := r.raw(0, post); resp.StatusCode != 200 || resp.Header.Get("X-Name") != "two" {
		t.Errorf("a host that can't be reached: got %s from %s, want two's answer", resp.Status, resp.Header.Get("X-Name"))
	}
	two.ln.Close()
	two.set("")
	r.wait("there is 503 without a host", func() bool { return r.raw(0, post).StatusCode == 503 })
}

// claimDown: with map-based, a host that is down moves its tokens and no others.
func claimDown(t *testing.T) {
	result := importLines(t, cfgLines{back: "  hash-type map-based", servers: "  server a 10.0.0.1:1\n  server b 10.0.0.2:1\n  server c 10.0.0.3:1"}, nil)
	table := tableOf(t, result.YAML)
	for i := range 1000 {
		key := fmt.Appendf(nil, "t%d", i)
		owner := table.Owner(key)
		now, _ := table.Pick(key, []bool{true, false, true}, -1)
		if moved := now != owner; moved != (owner == 1) {
			t.Fatalf("%s was on host %d and is on host %d now", key, owner, now)
		}
	}
}

// tableOf builds the table of an lb.yaml.
func tableOf(t *testing.T, yaml []byte) *balancer.Table {
	t.Helper()
	cfg, err := config.Parse("lb.yaml", yaml)
	if err != nil {
		t.Fatal(err)
	}
	builder, err := balancer.NewBuilder(cfg.Hash)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []balancer.Host
	for _, h := range cfg.Pool.Hosts {
		hosts = append(hosts, balancer.Host{Name: h.Name, ID: h.ID, Weight: *h.Weight})
	}
	table, err := builder.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// claimRing: what is imported sends each token where a real HAProxy has sent it,
// in all configurations of the recorded answers.
func claimRing(t *testing.T) {
	var recorded struct {
		Tokens         []string
		Configurations []struct {
			Config struct {
				Function  string
				Avalanche bool
				HashType  string `json:"hash_type"`
				Servers   []struct {
					Name       string
					ID, Weight int
					Up, Backup bool
				}
			}
			Servers []string
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../testdata/balancer/haproxy.json")), &recorded); err != nil {
		t.Fatal(err)
	}
	answers := 0
	for _, c := range recorded.Configurations {
		lines, plain := "", true
		for i, s := range c.Config.Servers {
			lines += fmt.Sprintf("  server %s 10.0.0.1:%d id %d weight %d\n", s.Name, 1000+i, s.ID, s.Weight)
			plain = plain && s.Up && !s.Backup && s.ID < 1<<20 // lb refuses larger ones that HAProxy confuses
		}
		if !plain {
			continue
		}
		hash := fmt.Sprintf("  hash-type %s %s", c.Config.HashType, c.Config.Function)
		if c.Config.Avalanche {
			hash += " avalanche"
		}
		table := tableOf(t, importLines(t, cfgLines{back: hash, servers: lines}, nil).YAML)
		for i, want := range c.Servers {
			answers++
			if got := table.Hosts()[table.Owner([]byte(recorded.Tokens[i]))].Name; got != want {
				t.Fatalf("%s: %q is on %s here, on %s in HAProxy", hash, recorded.Tokens[i], got, want)
			}
		}
	}
	if answers < 3000 {
		t.Errorf("compared %d answers only", answers)
	}
}

// claimNames: a host's address may be a name, which the system's resolver knows.
// What becomes of a name's terminals when it gets another address is tested with
// the names.
func claimNames(t *testing.T) {
	line := strings.Replace(hostsNamed(t, "one"), "127.0.0.1", "localhost", 1)
	r := runLines(t, cfgLines{servers: strings.TrimSuffix(line, "\n") + " resolvers dns init-addr none\nresolvers dns\n  nameserver a 127.0.0.1:9"})
	if name := r.name("/", ""); name != "one" {
		t.Errorf("got host %q", name)
	}
}

// claimSlowStart: slowstart is pool.slow_start, for every host that comes.
func claimSlowStart(t *testing.T) {
	result := importLines(t, cfgLines{back: "  default-server slowstart 30s", servers: "  server a 10.0.0.1:1\n"}, nil)
	cfg, err := config.Parse("lb.yaml", result.YAML)
	if err != nil || cfg.Pool.SlowStart != 30*time.Second {
		t.Errorf("got %v, %v", cfg.Pool.SlowStart, err)
	}
}

// claimTakenIn: servers that are off, of weight 0, backups, and those of other
// backends get nobody.
func claimTakenIn(t *testing.T) {
	off := newRecorder(t, plainAnswer)
	line := strings.TrimSuffix(off.one("off"), "\n")
	r := runLines(t, cfgLines{servers: hostsNamed(t, "one", "two") + line + " disabled\n" + strings.Replace(line, "off", "spare", 1) + " backup\n" + strings.Replace(line, "off", "light", 1) + " weight 0\nbackend other\n" + line})
	for i := range 40 {
		if name := r.name(fmt.Sprintf("/?token=t%d", i), ""); name != "one" && name != "two" {
			t.Errorf("got host %q", name)
		}
	}
	if requests, _ := off.got(); len(requests) != 0 {
		t.Errorf("a server that is off got %q", requests)
	}
}
