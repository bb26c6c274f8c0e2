package haproxycfg

// An option is one word of a bind or server line, with the words that follow it.
// One without a reason in why means something here, and is handled.
type option struct {
	args    int
	verdict Verdict
	why     string
}

// optionGroup is words that are left out for one reason.
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
	whyKernel    = "a setting of sockets; lb leaves them as the system has them"
	whyTLSChoice = "lb chooses ciphers, curves and extensions itself, from those that are safe today"
	whyNamespace = "lb has no network namespaces of its own: start it in the one that it belongs to"
)

// bindOptions are what may follow the address of a bind line.
var bindOptions = optionTable([]string{"crt", "crt-list"}, []optionGroup{
	{0, Took, "TLS", []string{"ssl"}},
	{1, Changed, "no older version than 1.2", []string{"ssl-min-ver"}},
	{0, Stops, "lb doesn't read the PROXY protocol, so that this address isn't taken over: whatever stands in front must connect plainly, or use another address; name its network in trusted_networks if it sets X-Forwarded-For", []string{"accept-proxy"}},
	{1, Stops, "lb doesn't read this protocol, so that this address isn't taken over", []string{"accept-netscaler-cip"}},
	{1, Stops, "lb asks clients for no certificates: whoever was kept out by that gets in", []string{"verify"}},
	{1, LeftOut, "lb asks clients for no certificates", []string{"ca-file", "ca-verify-file", "crl-file", "ca-ignore-err", "crt-ignore-err", "no-ca-names"}},
	{1, LeftOut, "an old way to choose protocols, of which no browser knows any more", []string{"npn"}},
	{1, Took, "protocols", []string{"alpn", "proto"}},
	{0, Took, "protocols", []string{"no-alpn"}},
	{1, LeftOut, whyTLSChoice, []string{"ciphers", "ciphersuites", "curves", "ecdhe", "sigalgs", "client-sigalgs", "ssl-max-ver", "ocsp-update"}},
	{0, LeftOut, whyTLSChoice, []string{"prefer-client-ciphers", "allow-0rtt", "force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "no-tlsv13"}},
	{0, Took, "no older version than 1.3", []string{"no-tlsv12", "force-tlsv13"}},
	{0, Took, "lb offers TLS 1.2 and 1.3 only", []string{"no-sslv3", "no-tlsv10", "no-tlsv11"}},
	{0, Changed, "a client that names no server, or an unknown one, is shown the first certificate", []string{"strict-sni"}},
	{0, LeftOut, "lb issues session tickets: clients resume with less work", []string{"no-tls-tickets"}},
	{1, LeftOut, "each lb has its own ticket keys: at the switch, clients make one full handshake", []string{"tls-ticket-keys"}},
	{0, Decide, "lb makes no certificates on the fly: name real ones", []string{"generate-certificates"}},
	{1, LeftOut, "lb makes no certificates on the fly", []string{"ca-sign-file", "ca-sign-pass"}},
	{1, LeftOut, "lb has no limit of connections for one address; limits.connections holds for all of them together", []string{"maxconn"}},
	{1, Decide, "lb doesn't bind to an interface: it takes what comes from everywhere to this address. Write the interface's own address in listen, or strangers may get in", []string{"interface"}},
	{1, LeftOut, whyKernel, []string{"backlog", "mss", "tcp-ut", "nice", "cc", "tcp-md5sig"}},
	{0, LeftOut, whyKernel, []string{"defer-accept", "tfo"}},
	{0, Decide, "lb doesn't start with an address that the machine hasn't got, unless net.ipv4.ip_nonlocal_bind is 1", []string{"transparent"}},
	{1, Decide, whyNamespace, []string{"namespace"}},
	{1, LeftOut, "lb uses all processors that it is given", []string{"process", "thread", "shards"}},
	{1, LeftOut, "a name for logs and statistics only", []string{"name", "id", "label"}},
	{1, LeftOut, "for sockets of the file system, which lb doesn't listen on", []string{"mode", "user", "uid", "group", "gid", "level", "severity-output", "expose-fd"}},
	{0, Changed, "lb listens on IPv4 and IPv6 where an address allows both", []string{"v4v6", "v6only"}},
	{1, LeftOut, "lb speaks no QUIC; clients fall back to TCP", []string{"quic-cc-algo", "quic-socket"}},
	{0, LeftOut, "lb speaks no QUIC; clients fall back to TCP", []string{"quic-force-retry"}},
})

// serverOptions are what may follow the address of a server line.
var serverOptions = optionTable([]string{"inter", "rise", "fall", "slowstart", "weight", "id"}, []optionGroup{
	{0, Took, "", []string{"check", "no-check", "backup", "no-backup", "disabled", "enabled"}},
	{0, Stops, "lb speaks plain HTTP to hosts, so that this host can't be reached as it is: let it serve HTTP on a private network, or put a TLS terminator on it", []string{"ssl"}},
	{1, LeftOut, "lb speaks plain HTTP to hosts, and no certificate is checked: whoever is in between can read and change everything. Use a private network", []string{"verify", "verifyhost", "ca-file", "crl-file", "crt", "sni", "ciphers", "ciphersuites", "curves", "sigalgs", "client-sigalgs", "ssl-min-ver", "ssl-max-ver", "npn"}},
	{0, LeftOut, "lb speaks plain HTTP to hosts", []string{"no-ssl", "ssl-reuse", "no-ssl-reuse", "tls-tickets", "no-tls-tickets", "allow-0rtt", "no-sslv3", "no-tlsv10", "no-tlsv11", "no-tlsv12", "no-tlsv13", "force-sslv3", "force-tlsv10", "force-tlsv11", "force-tlsv12", "force-tlsv13"}},
	{0, Stops, "lb sends no PROXY protocol: a host that expects it refuses what comes. Switch it off there; the client's address is in X-Forwarded-For", []string{"send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"}},
	{0, LeftOut, "lb sends no PROXY protocol anyway", []string{"no-send-proxy", "no-send-proxy-v2", "no-send-proxy-v2-ssl", "no-send-proxy-v2-ssl-cn", "no-check-send-proxy"}},
	{1, LeftOut, "lb sends no PROXY protocol", []string{"proxy-v2-options", "set-proxy-v2-tlv-fmt"}},
	{1, Stops, "lb speaks HTTP/1.1 to hosts: one that wants another protocol can't be reached", []string{"proto", "alpn"}},
	{1, Stops, "lb connects to hosts by itself, through no SOCKS proxy: see that it reaches this one", []string{"socks4"}},
	{1, LeftOut, "WebSockets go over HTTP/1.1", []string{"ws"}},
	{1, Stops, "checks go to the host's own address and port, in clear: a host that doesn't answer them there is down", []string{"port", "addr", "check-proto", "check-sni", "check-alpn"}},
	{0, Stops, "checks are plain HTTP or TCP, like everything that lb sends to hosts: a host that doesn't answer them so is down", []string{"check-ssl", "check-send-proxy", "check-via-socks4"}},
	{0, LeftOut, "checks are plain anyway", []string{"no-check-ssl"}},
	{0, LeftOut, "checks are made over connections of their own", []string{"check-reuse-pool", "no-check-reuse-pool"}},
	{1, LeftOut, "lb checks at one interval, and at once when a request meets trouble", []string{"fastinter", "downinter"}},
	{1, LeftOut, "lb has no limit for one host and no queue: what HAProxy would have made wait is sent at once. See that the hosts stand it", []string{"maxconn", "minconn", "maxqueue"}},
	{1, LeftOut, "this value of the cookie isn't read: lb's own says the host in a sealed form", []string{"cookie"}},
	{1, LeftOut, "lb checks a host at once when requests meet trouble; errors alone don't take it out", []string{"observe", "error-limit", "on-error"}},
	{1, LeftOut, "terminals of a host that fails its checks aren't cut: they live for as long as the host answers on them", []string{"on-marked-down", "on-marked-up"}},
	{1, LeftOut, "each host is checked by itself", []string{"track"}},
	{0, Decide, "lb asks no agent-check: a host that drains or weighs itself by one gets users here all the same. Let it run lb agent, or use lb ctl", []string{"agent-check"}},
	{0, LeftOut, "lb asks no agent-check", []string{"no-agent-check"}},
	{1, LeftOut, "a host says that it leaves by its agent; there is no agent-check", []string{"agent-addr", "agent-inter", "agent-port", "agent-send"}},
	{1, LeftOut, "lb looks names up by the system's resolver, every five seconds; the terminals of a host whose name gets another address end", []string{"resolvers", "resolve-prefer", "resolve-opts", "resolve-net", "init-addr"}},
	{1, LeftOut, "a host that was never checked gets nothing, whatever was before", []string{"init-state"}},
	{1, LeftOut, "lb decides itself how many idle connections it keeps", []string{"pool-max-conn", "pool-low-conn", "pool-purge-delay", "pool-conn-name", "max-reuse", "idle-ping", "log-bufsize"}},
	{1, LeftOut, "requests aren't redirected to hosts; lb is always in between", []string{"redir"}},
	{1, Decide, "lb connects from the address that the system chooses: hosts that let in one address only must let in lb's", []string{"source", "usesrc", "interface"}},
	{1, LeftOut, whyNamespace, []string{"namespace"}},
	{1, LeftOut, whyKernel, []string{"tcp-ut", "cc", "tcp-md5sig"}},
	{0, LeftOut, whyKernel, []string{"tfo", "no-tfo"}},
	{0, LeftOut, "lb has no stick tables", []string{"stick", "non-stick"}},
	{1, LeftOut, "for balancing logs", []string{"log-proto"}},
	{1, LeftOut, "a name for statistics only", []string{"guid"}},
	{1, Moves, "HAProxy places the host by something else than its id, which lb can't: tokens move once, when lb takes over", []string{"hash-key"}},
	{1, LeftOut, "only for connections that HAProxy keeps apart", []string{"shard"}},
})
