package haproxycfg_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tokenring/haproxycfg"
)

// edge is a haproxy.cfg with room for a line in each section.
const edge = `global
  %s
defaults
  mode http
  timeout tunnel 1h
  %s
frontend edge
  bind 127.0.0.1:8080
  %s
  default_backend ide
backend ide
  balance url_param token
  %s
  server one 10.0.0.11:4000 check
  server two 10.0.0.12:4000 %s
`

// sections are the places of lines in edge, by number.
var sections = map[string]int{"global": 0, "defaults": 1, "frontend": 2, "backend": 3, "server": 4}

// A lineRow is a line that TestLines puts in, and what becomes of it.
type lineRow struct {
	section, line string
	verdict       haproxycfg.Verdict
	note, yaml    string
}

// cfg returns the edge with the line in it.
func (row lineRow) cfg() string {
	fill := make([]any, len(sections))
	for i := range fill {
		fill[i] = ""
	}
	fill[sections[row.section]] = row.line
	return fmt.Sprintf(edge, fill...)
}

// lineFiles are those that the lines name.
var lineFiles = fstest.MapFS{
	"etc/list":    {Data: []byte("# all of them\n/etc/a.pem [alpn h2] a.example.com\n\n/etc/b.pem !x\n")},
	"etc/mutual":  {Data: []byte("/etc/a.pem [alpn h2 ca-file /etc/ca.pem verify required] a.example.com\n")},
	"etc/newer":   {Data: []byte("/etc/a.pem [ssl-min-ver TLSv1.3]\n")},
	"etc/odd":     {Data: []byte("/etc/a.pem [odd x verify none]\n")},
	"etc/a.pem":   {Data: []byte("-----BEGIN PRIVATE KEY-----")},
	"etc/b.pem":   {Data: []byte("-----BEGIN CERTIFICATE-----")},
	"etc/d/x.pem": {Data: []byte("-----BEGIN PRIVATE KEY-----")},
	"etc/e/503":   {Data: []byte("HTTP/1.0 500 Busy\r\n\r\nbusy")},
	"etc/e/408":   {Data: []byte("HTTP/1.0 408 Late\r\n\r\n")},
	"etc/o/x.pem": {Data: []byte("-----BEGIN PRIVATE KEY-----")},
	"etc/o/x.rsa": {Data: []byte("-----BEGIN PRIVATE KEY-----")},
	"etc/d/y.key": {Data: []byte("-----BEGIN PRIVATE KEY-----")},
}

var lines = []lineRow{
	{"backend", "balance source", haproxycfg.Moves, "all clients move once", "  key: [source]"},
	{"backend", "balance uri whole", haproxycfg.Moves, "uri can't be a key", "  key: [{query: token}]"},
	{"backend", "balance roundrobin\nhash-type consistent", haproxycfg.LeftOut, "no ring without a key", "  policy: consistent"},
	{"backend", "stick on src", haproxycfg.Moves, "write source as the first item of hash.key", "  key: [{query: token}]"},
	{"backend", "stick on url_param(token)", haproxycfg.Moves, "a user's requests stay together", ""},
	{"backend", "stick on cookie(sid)", haproxycfg.Moves, "write affinity: {cookie: {}}", ""},
	{"backend", "stick on path", haproxycfg.Moves, "don't come together again", ""},
	{"backend", "stick on req.hdr(X-User),lower", haproxycfg.Moves, "don't come together again", ""},
	{"backend", "stick store-response res.cook(sid)", haproxycfg.Moves, "can't remember which host", ""},
	{"backend", "balance roundrobin\nstick on req.cook(sid)", haproxycfg.Moves, "keeps together stay together", "  key: [{cookie: sid}]  # 14\n  policy: consistent"},
	{"backend", "balance hash src", haproxycfg.Moves, "stay together", "  key: [source]"},
	{"backend", "balance hash path", haproxycfg.Moves, "stay together only if they have the same token", ""},
	{"backend", `balance url_param "${PARAM}"`, haproxycfg.Moves, "hash.key: fill in the value that ${PARAM}", `  key: [{query: "${PARAM}"}]` + "  # 13\n  policy: haproxy"},
	{"backend", `balance "hdr($NAME)"`, haproxycfg.Moves, "fill in the value that $NAME", `  key: [{header: "${NAME}"}]`},
	{"backend", `balance "$BALANCE"`, haproxycfg.Moves, "fill in the value that $BALANCE", `  key: ["${BALANCE}"]` + "  # 13\n  policy: haproxy"},
	{"backend", `hash-type "$TYPE"`, haproxycfg.Moves, "hash.haproxy: fill in", `  haproxy: {type: "${TYPE}", function: sdbm, avalanche: false}`},
	{"backend", `hash-type consistent "$FUNCTION"`, haproxycfg.Moves, "hash.haproxy: fill in", `{type: consistent, function: "${FUNCTION}"`},
	{"backend", `hash-balance-factor "$FACTOR"`, haproxycfg.Decide, "hash.bounded_load: fill in", `  bounded_load: "${FACTOR}"`},
	{"backend", `timeout tunnel "$TUNNEL"`, haproxycfg.Decide, "timeouts.tunnel: fill in", `  tunnel: "${TUNNEL}"  # 13`},
	{"backend", `timeout check "$CHECK"`, haproxycfg.Decide, "health.timeout: fill in", `  timeout: "${CHECK}"`},
	{"backend", `option httpchk GET "/$PATH_"`, haproxycfg.Decide, "the value of $PATH_", `  path: "/${PATH_}"`},
	{"backend", `cookie "$COOKIE" insert`, haproxycfg.Moves, "doesn't read the cookies", `{name: "${COOKIE}"`},
	{"backend", `default-server inter "$INTER" rise "$RISE" slowstart "$START"`, haproxycfg.Decide, "inter: fill in", `  interval: "${INTER}"`},
	{"server", `check id "$ID"`, haproxycfg.Moves, "id: fill in", `{name: two, id: "${ID}"`},
	{"server", `check weight "$WEIGHT"`, haproxycfg.Moves, "weight: fill in", `weight: "${WEIGHT}"}`},
	{"server", "check odd id 9", haproxycfg.Unknown, "reads on from the next word", "{name: two, id: 9"},
	{"frontend", `bind "$IP:443" ssl crt /etc/a.pem`, haproxycfg.Decide, "listen: fill in", `  - {address: "${IP}:443", tls: true}`},
	{"frontend", `bind "127.0.0.1:$PORT"`, haproxycfg.Decide, "listen: fill in", `  - {address: "127.0.0.1:${PORT}"}`},
	{"frontend", `bind 127.0.0.1:8443 ssl crt "/etc/$CERT"`, haproxycfg.Decide, "can't be read on this machine", `{cert: "/etc/${CERT}"`},
	{"frontend", "bind 127.0.0.1:8443 odd ssl crt /etc/a.pem", haproxycfg.Unknown, "reads on from the next word", `  - {address: "127.0.0.1:8443", tls: true}`},
	{"global", `maxconn "$MAX"`, haproxycfg.Decide, "limits.connections: fill in", `  connections: "${MAX}"`},
	{"global", `tune.bufsize "$SIZE"`, haproxycfg.Decide, "limits.head: fill in", `  head: "${SIZE}"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem alpn http/1.1", haproxycfg.Took, "listen: http2: false", "tls: true, http2: false}"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem alpn h2,http/1.1", haproxycfg.Took, "offered HTTP/2", "tls: true}"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem alpn h2", haproxycfg.Changed, "beside HTTP/2", "tls: true}"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem no-alpn", haproxycfg.Took, "listen: http2: false", "tls: true, http2: false}"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem", haproxycfg.Changed, "without alpn", "tls: true}"},
	{"frontend", "bind 127.0.0.1:81 proto h2", haproxycfg.Stops, "over TLS only", ""},
	{"frontend", "bind unix@/run/lb.sock", haproxycfg.Stops, "TCP addresses only", ""},
	{"frontend", "bind quic4@:443 ssl crt /etc/a.pem alpn h3", haproxycfg.LeftOut, "fall back to TCP", `cert: "/etc/a.pem"`},
	{"server", "check proto h1", haproxycfg.Took, "what lb speaks to hosts", ""},
	{"server", "check proto h2", haproxycfg.Stops, "another protocol", ""},
	{"backend", "option abortonclose", haproxycfg.Took, "half_close: abort, at 127.0.0.1:8080", `  - {address: "127.0.0.1:8080", half_close: abort}`},
	{"backend", "no option abortonclose", haproxycfg.Took, "both serve", `  - {address: "127.0.0.1:8080"}`},
	{"backend", "timeout tunnel 1d", haproxycfg.Changed, "that is long: when a client vanishes", "  tunnel: 24h"},
	{"backend", "timeout tunnel 20s", haproxycfg.Changed, "that is short: lb cuts a terminal that is quiet", "  tunnel: 20s"},
	{"backend", "timeout server 1d", haproxycfg.Changed, "that is long: users of a host that hangs wait", "  response: 24h"},
	{"backend", "timeout connect 5ms", haproxycfg.Changed, "that is short: a host that is only slow", "  connect: 5ms"},
	{"backend", "srvtimeout 20000", haproxycfg.Took, "timeouts.response: 20s", "  response: 20s"},
	{"backend", "http-request set-path /x", haproxycfg.Stops, "paths that clients send", ""},
	{"backend", "option tcp-check\ntcp-check expect string +PONG", haproxycfg.Decide, "counts as up, even if HAProxy's check would fail", ""},
	{"frontend", `reqadd X-Forwarded-Proto:\ http`, haproxycfg.Changed, "by itself", ""},
	{"frontend", `reqadd X-User:\ me`, haproxycfg.Took, "fields: X-User", `      X-User: "me"  # 9`},
	{"frontend", `reqadd X-User:\ me if { src 10.0.0.1 }`, haproxycfg.Stops, "hosts get those as the client sent them", ""},
	{"frontend", `rspadd X-Edge:\ 5%`, haproxycfg.Took, "fields: X-Edge", `      X-Edge: "5%"  # 9`},
	{"frontend", "http-request set-header X-Real-IP %[src]:%[src_port]", haproxycfg.Took, "fields: X-Real-IP", `      X-Real-IP: "{client}:{client_port}"  # 9`},
	{"frontend", "http-request add-header X-Brace {%%}", haproxycfg.Took, "fields: X-Brace", `      X-Brace: "{{%}}"  # 9`},
	{"frontend", "http-request set-header X-Day %[date]", haproxycfg.Stops, "doesn't make this change", ""},
	{"frontend", "http-request replace-header X-A a b", haproxycfg.Stops, "doesn't make this change", ""},
	{"frontend", "http-request set-header Content-Length 5", haproxycfg.Stops, "doesn't make this change", ""},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem\nhttp-response set-header Strict-Transport-Security \"max-age=9; includeSubDomains\"", haproxycfg.Took, "hsts: {max_age: 9", `hsts: {max_age: 9, include_subdomains: true, preload: false}`},
	{"backend", "redirect location https://login.example.com/", haproxycfg.Stops, "to a whole URL", `  - {address: "127.0.0.1:8080"}`},
	{"frontend", "redirect prefix https://ide.example.com", haproxycfg.Changed, "to the host name that the client has asked for", "redirect_https: true"},
	{"frontend", "redirect scheme https if !{ path_beg /.well-known/acme-challenge/ }", haproxycfg.Stops, "challenges", "redirect_https: true"},
	{"frontend", "acl acme path -m beg /.well-known/acme-challenge\nredirect scheme https unless acme or { ssl_fc }", haproxycfg.Stops, "challenges", "redirect_https: true"},
	{"frontend", "redirect scheme https if !{ path_beg /.well-known/acme-challenge/ /up }", haproxycfg.Decide, "only under a condition", `  - {address: "127.0.0.1:8080"}`},
	{"frontend", "redirect scheme https if !{ ssl_fc } or { path / }", haproxycfg.Decide, "only under a condition", `  - {address: "127.0.0.1:8080"}`},
	{"backend", "balance leastconn", haproxycfg.Moves, "no ring to keep", "  policy: consistent"},
	{"backend", "balance hash ssl_c_s_dn", haproxycfg.Moves, "this expression can't", ""}, // no address asks for certificates
	{"backend", "stick on ssl_c_s_dn(,0,rfc2253)", haproxycfg.Moves, "this can't be a key", ""},
	{"backend", "balance hash urlp(id),lower", haproxycfg.Moves, "this expression can't", ""},
	{"backend", "balance hash req.hdr(X-User)", haproxycfg.Moves, "behind the last comma", "  key: [{header: X-User}]"},
	{"backend", "balance hash req.hdr(User-Agent)", haproxycfg.Moves, "is a list for many", "  key: [{header: User-Agent}]"},
	{"backend", "balance hash url_param(token)", haproxycfg.Moves, "also at ;", "  key: [{query: token}]"},
	{"backend", "balance hash req.cook(sid)", haproxycfg.Moves, "HAProxy takes the last", "  key: [{cookie: sid}]"},
	{"backend", "balance hdr(X-User)", haproxycfg.Moves, "before the first comma", "  key: [{header: X-User}]"},
	{"backend", "balance hdr(X-Forwarded-For)", haproxycfg.Moves, "is a list for many", "  key: [{header: X-Forwarded-For}]"},
	{"backend", "balance hdr(host) use_domain_only", haproxycfg.Moves, "a part of the name", "  key: [{header: host}]"},
	{"backend", "balance hdr(host) odd", haproxycfg.Moves, "no option of balance", ""},
	{"backend", "balance url_param 'no'", haproxycfg.Changed, "raw value", `  key: [{query: "no"}]`},
	{"backend", "hash-type consistent wt6 avalanche", haproxycfg.Changed, "id-3.0", "function: wt6, avalanche: true"},
	{"backend", "timeout check 5s", haproxycfg.Changed, "never longer than the interval", "  timeout: 2s"},
	{"backend", "timeout check 300", haproxycfg.Changed, "connect and the answer together", "  timeout: 300ms"},
	{"backend", "option httpchk", haproxycfg.Decide, "GET, not OPTIONS", `  path: "/"`},
	{"backend", "option httpchk /up", haproxycfg.Decide, "answers GET /up with a good status", `  path: "/up"`},
	{"backend", "option httpchk HEAD /up", haproxycfg.Changed, "GET, not HEAD", `  path: "/up"`},
	{"backend", "option httpchk POST /up", haproxycfg.Decide, "all hosts are down in lb", `  path: "/up"`},
	{"backend", `option httpchk GET /up HTTP/1.1\r\nHost:\ a\r\nX-Check:\ b`, haproxycfg.Took, "checks have the field X-Check", "  host: \"a\"  # 13\n  fields:\n    X-Check: \"b\"  # 13\n"},
	{"backend", "no option httpchk", haproxycfg.LeftOut, "switched off", `  path: ""`},
	{"backend", "http-check send meth GET uri /up", haproxycfg.LeftOut, "only with option httpchk", `  path: ""`},
	{"backend", "option httpchk\nhttp-check send meth POST uri /up body x hdr A b", haproxycfg.Decide, "body: lb's checks have no body", `  path: "/up"`},
	{"backend", "option httpchk\nhttp-check send meth GET uri /up hdr Authorization b", haproxycfg.Took, "checks have the field Authorization", `    Authorization: "b"`},
	{"backend", "option httpchk\nhttp-check send meth GET uri /up hdr Connection close", haproxycfg.LeftOut, "Connection isn't sent", `  path: "/up"`},
	{"backend", "option httpchk\nhttp-check send uri /up", haproxycfg.Decide, "GET, not OPTIONS", `  path: "/up"`},
	{"backend", "option httpchk GET /\nhttp-check send uri /up", haproxycfg.Took, "health.path", `  path: "/up"`},
	{"backend", "option httpchk GET /\nhttp-check send uri-lf /%[srv_name]", haproxycfg.Decide, "makes the path of checks from variables", `  path: ""`},
	{"backend", "option httpchk GET /\nhttp-check send odd x", haproxycfg.Unknown, "no keyword", `  path: "/"`},
	{"backend", "option httpchk GET /\nhttp-check send ver HTTP/1.1", haproxycfg.Took, "a GET with HTTP/1.1", ""},
	{"backend", "option httpchk GET /\nhttp-check disable-on-404", haproxycfg.LeftOut, "not draining", ""},
	{"backend", "option httpchk GET /\nhttp-check connect ssl", haproxycfg.Decide, "without TLS", ""},
	{"backend", "option httpchk GET /\nhttp-check comment x", haproxycfg.LeftOut, "one GET", ""},
	{"backend", "default-server maxconn 5 weight 7", haproxycfg.Took, "", "weight: 7, max_connections: 5}"},
	{"backend", "default-server minconn 5", haproxycfg.LeftOut, "without max_connections", ""},
	{"backend", `default-server maxconn "$MOST"`, haproxycfg.Decide, "maxconn: fill in", `max_connections: "${MOST}"}`},
	{"backend", "default-server maxconn 5\n  timeout queue 7s", haproxycfg.Took, "pool.queue.wait: 7s", "  queue:\n    wait: 7s"},
	{"backend", "default-server maxconn 5\n  timeout queue 0", haproxycfg.LeftOut, "has its default", ""},
	{"backend", "default-server send-proxy-v2", haproxycfg.Took, "", "  send_proxy: v2"},
	{"backend", "default-server slowstart 30s", haproxycfg.Changed, "pool.slow_start: 30s", "  slow_start: 30s"},
	{"backend", "default-server slowstart 90000", haproxycfg.Changed, "pool.slow_start: 1m30s", "  slow_start: 1m30s"},
	{"backend", "default-server slowstart 500ms", haproxycfg.Changed, "from 2s to 1h", "  slow_start: 2s"},
	{"backend", "default-server slowstart 1d", haproxycfg.Changed, "from 2s to 1h", "  slow_start: 1h"},
	{"backend", "default-server on-marked-down shutdown-sessions", haproxycfg.Changed, "health.close_after: 1s: terminals end when", "  on_down: close  # 13\n  close_after: 1s"},
	{"backend", `default-server on-marked-down "$X"`, haproxycfg.Decide, "in HAProxy's environment", "  on_down: close"},
	{"backend", "default-server on-marked-up shutdown-backup-sessions", haproxycfg.LeftOut, "when another one is up again", ""},
	{"server", "on-marked-down shutdown-sessions", haproxycfg.Changed, "keep as with most servers, not close", "  on_down: keep"},
	{"server", "slowstart 30s", haproxycfg.LeftOut, "not all servers have the same value", ""},
	{"backend", "default-server no-check inter 5s", haproxycfg.Took, "health.interval: 5s", "  interval: 5s"},
	{"backend", "default-server weight 7", haproxycfg.Took, "each server below", "weight: 7}"},
	{"backend", "source 10.0.0.9", haproxycfg.Decide, "accept lb's", ""},
	{"backend", "timeout queue 5s", haproxycfg.LeftOut, "without max_connections", ""},
	{"backend", "timeout http-request 5s", haproxycfg.LeftOut, "for frontends", ""},
	{"backend", "retries 5", haproxycfg.LeftOut, "tries the next host", ""},
	{"backend", "cookie IDE insert", haproxycfg.Moves, "doesn't read the cookies that HAProxy has set", "  cookie: {name: IDE, indirect: false, nocache: false, httponly: false, secure: false}  # 13"},
	{"backend", "cookie srv_id insert indirect secure maxidle 1800 maxlife 8h", haproxycfg.Moves, "add secret_file", `{name: "srv_id", indirect: true, nocache: false, httponly: false, secure: true, max_idle: 30m, max_life: 8h}`},
	{"backend", "cookie IDE insert maxidle 2d maxlife 1d", haproxycfg.Moves, "as in HAProxy", "secure: false, max_life: 24h}"},
	{"backend", `cookie IDE insert attr "SameSite=None" attr Partitioned secure`, haproxycfg.Moves, "as in HAProxy", "secure: true, same_site: none, partitioned: true}"},
	{"backend", `cookie IDE insert attr Max-Age=9 httponly`, haproxycfg.Moves, "no such attribute", "httponly: true"},
	{"backend", "cookie IDE insert domain .a.example domain b.example nocache", haproxycfg.Moves, "one domain", `nocache: true, httponly: false, secure: false, domain: "b.example"}`},
	{"backend", "cookie IDE insert postonly", haproxycfg.Moves, "the first answer, whatever the method", "affinity:"},
	{"backend", "cookie IDE insert preserve", haproxycfg.Moves, "neither set nor clear", "affinity:"},
	{"backend", "cookie IDE insert dynamic", haproxycfg.Moves, "nobody can read the host in it", "affinity:"},
	{"backend", "cookie IDE insert fancy", haproxycfg.Moves, "is no option of cookies", "affinity:"},
	{"backend", "cookie JSESSIONID prefix", haproxycfg.Moves, "a cookie of its own", "  policy: haproxy"},
	{"backend", "cookie SRV", haproxycfg.Moves, "a cookie of its own", "  policy: haproxy"},
	{"server", "check cookie s2", haproxycfg.LeftOut, "in a sealed form", ""},
	{"backend", "dynamic-cookie-key x", haproxycfg.LeftOut, "a key of its own", ""},
	{"backend", "disabled", haproxycfg.Decide, "this whole section is switched off", ""},
	{"server", "check inter 5s", haproxycfg.Changed, "2s as with most servers, not 5s", "  interval: 2s"},
	{"server", "no-check", haproxycfg.Changed, "checks every host", ""},
	{"backend", "default-server inter 5s rise 4", haproxycfg.Took, "health.rise: 4", "  rise: 4"},
	{"server", "check fall 9", haproxycfg.Changed, "health.fall: 3 as with most servers, not 9", ""},
	{"server", "check id 1048578", haproxycfg.Took, "modulo 1048576", "id: 1048578"},
	{"server", "check disabled enabled", haproxycfg.Took, "pool.hosts: two", "    - {name: two"},
	{"server", "check disabled", haproxycfg.LeftOut, "as a comment", "    # - {name: two"},
	{"server", "check backup no-backup", haproxycfg.Took, "pool.hosts: two", "    - {name: two"},
	{"server", "check backup", haproxycfg.Changed, "backup: all backups serve together", ", backup: true}"},
	{"server", "check source 10.0.0.9 usesrc clientip", haproxycfg.Decide, "accept lb's", ""},
	{"frontend", "mode tcp", haproxycfg.Stops, "handles all traffic as HTTP", ""},
	{"frontend", "option forwardfor header X-Client", haproxycfg.Stops, "another field have to change", ""},
	{"frontend", "option forwardfor except 10.0.0.0/8", haproxycfg.Changed, "trusted_networks", ""},
	{"frontend", "no option forwardfor", haproxycfg.Changed, "lb always sends", ""},
	{"defaults", "option httplog", haproxycfg.Changed, "log.format: haproxy", "log:\n  format: haproxy  # 6\n"},
	{"defaults", "log-format %ci\noption httplog", haproxycfg.LeftOut, "for each request", ""},
	{"frontend", "option httplog clf", haproxycfg.LeftOut, "for each request", ""},
	{"frontend", "no option httplog", haproxycfg.LeftOut, "for each request", ""},
	{"backend", "option httplog", haproxycfg.LeftOut, "for frontends", ""},
	{"frontend", "no option dontlognull", haproxycfg.LeftOut, "switched off in HAProxy", ""},
	{"frontend", "redirect scheme https if { hdr(host) a }", haproxycfg.Decide, "only under a condition", `  - {address: "127.0.0.1:8080"}`},
	{"frontend", "redirect scheme https if ! { ssl_fc }", haproxycfg.Changed, "redirect_https, with 301", "redirect_https: true}"},
	{"frontend", "bind 127.0.0.1:81 accept-netscaler-cip 1\nredirect scheme https if ! { ssl_fc }", haproxycfg.Decide, "isn't in listen", "redirect_https: true}"},
	{"frontend", "bind 127.0.0.1:81 accept-proxy", haproxycfg.Decide, "trusted_networks", `"127.0.0.1:81", proxy_protocol: required}`},
	{"frontend", "acl tls ssl_fc\nredirect scheme https if !tls", haproxycfg.Changed, "redirect_https, with 301", "redirect_https: true}"},
	{"frontend", "acl tls ssl_fc\nacl tls path /\nredirect scheme https unless tls", haproxycfg.Decide, "send tokens unencrypted", ""},
	{"frontend", "redirect location /a", haproxycfg.Stops, "to a whole URL", ""},
	{"frontend", "stats enable", haproxycfg.Changed, "dashboard", "admin:  # 9"},
	{"frontend", "use_backend ide if { path /a }", haproxycfg.Took, "routes: pool: pool", `  - {path: "/a", pool: pool}`},
	{"frontend", "use_backend ide if { src 10.0.0.1 }", haproxycfg.Changed, "whatever the condition", ""},
	{"frontend", "use_backend %[req.hdr(host)]", haproxycfg.Stops, "finds no hosts", ""},
	{"frontend", "bind 127.0.0.1:8443 ssl crt-list /etc/list", haproxycfg.Decide, "no private key is in /etc/b.pem", `cert: "/etc/a.pem"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt-list /etc/mutual", haproxycfg.Stops, "for one certificate", `cert: "/etc/a.pem"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt-list /etc/newer", haproxycfg.Decide, "ssl-min-ver TLSv1.3 in the list", `cert: "/etc/a.pem"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt-list /etc/odd", haproxycfg.Unknown, "in the list is no option", `cert: "/etc/a.pem"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt-list /etc/none", haproxycfg.Decide, "one by one", ""},
	{"frontend", "bind 127.0.0.1:8443 ssl crt own.pem", haproxycfg.Decide, "hasn't been read", `cert: "own.pem"`},
	{"frontend", "bind 127.0.0.1:8080 ssl crt /etc/a.pem", haproxycfg.Decide, "with other TLS", ""},
	{"frontend", "bind [::1]:8081-8083,ipv4@10.0.0.1:84", haproxycfg.Took, "listen: [::1]:8082", `  - {address: "[::1]:8083"}  # 9`},
	{"frontend", "bind :::81", haproxycfg.Changed, "IPv4 and IPv6", `  - {address: ":81"}`},
	{"frontend", "bind :1-9999", haproxycfg.Stops, "isn't written out", ""},
	{"frontend", "bind nowhere", haproxycfg.Stops, "no port", ""},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem ssl-min-ver TLSv1.1", haproxycfg.Changed, "TLSv1.1 isn't offered", `  min_version: "1.2"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem ssl-min-ver TLSv1.3", haproxycfg.Changed, `min_version: "1.3"`, `  min_version: "1.3"  # 9`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem no-tlsv12", haproxycfg.Changed, `min_version: "1.3"`, `  min_version: "1.3"  # 9`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem force-tlsv13", haproxycfg.Changed, `min_version: "1.3"`, `  min_version: "1.3"  # 9`},
	{"frontend", "bind 127.0.0.1:8444 ssl crt /etc/a.pem\nbind 127.0.0.1:8443 ssl crt /etc/a.pem force-tlsv13", haproxycfg.Changed, "own_tls.min_version", `  - {address: "127.0.0.1:8443", tls: true, own_tls: {certificates: [{cert: "/etc/a.pem", key: "/etc/a.pem"}], min_version: "1.3"}}  # 10`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem verify none", haproxycfg.Changed, "/etc/a.pem", ""},
	{"frontend", "tcp-request connection expect-proxy layer4 if { src 10.0.0.3 }", haproxycfg.Stops, "PROXY protocol", ""},
	{"frontend", "tcp-request inspect-delay 5s", haproxycfg.LeftOut, "timeouts.head", ""},
	{"frontend", "tcp-request content lua.gate", haproxycfg.Decide, "asks a program", ""},
	{"frontend", "tcp-request content accept if HTTP", haproxycfg.LeftOut, "no exception is needed", ""},
	{"frontend", "tcp-request connection odd", haproxycfg.Unknown, "odd isn't an action", ""},
	{"backend", "tcp-response content close if { res.len 0 }", haproxycfg.Stops, "keeps from them", ""},
	{"frontend", "http-request lua.gate", haproxycfg.Decide, "asks a program", ""},
	{"frontend", "http-request send-spoe-group e g", haproxycfg.Decide, "asks a program", ""},
	{"frontend", "http-request use-service prometheus-exporter if { path /metrics }", haproxycfg.Stops, "HAProxy answers", ""},
	{"frontend", "http-request set-src hdr(cf-connecting-ip)", haproxycfg.Decide, "trusted_networks", ""},
	{"backend", "http-request set-dst var(txn.ip)", haproxycfg.Stops, "to other addresses", ""},
	{"backend", "http-request do-resolve(txn.ip,dns) hdr(host)", haproxycfg.Stops, "to other addresses", ""},
	{"frontend", "http-request set-method GET", haproxycfg.Stops, "the method", ""},
	{"frontend", "http-request set-timeout tunnel 10h", haproxycfg.Decide, "Set the longest", ""},
	{"frontend", "http-request set-var(txn.a) src", haproxycfg.LeftOut, "nothing by itself", ""},
	{"frontend", "http-request odd", haproxycfg.Unknown, "odd isn't an action", ""},
	{"frontend", "http-response deny if { status 500 }", haproxycfg.Stops, "keeps from them", ""},
	{"frontend", "http-response set-header Strict-Transport-Security max-age=9 if { src 10.0.0.1 }", haproxycfg.Stops, "keep browsers safe", ""},
	{"frontend", "http-after-response del-header Server if { src 10.0.0.1 }", haproxycfg.LeftOut, "make this change of answers", ""},
	{"frontend", "http-after-response del-header Server", haproxycfg.Took, "fields: Server", "    remove:\n      - Server  # 9"},
	{"frontend", "http-response set-status 200", haproxycfg.Stops, "the status", ""},
	{"frontend", "filter spoe engine e config f", haproxycfg.Decide, "what to hash", ""},
	{"frontend", "filter compression", haproxycfg.LeftOut, "compresses nothing", ""},
	{"frontend", "bind 127.0.0.1:81 interface eth0", haproxycfg.Decide, "strangers", ""},
	{"frontend", "monitor-uri /up", haproxycfg.Took, "routes: respond: {status: 200}", `  - {path: "/up", respond: {status: 200}}  # 9`},
	{"frontend", "monitor-uri up", haproxycfg.Stops, "/readyz", ""},
	{"frontend", "http-request deny if { path_beg /a /b }", haproxycfg.Took, "status: 403", `  - {path_prefix: "/b", respond: {status: 403}}  # 9`},
	{"frontend", "http-request deny deny_status 410 if METH_POST { path /a }", haproxycfg.Took, "status: 410", `  - {path: "/a", method: [POST], respond: {status: 410}}`},
	{"frontend", "acl api req.hdr(Host),lower -m str a.example.com b.example.com\nhttp-request deny if api", haproxycfg.Took, "status: 403", `  - {host: "b.example.com", respond: {status: 403}}`},
	{"frontend", "http-request deny if { hdr_dom(host) -i example.com } { path /a }", haproxycfg.Took, "status: 403", `  - {host: "*.example.com", path: "/a", respond: {status: 403}}`},
	{"frontend", "http-request deny if { hdr_end(host) .example.com } or { path /a }", haproxycfg.Took, "status: 403", `  - {host: "*.example.com", respond: {status: 403}}`},
	{"frontend", "http-request deny if { path_end .git }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny if { path /a } !{ path /b }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request deny unless { path /a }", haproxycfg.Stops, "reach the hosts", ""},
	{"frontend", "http-request return status 200 content-type text/plain string hello if { path /a }", haproxycfg.Changed, "without the text", `  - {path: "/a", respond: {status: 200}}`},
	{"frontend", "http-request redirect location https://example.com code 301 if { path /a }", haproxycfg.Took, "redirect", `  - {path: "/a", redirect: {to: "https://example.com/", status: 301}}`},
	{"frontend", "redirect prefix https://example.com if { hdr(host) old.example.com }", haproxycfg.Changed, "leaves the token out", `  - {host: "old.example.com", redirect: {to: "https://example.com", status: 302}}`},
	{"frontend", "option accept-invalid-http-request", haproxycfg.Stops, "gets 400", ""},
	{"frontend", "option http-restrict-req-hdr-names reject", haproxycfg.Decide, "lb also passes on fields", ""},
	{"frontend", "option http-restrict-req-hdr-names preserve", haproxycfg.LeftOut, "lb passes on fields with all", ""},
	{"frontend", "unique-id-header X-Unique-ID", haproxycfg.Stops, "hosts get no X-Unique-ID", ""},
	{"frontend", "unique-id-header X-Request-ID", haproxycfg.Changed, "a form of its own", ""},
	{"frontend", "http-request set-header X-Forwarded-For %[src]", haproxycfg.Changed, "by itself", ""},
	{"frontend", "http-request set-header X-Forwarded-For %[req.hdr(CF-Connecting-IP)]", haproxycfg.Stops, "trusted_networks", ""},
	{"frontend", "http-request set-header X-Forwarded-Proto https", haproxycfg.Stops, "redirect for ever", ""},
	{"frontend", "redirect scheme https unless { ssl_fc }\nhttp-request set-header X-Forwarded-Proto https", haproxycfg.Changed, "by itself", ""},
	{"frontend", "http-request set-header X-Forwarded-Proto https if { ssl_fc }", haproxycfg.Changed, "by itself", ""},
	{"frontend", "acl tls ssl_fc\nhttp-request set-header X-Forwarded-Proto http if !tls", haproxycfg.Changed, "by itself", ""},
	{"backend", "http-request set-header X-Forwarded-Proto http", haproxycfg.Changed, "by itself", ""},
	{"backend", "http-request add-header X-Forwarded-Proto https if { ssl_fc } { path / }", haproxycfg.Stops, "redirect for ever", ""},
	{"backend", "http-request set-header X-Forwarded-Host %[req.hdr(Host)]", haproxycfg.Changed, "by itself", ""},
	{"backend", "http-request set-header X-Forwarded-Host ide.example.com", haproxycfg.Stops, "not as this rule does", ""},
	{"backend", "http-request set-header X-Request-ID %[uuid()] unless { req.hdr(X-Request-ID) -m found }", haproxycfg.Changed, "by itself", ""},
	{"backend", "http-request del-header X-Forwarded-For", haproxycfg.Changed, "drops what clients send", ""},
	{"backend", "http-request set-header X-Forwarded-Port 443", haproxycfg.Took, "fields: X-Forwarded-Port", `        X-Forwarded-Port: "443"`},
	{"server", "check agent-check agent-port 9", haproxycfg.Decide, "drains itself or sets its weight", ""},
	{"frontend", "http-request del-header X-User", haproxycfg.Took, "fields: X-User", "      - X-User  # 9"},
	{"frontend", "block if { path /x }", haproxycfg.Stops, "reach the hosts", ""},
	{"backend", "default-server disabled", haproxycfg.Took, "each server below", "    # - {name: one"},
	{"defaults", "timeout http-keep-alive 7s", haproxycfg.Took, "timeouts.idle: 7s", "  idle: 7s"},
	{"defaults", "timeout tunnel 2h", haproxycfg.Took, "timeouts.tunnel: 2h", "  tunnel: 2h"},
	{"defaults", "option redispatch", haproxycfg.LeftOut, "redispatches to another host", ""},
	{"global", "stats timeout 30s", haproxycfg.LeftOut, "the socket is HAProxy's", ""},
	{"global", "ssl-default-bind-options prefer-client-ciphers force-tlsv12 no-x", haproxycfg.LeftOut, "lb chooses ciphers", ""},
	{"global", "ssl-default-bind-options no-tlsv12", haproxycfg.Took, `"1.3"`, `  min_version: "1.3"`},
	{"global", "ssl-default-bind-options force-tlsv13 no-tls-tickets", haproxycfg.LeftOut, `"1.3"`, `  min_version: "1.3"`},
	{"global", "ssl-default-bind-options ssl-min-ver TLSv1.3", haproxycfg.Took, `"1.3"`, `  min_version: "1.3"`},
	{"global", "tune.bufsize 4096", haproxycfg.Changed, "lb's bound is at least 32768 bytes", ""},
	{"global", "tune.bufsize 32768", haproxycfg.Changed, "lb's bound is at least 32768 bytes", ""},
	{"global", "tune.bufsize 65536", haproxycfg.Changed, "limits.head: 65536", "limits:\n  head: 65536  # 2\nadmin"},
	{"global", "tune.http.maxhdr 256", haproxycfg.Changed, "limits.fields: 255", "  fields: 255  # 2"},
	{"global", "tune.bufsize 131072", haproxycfg.Changed, "limits.response.head: 131072", "  response:\n    head: 131072  # 2\n"},
	{"global", "tune.http.maxhdr 1001", haproxycfg.Changed, "limits.response.fields: 1000", "  response:\n    fields: 1000  # 2\n"},
	{"global", "tune.http.maxhdr 5", haproxycfg.Changed, "limits.fields: 10", "  fields: 10  # 2"},
	{"global", "tune.rcvbuf.client 5", haproxycfg.LeftOut, "HAProxy's internals", ""},
	{"global", "maxconn 4000", haproxycfg.Changed, "limits.connections: 4000", "  connections: 4000  # 2"},
	{"global", "maxconn 0", haproxycfg.LeftOut, "open files", ""},
	{"frontend", "maxconn 4000", haproxycfg.LeftOut, "for a single frontend", ""},
	{"server", "check hash-key id", haproxycfg.Took, "the id places", ""},
	{"server", "check hash-key addr", haproxycfg.Moves, "something else than its id", ""},
	{"server", "check socks4 10.0.0.9:1080", haproxycfg.Stops, "without a SOCKS proxy", ""},
	{"global", "set-var proc.a int(1)", haproxycfg.LeftOut, "no variables", ""},
	{"global", "lua-load /etc/a.lua", haproxycfg.LeftOut, "no Lua", ""},
	{"global", ".notice hello", haproxycfg.LeftOut, "a message", ""},
}

// allLines are those of all tables.
func allLines() []lineRow {
	return slices.Concat(lines, accessLines, pageLines, tlsLines, expectLines, rateLines)
}

// TestLines puts lines into an edge, and wants the verdict and words in the note
// of the last, and a line of lb.yaml if one is given.
func TestLines(t *testing.T) {
	for _, row := range allLines() {
		t.Run(row.line, func(t *testing.T) {
			cfg := row.cfg()
			result, err := haproxycfg.Import("haproxy.cfg", []byte(cfg), haproxycfg.Options{Files: lineFiles})
			if err != nil {
				t.Fatal(err)
			}
			looked := row.line[strings.LastIndexByte(row.line, '\n')+1:]
			for i, line := range strings.Split(cfg, "\n") {
				if strings.Contains(line, looked) {
					mustSay(t, &result.Report.Lines[i], row.verdict, row.note)
				}
			}
			if !strings.Contains(string(result.YAML), row.yaml) {
				t.Errorf("lb.yaml has no %q:\n%s", row.yaml, result.YAML)
			}
		})
	}
}

func mustSay(t *testing.T, l *haproxycfg.Line, want haproxycfg.Verdict, note string) {
	t.Helper()
	if l.Verdict() != want {
		t.Errorf("the verdict is %s (%d), want %s (%d): %v", l.Verdict(), l.Verdict(), want, want, l.Notes)
	}
	for _, n := range l.Notes {
		if strings.Contains(n.Text, note) {
			return
		}
	}
	t.Errorf("no note says %q: %v", note, l.Notes)
}
