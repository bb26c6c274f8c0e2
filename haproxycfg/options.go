package haproxycfg

// An option is one word of a bind or server line, with its arguments. If why is "", the option
// has a handler.
type option struct {
	args    int
	verdict Verdict
	why     string
}

// An optionGroup has options that are left out for the same reason.
type optionGroup struct {
	args    int
	verdict Verdict
	why     string
	names   []string
}

func optionTable(handled []string, groups []optionGroup) map[string]option {
	table := map[string]option{}
	for _, name := range handled {
		table[name] = option{args: 1}
	}
	for _, g := range groups {
		for _, name := range g.names {
			table[name] = option{g.args, g.verdict, g.why}
		}
	}
	return table
}

// Reasons that options of both sides share.
const (
	whyKernel    = "a setting of sockets; lb leaves the system's values"
	whyTLSChoice = "lb chooses ciphers, curves and extensions itself, from those that are safe today"
	whyNamespace = "lb doesn't change its network namespace: start it in the right one"
)

// bindOptions are the options of a bind line, after the address.
var bindOptions = optionTable([]string{"crt", "crt-list", "ca-file", "verify"}, []optionGroup{
	{0, Took, "TLS", []string{"ssl"}},
	{1, Changed, "no older version than 1.2", []string{"ssl-min-ver"}},
	{0, Decide, "name the networks of the proxies in front in trusted_networks, because lb takes the header of the PROXY protocol from these only. lb check refuses lb.yaml until then", []string{"accept-proxy"}},
	{1, Stops, "lb doesn't read this protocol, so the import leaves this address out", []string{"accept-netscaler-cip"}},
	{1, LeftOut, "certificates of clients are verified by the roots in client_ca", []string{"ca-verify-file"}},
	{1, Stops, "lb reads no lists of revoked certificates: a client whose certificate is revoked gets in", []string{"crl-file"}},
	{1, Stops, "lb refuses clients whose certificates can't be verified, whatever the error is", []string{"ca-ignore-err", "crt-ignore-err"}},
	{1, LeftOut, "an old way to choose protocols; no browser knows it any more", []string{"npn"}},
	{1, Took, "protocols", []string{"alpn", "proto"}},
	{0, Took, "protocols", []string{"no-alpn"}},
	{1, LeftOut, whyTLSChoice, []string{"ciphers", "ciphersuites", "curves", "ecdhe", "sigalgs", "client-sigalgs", "ssl-max-ver", "ocsp-update"}},
	{0, LeftOut, whyTLSChoice, []string{"prefer-client-ciphers", "allow-0rtt", "no-ca-names", "force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "no-tlsv13"}},
	{0, Took, "no older version than 1.3", []string{"no-tlsv12", "force-tlsv13"}},
	{0, Took, "lb offers TLS 1.2 and 1.3 only", []string{"no-sslv3", "no-tlsv10", "no-tlsv11"}},
	{0, Took, "", []string{"strict-sni"}},
	{0, LeftOut, "lb issues session tickets: clients resume with less work", []string{"no-tls-tickets"}},
	{1, LeftOut, "each lb has its own ticket keys: at the switch, clients make one full handshake", []string{"tls-ticket-keys"}},
	{0, Decide, "lb makes no certificates on the fly: name real ones", []string{"generate-certificates"}},
	{1, LeftOut, "lb makes no certificates on the fly", []string{"ca-sign-file", "ca-sign-pass"}},
	{1, LeftOut, "lb has no limit of connections for a single address; limits.connections holds for all of them together", []string{"maxconn"}},
	{1, Decide, "lb doesn't bind to an interface: it accepts connections to this address from everywhere. Write the interface's own address in listen, or strangers may get in", []string{"interface"}},
	{1, LeftOut, whyKernel, []string{"backlog", "mss", "tcp-ut", "nice", "cc", "tcp-md5sig"}},
	{0, LeftOut, whyKernel, []string{"defer-accept", "tfo"}},
	{0, Decide, "lb doesn't start with an address that the machine doesn't have, unless net.ipv4.ip_nonlocal_bind is 1", []string{"transparent"}},
	{1, Decide, whyNamespace, []string{"namespace"}},
	{1, LeftOut, "lb uses all processors that it is given", []string{"process", "thread", "shards"}},
	{1, LeftOut, "a name for logs and statistics only", []string{"name", "id", "label"}},
	{1, LeftOut, "for sockets in the file system; lb doesn't listen on them", []string{"mode", "user", "uid", "group", "gid", "level", "severity-output", "expose-fd"}},
	{0, Changed, "lb listens on IPv4 and IPv6 where an address allows both", []string{"v4v6", "v6only"}},
	{1, LeftOut, "lb speaks no QUIC; clients fall back to TCP", []string{"quic-cc-algo", "quic-socket"}},
	{0, LeftOut, "lb speaks no QUIC; clients fall back to TCP", []string{"quic-force-retry"}},
})

// serverOptions are the options of a server line, after the address.
var serverOptions = optionTable([]string{"inter", "port", "rise", "fall", "slowstart", "on-marked-down", "weight", "id", "maxconn"}, []optionGroup{
	{0, Took, "", []string{"check", "no-check", "backup", "no-backup", "disabled", "enabled"}},
	{0, Took, "", []string{"ssl", "no-ssl"}},
	{1, Took, "", []string{"verify", "verifyhost", "ca-file", "crt", "sni"}},
	{1, LeftOut, "lb speaks TLS 1.2 and 1.3 with hosts, with a good choice of suites", []string{"ciphers", "ciphersuites", "curves", "sigalgs", "client-sigalgs", "ssl-min-ver", "ssl-max-ver", "npn"}},
	{1, Stops, "lb reads no lists of revoked certificates: a host whose certificate is revoked stays trusted", []string{"crl-file"}},
	{0, LeftOut, "lb speaks TLS 1.2 and 1.3 with hosts, and resumes sessions", []string{"ssl-reuse", "no-ssl-reuse", "tls-tickets", "no-tls-tickets", "allow-0rtt", "no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13", "force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13"}},
	{0, Took, "", []string{"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn", "no-send-proxy", "no-send-proxy-v2", "no-send-proxy-v2-ssl", "no-send-proxy-v2-ssl-cn"}},
	{0, LeftOut, "lb sends no PROXY protocol anyway", []string{"no-check-send-proxy"}},
	{1, LeftOut, "lb's header of the PROXY protocol has no options", []string{"proxy-v2-options", "set-proxy-v2-tlv-fmt"}},
	{1, Stops, "lb speaks HTTP/1.1 to hosts: one that wants another protocol can't be reached", []string{"proto", "alpn"}},
	{1, Stops, "lb connects to hosts directly, without a SOCKS proxy: make sure that it reaches this one", []string{"socks4"}},
	{1, LeftOut, "WebSockets go over HTTP/1.1", []string{"ws"}},
	{1, Stops, "lb's checks go to the host's own address, as its requests do: a host that doesn't answer there is down", []string{"addr", "check-proto", "check-sni", "check-alpn"}},
	{0, Stops, "lb's checks connect as its requests do: a host that answers only others is down", []string{"check-send-proxy", "check-via-socks4"}},
	{0, LeftOut, "lb's checks speak TLS where its requests do, with pool.tls", []string{"check-ssl", "no-check-ssl"}},
	{0, LeftOut, "checks are made over connections of their own", []string{"check-reuse-pool", "no-check-reuse-pool"}},
	{1, LeftOut, "lb checks at one interval, and at once when a request fails", []string{"fastinter", "downinter"}},
	{1, LeftOut, "without max_connections lb sends at once what would wait in HAProxy. Write it for the hosts, and queue for their pool, or make sure that the hosts can take it", []string{"minconn", "maxqueue"}},
	{1, LeftOut, "lb doesn't read this value of the cookie: lb's own cookie has the host in a sealed form", []string{"cookie"}},
	{1, LeftOut, "lb checks a host at once when requests to it fail; failed requests alone don't take it out", []string{"observe", "error-limit", "on-error"}},
	{1, LeftOut, "lb doesn't cut the terminals of hosts when another one is up again", []string{"on-marked-up"}},
	{1, LeftOut, "lb checks each host separately", []string{"track"}},
	{0, Decide, "lb has no agent-check: a host that drains itself or sets its weight by one still gets its users from lb. Run lb agent on the host, or use lb ctl", []string{"agent-check"}},
	{0, LeftOut, "lb has no agent-check", []string{"no-agent-check"}},
	{1, LeftOut, "lb has no agent-check: a host announces by lb agent that it leaves", []string{"agent-addr", "agent-inter", "agent-port", "agent-send"}},
	{1, LeftOut, "lb looks names up by the system's resolver, every five seconds; when a name gets another address, the terminals of its host end", []string{"resolvers", "resolve-prefer", "resolve-opts", "resolve-net", "init-addr"}},
	{1, LeftOut, "a host gets no requests before it has passed a check, whatever its state was before", []string{"init-state"}},
	{1, LeftOut, "lb decides itself how many idle connections it keeps", []string{"pool-max-conn", "pool-low-conn", "pool-purge-delay", "pool-conn-name", "max-reuse", "idle-ping", "log-bufsize"}},
	{1, LeftOut, "lb doesn't redirect clients to hosts; it is always in between", []string{"redir"}},
	{1, Decide, "lb connects from the address that the system chooses: hosts that accept only one address must accept lb's", []string{"source", "usesrc", "interface"}},
	{1, LeftOut, whyNamespace, []string{"namespace"}},
	{1, LeftOut, whyKernel, []string{"tcp-ut", "cc", "tcp-md5sig"}},
	{0, LeftOut, whyKernel, []string{"tfo", "no-tfo"}},
	{0, LeftOut, "lb has no stick tables", []string{"stick", "non-stick"}},
	{1, LeftOut, "for the balancing of logs", []string{"log-proto"}},
	{1, LeftOut, "a name for statistics only", []string{"guid"}},
	{1, Moves, "HAProxy places the host by something else than its id, and lb can't do that: tokens move once, when lb takes over", []string{"hash-key"}},
	{1, LeftOut, "only for connections that HAProxy keeps apart", []string{"shard"}},
})
