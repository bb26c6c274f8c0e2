package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
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
	line := strings.TrimSpace(host.one("one")) + " no-check addr 127.0.0.9 fastinter 1h agent-check"
	r := runLines(t, cfgLines{
		back:    "  default-server inter 100ms\n  option httpchk POST /up\n  http-check send meth POST uri /up hdr Host checks.example.com hdr X-Check b hdr X-Day %[date] body x\n  http-check expect ! string broken\n  http-check disable-on-404",
		servers: "  " + line,
	})
	_, checks := host.got()
	want := []string{"GET /up HTTP/1.1\r\n", "\r\nHost: checks.example.com\r\n", "\r\nX-Check: b\r\n"}
	for _, part := range want {
		if !strings.Contains(checks[0], part) {
			t.Errorf("the check has no %q:\n%s", part, checks[0])
		}
	}
	if strings.Contains(checks[0], "X-Day") {
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
	claimExpected(t)
}

// claimExpected: which answers pass, and at which port, is as in HAProxy.
func claimExpected(t *testing.T) {
	host, checked := newRecorder(t, plainAnswer), newRecorder(t, plainAnswer)
	_, port, err := net.SplitHostPort(checked.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := runLines(t, cfgLines{
		back:    "  default-server inter 100ms port " + port + "\n  option httpchk GET /up\n  http-check expect ! rstatus ^5\n  http-check expect string ok",
		servers: host.one("one"),
	})
	for _, row := range []struct {
		status int
		body   string
		up     bool
	}{{500, "ok", false}, {404, "ok", true}, {200, "no", false}, {302, "ok", true}} {
		checked.set(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n%s", row.status, row.body))
		r.wait(fmt.Sprintf("a host whose check gets %d and %q is up: %t", row.status, row.body, row.up), func() bool {
			return (r.get("/", "").StatusCode != 503) == row.up
		})
	}
}

// claimNextHost: a request whose connection fails goes to the next host at once. A request
// that can't be repeated isn't sent twice. If there is no host, the answer is 503.
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

// claimDown: with map-based, a host that goes down moves only its own tokens.
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

// claimOnDown: with on-marked-down, the terminals of a host end when it has been down for a second.
// Those of other hosts stay when it is up again.
func claimOnDown(t *testing.T) {
	terminals := func(name string) *recorder {
		return newRecorder(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Name: "+name+"\r\n\r\n")
	}
	one, two := terminals("one"), terminals("two")
	r := runLines(t, cfgLines{
		back:    "  default-server inter 500ms on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions",
		servers: one.one("one") + two.one("two"),
	})
	open := map[string]net.Conn{}
	for i := 0; len(open) < 2; i++ {
		conn := r.send(0, "")
		name := r.answer(conn, fmt.Sprintf("GET /?token=t%d HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", i)).Header.Get("X-Name")
		if open[name] == nil {
			open[name] = conn
		} else {
			conn.Close()
		}
	}
	one.ln.Close()
	if got, err := io.ReadAll(open["one"]); err != nil || !strings.Contains(string(got), "the host is down") {
		t.Errorf("the terminal of a host that is down ends with %q, %v", got, err)
	}
	ln, err := net.Listen("tcp", one.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	r.wait("the host passes its checks again", func() bool { return r.edge.pool.Snapshot().Host("one").Passes })
	r.wait("the other host has its terminal", func() bool { return r.edge.pool.Snapshot().Host("two").Gauges.Sessions.Load() == 1 })
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
		hosts = append(hosts, h.TableHost())
	}
	table, err := builder.Build(hosts)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// claimRing: the imported configuration sends each token to the host to which a real
// HAProxy has sent it, in all configurations of the recorded answers.
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
	if err := json.Unmarshal([]byte(readFile(t, "../testdata/balancer/haproxy.json")), &recorded); err != nil {
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

// claimNames: a host's address may be a name, which the system's resolver knows. Other
// tests change the address of a name.
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

// claimBackups: all backups serve while no other host does, and none while one does or the ring is
// frozen.
func claimBackups(t *testing.T) {
	named := func(name string) *recorder {
		return newRecorder(t, "HTTP/1.1 200 OK\r\nX-Name: "+name+"\r\nContent-Length: 2\r\n\r\nok")
	}
	backup := func(name string) string { return strings.TrimSuffix(named(name).one(name), "\n") + " backup\n" }
	gone, one := named("gone"), named("one")
	gone.ln.Close()
	r := runLines(t, cfgLines{defaults: "  option allbackups", servers: gone.one("gone") + backup("spare") + backup("other")})
	seen := map[string]bool{}
	token := 0
	r.wait("both backups serve", func() bool {
		token++
		seen[r.get(fmt.Sprintf("/?token=t%d", token), "").Header.Get("X-Name")] = true
		return seen["spare"] && seen["other"]
	})
	r = runLines(t, cfgLines{servers: one.one("one") + backup("spare")})
	for i := range 40 {
		if name := r.name(fmt.Sprintf("/?token=t%d", i), ""); name != "one" {
			t.Errorf("got host %q while another one serves", name)
		}
	}
	one.ln.Close()
	one.set("")
	r.wait("the ring is frozen", func() bool { return r.edge.pool.Snapshot().Frozen })
	if resp := r.get("/?token=t1", ""); resp.StatusCode != 503 {
		t.Errorf("a frozen ring: got %s from %q, want 503", resp.Status, resp.Header.Get("X-Name"))
	}
}

// claimTakenIn: servers that are off, of weight 0, and those of other
// backends get no requests.
func claimTakenIn(t *testing.T) {
	off := newRecorder(t, plainAnswer)
	line := strings.TrimSuffix(off.one("off"), "\n")
	r := runLines(t, cfgLines{servers: hostsNamed(t, "one", "two") + line + " disabled\n" + strings.Replace(line, "off", "light", 1) + " weight 0\nbackend other\n" + line})
	for i := range 40 {
		if name := r.name(fmt.Sprintf("/?token=t%d", i), ""); name != "one" && name != "two" {
			t.Errorf("got host %q", name)
		}
	}
	if requests, _ := off.got(); len(requests) != 0 {
		t.Errorf("a server that is off got %q", requests)
	}
}
