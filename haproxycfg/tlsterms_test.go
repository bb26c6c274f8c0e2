package haproxycfg_test

import "tokenring/haproxycfg"

// tlsLines are bind lines that ask something of clients, or name directories.
var tlsLines = []lineRow{
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/d", haproxycfg.Changed, "tls.directory", `  directory: "/etc/d"  # 9`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/d crt /etc/a.pem", haproxycfg.Changed, "none of the directory", `  directory: "/etc/d"  # 9`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/o", haproxycfg.Changed, "2 file(s)", `cert: "/etc/o/x.rsa"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/d alpn h2,http/1.1\nbind 127.0.0.1:8444 ssl crt /etc/e", haproxycfg.Decide, "2 file(s)", `cert: "/etc/e/503"`},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/d strict-sni alpn h2,http/1.1", haproxycfg.Took, "strict_sni", "  directory: \"/etc/d\"  # 9\n  strict_sni: true\n"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem alpn h2,http/1.1 ca-file /etc/b.pem verify required", haproxycfg.Took, "need a certificate of /etc/b.pem", "  client_ca: \"/etc/b.pem\"\n"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem verify optional ca-file /etc/none.pem", haproxycfg.Decide, "copy it", "  client_ca: \"/etc/none.pem\"\n  client_certificates: optional\n"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem verify required", haproxycfg.Stops, "only with a file", ""},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem verify optional ca-file /etc/b.pem crt-ignore-err all", haproxycfg.Stops, "whatever the error", "client_ca"},
	{"frontend", "bind 127.0.0.1:8443 ssl crt /etc/a.pem verify required ca-file /etc/b.pem crl-file /etc/c.pem", haproxycfg.Stops, "revoked gets in", "client_ca"},
	{"frontend", "bind 127.0.0.1:8442 ssl crt /etc/d\nbind 127.0.0.1:8443 ssl crt /etc/a.pem crt /etc/d strict-sni no-tlsv12", haproxycfg.Changed, "strict_sni", `  - {address: "127.0.0.1:8443", tls: true, own_tls: {certificates: [{cert: "/etc/a.pem", key: "/etc/a.pem"}], directory: "/etc/d", strict_sni: true, min_version: "1.3"}}  # 10`},
}
