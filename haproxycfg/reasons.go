package haproxycfg

import "strings"

// sectionReasons say why sections without proxies are left out.
var sectionReasons = map[string]string{
	"peers":       "lb has no stick tables to share; balancers share operators' decisions by gossip (peers in lb.yaml)",
	"resolvers":   "lb looks names up by the system's resolver, every five seconds",
	"userlist":    "lb asks nobody for a password: who was kept out by one gets in, unless the hosts ask themselves",
	"mailers":     "lb sends no mail: set alarms on its metrics",
	"cache":       "lb keeps no answers",
	"program":     "lb starts no other programs: make each a unit of its own",
	"http-errors": "lb's error answers are its own",
	"ring":        "lb logs to standard output and error",
	"log-forward": "lb forwards no logs",
	"fcgi-app":    "lb speaks HTTP to hosts",
	"crt-store":   "name the certificates in tls.certificates",
	"acme":        "see tls.acme in lb.yaml for certificates from an ACME directory",
	"traces":      "tracing inside HAProxy",
	"log-profile": "lb's logs have one form",
}

const whyOtherChecks = "a check is one GET and its status, or a TCP connect: a host that HAProxy's check calls broken counts as up here for as long as it passes that"

// A reason says why keywords are left out, and why that matters.
type reason struct {
	verdict Verdict
	why     string
	// keywords are directives' keys, separated by blanks; those of two words are
	// joined by an underscore. One with an asterisk at its end stands for all that
	// begin so.
	keywords string
}

var reasons = []reason{
	{LeftOut, "lb is one process without settings of that kind: its unit or container says user, directories and limits", "daemon user group uid gid chroot pidfile nbproc nbthread cpu-map thread-group thread-groups thread-hard-limit master-worker mworker-max-reloads mworker-prealloc-dynamic-modules ulimit-n fd-hard-limit set-dumpable setcap unix-bind default-path zero-warning anonkey strict-limits no-memory-trimming insecure-fork-wanted insecure-setuid-wanted wurfl-* 51degrees-* deviceatlas-* external-check quiet debug grace numa-cpu-mapping cpu-policy cpu-set shm-stats-file* cluster-secret harden.*"},
	{LeftOut, "tuning of HAProxy's inside; what lb needs of that kind is in limits and timeouts", "tune.* maxpipes maxcomprate maxcompcpuusage maxzlibmem noepoll nokqueue noevports nopoll nosplice nogetaddrinfo noreuseport busy-polling spread-checks max-spread-checks profiling.* prealloc-fd expose-experimental-directives expose-deprecated-directives limited-quic h1-case-adjust h1-case-adjust-file h1-accept-payload-with-any-method h1-do-not-close-on-insecure-transfer-encoding h2-workaround-bogus-websocket-clients pp2-never-send-local httpclient.* jwt.* ocsp-update.* http-fail-codes http-err-codes dns-accept-family ssl-engine ssl-propquery ssl-provider ssl-provider-path ssl-mode-async ssl-dh-param-file ssl-server-verify ssl-skip-self-issued-ca ssl-security-level issuers-chain-path ssl-load-extra-files ssl-load-extra-del-ext ssl-default-bind-curves ssl-default-bind-sigalgs ssl-default-bind-client-sigalgs ssl-default-server-* stats-file"},
	{LeftOut, whyTLSChoice, "ssl-default-bind-ciphers ssl-default-bind-ciphersuites"},
	{LeftOut, "lb has no bound of its own for a frontend; limits.connections holds for all of them together", "maxconn"},
	{LeftOut, "lb has no such limit: what HAProxy would have made wait is served. limits.connections bounds all connections together; watch the metrics", "maxconnrate maxsessrate maxsslconn maxsslrate max-keep-alive-queue rate-limit fullconn backlog maxqueue"},
	{LeftOut, "connections close one by one at a stop, within timeouts.shutdown", "close-spread-time"},
	{LeftOut, "a name for logs and statistics only; see name in lb.yaml", "node description localpeer id guid log-tag log-send-hostname desc"},
	{LeftOut, "it sets what \"${…}\" stands for in this file; lb.yaml has no variables", "setenv presetenv unsetenv resetenv"},
	{Decide, "lb keeps operators' decisions in state_dir by itself. The states that HAProxy's servers have now don't come along: hosts that are drained or disabled there get users here until you drain them again with lb ctl", "server-state-base server-state-file server-state-file-name load-server-state-from-file"},
	{LeftOut, "lb's access log has one form", "log-format log-format-sd error-log-format log-steps capture declare unique-id-format"},
	{LeftOut, "lb has no variables: see the rules that use it", "set-var set-var-fmt"},
	{LeftOut, "lb runs no Lua: see the rules and services that use it", "lua-*"},
	{LeftOut, "lb has no conditions: see the rules that use it", "acl"},
	{LeftOut, "lb has no stick tables: nothing is counted or learnt", "stick-table"},
	{LeftOut, "lb seals its cookie with a key of its own: see affinity.cookie.secret_file", "dynamic-cookie-key"},
	{Moves, "lb learns no cookies of the hosts': users whom one keeps in place go where their token is, and those without a token to another host with each request. If the cookie is what keeps them together, write affinity: {cookie: {}}", "appsession"},
	{Moves, "lb reads no cookies of RDP: users whom one keeps on a host go where their token is, and those without a token to another host with each request", "persist"},
	{Moves, "lb has no queue or limit of its own for each host: a host gets its tokens, however busy it is. Tokens that HAProxy sent elsewhere move once, when lb takes over", "hash-preserve-affinity"},
	{Moves, "lb has no rules that choose a host: those whom a rule sends to one go where their token is, and those without a token to another host with each request", "use-server force-persist ignore-persist"},
	{LeftOut, "a connection that fails goes on to the host that the token will have once the first is taken out, at once and at most once for each host; nothing is sent twice that can't be repeated", "retries retry-on"},
	{Stops, "lb changes no fields of requests: hosts get what the client sent. X-Forwarded-For, -Proto, -Host and X-Request-Id are lb's own", "reqadd reqdel reqidel"},
	{Moves, "lb changes no requests by a rule: hosts get what the client sent, and tokens that the rule touches move", "reqrep reqirep reqset reqiset"},
	{Stops, "lb changes no fields of answers: clients get the field as the host sent it, or not at all. Let the hosts set what keeps browsers safe, such as Strict-Transport-Security, or what they rely on", "rspadd rspdel rspidel rsprep rspirep"},
	{Stops, "lb speaks HTTP to hosts: one that wants FastCGI can't be reached", "use-fcgi-app"},
	{Stops, "hosts get no field with their name", "http-send-name-header"},
	{Stops, "HAProxy answers this by itself, and lb sends it to a host: whatever watches the balancer so may take it for dead. Let it ask /readyz at admin.address", "monitor monitor-uri monitor-net monitor-fail"},
	{Stops, whyTurnsAway, "block reqdeny reqideny reqtarpit reqitarpit reqallow reqiallow reqpass reqipass rspdeny rspideny"},
	{LeftOut, "lb's error answers are its own", "errorfile errorfiles errorloc errorloc302 errorloc303 http-error"},
	{LeftOut, "lb compresses nothing: let the hosts do it, or ship files compressed", "compression*"},
	{LeftOut, "lb decides itself when a host's connection is used again", "http-reuse"},
	{Decide, whyOtherChecks, "tcp-check external-check"},
	{LeftOut, "lb sends no mail: set alarms on its metrics", "email-alert"},
	{Decide, "lb sends from the address that the system chooses: hosts that let in one address only must let in lb's", "source"},
	{Decide, "the whole section is off there, and on here: take out of lb.yaml what came from it", "disabled"},
	{LeftOut, "lb runs what its configuration has, on all processors that it is given", "enabled bind-process"},
	{Stops, "lb sends requests to pool.hosts and to no other address", "dispatch transparent option_transparent"},
	{LeftOut, "lb has no queue: a request goes to its host at once, or gets 503", "timeout_queue"},
	{LeftOut, "lb has no timer of its own for that; timeouts.tunnel and timeouts.body end what stalls", "timeout_client-fin timeout_server-fin timeout_tarpit"},
	{LeftOut, "the socket is HAProxy's", "stats_timeout stats_maxconn stats_bind-process"},
	{LeftOut, "how often the system looks whether a silent peer is there is left as it is", "option_tcpka option_clitcpka option_srvtcpka clitcpka-* srvtcpka-*"},
	{LeftOut, "after a failed connection lb goes on to the host that the token will have once the first is taken out. HAProxy tries the same host first, and its redispatch goes elsewhere", "option_redispatch"},
	{LeftOut, "what serves when all hosts are down: lb answers 503 then", "option_allbackups"},
	{LeftOut, "tokens aren't kept on hosts that are down: their keys go to the next host", "option_persist"},
	{LeftOut, "lb keeps connections to clients and hosts open, and lets WebSockets through", "option_http-server-close option_httpclose option_forceclose option_http-keep-alive option_http-tunnel option_http-pretend-keepalive option_prefer-last-server option_idle-close-on-response"},
	{LeftOut, "lb's access log is on, with a line for each request or terminal (log.access)", "option_httplog option_tcplog option_httpslog option_dontlognull option_dontlog-normal option_logasap option_log-separate-errors option_log-health-checks option_clf option_error-log-format"},
	{Stops, "lb is strict about what it accepts, always: clients that send what can be read in two ways get 400, and hosts that do 502. If HAProxy lets somebody through by this, lb won't", "option_accept-invalid-http-request option_accept-invalid-http-response option_accept-unsafe-violations-in-http-request option_accept-unsafe-violations-in-http-response"},
	{LeftOut, "lb is strict about what it accepts, always: requests that could be read in two ways get 400", "option_http-drop-request-trailers option_http-drop-response-trailers option_http-use-proxy-header option_disable-h2-upgrade option_http-ignore-probes"},
	{LeftOut, "names of fields keep the case in which they came; those of HTTP/2 are in lower case", "option_h1-case-adjust-bogus-client option_h1-case-adjust-bogus-server"},
	{LeftOut, "bodies are streamed: a host sees a request before its body has come", "option_http-buffer-request"},
	{LeftOut, "a check is a TCP connect; see the tcp-check lines, if there are any", "option_tcp-check"},
	{Decide, whyOtherChecks, "option_ssl-hello-chk option_smtpchk option_mysql-check option_pgsql-check option_redis-check option_ldap-check option_spop-check option_external-check"},
	{LeftOut, "lb keeps no answers, and looks at none", "option_checkcache"},
	{Stops, "lb sends X-Forwarded-For, -Proto and -Host, and neither Forwarded nor X-Original-To", "option_forwarded option_originalto"},
	{LeftOut, "a setting of HAProxy's inside", "option_contstats option_socket-stats option_independent-streams option_nolinger option_splice-auto option_splice-request option_splice-response option_tcp-smart-accept option_tcp-smart-connect option_http-no-delay option_http-use-htx option_use-small-buffers"},
}

// reasonOf looks a directive up among the reasons; nil if it is in none.
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
