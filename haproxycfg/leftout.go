package haproxycfg

import "strings"

// sectionReasons say why sections without proxies are left out.
var sectionReasons = map[string]string{
	"peers":       "lb has no stick tables to share; balancers share operators' overrides by gossip (peers in lb.yaml)",
	"resolvers":   "lb looks names up by the system's resolver, every five seconds",
	"userlist":    "lb asks for no passwords unless a route has basic_auth: clients without the password get in until then. Write it, with a file of htpasswd -B",
	"mailers":     "lb sends no mail: set alarms on its metrics",
	"cache":       "lb caches no answers",
	"program":     "lb starts no other programs: give each a systemd unit of its own",
	"http-errors": "lb has error pages of its own",
	"ring":        "lb logs to standard output and error",
	"log-forward": "lb forwards no logs",
	"fcgi-app":    "lb speaks HTTP to hosts",
	"crt-store":   "name the certificates in tls.certificates",
	"acme":        "see tls.acme in lb.yaml for certificates from an ACME directory",
	"traces":      "tracing of HAProxy itself",
	"log-profile": "lb's logs have one form",
}

const whyOtherChecks = "in lb, a check is one GET and the status of its answer, or a TCP connect: a host that passes it counts as up, even if HAProxy's check would fail"

// A reason says why keywords are left out, and why that matters.
type reason struct {
	verdict Verdict
	why     string
	// keywords are keys of directives, separated by blanks. A key of two words is joined
	// by an underscore. A key that ends with an asterisk matches all keys with this prefix.
	keywords string
}

var reasons = []reason{
	{LeftOut, "lb is one process without such settings: its systemd unit or container sets the user, directories and limits", "daemon user group uid gid chroot pidfile nbproc nbthread cpu-map thread-group thread-groups thread-hard-limit master-worker mworker-max-reloads mworker-prealloc-dynamic-modules ulimit-n fd-hard-limit set-dumpable setcap unix-bind default-path zero-warning anonkey strict-limits no-memory-trimming insecure-fork-wanted insecure-setuid-wanted wurfl-* 51degrees-* deviceatlas-* external-check quiet debug grace numa-cpu-mapping cpu-policy cpu-set shm-stats-file* cluster-secret harden.*"},
	{LeftOut, "tuning of HAProxy's internals; lb has limits and timeouts for this", "tune.* maxpipes maxcomprate maxcompcpuusage maxzlibmem noepoll nokqueue noevports nopoll nosplice nogetaddrinfo noreuseport busy-polling spread-checks max-spread-checks profiling.* prealloc-fd expose-experimental-directives expose-deprecated-directives limited-quic h1-case-adjust h1-case-adjust-file h1-accept-payload-with-any-method h1-do-not-close-on-insecure-transfer-encoding h2-workaround-bogus-websocket-clients pp2-never-send-local httpclient.* jwt.* ocsp-update.* http-fail-codes http-err-codes dns-accept-family ssl-engine ssl-propquery ssl-provider ssl-provider-path ssl-mode-async ssl-dh-param-file ssl-server-verify ssl-skip-self-issued-ca ssl-security-level issuers-chain-path ssl-load-extra-files ssl-load-extra-del-ext ssl-default-bind-curves ssl-default-bind-sigalgs ssl-default-bind-client-sigalgs ssl-default-server-* stats-file"},
	{LeftOut, whyTLSChoice, "ssl-default-bind-ciphers ssl-default-bind-ciphersuites"},
	{LeftOut, "lb has no limit for a single frontend; limits.connections holds for all of them together", "maxconn"},
	{LeftOut, "lb has no such limit: requests that would wait in HAProxy are served at once. limits.connections bounds all connections together; watch the metrics", "maxconnrate maxsessrate maxsslconn maxsslrate max-keep-alive-queue rate-limit fullconn backlog maxqueue"},
	{LeftOut, "terminals close one by one at a stop, in the second half of shutdown.grace", "close-spread-time"},
	{LeftOut, "a name for logs and statistics only; see name in lb.yaml", "node description localpeer id guid log-tag log-send-hostname desc"},
	{LeftOut, "it sets what \"${…}\" stands for in this file; lb.yaml has no variables", "setenv presetenv unsetenv resetenv"},
	{Decide, "lb keeps operators' overrides in state_dir by itself. The import doesn't take over the states that HAProxy's servers have now: hosts that are drained or disabled in HAProxy get users from lb until you drain them again with lb ctl", "server-state-base server-state-file server-state-file-name load-server-state-from-file"},
	{LeftOut, "lb's access log has one form", "log-format log-format-sd error-log-format log-steps capture declare unique-id-format"},
	{LeftOut, "lb has no variables: see the rules that use it", "set-var set-var-fmt"},
	{LeftOut, "lb runs no Lua: see the rules and services that use it", "lua-*"},
	{LeftOut, "lb has no conditions: see the rules that use it", "acl"},
	{LeftOut, "lb has no stick tables: see the rules that use it", "stick-table"},
	{LeftOut, "lb seals its cookie with a key of its own: see affinity.cookie.secret_file", "dynamic-cookie-key"},
	{Moves, "lb doesn't learn the hosts' cookies. Users whom such a cookie keeps on a host go to their token's host, and without a token to another host with each request. If your users need a cookie to stay on one host, write affinity: {cookie: {}}", "appsession"},
	{Moves, "lb reads no cookies of RDP: users whom such a cookie keeps on a host go to their token's host, and without a token to another host with each request", "persist"},
	{Moves, "without max_connections a host gets its tokens, however busy it is, and with it they wait for it. Tokens that HAProxy has sent to other hosts because of that move once, when lb takes over", "hash-preserve-affinity"},
	{Moves, "lb has no rules that choose a host: users whom this rule sends to a host go to their token's host, and without a token to another host with each request", "use-server force-persist ignore-persist"},
	{LeftOut, "after a failed connect, lb tries the next host at once, each host at most once: the one that will have the token when the first is out. lb sends nothing twice that can't be repeated", "retries retry-on"},
	{Stops, "lb sets X-Forwarded-For, -Proto, -Host and X-Request-Id, and doesn't make this change of requests: hosts get those as the client sent them", "reqadd reqdel reqidel"},
	{Moves, "lb has no rules that change requests: hosts get what the client sent, and tokens that this rule changes move", "reqrep reqirep reqset reqiset"},
	{Stops, "lb doesn't make this change of answers: clients get the field as the host sent it, or not at all. Let the hosts set fields that keep browsers safe, such as Strict-Transport-Security, and fields that clients rely on", "rspadd rspdel rspidel rsprep rspirep"},
	{Stops, "lb speaks HTTP to hosts: one that wants FastCGI can't be reached", "use-fcgi-app"},
	{Stops, "hosts get no field with their own name", "http-send-name-header"},
	{Stops, "HAProxy answers such a request itself; lb sends it to a host. A monitor that asks this may take lb for dead: let it ask /readyz at admin.address", "monitor monitor-net monitor-fail"},
	{Stops, whyTurnsAway, "block reqdeny reqideny reqtarpit reqitarpit reqallow reqiallow reqpass reqipass rspdeny rspideny"},
	{LeftOut, "lb has error pages of its own", "errorfiles errorloc errorloc302 errorloc303 http-error"},
	{LeftOut, "lb compresses nothing: let the hosts do it, or let them serve compressed files", "compression*"},
	{LeftOut, "lb decides itself when a host's connection is used again", "http-reuse"},
	{Decide, whyOtherChecks, "tcp-check external-check"},
	{LeftOut, "lb sends no mail: set alarms on its metrics", "email-alert"},
	{Decide, "lb sends from the address that the system chooses: hosts that accept only one address must accept lb's", "source"},
	{Decide, "in HAProxy this whole section is switched off, in lb it isn't: remove from lb.yaml what came from it", "disabled"},
	{LeftOut, "lb runs what its configuration has, on all processors that it is given", "enabled bind-process"},
	{Stops, "lb sends requests to pool.hosts and to no other address", "dispatch transparent option_transparent"},
	{LeftOut, "lb has no separate timeout for this; timeouts.tunnel and timeouts.body end what stalls", "timeout_client-fin timeout_server-fin timeout_tarpit"},
	{LeftOut, "the socket is HAProxy's", "stats_timeout stats_maxconn stats_bind-process"},
	{LeftOut, "lb doesn't set how often the system looks whether a silent peer is still there", "option_tcpka option_clitcpka option_srvtcpka clitcpka-* srvtcpka-*"},
	{LeftOut, "after a failed connect, lb tries the next host: the one that will have the token when the first is out. HAProxy tries the same host again, and then redispatches to another host than lb", "option_redispatch"},
	{LeftOut, "all backups serve together in lb, with or without it", "option_allbackups"},
	{LeftOut, "lb keeps no token on a host that is down: the next host gets it", "option_persist"},
	{LeftOut, "lb keeps connections to clients and hosts open, and lets WebSockets through", "option_http-server-close option_httpclose option_forceclose option_http-keep-alive option_http-tunnel option_http-pretend-keepalive option_prefer-last-server option_idle-close-on-response"},
	{LeftOut, "lb's access log is on, with a line for each request or terminal (log.access)", "option_httplog option_tcplog option_httpslog option_dontlognull option_dontlog-normal option_logasap option_log-separate-errors option_log-health-checks option_clf option_error-log-format"},
	{Stops, "lb is always strict: if a request can be read in two ways, the client gets 400; if an answer can, 502. lb refuses clients and hosts that HAProxy accepts only because of this option", "option_accept-invalid-http-request option_accept-invalid-http-response option_accept-unsafe-violations-in-http-request option_accept-unsafe-violations-in-http-response"},
	{LeftOut, "lb is always strict: requests that can be read in two ways get 400", "option_http-drop-request-trailers option_http-drop-response-trailers option_http-use-proxy-header option_disable-h2-upgrade option_http-ignore-probes"},
	{LeftOut, "lb keeps the case of field names; those of HTTP/2 are in lower case", "option_h1-case-adjust-bogus-client option_h1-case-adjust-bogus-server"},
	{LeftOut, "lb streams bodies: a host gets a request before its body has come", "option_http-buffer-request"},
	{LeftOut, "a check is a TCP connect; see the tcp-check lines, if there are any", "option_tcp-check"},
	{Decide, whyOtherChecks, "option_ssl-hello-chk option_smtpchk option_mysql-check option_pgsql-check option_redis-check option_ldap-check option_spop-check option_external-check"},
	{LeftOut, "lb caches no answers, and checks none", "option_checkcache"},
	{Stops, "lb sends X-Forwarded-For, -Proto and -Host, and neither Forwarded nor X-Original-To", "option_forwarded option_originalto"},
	{LeftOut, "a setting of HAProxy's internals", "option_contstats option_socket-stats option_independent-streams option_nolinger option_splice-auto option_splice-request option_splice-response option_tcp-smart-accept option_tcp-smart-connect option_http-no-delay option_http-use-htx option_use-small-buffers"},
}

// reasonOf returns the reason for a directive, nil if there is none.
func reasonOf(d *directive) *reason {
	for _, key := range []string{strings.ReplaceAll(d.key(), " ", "_"), d.word(0)} {
		for i := range reasons {
			if reasons[i].covers(key) {
				return &reasons[i]
			}
		}
	}
	return nil
}

func (r *reason) covers(key string) bool {
	for keyword := range strings.FieldsSeq(r.keywords) {
		if begin, all := strings.CutSuffix(keyword, "*"); keyword == key || all && strings.HasPrefix(key, begin) {
			return true
		}
	}
	return false
}
